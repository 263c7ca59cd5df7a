"""Judging outputs, torch's tensors and numpy's arrays alike: what was expected against what came.

Tolerances come from the exercise and the expected value, never from the learner's. The largest error
decides, not the mean. Tuples, lists, dicts and dataclasses are compared part by part.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from breakthrough.errors import type_of


@dataclass(frozen=True)
class Difference:
    """How an output differs: `kind` is shape, dtype, device, nan, type, value, missing or measured.

    `fault` is the name of the misconception where the comparison knows it already.
    """

    kind: str
    text: str
    expected: str = ""
    got: str = ""
    where: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an answer did that was tried out or measured; `fault` names its misconception, if any."""

    fault: str = ""
    text: str = ""
    expected: str = ""
    got: str = ""


Compare = Callable[[Any, Any], Difference | None]


def close(
    rtol: float = 1e-4,
    atol: float = 1e-5,
    dtype: bool = True,
    parts: tuple[str, ...] = (),
    order: tuple[int, ...] = (),
) -> Compare:
    """A comparison of numbers and tensors within tolerances. `dtype=False` lets the dtype differ.

    `parts` are the names of a tuple's values for the card; `order` says which of them to look at first.
    """

    def compare(want: Any, got: Any) -> Difference | None:
        if parts and isinstance(got, tuple) and len(got) == len(parts):
            places = order or range(len(parts))
            want, got = ({parts[i]: values[i] for i in places} for values in (want, got))
        return _compare(want, got, "", rtol, atol, dtype)

    return compare


def by_fault(want: Outcome, got: Any) -> Difference | None:
    """A comparison for answers that are tried out or measured: alike when their faults are."""
    if not isinstance(got, Outcome):
        return Difference("type", "that is no outcome", want.fault, type(got).__name__)
    if want.fault == got.fault:
        return None
    return Difference("measured", got.text or "nothing is wrong with it", got.expected, got.got, "", got.fault)


def _compare(want, got, where, rtol, atol, dtype) -> Difference | None:
    if got is None and want is not None:
        return Difference("missing", f"{_name(where)} is None: is there a `return`?", _short(want), "None")
    if isinstance(want, Tensor):
        return _compare_tensors(want, got, where, rtol, atol, dtype)
    if isinstance(want, np.ndarray):
        return _compare_arrays(want, got, where, rtol, atol, dtype)
    want, got = (value.item() if isinstance(value, np.generic) else value for value in (want, got))
    if dataclasses.is_dataclass(want):
        want, got = _fields(want), _fields(got, want)
    if isinstance(want, Mapping):
        return _compare_mappings(want, got, where, rtol, atol, dtype)
    if isinstance(want, Sequence) and not isinstance(want, str):
        return _compare_sequences(want, got, where, rtol, atol, dtype)
    if isinstance(want, (int, float)) and not isinstance(want, bool):
        return _compare_numbers(want, got, where, rtol, atol)
    if isinstance(got, Tensor) and got.ndim == 0:
        got = got.item()
    if want != got or type(want) is not type(got):
        if isinstance(want, bool) and isinstance(got, bool):  # a fact: its name is the sentence
            return Difference("value", f"{'not so' if want else 'but so'}: {where}" if where else f"the output is {got}")
        return Difference("value", f"{_name(where)} differs", _short(want), _short(got))
    return None


def _fields(value: Any, like: Any = None) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    names = [f.name for f in dataclasses.fields(like)] if dataclasses.is_dataclass(like) else []
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return found or value


def _compare_mappings(want, got, where, rtol, atol, dtype) -> Difference | None:
    if not isinstance(got, Mapping) or set(got) != set(want):
        keys = sorted(map(str, got)) if isinstance(got, Mapping) else type(got).__name__
        text = f"{_name(where)} has other parts than expected"
        return Difference("type", text, str(sorted(map(str, want))), str(keys))
    pairs = ((_compare(want[k], got[k], f"{where}.{k}" if where else str(k), rtol, atol, dtype)) for k in want)
    return next((d for d in pairs if d), None)


def _compare_sequences(want, got, where, rtol, atol, dtype) -> Difference | None:
    if isinstance(got, np.ndarray) and got.ndim:
        got = got.tolist()
    if not isinstance(got, Sequence) or isinstance(got, str) or len(got) != len(want):
        text = f"{_name(where)} is not {len(want)} values"
        return Difference("type", text, f"{len(want)} values", _short(got))
    pairs = (_compare(w, g, f"{where}[{i}]", rtol, atol, dtype) for i, (w, g) in enumerate(zip(want, got)))
    return next((d for d in pairs if d), None)


