"""Module 3: the weighted average of models, with BatchNorm's buffers and counters.

Shapes: K clients
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.federated_average_trial import COARSE, State, outcome


def average(states: list[State], samples: list[int]) -> State:
    """Average models by the number of samples that each was trained on.

    Why:    FedAvg is this line; with BatchNorm in the net half of what a client learned stands in buffers,
            and a counter that comes back as a float, or a 0 · NaN, spoils the model without an error
    Shapes: states of K clients, all with the same names, shapes and dtypes; samples (K,) → one state
    Units:  every tensor becomes Σ n·w / Σ n, buffers too, in its own dtype, summed in float32 at least; whole
            numbers (num_batches_tracked) are averaged likewise and rounded to the nearest. A client with
            0 samples has no say, whatever its tensors hold; some client has samples. The states stay as they were
    Source: McMahan et al. 2017, arXiv:1602.05629
    """
    total = sum(samples)
    counted = [(state, n / total) for state, n in zip(states, samples) if n > 0]
    mean = {}
    for name, like in states[0].items():
        wide = torch.promote_types(like.dtype, torch.float32) if like.is_floating_point() else torch.float64
        value = sum(share * state[name].to(wide) for state, share in counted)
        mean[name] = value.to(like.dtype) if like.is_floating_point() else value.round().to(like.dtype)  # type: ignore[union-attr]  # some client counts
    return mean


def _stacked(states, samples):
    weights = torch.tensor(samples, dtype=torch.float64)
    keep = weights > 0
    out = {}
    for name in states[0]:
        stack = torch.stack([state[name] for state in states])
        w = weights.to(stack.device)[keep.to(stack.device)]
        value = torch.tensordot(w, stack[keep.to(stack.device)].double(), dims=1) / w.sum()
        out[name] = (value if stack.is_floating_point() else value.round()).to(stack.dtype)
    return out


def _running(states, samples):
    seen = 0
    mean: dict[str, Tensor] = {}
    for state, n in zip(states, samples):
        if n == 0:
            continue
        seen += n
        for name, value in state.items():
            wide = value.to(torch.float32 if value.dtype in COARSE else torch.float64)
            mean[name] = mean[name] + (wide - mean[name]) * (n / seen) if name in mean else wide
    return {name: (value if states[0][name].is_floating_point() else value.round()).to(states[0][name]) for name, value in mean.items()}


def _in_one_matrix(states, samples):
    """Every model a row of numbers, and numpy's own average of the rows that count."""
    rows = [torch.cat([value.double().flatten() for value in state.values()]).cpu().numpy() for state in states]
    heard = [i for i, n in enumerate(samples) if n]
    numbers = torch.from_numpy(np.average([rows[i] for i in heard], axis=0, weights=[samples[i] for i in heard]))
    parts = numbers.split([value.numel() for value in states[0].values()])
    whole = {name: not value.is_floating_point() for name, value in states[0].items()}
    return {name: (part.round() if whole[name] else part).reshape(like.shape).to(like) for (name, like), part in zip(states[0].items(), parts)}


def _by_samples(samples: Sequence[int]) -> list[float]:
    return [n / sum(samples) for n in samples]


def _mean(
    shares: Callable[[Sequence[int]], Sequence[float]] = _by_samples,
    counter: Callable[[Tensor, list[Tensor]], Tensor] = lambda value, all_: value.round().to(all_[0].dtype),
    wide: Callable[[Tensor], Tensor] = lambda w: w.to(torch.promote_types(w.dtype, torch.float32)),
    skip: bool = True,
    buffers: Callable[[list[Tensor]], Tensor | None] | None = None,
) -> Callable[[list[State], list[int]], State]:
    """An average that differs in one respect."""

    def answer(states, samples):
        weights = shares(samples)
        out = {}
        for name, first in states[0].items():
            every = [state[name] for state in states]
            if buffers and ("running" in name or "num_batches" in name):
                out[name] = buffers(every)
                continue
            if not first.is_floating_point():
                value = sum(s * w.double() for s, w in zip(weights, every))
                out[name] = counter(value, every)
                continue
            parts = [s * wide(w) for s, w, n in zip(weights, every, samples) if n > 0 or not skip]
            out[name] = sum(parts[1:], parts[0]).to(first.dtype)
        return {name: value for name, value in out.items() if value is not None}

    return answer


