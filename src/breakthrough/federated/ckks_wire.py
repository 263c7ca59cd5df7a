"""CKKS objects as bytes: what travels, and what is refused before SEAL reads it.

    key         b"BTKY" · kind (1: public, 2: secret) · key id (8) · four lengths · parameters · public key · secret key
    ciphertext  b"BTCT" · key id (8) · position · chunks · size · added · SEAL's bytes

SEAL's own reader checks lengths, parameters and coefficients, and raises on bytes it does not like. It is given only
bytes whose header names their true length and whose length is possible for the parameters. (Thousands of truncated and
altered messages never ended the process; that is an observation about TenSEAL 0.3.18, not a proof.) Nothing here is a
signature: who sent a message, and that nobody changed it on the way, is for TLS to say.

TenSEAL's binding of SEAL reads and writes by path: `Store` gives it a file in memory where the system has such files,
else one in a private folder.
"""

from __future__ import annotations

import itertools
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from breakthrough.errors import InputError, expected, type_of
from breakthrough.federated.ckks_parameters import Parameters
from breakthrough.optional import require

PUBLIC, SECRET = 1, 2
KEY = struct.Struct("<4sB8sIII")  # magic, kind, key id, lengths of parameters, public key and secret key
CHUNK = struct.Struct("<4s8sIIII")  # magic, key id, position, chunks, size, added
SEAL = struct.Struct("<HBBBBHQ")  # magic, length of this header, version (2), compression, reserved, length of all
SEAL_MAGIC = 0xA15E
SPARE_BYTES = 4096  # headers and what a compressor adds to bytes that do not compress


@dataclass(frozen=True)
class Key:
    """A parsed key: the parameters, and SEAL's keys as bytes; empty where this holder has none."""

    kind: int
    key_id: bytes
    parameters: Parameters
    public: bytes
    secret: bytes

    def to_bytes(self) -> bytes:
        """The key as it travels or is kept."""
        text = self.parameters.to_json().encode()
        head = KEY.pack(b"BTKY", self.kind, self.key_id, len(text), len(self.public), len(self.secret))
        return head + text + self.public + self.secret

    @classmethod
    def from_bytes(cls, raw: bytes) -> Key:
        """Read a key; a public one that carries secret bytes is refused.

        Raises: InputError when it is no key, incomplete, or not of the kind it says
        """
        magic, kind, key_id, *lengths = _unpack(KEY, raw, "a CKKS key")
        if magic != b"BTKY" or kind not in (PUBLIC, SECRET):
            raise InputError(expected("a CKKS key", "other bytes", "what make_keys gave"))
        if len(raw) != KEY.size + sum(lengths):
            raise InputError(expected(f"a CKKS key of {KEY.size + sum(lengths)} bytes", f"{len(raw)}", "sending it again"))
        ends = [KEY.size + sum(lengths[:i]) for i in range(4)]
        text, public, secret = (raw[a:b] for a, b in itertools.pairwise(ends))
        if (kind == SECRET) != bool(secret):
            got = "one with a secret key in it" if secret else "a secret key without one"
            raise InputError(expected("a public key without a secret, or a secret key", got, "make_keys(...)"))
        return cls(kind, key_id, Parameters.from_json(text), public, secret)


@dataclass(frozen=True)
class Chunk:
    """A parsed message: one ciphertext and its place in the update."""

    key_id: bytes
    position: int
    chunks: int
    size: int
    added: int
    body: bytes

    def to_bytes(self) -> bytes:
        """The ciphertext as it travels."""
        return CHUNK.pack(b"BTCT", self.key_id, self.position, self.chunks, self.size, self.added) + self.body

    @classmethod
    def from_bytes(cls, raw: bytes) -> Chunk:
        """Read the header of a ciphertext.

        Raises: InputError when it is none
        """
        magic, key_id, position, chunks, size, added = _unpack(CHUNK, raw, "a CKKS ciphertext")
        if magic != b"BTCT":
            raise InputError(expected("a CKKS ciphertext", "other bytes", "what encrypt or add gave"))
        return cls(key_id, position, chunks, size, added, bytes(raw[CHUNK.size :]))


def _unpack(layout: struct.Struct, raw: bytes, what: str) -> tuple[Any, ...]:
    if not isinstance(raw, (bytes, bytearray, memoryview)):
        raise InputError(expected(f"{what} as bytes", type_of(raw)))
    if len(raw) < layout.size:
        raise InputError(expected(f"{what} of at least {layout.size} bytes", f"{len(raw)}", "sending it again"))
    return layout.unpack_from(raw)


@lru_cache(maxsize=16)
def seal_context(degree: int, bits: tuple[int, ...]) -> Any:
    """SEAL's context for a ring; made once for each.

    Raises: InputError when SEAL refuses the parameters
    """
    seal = require("tenseal.sealapi", "homomorphic encryption")
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(degree)
    try:
        parameters.set_coeff_modulus(seal.CoeffModulus.Create(degree, list(bits)))
    except (RuntimeError, ValueError) as error:
        raise InputError(expected("primes that SEAL can find", f"{bits} at N = {degree} ({error})")) from error
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise InputError(expected("parameters that SEAL takes", context.parameters_error_message()))
    return context


class Store:
    """One file that SEAL's objects pass through on their way to and from bytes.

    Raises: InputError when bytes are no such object of these parameters
    """

    def __init__(self, path: str, parameters: Parameters) -> None:
        self.path = path
        self.context = seal_context(parameters.poly_modulus_degree, parameters.coeff_mod_bit_sizes)
        polynomial_bytes = 8 * parameters.poly_modulus_degree * len(parameters.coeff_mod_bit_sizes)
        self.most_bytes = 2 * polynomial_bytes * 9 // 8 + SPARE_BYTES

    def save(self, thing: Any) -> bytes:
        """SEAL's bytes of an object."""
        thing.save(self.path)
        return Path(self.path).read_bytes()

    def load(self, empty: Any, raw: bytes, what: str) -> Any:
        """Fill an empty object of SEAL from bytes whose header and length are checked first."""
        if len(raw) < SEAL.size or len(raw) > self.most_bytes:
            lengths = f"{what} of {SEAL.size} to {self.most_bytes} bytes"
            raise InputError(expected(lengths, f"{len(raw)}", "sending it again"))
        magic, header, *_, length = SEAL.unpack_from(raw)
        if (magic, header, length) != (SEAL_MAGIC, SEAL.size, len(raw)):
            got = f"{len(raw)} bytes with another header (truncated, or other data)"
            raise InputError(expected(f"{what} as SEAL writes it", got, "sending it again"))
        Path(self.path).write_bytes(raw)
        try:
            empty.load(self.context, self.path)
        except (RuntimeError, ValueError, IndexError, MemoryError, OverflowError) as error:
            hint = "the parameters that both sides agreed on"
            raise InputError(expected(f"{what} of these parameters", f"bytes that SEAL refuses ({error})", hint)) from error
        return empty


@contextmanager
def store(parameters: Parameters) -> Iterator[Store]:
    """A store for the length of a `with`: in memory where the system can, else in a private folder that is removed."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        file = os.memfd_create("ckks")
        try:
            yield Store(f"/proc/self/fd/{file}", parameters)
        finally:
            os.close(file)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Store(str(Path(folder) / "ckks"), parameters)
