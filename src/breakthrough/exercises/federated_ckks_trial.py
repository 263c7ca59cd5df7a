"""Module 3: trying an encrypted mean out: clients, server and key holder each get what is theirs.

Decrypted numbers carry noise that is drawn anew each time, so what went wrong is named here, by how far
they are from the right mean and from the wrong ones that people compute.

Shapes: D entries of an update
"""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.optional import require

DEGREE, BITS = 4096, (54, 54)  # the second prime is for switching keys: a sum has the first alone
SLOTS = DEGREE // 2
RIGHT = 1e-6  # the largest error of the mean
DIGITS_LOST = 0.1  # an error up to this is noise that a larger scale would have kept small
TOO_SMALL = 2**12  # no choice of numbers or keys makes a mean right at a scale below this
METHODS = ("encrypt", "add", "decrypt")


def mean_of(answer: Any, case: Case) -> Outcome | None:
    """Let an answer encrypt, add and decrypt, and name what is wrong with its mean.

    Raises: InputError for an answer that is no class with the three methods, or for what is no list of bytes
    """
    updates, samples = case.args
    secret, public = (_context(blob) for blob in _keys())
    made = _made(answer)
    with contextlib.redirect_stdout(io.StringIO()):  # TenSEAL prints when it packs by itself
        try:
            parts = [made.encrypt(x.copy(), n, public) for x, n in zip(updates, samples)]
            if any(part is None for part in parts):
                return None
            fault = _sent(parts, updates[0].size, public)
            return fault or _added(made, parts, case, public, secret)
        except ValueError as error:
            fault = _refused(error)
            if fault is None:
                raise
            return fault


def _added(made: Any, parts: list[list[bytes]], case: Case, public: Any, secret: Any) -> Outcome | None:
    updates, samples = case.args
    total = made.add(parts, public)
    if total is None:
        return None
    if not _blobs(total) or not all(_ciphertexts(blob, public) for blob in total):
        return Outcome("not encrypted", "what the server hands on is no list of ciphertexts", "serialized ciphertexts", _kind(total))
    mean = made.decrypt(total, secret, updates[0].size, sum(samples))
    return None if mean is None else _compared(np.asarray(mean, dtype=float), updates, samples)


def _made(answer: Any) -> Any:
    if not callable(answer):
        raise InputError(expected("the class itself", type_of(answer), "passing it without calling it"))
    made = answer(SLOTS)
    if made is None or not all(hasattr(made, name) for name in METHODS):
        raise InputError(expected(f"a class with the methods {', '.join(METHODS)}", type_of(made)))
    return made


@cache
def _keys() -> tuple[bytes, bytes]:
    """A context with its secret key and one without, as bytes: made once, they are read for each try."""
    ts = require("tenseal", "encrypted sums")
    context = ts.context(ts.SCHEME_TYPE.CKKS, poly_modulus_degree=DEGREE, coeff_mod_bit_sizes=list(BITS))
    secret = context.serialize(save_secret_key=True, save_galois_keys=False, save_relin_keys=False)
    return secret, context.serialize(save_secret_key=False, save_galois_keys=False, save_relin_keys=False)


def _context(blob: bytes) -> Any:
    return require("tenseal", "encrypted sums").context_from(blob)


def _blobs(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(blob, bytes) for blob in value)


def _ciphertexts(blob: bytes, public: Any) -> int:
    """How many ciphertexts a blob holds; 0 where it is none."""
    try:
        return len(require("tenseal", "encrypted sums").ckks_vector_from(public, blob).ciphertext())
    except (ValueError, RuntimeError):
        return 0


