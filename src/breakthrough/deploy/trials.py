"""How fast different ways of searching find a fast schedule of one loop nest: a candidate after the other, timed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from breakthrough import seeds
from breakthrough.deploy import spaces
from breakthrough.deploy.measuring import Measuring
from breakthrough.deploy.tuning import CANDIDATE_LIMIT_S, ROUND, Task
from breakthrough.errors import InputError, expected


@dataclass(frozen=True)
class Trials:
    """What a search measured, in its order. Units: seconds a run; infinite where a candidate failed."""

    name: str
    seconds: tuple[float, ...]

    @property
    def best(self) -> tuple[float, ...]:
        """The fastest so far, after every trial."""
        found, least = [], math.inf
        for one in self.seconds:
            least = min(least, one)
            found.append(least)
        return tuple(found)


def compare(task: Task, target: Any, trials: int, *, evolved: int | None = None, seed: int = 0, bar: bool = True) -> tuple[Trials, ...]:
    """Three ways to search: MetaSchedule's, a rule's candidates by chance, and the same, best guess first.

    `evolved` is how many trials MetaSchedule gets, as many as the others unless told; with 0 it is left out.

    Raises: InputError for fewer than 1 trial, or a loop nest that no rule fits
    """
    from tqdm import tqdm  # as text: a lesson keeps what a widget would lose

    known = spaces.candidates(task.function, target)
    if trials < 1 or not known:
        raise InputError(expected("a trial or more, and a loop nest with a rule", f"{trials} trials, {len(known)} candidates"))
    shuffled = [known[i] for i in seeds.numpy_generator(seed, "trials").permutation(len(known))]
    found = []
    with Measuring({task.key: task.function}, target, CANDIDATE_LIMIT_S) as measuring:
        rounds = trials if evolved is None else evolved
        ways = {
            "MetaSchedule, evolved": _searched(measuring, task, rounds, seed),
            "the rule's tiles, by chance": _ruled(measuring, task, shuffled[:trials]),
            "the rule's tiles, best guess first": _ruled(measuring, task, known[:trials]),
        }
        total = rounds + 2 * min(trials, len(known))
        with tqdm(total=total, disable=not bar, unit="trial", file=sys.stdout, ascii=True, ncols=90, mininterval=10) as progress:
            for name, answers in ways.items() if rounds else [*ways.items()][1:]:
                seconds = []
                for answer in answers:
                    seconds.append(answer.get("run_s") or math.inf)
                    progress.update()
                found.append(Trials(name, tuple(seconds)))
    return tuple(found)


def _ruled(measuring: Measuring, task: Task, candidates: list[spaces.Candidate]) -> Iterator[dict[str, Any]]:
    for one in candidates:
        yield measuring.candidate(task.key, one.rule, dict(one.params))


def _searched(measuring: Measuring, task: Task, trials: int, seed: int) -> Iterator[dict[str, Any]]:
    known: list[Any] = []
    while len(known) < trials:
        count, before = min(ROUND, trials - len(known)), len(known)
        round_ = list(measuring.search(task.key, count, seeds.derive(seed, "trials", before), known))  # to its end: the worker has more to say
        known += [(answer["trace"], answer.get("run_s")) for answer in round_]
        yield from round_[:count]
        if len(known) == before:
            return
