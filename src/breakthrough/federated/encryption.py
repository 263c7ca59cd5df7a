"""Sums of encrypted updates: CKKS (Cheon et al. 2017) by TenSEAL's binding of SEAL.

    clients                         the adder                        a key holder
    encrypt(update, key) → bytes    Sum(public).add(…) → bytes       decrypt(bytes, secret, size) → the sum
      updates · weights               has no secret key

`ckks_parameters.choose` gives the parameters and says why. Values are packed N to a ciphertext, two in each of the N / 2
complex slots; TenSEAL's own CKKSVector packs N / 2 and carries a second prime that a sum has no use for.

Trust. One secret key serves everybody, and that is weak:
- The adder sees ciphertexts only. A client (or anybody) who has the secret key and the adder's messages, say by
  colluding with the adder, reads *every* update. Keep the key from the adder, and updates from the other clients (TLS).
- With `symmetric` parameters the clients encrypt with the secret key. The uniform half of a ciphertext is then sent as
  the seed it was drawn from and there is less noise: about a third of the bytes, in less time. It costs no trust
  where the clients decrypt the sum themselves, since they hold that key anyway. Where one separate party decrypts,
  clients should have the public key only: `symmetric=False`.
- Threshold CKKS would mend it: every client holds a share of the key and decryption needs a number of them. OpenFHE
  has it, but the wheel of OpenFHE 1.6.1 is built for Python 3.10 and does not import on 3.11
  (`No module named 'openfhe.openfhe'`), so it is described here and not offered. Masking hides single updates
  without any secret that all clients share.
- Nobody proves that a ciphertext holds an honest update, or who sent it. A client can send any value within the limit,
  and an altered ciphertext is noticed only by values beyond the limit after decryption.

What is decrypted is not for everybody. A CKKS result is the sum *plus the encryption's noise*, and whoever has that
exact result beside its ciphertext has linear equations in the secret key: a few lines of arithmetic give the key, as this
module's tests do (Li and Micciancio 2021: CKKS is IND-CPA, but not secure once decryptions are seen). Here: the
adder, which has the ciphertexts, must never be given `decrypt`'s output as it is, nor a model from which that output
can be computed. Let the key holders alone use the result, or add noise to it first that drowns the encryption's by
far; differential privacy's, added before encryption, does not do that. Rounding is no proof.

Shape legend: D values of an update.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from breakthrough.errors import DtypeError, InputError, ShapeError, expected, type_of
from breakthrough.federated.ckks_parameters import Parameters
from breakthrough.federated.ckks_wire import PUBLIC, SECRET, Chunk, Key, Store, store
from breakthrough.optional import require

KEY_ID_BYTES = 8


def make_keys(parameters: Parameters) -> tuple[bytes, bytes]:
    """A new secret key, and its public side: what the adder gets, and clients that shall not decrypt.

    With symmetric parameters the public side holds the parameters alone.
    """
    with store(parameters) as files:
        maker = _seal().KeyGenerator(files.context)
        secret = files.save(maker.secret_key())
        public = b"" if parameters.symmetric else _public_key(maker, files)
    key = Key(PUBLIC, os.urandom(KEY_ID_BYTES), parameters, public, b"")
    return replace(key, kind=SECRET, secret=secret).to_bytes(), key.to_bytes()


def _public_key(maker: Any, files: Store) -> bytes:
    public = _seal().PublicKey()
    maker.create_public_key(public)
    return files.save(public)


def parameters_of(key: bytes) -> Parameters:
    """The parameters that a key, public or secret, was made for."""
    return Key.from_bytes(key).parameters


def encrypt(x: np.ndarray, key: bytes) -> list[bytes]:
    """Encrypt an update; multiply it by its client's weight before.

    With the public key, or with the secret key: less noise and, by a seed, half of the bytes.

    Shapes: x (D,) → ⌈D / N⌉ ciphertexts
    Raises: ShapeError, DtypeError, InputError when a value is not finite or beyond the parameters' limit, or when
            symmetric parameters meet a key without the secret
    """
    own = Key.from_bytes(key)
    x = _checked(x, own.parameters.limit)
    if own.parameters.symmetric and own.kind == PUBLIC:
        what = "the secret key: these parameters are for encryption with it"
        raise InputError(expected(what, "the public side", "choose(..., symmetric=False)"))
    with store(own.parameters) as files:
        bodies = [*_bodies(x, own, files)]
    return _messages(bodies, own, len(x), 1)


def _messages(bodies: list[bytes], key: Key, size: int, added: int) -> list[bytes]:
    return [Chunk(key.key_id, i, len(bodies), size, added, body).to_bytes() for i, body in enumerate(bodies)]


def _bodies(x: np.ndarray, own: Key, files: Store) -> Iterator[bytes]:
    seal, p = _seal(), own.parameters
    encoder, plain = seal.CKKSEncoder(files.context), seal.Plaintext()
    encryptor = _encryptor(own, files)
    for start in range(0, len(x), p.packed):
        encoder.encode(pack(x[start : start + p.packed]), p.scale, plain)
        if own.kind == SECRET:
            yield files.save(encryptor.encrypt_symmetric(plain))
        else:
            cipher = seal.Ciphertext()
            encryptor.encrypt(plain, cipher)
            yield files.save(cipher)


def _encryptor(own: Key, files: Store) -> Any:
    seal = _seal()
    if own.kind == SECRET:
        return seal.Encryptor(files.context, files.load(seal.SecretKey(), own.secret, "a secret key"))
    return seal.Encryptor(files.context, files.load(seal.PublicKey(), own.public, "a public key"))


def pack(values: np.ndarray) -> np.ndarray:
    """Two values to a complex slot: the first half real, the second half imaginary.

    Shapes: (D,) → (⌈D / 2⌉,) complex
    """
    half = -(-len(values) // 2)
    slots = np.zeros(half, complex)
    slots.real = values[:half]
    slots.imag[: len(values) - half] = values[half:]
    return slots


def unpack(slots: np.ndarray, size: int) -> np.ndarray:
    """Undo `pack`.

    Shapes: (≥ ⌈size / 2⌉,) complex → (size,)
    """
    half = -(-size // 2)
    return np.concatenate([slots.real[:half], slots.imag[: size - half]])


class Sum:
    """The adder: sums encrypted updates one after another, with the public side alone.

    An update that is refused leaves the sum as it was. `size` is the number of values that every update must have; without
    it, that of the first.

    Raises: InputError when the key has a secret in it
    """

    def __init__(self, public: bytes, size: int | None = None) -> None:
        self.key = Key.from_bytes(public)
        if self.key.kind != PUBLIC:
            raise InputError(expected("the public side of a key", "the secret key", "keeping it from the adder"))
        self.added = 0
        self.size = size
        self._total: list[Any] = []
        self._seen: set[bytes] = set()

    def add(self, chunks: Sequence[bytes]) -> None:
        """Add one update, or one sum of several.

        Raises: InputError when it is incomplete, of another key, size or parameters, one too many, or one that was
                added before: the bound on the error is one for noises that are independent
        """
        heads = _read(chunks, self.key, self.size)
        most = self.key.parameters.additions
        if self.added + heads[0].added > most:
            count = self.added + heads[0].added
            raise InputError(expected(f"at most {most} updates in a sum", count, "choose(..., additions=...)"))
        mark = hashlib.sha256(heads[0].body).digest()
        if mark in self._seen:
            raise InputError(expected("an update that is not in the sum", "the same ciphertexts again", "encrypting anew"))
        with store(self.key.parameters) as files:
            loaded = [_cipher(head, self.key, files) for head in heads]
            evaluator = _seal().Evaluator(files.context)
        self._total = [_plus(evaluator, *pair) for pair in zip(self._total, loaded)] if self._total else loaded
        self._seen.add(mark)
        self.size, self.added = heads[0].size, self.added + heads[0].added

    def result(self) -> list[bytes]:
        """The encrypted sum.

        Raises: InputError when nothing was added
        """
        if self.size is None or not self.added:
            raise InputError(expected("at least one update", "none"))
        with store(self.key.parameters) as files:
            bodies = [files.save(total) for total in self._total]
        return _messages(bodies, self.key, self.size, self.added)


def _plus(evaluator: Any, one: Any, other: Any) -> Any:
    both = _seal().Ciphertext()
    try:
        evaluator.add(one, other, both)
    except (RuntimeError, ValueError) as error:  # SEAL makes no result that anybody could read: x + (−x)
        what = "ciphertexts whose sum is encrypted"
        raise InputError(expected(what, str(error), "leaving this update out")) from error
    return both


def add(parts: Iterable[Sequence[bytes]], public: bytes) -> list[bytes]:
    """Sum encrypted updates without decrypting them.

    Raises: InputError as `Sum`, with the number of the update
    """
    total = Sum(public)
    for number, chunks in enumerate(parts):
        try:
            total.add(chunks)
        except InputError as error:
            raise InputError(f"update {number}: {error}") from error
    return total.result()


def decrypt(chunks: Sequence[bytes], secret: bytes, size: int) -> np.ndarray:
    """The sum that ciphertexts hold, for a holder of the secret key; not to be handed on as it is (see above).

    Shapes: → (D,) float64
    Units:  within the parameters' `error` of the true sum, but for a chance of 1e-9
    Raises: InputError when the key is not the secret one, when the ciphertexts are not of this key and size, or when
            they hold values that no sum within the limit has
    """
    own = Key.from_bytes(secret)
    if own.kind != SECRET:
        raise InputError(expected("the secret key", "the public side", "asking a key holder to decrypt"))
    heads = _read(chunks, own, size)
    with store(own.parameters) as files:
        values = np.concatenate([*_values(heads, own, files)])
    most = heads[0].added * own.parameters.limit + own.parameters.error
    if not np.abs(values).max() <= most:
        got = f"{np.abs(values).max():.6g}: another key made these ciphertexts, or they were altered"
        raise InputError(expected(f"values within ±{most:.6g}", got, "the round again"))
    return values


def _values(heads: list[Chunk], own: Key, files: Store) -> Iterator[np.ndarray]:
    seal, plain = _seal(), _seal().Plaintext()
    encoder = seal.CKKSEncoder(files.context)
    decryptor = seal.Decryptor(files.context, files.load(seal.SecretKey(), own.secret, "a secret key"))
    for head in heads:
        decryptor.decrypt(_cipher(head, own, files), plain)
        slots = np.array(encoder.decode_complex(plain))  # (N / 2,)
        yield unpack(slots, min(own.parameters.packed, head.size - head.position * own.parameters.packed))


def _read(chunks: Sequence[bytes], key: Key, size: int | None) -> list[Chunk]:
    """The headers of one whole message: of this key, complete, in order and of one size."""
    if isinstance(chunks, (bytes, bytearray, str)) or not isinstance(chunks, Sequence) or not chunks:
        raise InputError(expected("a list of ciphertexts", type_of(chunks) if chunks else "none", "what encrypt gave"))
    heads = [Chunk.from_bytes(raw) for raw in chunks]
    first = heads[0]
    if any(head.key_id != key.key_id for head in heads):
        raise InputError(expected(f"ciphertexts of key {key.key_id.hex()}", first.key_id.hex(), "this round's key"))
    if size is not None and first.size != size:
        raise InputError(expected(f"an update of {size} values", first.size, "the same model on both sides"))
    count = key.parameters.chunks(first.size)
    places = [(head.position, head.chunks, head.size, head.added) for head in heads]
    if len(heads) != count or places != [(i, count, first.size, first.added) for i in range(len(heads))]:
        got = f"{len(heads)}, with positions {[head.position for head in heads][:8]}"
        raise InputError(expected(f"{count} ciphertexts in order, of one message", got, "sending all again"))
    if not 1 <= first.added <= key.parameters.additions:
        raise InputError(expected(f"a sum of 1 to {key.parameters.additions} updates", first.added))
    return heads


def _cipher(head: Chunk, key: Key, files: Store) -> Any:
    """SEAL's ciphertext from a message, if it is one of these parameters and truly encrypted."""
    cipher = files.load(_seal().Ciphertext(), head.body, f"ciphertext {head.position}")
    if cipher.size() != 2 or not cipher.is_ntt_form() or cipher.scale != key.parameters.scale:
        got = f"{cipher.size()} polynomials at scale {cipher.scale:g}"
        raise InputError(expected(f"a ciphertext of 2 polynomials at scale {key.parameters.scale:g}", got))
    if cipher.is_transparent():
        raise InputError(expected("a ciphertext", "values that are not encrypted", "encrypt(...)"))
    return cipher


def _checked(x: np.ndarray, limit: float) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 1 or len(x) == 0:
        raise ShapeError(expected("an update of shape (D,), D above 0", x.shape, "flattening it"))
    if x.dtype.kind not in "fiu":
        raise DtypeError(expected("real numbers", x.dtype))
    if not np.isfinite(x).all():
        count = np.count_nonzero(~np.isfinite(x))
        raise InputError(expected("finite values", f"{count} that are not", "dropping the update"))
    if np.abs(x).max() > limit:
        hint = "clipping, or choose(..., limit=...)"
        raise InputError(expected(f"values within ±{limit:g}", f"{np.abs(x).max():.4g}", hint))
    return x.astype(np.float64, copy=False)


def _seal() -> Any:
    return require("tenseal.sealapi", "homomorphic encryption")
