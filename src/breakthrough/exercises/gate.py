"""The gate's facts: how often the grader errs, by exercise.

Wrong answers: the misconceptions, in every way they are written down. They have to fail, and to be named.
Right answers: the reference and the alternatives. They have to pass. Mutants of the reference have to fail,
unless they are listed as equivalent: the same behaviour written differently.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from breakthrough.errors import BreakthroughError, expected
from breakthrough.exercises import apart
from breakthrough.exercises.exercise import Exercise, load
from breakthrough.exercises.judge import PASSED, WRONG, Verdict, judge
from breakthrough.exercises.mutants import Mutant, digest, mutants, mutated, planted
from breakthrough.workers import run_all

SEEDS = (0, 1, 2)
LEARNERS = ("ada", "bitdiddle", "ヘッカー", "2026-0417", "louis.reasoner@example.org")  # whose draws of a question are tried beside the standard one
EQUIVALENT = Path(__file__).with_name("equivalent.yml")
RAISED, ENDLESS = "raised", "endless"
MEMORY_BYTES = 3 << 30  # for one mutant
PORTIONS = 2  # an exercise's mutants are so many jobs


@dataclass(frozen=True)
class Counts:
    """What was counted of one exercise.

    A wrong answer is killed when it fails at every seed, a right one wrongly failed when it fails at one.
    `reference` is the digest of what was mutated.
    """

    exercise: str
    reference: str = ""
    misconceptions: int = 0
    wrong: int = 0
    killed: int = 0
    diagnosed: int = 0
    right: int = 0
    failed: int = 0
    mutants: int = 0
    mutants_killed: int = 0
    equivalent: int = 0
    survived: int = 0


@dataclass(frozen=True)
class Part:
    """The counts of one share of an exercise's work, and a line for everything that should not be."""

    counts: Counts
    faults: tuple[str, ...] = ()
    raised: int = 0  # mutants that raised an error: the easy ones
    seconds: float = 0.0


def measure(exercises: Sequence[Exercise], workers: int, with_mutants: bool, on_part: Callable[[Part], None]) -> None:
    """Count everything, a share of an exercise at a time, in parallel processes.

    Raises: MissingDependency without cosmic-ray, when mutants are asked for
    """
    jobs = [job for exercise in exercises for job in jobs_of(exercise, with_mutants)]
    jobs.sort(key=lambda job: job["kind"] != "facts" or not load(job["name"]).training)  # the long ones first
    run_all(f"{__name__}:work", jobs, workers, on_result=lambda result: on_part(_part(result)))


def jobs_of(exercise: Exercise, with_mutants: bool) -> list[dict[str, Any]]:
    """The shares of an exercise's work: its facts, and its mutants in portions."""
    portions = PORTIONS if with_mutants and mutated(exercise) else 0
    facts = [{"name": exercise.name, "kind": "facts"}]
    return [*facts, *({"name": exercise.name, "kind": "mutants", "portion": n} for n in range(portions))]


def work(job: Mapping[str, Any], told: Callable[[int], None]) -> dict[str, Any]:
    """One share, in a worker; what comes back is JSON."""
    began = time.perf_counter()
    exercise = load(job["name"])
    if job["kind"] == "facts":  # apart, for this process must not have computed when it forks for a mutant
        done = apart.call_apart(lambda: dataclasses.asdict(facts(exercise)))
    else:
        done = dataclasses.asdict(try_mutants(exercise, mutants(exercise)[job["portion"] :: PORTIONS], told))
    return done | {"seconds": time.perf_counter() - began}


def _part(result: Mapping[str, Any]) -> Part:
    return Part(Counts(**result["counts"]), tuple(result["faults"]), result["raised"], result["seconds"])


def facts(exercise: Exercise) -> Part:
    """How the wrong and the right answers of an exercise are judged: of a question, as several learners get it."""
    parts = [_facts(one) for one in draws(exercise)]
    counted = [part.counts for part in parts]
    sums = {name: sum(getattr(one, name) for one in counted) for name in ("wrong", "killed", "diagnosed", "right", "failed")}
    return Part(dataclasses.replace(counted[0], **sums), tuple(fault for part in parts for fault in part.faults))


def draws(exercise: Exercise) -> list[Exercise]:
    """The standard draw of a question and those of several learners; an exercise that is the same for all, once."""
    return [exercise, *(exercise.redraw(learner) for learner in LEARNERS)] if exercise.question else [exercise]


