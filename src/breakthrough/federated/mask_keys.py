"""What both ends of `masking` hold to: who counts as enough, what a vector is, and which key makes which mask.

`agreed` is the round's transcript, in which everybody's keys are.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from breakthrough.errors import ConfigError, DtypeError, ShapeError, expected, type_of
from breakthrough.federated.key_agreement import agree, stretch
from breakthrough.federated.mask_messages import PublicKeys


def check_threshold(parties: int, threshold: int) -> None:
    """Refuse a round in which one vector would be the sum, or a server could get both secrets of a member.

    Raises: ConfigError
    """
    if parties < 2:
        raise ConfigError(expected("at least 2 parties: the sum over one is its vector", parties))
    if not parties < 2 * threshold <= 2 * parties:
        hint = "more than half of the parties: two groups of that size share a member, which answers once"
        raise ConfigError(expected(f"a threshold of {parties // 2 + 1} to {parties} for {parties} parties", threshold, hint))


def check_vector(codes: np.ndarray, what: str) -> None:
    """Refuse what is no vector of codes.

    Raises: DtypeError, ShapeError
    """
    if not (isinstance(codes, np.ndarray) and codes.dtype == np.uint32):
        raise DtypeError(expected(f"{what} as uint32", getattr(codes, "dtype", type_of(codes)), "Codec.encode"))
    if codes.ndim != 1 or not codes.size:
        raise ShapeError(expected(f"{what} (D,)", codes.shape))


def point_of(name: int, keys: Mapping[int, bytes]) -> int:
    """The point of the polynomials that is a member's: its place among all who sent keys, from 1."""
    return sorted(keys).index(name) + 1


def own_mask_key(seed: bytes, name: int, agreed: bytes) -> bytes:
    """The key of a member's own mask, from its seed."""
    return stretch(seed, purpose(b"self", agreed, name, name))


def pair_mask_key(private: bytes, name: int, peer: int, theirs: PublicKeys, agreed: bytes) -> bytes:
    """The key of the mask of a member and a peer, from either's private and the other's public key."""
    return agree(private, theirs.mask, purpose(b"mask", agreed, name, peer))


def purpose(use: bytes, agreed: bytes, name: int, peer: int) -> bytes:
    """What a key is for: one use, by one pair of members, in one round. It goes into HKDF's info."""
    return b"breakthrough/masking/" + use + agreed + struct.pack(">QQ", min(name, peer), max(name, peer))