def _sent(parts: list[Any], size: int, public: Any) -> Outcome | None:
    """What is wrong with what the clients send."""
    for part in parts:
        if not _blobs(part):
            raise InputError(expected("a list of bytes from encrypt", _kind(part), "serialize()"))
    counts = [_ciphertexts(blob, public) for blob in parts[0]]
    if not all(counts):
        return Outcome("not encrypted", "a client's bytes are no ciphertext: anyone can read them", "ciphertexts", "bytes in the clear")
    least, sent = -(-size // SLOTS), sum(counts)
    if sent > least:
        return Outcome("not packed", f"{size} numbers went into {sent} ciphertexts, each of which holds {SLOTS}", str(least), str(sent))
    if sent < least:
        text = f"{size} numbers went into too few ciphertexts: the last ones are missing"
        return Outcome("last chunk lost", text, str(least), str(sent))
    scale = require("tenseal", "encrypted sums").ckks_vector_from(public, parts[0][0]).ciphertext()[0].scale
    if scale < TOO_SMALL:
        return Outcome("scale too small", f"the numbers were encrypted at a scale of {scale:g}", "the power itself, such as 2.0 ** 40", f"{scale:g}")
    return None


def _refused(error: ValueError) -> Outcome | None:
    """What TenSEAL means by its errors, where they speak of a mistake that is known."""
    text = str(error)
    where = {frame.name for frame in traceback.extract_tb(error.__traceback__)} | set(getattr(error, "within", ()))
    if "secret_key" in text:
        return Outcome("decrypted by the server", f"TenSEAL says: {text}", "a sum of ciphertexts", "an attempt to decrypt")
    if "chain reached" in text or ("scale out of bounds" in text and where & {"mul", "mul_", "__mul__", "__rmul__", "__imul__"}):
        return Outcome("multiplied under encryption", f"TenSEAL says: {text}", "additions only", "a multiplication")
    if "scale out of bounds" in text or "too large" in text:
        return Outcome("scale too large", f"TenSEAL says: {text}", "scale · largest sum below 2^53", text)
    if "no global scale" in text:
        return Outcome("no scale", "the context has no scale, and none was given", "ts.ckks_vector(public, numbers, scale)", text)
    return None


def _wrong_means(updates: list[np.ndarray], samples: list[int]) -> Iterator[tuple[str, np.ndarray]]:
    total = np.tensordot(np.array(samples, float), np.stack(updates), 1)
    yield "a sum", total
    yield "divided by the clients", total / len(updates)
    yield "not weighted", np.mean(updates, axis=0)
    yield "not weighted", np.sum(updates, axis=0) / sum(samples)
    yield "not weighted", np.sum(updates, axis=0)


def _compared(mean: np.ndarray, updates: list[np.ndarray], samples: list[int]) -> Outcome:
    """What is wrong with a mean."""
    want = np.average(updates, axis=0, weights=samples)
    if mean.ndim == 1 and mean.size > want.size and np.abs(mean[: want.size] - want).max() < DIGITS_LOST:
        return Outcome("padding kept", "there are more numbers than in the update", str(want.size), str(mean.size))
    if mean.shape != want.shape:
        return Outcome("another shape", f"the mean has the shape {mean.shape}, not {want.shape}", str(want.shape), str(mean.shape))
    error = np.abs(mean - want)
    at = int(np.nanargmax(error)) if not np.isnan(error).all() else 0
    seen = {"expected": f"{want[at]:.8g}", "got": f"{mean[at]:.8g}"}
    if error.max() <= RIGHT:
        return Outcome()
    text = f"the mean is off by {error.max():.2g} at the most, at index {at}"
    for fault, other in _wrong_means(updates, samples):
        if np.abs(other - want).max() > RIGHT and np.abs(mean - other).max() <= 1e-3 * np.abs(other).max():
            return Outcome(fault, text, **seen)
    if error.max() <= DIGITS_LOST:
        return Outcome("scale too small", text, **seen)
    if _wrapped(mean, want):
        return Outcome("scale too large", f"{text}: the sum wrapped", **seen)
    return Outcome("another mean", text, **seen)


def _wrapped(mean: np.ndarray, want: np.ndarray) -> bool:
    """Whether equal, positive numbers all came out too low by the same amount: a multiple of the modulus is gone."""
    lower = want - mean
    return bool(np.ptp(want) == 0 and lower.min() > 0 and np.ptp(lower) <= 0.01 * lower.max())


def _kind(value: Any) -> str:
    if isinstance(value, (list, tuple)) and value:
        return f"a {type(value).__name__} of {type(value[0]).__name__}"
    return type_of(value)
