"""What a member keeps between the messages of a round: JSON with base64 and a check sum, secrets in the clear."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from breakthrough.errors import InputError, expected
from breakthrough.federated.key_agreement import KEY_BYTES
from breakthrough.federated.shamir import Share

STEPS = ("share", "mask", "reveal", "done")
NUMBERS, SECRETS = ("name", "parties", "threshold"), ("mask_key", "seal_key", "seed")


def write(member: Mapping[str, Any]) -> bytes:
    """The bytes of a member's fields."""
    body = {key: member[key] for key in (*NUMBERS, "step")}
    body |= {key: _text(member[key]) for key in (*SECRETS, "context")}
    body["keys"] = {str(name): _text(blob) for name, blob in member["keys"].items()}
    body["shares"] = {str(name): [_text(share.to_bytes()) for share in pair] for name, pair in member["shares"].items()}
    text = json.dumps(body, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest().encode() + text


def read(state: bytes) -> dict[str, Any]:
    """A member's fields from their bytes.

    Raises: InputError when they were cut or changed
    """
    digest, text = bytes(state[:64]), bytes(state[64:])
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise InputError(expected("a member's state as it was written", "one that was cut or changed"))
    try:
        return _fields(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(expected("a member's state", f"JSON without a valid {error}")) from error


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {key: int(body[key]) for key in NUMBERS}
    fields |= {key: _bytes(body[key]) for key in (*SECRETS, "context")}
    if body["step"] not in STEPS or any(len(fields[key]) != KEY_BYTES for key in SECRETS):
        raise InputError(expected(f"a step of {', '.join(STEPS)} and secrets of {KEY_BYTES} bytes", body["step"]))
    fields["step"] = body["step"]
    fields["keys"] = {int(name): _bytes(blob) for name, blob in body["keys"].items()}
    fields["shares"] = {int(name): tuple(Share.from_bytes(_bytes(share)) for share in pair) for name, pair in body["shares"].items()}
    return fields


def _text(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
