"""Module 2: what holds for a learner's draws from ranges; see `scenes_chance` for the limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.scenes_chance import Fact, alike, far_from_uniform, in_turn, margin, repeats

Ranges = dict[str, tuple]
N = 300  # draws that are looked at


def draw_many(answer: Any, case: Case) -> dict[str, bool] | None:
    """What holds for an answer's draws.

    Raises: InputError for draws of another kind than asked for
    """
    ranges, (name, upside_down), fixed, seed = case.args
    given, generator = dict(ranges), np.random.default_rng(seed)
    draws = [answer(given, generator) for _ in range(N)]
    if draws[0] is None:
        return None
    _validate(draws[0], ranges)
    columns = {name: [draw[name] for draw in draws] for name in ranges}

    def draw(written: Ranges, other: int = 0) -> Any:
        return answer(dict(written), np.random.default_rng(seed + other))

    return in_turn([
        ("the ranges are left as they were", lambda: given == ranges),
        ("the generator decides everything", lambda: repeats(lambda g: answer(dict(ranges), g), seed)),
        ("the next draw gives other values", lambda: not all(alike(draws[0], other) for other in draws)),
        ("another seed gives other values", lambda: not all(alike(draws[0], draw(ranges, other)) for other in range(1, 20))),
        ("the order of the ranges makes no difference", lambda: alike(draw(ranges), draw(dict(reversed(ranges.items()))))),
        *_of_the_values(ranges, columns),
        ("a range of one value gives that value", lambda: _gives(answer, fixed, seed)),
        *_of_the_refusal(answer, name, upside_down, seed),
    ])  # fmt: skip


def _of_the_values(ranges: Ranges, columns: dict[str, list]) -> Iterator[Fact]:
    choices = {name: columns[name] for name, bounds in ranges.items() if isinstance(bounds[0], str)}
    places = {name: _places(name, ranges[name], columns[name]) for name in ranges if name not in choices}
    factors = [places[name] for name in places if name.endswith("_factor")]
    linear = [places[name] for name in places if not name.endswith("_factor")]
    pooled = np.concatenate(linear) if linear else np.array([0.5])
    limit = margin(len(pooled))
    yield "every value lies in its range", lambda: all(map(_inside, linear))
    yield "every factor lies in its range", lambda: all(map(_inside, factors))
    yield "every choice is one of those given", lambda: all(set(drawn) <= set(ranges[name]) for name, drawn in choices.items())
    yield "every choice is as likely", lambda: all(_fair(ranges[name], drawn) for name, drawn in choices.items())
    yield "each name has a draw of its own", lambda: not any(np.allclose(a, b) for i, a in enumerate(linear) for b in linear[:i])
    yield "the middle of a range is no likelier than its ends", lambda: _middle(pooled) <= 0.5 + limit
    yield "the middle of a range is no rarer than its ends", lambda: _middle(pooled) >= 0.5 - limit
    yield "every part of a range is as likely", lambda: not far_from_uniform(pooled)
    yield "a factor is uniform in its logarithm", lambda: not any(map(far_from_uniform, factors))


def _of_the_refusal(answer: Any, name: str, ranges: Ranges, seed: int) -> Iterator[Fact]:
    says = _refusal(answer, ranges, seed)
    yield "low above high is a ValueError", lambda: says is not None
    yield "the error's message names the range", lambda: name in (says or "")


def _refusal(answer: Any, ranges: Ranges, seed: int) -> str | None:
    try:
        answer(dict(ranges), np.random.default_rng(seed))
    except ValueError as error:
        return str(error)
    return None


def _validate(values: Any, ranges: Ranges) -> None:
    if not isinstance(values, dict) or set(values) != set(ranges):
        got = ", ".join(sorted(map(str, values))) if isinstance(values, dict) else type_of(values)
        raise InputError(expected(f"a dict with {', '.join(sorted(ranges))}", got))
    for name, bounds in ranges.items():
        kind = str if isinstance(bounds[0], str) else (int, float, np.integer, np.floating)
        if not isinstance(values[name], kind) or isinstance(values[name], bool):
            raise InputError(expected(f"{'a string' if kind is str else 'a number'} for {name}", type_of(values[name])))


def _places(name: str, bounds: tuple[float, float], values: list[float]) -> np.ndarray:
    """Where values lie in their range, from 0 at low to 1 at high."""
    low, high, drawn = *bounds, np.array(values, dtype=float)
    if name.endswith("_factor"):
        return np.log(drawn.clip(1e-300) / low) / math.log(high / low)
    return (drawn - low) / (high - low)


def _inside(places: np.ndarray) -> bool:
    return bool(-1e-9 <= places.min() and places.max() <= 1 + 1e-9)  # rounding may reach the ends


def _middle(places: np.ndarray) -> float:
    return float(((places > 0.25) & (places < 0.75)).mean())


def _fair(choices: tuple[str, ...], drawn: list[str]) -> bool:
    return all(abs(drawn.count(choice) / len(drawn) - 1 / len(choices)) <= margin(len(drawn)) for choice in choices)


def _gives(answer: Any, fixed: Ranges, seed: int) -> bool:
    """Whether ranges of one value are accepted and give it."""
    try:
        values = answer(dict(fixed), np.random.default_rng(seed))
    except (ValueError, ZeroDivisionError):
        return False
    return all(math.isclose(values[name], low) for name, (low, _) in fixed.items())