def _facts(exercise: Exercise) -> Part:
    seeds = SEEDS[:1] if exercise.training else SEEDS
    ways = [(m, answer) for m in exercise.misconceptions for answer in (m.answer, *m.variants)]
    told = [[judge(exercise, answer, seed) for seed in seeds] for _, answer in ways]
    killed = [all(verdict.status == WRONG for verdict in verdicts) for verdicts in told]
    named = [all(v.diagnosis is not None and v.diagnosis.name == m.name for v in verdicts) for (m, _), verdicts in zip(ways, told)]
    faults = [f"{exercise.name}: {m.name}: {'named otherwise' if dead else 'not killed'}"
              for (m, _), dead, known in zip(ways, killed, named) if not (dead and known)]
    right = (exercise.reference, *exercise.alternatives)
    failed = [(answer, verdict) for answer in right if (verdict := _first_failure(exercise, answer, seeds))]
    faults += [f"{exercise.name}: the right answer {_called(answer)} failed: {_why(verdict)}" for answer, verdict in failed]
    counts = Counts(exercise.name, digest(exercise), len(exercise.misconceptions), len(ways), sum(killed), sum(named), len(right), len(failed))
    return Part(counts, tuple(faults))


def _first_failure(exercise: Exercise, answer: Any, seeds: Sequence[int]) -> Verdict | None:
    return next((verdict for seed in seeds if (verdict := judge(exercise, answer, seed)).status != PASSED), None)


def _called(answer: Any) -> str:
    return getattr(answer, "__name__", repr(answer))


def _why(verdict: Verdict) -> str:
    return f"{verdict.case}: {verdict.difference.text}" if verdict.difference else verdict.status


def try_mutants(exercise: Exercise, those: Sequence[Mutant], told: Callable[[int], None] = lambda more: None) -> Part:
    """How many of some mutants are killed. What is listed as equivalent is tried too: it may not be.

    Each is judged in a process of its own, at every seed; one that passes at any of them has survived.
    """
    excused = equivalents().get(exercise.name, {})
    fates = []
    patience_s = patience(exercise)
    for mutant in those:
        fates.append(fate(exercise, mutant, patience_s))
        told(1)
    faults = [f"{exercise.name}: survived: {m.was} → {m.now}" for m, end in zip(those, fates) if end == PASSED and m.now not in excused.get(m.was, {})]
    faults += [f"{exercise.name}: listed as equivalent, but killed: {m.was} → {m.now}"
               for m, end in zip(those, fates) if end != PASSED and m.now in excused.get(m.was, {})]
    passed = fates.count(PASSED)
    survived = sum(": survived: " in fault for fault in faults)
    counts = Counts(exercise.name, mutants=len(those), mutants_killed=len(those) - passed, equivalent=passed - survived, survived=survived)
    return Part(counts, tuple(faults), fates.count(RAISED))


def patience(exercise: Exercise) -> float:
    """How long a mutant may take, in seconds: ten times what the reference takes at all seeds, and 3 at least.

    Raises: BreakthroughError when the reference does not pass
    """
    spent = apart.call_apart(functools.partial(_judged_s, exercise), memory_bytes=MEMORY_BYTES)
    return max(3.0, 10 * spent)


def _judged_s(exercise: Exercise) -> float:
    verdicts = [judge(exercise, exercise.reference, seed) for seed in SEEDS]
    if any(verdict.status != PASSED for verdict in verdicts):  # or every mutant would count as killed
        raise BreakthroughError(expected(f"the reference of {exercise.name} to pass", _why(verdicts[0])))
    return sum(verdict.seconds for verdict in verdicts)


def fate(exercise: Exercise, mutant: Mutant, patience_s: float) -> str:
    """How a mutant ended: passed, or what killed it."""
    blunt = dataclasses.replace(
        exercise, patience_s=patience_s, misconceptions=tuple(m for m in exercise.misconceptions if m.detect))  # naming it takes time
    try:
        end = apart.call_apart(functools.partial(_fate, blunt, mutant), 2 * patience_s + 5, MEMORY_BYTES)
    except BreakthroughError:  # the mutant broke what judges it
        return RAISED
    return ENDLESS if end == apart.TOO_LONG else end


def _fate(exercise: Exercise, mutant: Mutant) -> str:
    try:
        answer = planted(exercise, mutant)
    except Exception:  # noqa: BLE001 - it cannot even be defined
        return RAISED
    verdicts = (judge(exercise, answer, seed) for seed in SEEDS)
    kinds = [PASSED if verdict.status == PASSED else verdict.kind or verdict.status for verdict in verdicts]
    return PASSED if PASSED in kinds else kinds[0]


@functools.cache
def equivalents() -> dict[str, dict[str, dict[str, str]]]:
    """The mutants that behave as the reference does: by exercise, line as it was and as it is, the reason."""
    listed = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or {}
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name, entries in listed.items():
        for entry in entries:
            now = entry["now"] if isinstance(entry["now"], list) else [entry["now"]]
            found.setdefault(name, {}).setdefault(entry["was"], {}).update(dict.fromkeys(now, entry["why"]))
    return found
