"""The cryptography under the masks: two members agree on a key, seal a message with it, or stretch it to a mask.

Shape legend: D entries of an update. Keys are 32 bytes; what is agreed for one purpose is of no use for another.
"""

from __future__ import annotations

import os

import numpy as np

from breakthrough.errors import InputError, expected
from breakthrough.optional import require

KEY_BYTES = 32
NONCE_BYTES, TAG_BYTES = 12, 16
CHUNK_BYTES = 1 << 18  # of a mask: made and added while it is in cache


def new_private_key() -> bytes:
    """A private key for X25519, from the operating system's randomness."""
    return os.urandom(KEY_BYTES)


def public_key(private: bytes) -> bytes:
    """The public key of a private one."""
    return _x25519().X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, purpose: bytes) -> bytes:
    """The key that two members share for one purpose: from one's private and the other's public key.

    Raises: InputError for a public key of small order, with which every private key agrees on the same
    Source: X25519 of RFC 7748; HKDF-SHA256 of RFC 5869 with the purpose as its info
    """
    try:
        secret = _x25519().X25519PrivateKey.from_private_bytes(private).exchange(_x25519().X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise InputError(expected("a public key of X25519", "one that no private key has")) from error
    return stretch(secret, purpose)


def stretch(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose from a secret.

    Source: HKDF-SHA256 of RFC 5869 without salt
    """
    hkdf = require("cryptography.hazmat.primitives.kdf.hkdf", "derives keys")
    hashes = require("cryptography.hazmat.primitives.hashes", "derives keys")
    return hkdf.HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)


def seal(key: bytes, text: bytes, label: bytes) -> bytes:
    """Encrypt and authenticate a text, and authenticate its label.

    Source: AES-256-GCM with a random nonce, which goes first
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _aead().AESGCM(key).encrypt(nonce, text, label)


def unseal(key: bytes, sealed: bytes, label: bytes) -> bytes:
    """The text of `seal`.

    Raises: InputError for another key or label, or when a bit was changed
    """
    invalid = require("cryptography.exceptions", "opens sealed shares").InvalidTag
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise InputError(expected(f"at least {NONCE_BYTES + TAG_BYTES} sealed bytes", len(sealed)))
    try:
        return _aead().AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label)
    except invalid as error:
        raise InputError(expected("a message sealed for this receiver and round", "one that does not open")) from error


def add_mask(total: np.ndarray, key: bytes, sign: int) -> None:
    """Add a key's mask to a vector in place, modulo 2^32, or take it off where sign is −1.

    Shapes: total (D,) uint32
    Source: the key stream of AES-256 in counter mode from 0: a key must make one mask only
    """
    ciphers = require("cryptography.hazmat.primitives.ciphers", "makes masks")
    stream = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CTR(bytes(16))).encryptor()
    zeros = memoryview(bytes(CHUNK_BYTES))
    made = np.empty(CHUNK_BYTES + 15, np.uint8)  # the cipher wants a block less one byte to spare
    change = np.add if sign > 0 else np.subtract
    for start in range(0, len(total), CHUNK_BYTES // 4):
        part = total[start : start + CHUNK_BYTES // 4]
        stream.update_into(zeros[: 4 * len(part)], made)
        change(part, made[: 4 * len(part)].view("<u4"), out=part)


def _x25519():
    return require("cryptography.hazmat.primitives.asymmetric.x25519", "agrees on keys")


def _aead():
    return require("cryptography.hazmat.primitives.ciphers.aead", "seals shares")
