"""Short names for facts: equal facts have equal digests, in every process and on every machine."""

from __future__ import annotations

import hashlib
import json


def digest_of(facts: object, digits: int = 64) -> str:
    """The first hexadecimal digits of the SHA-256 over plain data as JSON; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:digits]
