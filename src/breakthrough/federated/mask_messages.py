"""What travels in a masked round, byte by byte: every message has one exact length and its round's tag.

    keys     "BKM1" tag₁₆ mask-key₃₂ seal-key₃₂ seed-commitment₃₂
    shares   "BSM1" sealed(share of the mask key, share of the seed)
    reveal   "BRM1" tag₁₆ (name₄ kind₁ share₆₈) for every member of the roster

The tag of a key is the context's, that of a reveal the transcript's: the context, the threshold and
everybody's keys. It names the round and proves nothing; what is sealed is also bound to the transcript by its key.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from breakthrough.errors import DtypeError, InputError, expected, type_of
from breakthrough.federated.key_agreement import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from breakthrough.federated.shamir import SHARE_BYTES, Share

KEYS_MARK, SHARES_MARK, REVEAL_MARK = b"BKM1", b"BSM1", b"BRM1"
ROUND_TAG_BYTES = 16
KEYS_BYTES = len(KEYS_MARK) + ROUND_TAG_BYTES + 3 * KEY_BYTES
SHARES_BYTES = len(SHARES_MARK) + NONCE_BYTES + 2 * SHARE_BYTES + TAG_BYTES
ENTRY_BYTES = 5 + SHARE_BYTES
MOST_NAME = 2**32 - 1
SEED, MASK_KEY = 0, 1  # which of a member's two secrets a revealed share belongs to


@dataclass(frozen=True)
class PublicKeys:
    """What a member advertises: two public keys, and the hash that its self-mask's seed must have."""

    mask: bytes
    seal: bytes
    commitment: bytes

    def to_bytes(self, context: bytes) -> bytes:
        """The message."""
        return KEYS_MARK + tag(context) + self.mask + self.seal + self.commitment


def read_keys(blob: bytes, name: int, context: bytes) -> PublicKeys:
    """A member's keys from its message.

    Raises: InputError, DtypeError when it is none, or another round's
    """
    body = _body(blob, KEYS_MARK, KEYS_BYTES, f"the keys of member {name}")
    if body[:ROUND_TAG_BYTES] != tag(context):
        raise InputError(expected(f"keys of member {name} for this round", "keys of another round"))
    keys = body[ROUND_TAG_BYTES:]
    return PublicKeys(keys[:KEY_BYTES], keys[KEY_BYTES : 2 * KEY_BYTES], keys[2 * KEY_BYTES :])


def read_all_keys(keys: Mapping[int, bytes], context: bytes) -> dict[int, PublicKeys]:
    """Everybody's keys, in the order of their names.

    Raises: InputError, DtypeError; InputError too when two members have a key in common
    """
    read = {check_name(name): read_keys(keys[name], name, context) for name in sorted(keys)}
    owners: dict[bytes, int] = {}
    for name, one in read.items():
        for key in (one.mask, one.seal):
            if key in owners:
                raise InputError(expected("keys of its own from every member", f"one key from members {owners[key]} and {name}"))
            owners[key] = name
    return read


def check_name(name: int) -> int:
    """A member's name, if it is one: a whole number that four bytes hold.

    Raises: InputError
    """
    if not isinstance(name, int) or isinstance(name, bool) or not 0 <= name <= MOST_NAME:
        raise InputError(expected(f"a member's name, 0 to {MOST_NAME}", repr(name)))
    return name


def tag(context: bytes) -> bytes:
    """The tag that tells a round's messages from another's."""
    return hashlib.sha256(b"breakthrough/masking/tag" + context).digest()[:ROUND_TAG_BYTES]


def transcript(context: bytes, threshold: int, keys: Mapping[int, bytes]) -> bytes:
    """The hash of all that members must agree on: the round, the threshold, who takes part and with which keys."""
    text = hashlib.sha256(b"breakthrough/masking/transcript")
    text.update(struct.pack(">QQQ", len(context), threshold, len(keys)) + context)
    for name in sorted(keys):
        text.update(struct.pack(">Q", name) + keys[name])
    return text.digest()


def commitment(seed: bytes, name: int, context: bytes) -> bytes:
    """The hash by which a recovered seed is known to be the right one; 256 random bits are not guessed from it."""
    return hashlib.sha256(b"breakthrough/masking/seed" + struct.pack(">Q", name) + seed + context).digest()


def write_shares(sealed: bytes) -> bytes:
    """The message with a pair of sealed shares."""
    return SHARES_MARK + sealed


def read_shares(blob: bytes, sender: int) -> bytes:
    """The sealed pair of shares in a message.

    Raises: InputError, DtypeError when it is none
    """
    return _body(blob, SHARES_MARK, SHARES_BYTES, f"the shares of member {sender}")


def write_reveal(round_tag: bytes, shares: Mapping[int, tuple[int, Share]]) -> bytes:
    """The message with one share, of one kind, for every member of the roster."""
    entries = (struct.pack(">IB", name, kind) + share.to_bytes() for name, (kind, share) in sorted(shares.items()))
    return REVEAL_MARK + round_tag + b"".join(entries)


def read_reveal(blob: bytes, sender: int, members: int, round_tag: bytes) -> dict[int, tuple[int, Share]]:
    """The shares that a member revealed, of how many members it must.

    Raises: InputError, DtypeError when it is no such message, or another round's
    """
    size = len(REVEAL_MARK) + ROUND_TAG_BYTES + members * ENTRY_BYTES
    body = _body(blob, REVEAL_MARK, size, f"the reveal of member {sender} for {members} members")
    if body[:ROUND_TAG_BYTES] != round_tag:
        raise InputError(expected(f"a reveal of member {sender} for this round", "a reveal of another round"))
    found = {}
    for start in range(ROUND_TAG_BYTES, len(body), ENTRY_BYTES):
        name, kind = struct.unpack(">IB", body[start : start + 5])
        found[name] = (kind, Share.from_bytes(body[start + 5 : start + ENTRY_BYTES]))
    return found


def _body(blob: bytes, mark: bytes, size: int, what: str) -> bytes:
    if not isinstance(blob, (bytes, bytearray, memoryview)):
        raise DtypeError(expected(f"{what} as bytes", type_of(blob)))
    if len(blob) != size:
        raise InputError(expected(f"{what} in {size} bytes", f"{len(blob)} bytes"))
    if blob[: len(mark)] != mark:
        raise InputError(expected(f"{what}, marked {mark.decode()}", bytes(blob[: len(mark)])))
    return bytes(blob[len(mark) :])
