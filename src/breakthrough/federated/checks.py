"""What the server accepts from a node. Everything else is refused by name, and the round goes on.

Sizes are looked at before anything is decoded: an oversized answer costs its transfer and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import expected
from breakthrough.federated import wire
from breakthrough.federated.vectors import Layout

if TYPE_CHECKING:
    from flwr.app import ArrayRecord, Message

HEADER_BYTES = 4096  # what an array may take besides its numbers
EXAMPLES_MOST = 1e9


def failure(message: Message) -> str | None:
    """Why a node did not answer as it should, in one line, or None."""
    if message.has_error():
        lines = [line.strip() for line in str(message.error.reason).splitlines() if line.strip()]
        return f"failed: {_short(lines[-1] if lines else 'no reason given')}"
    return None


def token_fault(message: Message, token: str) -> str | None:
    """Why an answer does not belong to this question, or None. An old answer has an old token."""
    facts = message.content.get(wire.FACTS)
    if facts is None or facts.get("token") != token:
        got = "no token" if facts is None or "token" not in facts else f"that of round {facts.get('server-round')!s}"
        return f"replayed or foreign: {expected('the token of this round', got)}"
    return None


def arrays_fault(record: ArrayRecord | None, layout: Layout) -> str | None:
    """Why arrays are not a state of this layout with finite numbers, or None."""
    if record is None:
        return f"no arrays: {expected(f'{len(layout.names)} arrays', 'none')}"
    if set(record) != set(layout.names):
        odd = sorted(set(record) ^ set(layout.names))[:3]
        return f"another model: {expected(f'{len(layout.names)} arrays', f'{len(record)}, not the same: ' + ', '.join(odd))}"
    for name, shape, dtype in zip(layout.names, layout.shapes, layout.dtypes):
        fault = _array_fault(name, record[name], shape, dtype)
        if fault:
            return fault
    return None


def weight_fault(examples: object) -> str | None:
    """Why a number of examples cannot weigh an update, or None."""
    if isinstance(examples, (int, float)) and not isinstance(examples, bool) and 0 < examples <= EXAMPLES_MOST:
        return None
    return f"bad weight: {expected('a number of examples above 0', repr(examples))}"


def bytes_fault(named: object, most_bytes: int, count: int | None = None) -> str | None:
    """Why a record is not so many pieces of bytes within a size, or None."""
    if named is None:
        return f"no bytes: {expected('a record of bytes', 'none')}"
    values = list(named.values())  # type: ignore[attr-defined]  # what came is looked at before
    if not all(isinstance(value, bytes) for value in values) or (count is not None and len(values) != count):
        return f"wrong shape: {expected(f'{count} pieces of bytes', len(values))}"
    total = sum(map(len, values))
    if total > most_bytes:
        return f"oversized: {expected(f'at most {most_bytes:,} bytes', f'{total:,}')}"
    return None


def _array_fault(name: str, array: Any, shape: tuple[int, ...], dtype: str) -> str | None:
    wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if len(array.data) > wanted + HEADER_BYTES:
        return f"oversized: {expected(f'{name} of {wanted:,} bytes', f'{len(array.data):,}')}"
    try:
        values = array.numpy()
    except Exception as error:  # noqa: BLE001 - the bytes come from outside: whatever reading them raises, they are refused
        return f"unreadable: {expected(f'{name} as a numpy array', _short(repr(error)))}"
    if values.shape != shape or str(values.dtype) != dtype:
        return f"wrong shape: {expected(f'{name} {shape} {dtype}', f'{values.shape} {values.dtype}')}"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return f"not finite: {expected(f'finite numbers in {name}', f'{int((~np.isfinite(values)).sum())} that are not')}"
    return None


def _short(text: str, length: int = 200) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
