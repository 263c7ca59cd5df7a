"""Evidence as plain data: tensors, arrays, numbers and text in JSON, and back. Nothing is run to read it."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected

MOST_BYTES = 262_144  # of all arrays in one piece of evidence
MOST_PARTS, DEEPEST = 5_000, 12
_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64", "bfloat16")
_TORCH, _NUMPY, _TUPLE, _DICT, _FLOAT = "torch", "numpy", "tuple", "dict", "float"


def encode(value: Any) -> Any:
    """A value as JSON holds it: numbers, text, None, lists, tuples, dicts, numpy's arrays and torch's tensors.

    Raises: InputError for anything else, and for more than a quarter of a megabyte of arrays
    """
    return _Encoder().encode(value, 0)


def decode(data: Any) -> Any:
    """The value that `encode` wrote.

    Raises: InputError when it is not what `encode` writes
    """
    return _Decoder().decode(data, 0)


class _Encoder:
    def __init__(self) -> None:
        self.bytes = self.parts = 0

    def encode(self, value: Any, depth: int) -> Any:
        self.parts += 1
        if self.parts > MOST_PARTS or depth > DEEPEST:
            raise InputError(expected(f"evidence of at most {MOST_PARTS} values, {DEEPEST} deep", "more", "a smaller input"))
        if value is None or isinstance(value, (bool, str)) or (isinstance(value, int) and abs(value) < 2**63):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {_FLOAT: repr(value)}
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            inside = [self.encode(part, depth + 1) for part in value]
            return inside if type(value) is list else {_TUPLE: inside}
        if type(value) is dict:
            return {_DICT: [[self.encode(key, depth + 1), self.encode(part, depth + 1)] for key, part in value.items()]}
        if isinstance(value, (np.ndarray, np.generic)):
            return self._array(_NUMPY, np.asarray(value), str(value.dtype))
        if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
            return self._tensor(value)
        raise InputError(expected("evidence of numbers, text, lists, arrays and tensors", type(value).__name__, "the arguments of the function, in a tuple"))

    def _tensor(self, value: Any) -> dict[str, Any]:
        name = str(value.dtype).removeprefix("torch.")
        value = value.detach().cpu()
        return self._array(_TORCH, (value.float() if name == "bfloat16" else value).numpy(), name)

    def _array(self, kind: str, value: Any, name: str) -> dict[str, Any]:
        if name not in _DTYPES:
            raise InputError(expected(f"evidence with a dtype out of {', '.join(_DTYPES)}", name))
        self.bytes += value.nbytes
        if self.bytes > MOST_BYTES:
            raise InputError(expected(f"at most {MOST_BYTES:,} bytes of evidence", f"{self.bytes:,} and more", "a smaller input that shows the same"))
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {kind: name, "shape": list(value.shape), "data": data}


class _Decoder:
    def __init__(self) -> None:
        self.bytes = self.parts = 0

    def decode(self, data: Any, depth: int) -> Any:
        self.parts += 1
        if self.parts > MOST_PARTS or depth > DEEPEST:
            raise _not_evidence("too many values")
        if isinstance(data, list):
            return [self.decode(part, depth + 1) for part in data]
        if not isinstance(data, dict):
            return data
        kind = next(iter(data), "")
        read: Callable[[dict[str, Any], int], Any] | None = {
            _TUPLE: self._tuple, _DICT: self._dict, _FLOAT: self._float, _NUMPY: self._array, _TORCH: self._array}.get(kind)
        if read is None:
            raise _not_evidence(data)
        try:
            return read(data, depth)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise _not_evidence(error) from None

    def _tuple(self, data: dict[str, Any], depth: int) -> tuple[Any, ...]:
        return tuple(self.decode(part, depth + 1) for part in data[_TUPLE])

    def _dict(self, data: dict[str, Any], depth: int) -> dict[Any, Any]:
        return {self.decode(key, depth + 1): self.decode(part, depth + 1) for key, part in data[_DICT]}

    def _float(self, data: dict[str, Any], depth: int) -> float:
        return float(data[_FLOAT])

    def _array(self, data: dict[str, Any], depth: int) -> Any:
        kind, shape = next(iter(data)), [int(size) for size in data["shape"]]
        name, raw = data[kind], base64.b64decode(data["data"], validate=True)
        self.bytes += len(raw)
        if name not in _DTYPES or self.bytes > 2 * MOST_BYTES or any(size < 0 for size in shape) or len(shape) > 32:
            raise _not_evidence(f"{name} {shape}")
        array = np.frombuffer(raw, dtype="float32" if name == "bfloat16" else name).reshape(shape).copy()
        if kind == _NUMPY:
            return array
        import torch

        return torch.from_numpy(array).to(getattr(torch, name))


def _not_evidence(got: Any) -> InputError:
    return InputError(expected("evidence as `plain.encode` writes it", str(got)[:80]))
