"""Module 6: a pipeline whose stages cost nothing to run, and what is judged of a plan for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakthrough.errors import ConfigError, expected, type_of
from breakthrough.exercises.compare import Difference

SHAPE = "a list of the names of the stages that were run, in the order of the calls"


def short_hash(*parts: Any) -> str:
    """A hash of plain data, short enough to be read."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


@dataclass
class Run:
    """What `run` is: the content of a stage follows from `matters` of it and from its inputs.

    Stages in `blind` make the same whatever their inputs are.
    """

    REMOTE = ("__call__",)
    needs: Mapping[str, tuple[str, ...]]
    matters: Mapping[str, str]
    blind: frozenset[str] = frozenset()
    calls: list[str] = field(default_factory=list)

    def __call__(self, name: str, inputs: Mapping[str, str]) -> str:
        """Run a stage.

        Raises: ConfigError for another stage or other inputs
        """
        if name not in self.needs:
            raise ConfigError(expected("a stage's name as run's first argument", repr(name)))
        if not isinstance(inputs, Mapping) or set(inputs) != set(self.needs[name]):
            got = ", ".join(map(str, inputs)) or "nothing" if isinstance(inputs, Mapping) else type_of(inputs)
            raise ConfigError(expected(f"as inputs of {name} a dict with the contents of {', '.join(self.needs[name]) or 'nothing'}", got))
        self.calls.append(name)
        return short_hash(name, self.matters[name], {} if name in self.blind else dict(inputs))

    def hangs_on(self, name: str) -> set[str]:
        """All that a stage needs, on whatever way."""
        return {far for need in self.needs[name] for far in (need, *self.hangs_on(need))}


@dataclass(frozen=True)
class Ran:
    """What a plan ran: the names, sorted; and the first rule of order that it breaks, of which kind and in words."""

    names: tuple[str, ...]
    kind: str = ""
    text: str = ""


@dataclass(frozen=True)
class NoPlan:
    """In place of a plan: what is wrong with its form."""

    text: str


@dataclass
class Looked:
    """What makes a `Ran` of an output. It is copied together with its `run`, so it sees the calls of this attempt."""

    run: Run

    def __call__(self, output: Any) -> Any:
        """The plan as it is judged."""
        if output is None:
            return None
        if isinstance(output, (str, Mapping)) or not isinstance(output, Iterable):
            return NoPlan(f"that is {type_of(output)}, not {SHAPE}")
        names = list(output)
        unknown = [name for name in names if name not in self.run.needs]
        if unknown or isinstance(output, (set, frozenset)):
            return NoPlan(f"{unknown[0]!r} is no stage's name" if unknown else f"a set has no order; asked for is {SHAPE}")
        return Ran(tuple(sorted(set(names))), *self._broken(names))

    def _broken(self, names: list[str]) -> tuple[str, str]:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            return "twice", f"{twice} is run {names.count(twice)} times"
        for place, name in enumerate(names):
            late = sorted(self.run.hangs_on(name) & set(names[place:]))
            if late:
                return "order", f"{name} is run before {late[0]}, on which it hangs"
        if sorted(self.run.calls) != sorted(names):
            odd = sorted(set(self.run.calls) ^ set(names) or {name for name in self.run.calls if self.run.calls.count(name) > 1})
            return "calls", f"the list is not what run was called for: {odd[0]}"
        return "", ""


def alike(want: Any, got: Any) -> Difference | None:
    """A comparison of plans: the first stage too many or too few, or what is wrong with the order."""
    if got is None:
        return None if want is None else Difference("missing", "the output is None: is there a `return`?", SHAPE, "None")
    if not (isinstance(want, Ran) and isinstance(got, Ran)):
        text = next((one.text for one in (got, want) if isinstance(one, NoPlan)), "that is no plan")
        return None if got == want else Difference("type", text, SHAPE)
    if want.names != got.names:
        more = sorted(set(got.names) - set(want.names))
        text = f"{more[0]} is run, which is fresh" if more else f"{min(set(want.names) - set(got.names))} is not run"
        return Difference("value", text, ", ".join(want.names) or "nothing is run", ", ".join(got.names) or "nothing is run")
    if want.kind != got.kind:
        return Difference("value", got.text or want.text, "each stage once, after all that it hangs on, as called")
    return None
