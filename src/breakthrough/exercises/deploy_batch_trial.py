"""Module 5: what is judged of a batcher's timetable: who is served when, and which rule is the first to be broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from breakthrough.errors import type_of
from breakthrough.exercises.compare import Difference

SHAPE = "a list of (start, numbers of the requests), and a list of the numbers refused"


@dataclass(frozen=True)
class Timetable:
    """Batches as (start, numbers), those refused, and the first rule that is broken, if one is."""

    served: tuple[tuple[float, tuple[int, ...]], ...]
    refused: tuple[int, ...]
    broken: str = ""


@dataclass(frozen=True)
class NoTimetable:
    """In place of a timetable: what is wrong with its form."""

    text: str


def alike(want: Any, got: Any) -> Difference | None:
    """A comparison of timetables: the first batch that differs, or what rule it breaks."""
    if got is None:
        return Difference("missing", "the output is None: is there a `return`?", SHAPE, "None")
    if isinstance(got, NoTimetable) or isinstance(want, NoTimetable):
        text = next(one.text for one in (got, want) if isinstance(one, NoTimetable))
        return None if got == want else Difference("type", text, SHAPE)
    if (want.served, want.refused) == (got.served, got.refused):
        return None
    place = next((i for i, pair in enumerate(zip(want.served, got.served)) if pair[0] != pair[1]), min(len(want.served), len(got.served)))
    theirs, mine = (_batch(table.served, place) for table in (want, got))
    text = got.broken or f"batch {place} differs"
    if want.served == got.served:
        text, theirs, mine = got.broken or "the batches are right, those refused are not", f"refused {_some(want.refused)}", f"refused {_some(got.refused)}"
    return Difference("value", text, theirs, mine)


def looked(arrivals_ms: list[int], max_size: int, max_wait_ms: int, max_queue: int, service_ms: dict[int, int]) -> Callable[[Any], Any]:
    """What makes a timetable of an output, for these requests."""

    def look(output: Any) -> Any:
        if output is None:
            return None
        try:
            served, refused = output
            table = [(float(start), tuple(int(number) for number in numbers)) for start, numbers in served]
            away = tuple(int(number) for number in refused)
        except (TypeError, ValueError):
            return NoTimetable(_misshapen(output))
        return Timetable(tuple(table), away, _rule_broken(table, away, arrivals_ms, max_size, service_ms))

    return look


def _misshapen(output: Any) -> str:
    """What is wrong with the form of an output: of the pair, of its first part, or of its second."""
    if isinstance(output, list) and output and isinstance(output[0], tuple):
        return f"that is the list of batches alone, not {SHAPE}"
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        return f"that is {type_of(output)}, not {SHAPE}"
    served, refused = output
    if not isinstance(served, (tuple, list)):
        return f"the first part is {type_of(served)}, not a list of (start, numbers of the requests)"
    for i, pair in enumerate(served):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return f"batch {i} is {type_of(pair)}, not a pair (start, numbers of the requests)"
        if not isinstance(pair[1], (tuple, list)):
            return f"batch {i} has {type_of(pair[1])} behind its start, not a list of the numbers of the requests"
    if not isinstance(refused, (tuple, list)):
        return f"the second part is {type_of(refused)}, not a list of the numbers refused"
    return f"a start or a request is not a number: asked for is {SHAPE}"


def _rule_broken(served: list[tuple[float, tuple[int, ...]]], refused: tuple[int, ...], arrivals_ms: list[int], max_size: int, service_ms: dict[int, int]) -> str:
    """The first rule that a timetable breaks which every timetable keeps, right or wrong."""
    free = 0.0
    for i, (start, numbers) in enumerate(served):
        if not 1 <= len(numbers) <= max_size:
            return f"batch {i} has {len(numbers)} requests; from 1 to {max_size} are allowed"
        unknown = [number for number in numbers if not 0 <= number < len(arrivals_ms)]
        if unknown:
            return f"batch {i} holds request {unknown[0]}: requests are numbered from 0 to {len(arrivals_ms) - 1}"
        early = [number for number in numbers if arrivals_ms[number] > start]
        if early:
            return f"batch {i} starts at {start:g} ms with request {early[0]}, which arrives at {arrivals_ms[early[0]]} ms"
        if start < free:
            return f"batch {i} starts at {start:g} ms, when the engine is busy until {free:g} ms"
        free = start + service_ms[len(numbers)]
    answered = [number for _, numbers in served for number in numbers] + list(refused)
    twice = next((number for number in answered if answered.count(number) > 1), None)
    if twice is not None:
        return f"request {twice} is answered twice"
    lost = sorted(set(range(len(arrivals_ms))) - set(answered))
    return f"request {lost[0]} is lost: neither served nor refused" if lost else ""


def _batch(served: tuple, place: int) -> str:
    if place >= len(served):
        return f"no batch {place}"
    start, numbers = served[place]
    return f"batch {place} at {start:g} ms with {_some(numbers)}"


def _some(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return (shown + (", …" if len(numbers) > 8 else "")) or "nobody"