def _compare_numbers(want, got, where, rtol, atol) -> Difference | None:
    if isinstance(got, (Tensor, np.ndarray)) and math.prod(got.shape) == 1:
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        return Difference("type", f"{_name(where)} is not a number", _short(want), _short(got))
    if want == got or (math.isnan(want) and math.isnan(got)):
        return None
    if math.isnan(got):
        return Difference("nan", f"{_name(where)} is NaN, expected {_short(want)}")
    if not (math.isfinite(want) and abs(got - want) <= atol + rtol * abs(want)):
        return Difference("value", f"{_name(where)} is {_short(got)}, expected {_short(want)}")
    return None


def _compare_tensors(want, got, where, rtol, atol, dtype) -> Difference | None:
    if not isinstance(got, Tensor):
        text = f"{_name(where)} is {type_of(got)}, not a tensor"
        return Difference("type", text, _short(want), _short(got))
    if got.shape != want.shape:
        text = f"the shape of {_name(where)} is {tuple(got.shape)}, not {tuple(want.shape)}"
        return Difference("shape", text, str(tuple(want.shape)), str(tuple(got.shape)))
    if got.device != want.device:
        text = f"{_name(where)} is on {got.device}, not on {want.device}: make new tensors on the input's device"
        return Difference("device", text, str(want.device), str(got.device))
    if dtype and got.dtype != want.dtype:
        text = f"{_name(where)} is {_dtype(got)}, not {_dtype(want)}: give new tensors the dtype that is asked for"
        return Difference("dtype", text, _dtype(want), _dtype(got))
    return _compare_values(want.detach(), got.detach(), where, rtol, atol)


def _compare_arrays(want, got, where, rtol, atol, dtype) -> Difference | None:
    if not isinstance(got, (np.ndarray, np.generic)):
        return Difference("type", f"{_name(where)} is {type_of(got)}, not an array", _short(want), _short(got))
    got = np.asarray(got)
    if got.dtype.kind not in "biuf":
        text = f"{_name(where)} holds {got.dtype}, not numbers"
        return Difference("dtype", text, str(want.dtype), str(got.dtype))
    if dtype and got.shape == want.shape and got.dtype != want.dtype:
        text = f"{_name(where)} is {got.dtype}, not {want.dtype}: give new arrays the dtype that is asked for"
        return Difference("dtype", text, str(want.dtype), str(got.dtype))
    return _compare_tensors(_as_tensor(want), _as_tensor(got), where, rtol, atol, False)


def _as_tensor(array: np.ndarray) -> Tensor:
    kind = {"b": np.bool_, "i": np.int64, "u": np.int64}.get(array.dtype.kind, np.float64)
    return torch.from_numpy(np.array(array, dtype=kind, order="C"))


def _compare_values(want: Tensor, got: Tensor, where: str, rtol: float, atol: float) -> Difference | None:
    if not want.numel():
        return None
    if want.ndim == 0 and want.dtype != torch.bool:
        return _compare_numbers(want.item(), got.item(), where, rtol, atol)
    want64, got64 = want.double(), got.double()
    nans = got64.isnan() & ~want64.isnan()
    if nans.any():
        at = _first(nans)
        text = f"{_name(where)} holds {int(nans.sum())} NaN, the first at index {at}"
        return Difference("nan", text, _at(want, at), "nan", f"{where}{list(at)}")
    error = (got64 - want64).abs()
    within = (error <= atol + rtol * want64.abs()) & want64.isfinite()
    wrong = ~(within | (want64 == got64) | (want64.isnan() & got64.isnan()))
    if not wrong.any():
        return None
    at, worst = _first(wrong), float(error[wrong].nan_to_num(math.inf, math.inf).max())
    share = f"{int(wrong.sum())} of {wrong.numel()} values differ, by {worst:.3g} at the most"
    return Difference("value", f"{_name(where)}: {share}", _at(want, at), _at(got, at), f"{where}{list(at)}")


def _first(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero()[0].tolist())


def _at(tensor: Tensor, index: tuple[int, ...]) -> str:
    value = tensor[index].item()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _name(where: str) -> str:
    if not where:
        return "the output"
    return f"output{where}" if where.startswith("[") else where


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}, {_dtype(value)}"
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}, {value.dtype}"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def same(before: Any, after: Any) -> bool:
    """Whether a value is exactly as it was; NaN equals NaN. Unknown types count as the same."""
    if before is after:
        return True
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, (str, int, float)):
        return before == after or (isinstance(after, float) and before != before and after != after)
    if isinstance(before, (Tensor, np.ndarray)):
        if not isinstance(after, type(before)) or before.shape != after.shape or before.dtype != after.dtype:
            return False
        alike: Any = (before == after) | ((before != before) & (after != after))
        return bool(alike.all())
    if isinstance(before, torch.nn.Module):
        return same(before.state_dict(), after.state_dict())
    if isinstance(before, Mapping):
        return before.keys() == after.keys() and all(same(before[k], after[k]) for k in before)
    return True
