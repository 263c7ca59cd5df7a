"""Module 3: what is wrong with an average of models: one thing at a time, so that two faults have two names.

Shapes: K clients
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome, close, same
from breakthrough.exercises.exercise import Case

State = dict[str, Tensor]
Rule = Callable[[list[Tensor], list[int]], Any]  # the K tensors of one name, in float64, and the samples
COARSE = (torch.bfloat16, torch.float16)


def weighted(every: list[Tensor], samples: list[int]) -> Any:
    """The mean as it should be, unrounded."""
    return sum(n * w for w, n in zip(every, samples) if n) / sum(samples)


def _halving(every: list[Tensor], samples: list[int]) -> Tensor:
    mean = every[0]
    for w in every[1:]:
        mean = (mean + w) / 2
    return mean


WEIGHTING: dict[str, Rule] = {
    "one after another": _halving,
    "every client alike": lambda every, samples: sum(every) / len(every),
    "divided by the clients": lambda every, samples: sum(n * w for w, n in zip(every, samples)) / len(every),
    "not divided": lambda every, samples: sum(n * w for w, n in zip(every, samples)),
    "whole-number division": lambda every, samples: sum(n // sum(samples) * w for w, n in zip(every, samples)),
    "shares of other clients": lambda every, samples: weighted(every, samples[::-1]),
}
COUNTING: dict[str, tuple[Rule, ...]] = {
    "counter cut off": (lambda every, samples: weighted(every, samples).floor(),),
    "counter of one client": (lambda every, samples: every[0], lambda every, samples: every[-1], lambda every, samples: torch.stack(every).amax(0)),
    "counters added up": (lambda every, samples: sum(every),),
}


def outcome(answer: Any, case: Case) -> Outcome:
    """The first thing that is wrong: weights before buffers, buffers before counters, values before dtypes.

    Raises: InputError for what is no state
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("federated.average", average)'))
    states, samples = case.args
    given = [{name: value.clone() for name, value in state.items()} for state in states], list(samples)
    got = answer(*given)
    names = list(states[0])
    if not isinstance(got, dict):
        raise InputError(expected(f"a dict with {', '.join(names)}", type_of(got)))
    found = _names(names, got) or next(filter(None, (_wrong(name, states, samples, got[name]) for name in sorted(names, key=_turn))), None)
    if not found and not all(same(dict(a), dict(b)) for a, b in zip(states, given[0])):
        found = Outcome("in place", "the clients' states are no longer as they were")
    return found or Outcome()


def _turn(name: str) -> int:
    """Parameters first, then running statistics, then counters."""
    return 2 if "num_batches" in name else 1 if "running" in name else 0


def _names(names: list[str], got: State) -> Outcome | None:
    if set(got) == set(names):
        return None
    if set(got) == {name for name in names if _turn(name) == 0}:
        return Outcome("buffers left out", "BatchNorm's buffers are missing", ", ".join(names), ", ".join(got))
    raise InputError(expected(f"a dict with {', '.join(names)}", ", ".join(map(str, got))))


def _wrong(name: str, states: list[State], samples: list[int], got: Any) -> Outcome | None:
    like = states[0][name]
    if not isinstance(got, Tensor):
        raise InputError(expected(f"a tensor for {name}", type_of(got)))
    every = [state[name].double() for state in states]
    counter = not like.is_floating_point()
    want = weighted(every, samples)
    want = want.round() if counter else want
    difference = _differs(name, want, got, like.dtype)
    if difference is None and got.dtype == like.dtype:
        return None
    text = difference.text if difference else f"{name} is {got.dtype}, not {like.dtype}"
    shown = (difference.expected, difference.got) if difference else (str(like.dtype), str(got.dtype))
    return Outcome(next(_faults(name, every, samples, got, like.dtype, difference), "unknown"), text, *shown)


def _differs(name: str, want: Tensor, got: Tensor, dtype: torch.dtype) -> Any:
    coarse = dtype in COARSE
    return close(0.02 if coarse else 1e-4, 1e-3 if coarse else 1e-5)({name: want}, {name: got.detach().double()})


def _faults(name: str, every: list[Tensor], samples: list[int], got: Tensor, dtype: torch.dtype, difference: Any) -> Iterator[str]:
    """Names of what may be wrong with a tensor, the likeliest first."""

    def like(rule: Rule) -> bool:
        value = rule(every, samples)
        return value.shape == got.shape and _differs(name, value, got, dtype) is None

    if not dtype.is_floating_point and got.is_floating_point() and (difference is None or like(weighted)):
        yield "counter as a float"
    if difference is None:
        yield "left in float32"
    if 0 in samples and not math.isfinite(float(got.double().sum())):
        yield "0 · NaN"
    if dtype in COARSE:
        yield "summed in half precision"
    if _turn(name) == 0:
        yield from (fault for fault, rule in WEIGHTING.items() if like(rule))
        present = sum(n > 0 for n in samples)
        if like(lambda every, samples: sum(w for w, n in zip(every, samples) if n) / present):
            yield "every client alike"
    if _turn(name) == 1 and (like(lambda every, samples: every[0]) or like(lambda every, samples: every[-1])):
        yield "buffers of the first"
    if _turn(name) == 2:
        yield from (fault for fault, rules in COUNTING.items() if any(map(like, rules)))
