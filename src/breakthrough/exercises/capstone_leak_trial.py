"""Module 6: what is judged of leaks that were found: which are missing, and which are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from breakthrough.errors import type_of
from breakthrough.exercises.compare import Difference

SHAPE = "a set of pairs (stage, id of the test picture)"


@dataclass(frozen=True)
class NoPairs:
    """In place of the pairs: what is wrong with their form."""

    text: str


def looked(output: Any) -> Any:
    """Pairs of an output, of whatever type; each counts once."""
    if output is None:
        return None
    if isinstance(output, (str, Mapping)) or not isinstance(output, Iterable):
        return NoPairs(f"that is {type_of(output)}, not {SHAPE}")
    pairs = list(output)
    odd = [pair for pair in pairs if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(part, str) for part in pair)]
    return NoPairs(f"{min(map(repr, odd))} is no pair (stage, id): asked for is {SHAPE}") if odd else frozenset(map(tuple, pairs))


def alike(want: Any, got: Any) -> Difference | None:
    """A comparison of sets of pairs: the first that is missing or that is no leak."""
    if got is None:
        return None if want is None else Difference("missing", "the output is None: is there a `return`?", SHAPE, "None")
    if not (isinstance(want, frozenset) and isinstance(got, frozenset)):
        text = next((one.text for one in (got, want) if isinstance(one, NoPairs)), "these are no pairs")
        return None if got == want else Difference("type", text, SHAPE)
    if want == got:
        return None
    missing, more = sorted(want - got), sorted(got - want)
    text = f"{_said(missing[0])} is missing" if missing else f"{_said(more[0])} is no leak"
    return Difference("value", text, _some(want), _some(got))


def _said(pair: tuple[str, str]) -> str:
    return f"({', '.join(pair)})"


def _some(pairs: frozenset[tuple[str, str]], most: int = 6) -> str:
    shown = ", ".join(map(_said, sorted(pairs)[:most]))
    return (shown + (f", … {len(pairs)} in all" if len(pairs) > most else "")) or "no pairs"