def _even(samples):
    return [1 / len(samples)] * len(samples)


def _in_place(states, samples):
    total, out = sum(samples), states[0]
    right = average(states, samples)
    for name, value in out.items():
        if samples[0] == 0 or not value.is_floating_point() or value.dtype in COARSE:
            value.copy_(right[name])
            continue
        value.mul_(samples[0] / total)
        for state, n in list(zip(states, samples))[1:]:
            if n:
                value.add_(state[name], alpha=n / total)
    return out


def _pairs(states, samples):
    out = dict(states[0])
    for state in states[1:]:
        out = {n: (v.float() + state[n].float()) / 2 for n, v in out.items()}
    return {n: (v if states[0][n].is_floating_point() else v.round()).to(states[0][n].dtype) for n, v in out.items()}


def _products_first(states, samples):
    out = {}
    for name, first in states[0].items():
        value = sum(n * state[name] for state, n in zip(states, samples) if n) / sum(samples)
        out[name] = (value if first.is_floating_point() else value.round()).to(first.dtype)
    return out


def _mean_left(states, samples):
    return average([{n: v.float() if v.is_floating_point() else v for n, v in s.items()} for s in states], samples)


def _everything_float(states, samples):
    total = sum(samples)
    return {name: sum(n / total * s[name].float() for s, n in zip(states, samples) if n) for name in states[0]}


def _cases(generator: Generator):
    def draw(*shape, dtype=torch.float32):
        return torch.randn(shape, generator=generator).to(dtype)

    def net(count):
        with torch.random.fork_rng(devices=[]):
            module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
        state = {name: draw(*value.shape) for name, value in module.state_dict().items()}
        return state | {"1.running_var": draw(2).square(), "1.num_batches_tracked": torch.tensor(count)}

    def plain(k, dtype=torch.float32):
        return [{"weight": 1 + 0.2 * draw(2, 3, dtype=dtype), "bias": 2 + 0.2 * draw(2, dtype=dtype)} for _ in range(k)]

    empty = net(9)
    empty["3.weight"], empty["1.running_mean"] = torch.full((3, 2), torch.nan), torch.full((2,), torch.nan)
    yield Case("three clients with 30, 10 and 20 samples", (plain(3), [30, 10, 20]))
    yield Case("a net with BatchNorm, 50, 30 and 20 samples", ([net(12), net(40), net(28)], [50, 30, 20]))
    yield Case("a client without samples, its weights NaN", ([net(16), empty, net(30)], [7, 0, 3]))
    yield Case("bfloat16, 600 clients", (plain(600, torch.bfloat16), torch.randint(20, 40, (600,), generator=generator).tolist()))
    yield Case("float16, 60,000 samples each", (plain(3, torch.float16), [60_000, 50_000, 70_000]))
    yield Case("one sample, nine, and none", (plain(3), [1, 9, 0]))
    yield Case("one client", ([net(5)], [17]))


EXERCISES = (
    Exercise(
        name="federated.average",
        title="A weighted average of models",
        points=6,
        minutes=35,
        difficulty=2,
        reference=average,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_stacked, _running, _in_one_matrix),
        misconceptions=(
            Misconception(
                "every client alike",
                _mean(_even, skip=False),
                "Each client counts the same here, however little it has seen: weigh it by its samples, n divided by the sum of all n.",
                variants=(_mean(_even), _mean(lambda samples: [1 / sum(n > 0 for n in samples)] * len(samples))),
            ),
            Misconception(
                "divided by the clients",
                _mean(lambda samples: [n / len(samples) for n in samples]),
                "The sum was divided by the number of clients: divide by the number of samples, so that the weights sum to 1.",
            ),
            Misconception(
                "not divided",
                _mean(lambda samples: samples),
                "The weights are numbers of samples and sum to far more than 1: divide by their total.",
            ),
            Misconception(
                "whole-number division",
                _mean(lambda samples: [n // sum(samples) for n in samples]),
                "n // total is 0 for every client but a lone one: use /, which divides whole numbers to fractions.",
            ),
            Misconception(
                "buffers of the first",
                _mean(buffers=lambda every: every[0].clone()),
                "Only parameters are averaged, while running_mean, running_var and the counter are one client's: average all of state_dict(), or the net normalises with one factory's light.",
                variants=(_mean(buffers=lambda every: every[-1].clone()),),
            ),
            Misconception(
                "buffers left out",
                _mean(buffers=lambda every: None),
                "BatchNorm's buffers are missing, so the new model would keep old statistics: go through all names of state_dict(), not through parameters().",
            ),
            Misconception(
                "counter as a float",
                _mean(counter=lambda value, every: value.float()),
                "num_batches_tracked became a float: give every tensor the dtype back that it had, whole numbers rounded first.",
                variants=(_mean(counter=lambda value, every: value), _everything_float),
            ),
            Misconception(
                "counter cut off",
                _mean(counter=lambda value, every: value.to(every[0].dtype)),
                "The counter's mean was cut off after the point, 23.6 became 23: round before the conversion to int64.",
            ),
            Misconception(
                "counter of one client",
                _mean(counter=lambda value, every: every[0].clone()),
                "The counter is taken from a single client, or is the largest: average it like the statistics whose age it tells, and round.",
                variants=(
                    _mean(counter=lambda value, every: every[-1].clone()),
                    _mean(counter=lambda value, every: torch.stack(every).amax(0)),
                ),
            ),
            Misconception(
                "counters added up",
                _mean(counter=lambda value, every: sum(every[1:], every[0])),
                "The counters were added up, so they grow by the number of clients every round: average them by samples and round.",
            ),
            Misconception(
                "summed in half precision",
                _mean(wide=lambda w: w),
                "Sums in bfloat16 or float16 lose small terms, and n·w overflows float16 past 65,504: add up in float32 and convert at the end.",
                variants=(_products_first,),
            ),
            Misconception(
                "left in float32",
                _mean_left,
                "The result is float32 whatever the clients' dtype is: sum in float32, then give every tensor its own dtype back.",
            ),
            Misconception(
                "shares of other clients",
                lambda states, samples: average(states[::-1], samples),
                "The shares do not go with their clients: zip states and samples in the order in which both were given.",
            ),
            Misconception(
                "0 · NaN",
                _mean(skip=False),
                "A client without samples is weighed by 0, but 0 · NaN is NaN: leave clients with 0 samples out of the sum.",
            ),
            Misconception(
                "in place",
                _in_place,
                "The first client's state was used to add up in, so its model is changed: start from a new tensor.",
            ),
            Misconception(
                "one after another",
                _pairs,
                "Halving the way to each next client gives the last one half of all the weight: add up n · w over all clients and divide once.",
            ),
        ),
        hints=(
            "A client that saw three times as many samples should pull three times as hard. That holds for everything in state_dict(): weights, BatchNorm's running statistics, and its counter, which has to stay a whole number.",
            "samples (K,) → shares n / Σn (K,), those with n = 0 left out; for each name: K tensors of one shape → each `.float()` × its share, added up → `.to(dtype it had)`; int64: `.round()` first",
            "total = sum of samples\nfor each name in the first state:\n    value = sum over clients with n > 0 of (n / total) · tensor as float32 (whole numbers: float64)\n    whole numbers: round value\n    mean[name] = value in the dtype that the tensors have\nreturn mean",
        ),
    ),
)
