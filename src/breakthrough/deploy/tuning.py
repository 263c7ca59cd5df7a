"""Tuning: measure many schedules of a net's loop nests on this machine, keep the fastest.

`prepare` gives the loop nests, `tune` measures schedules of them into a database, `apply` gives every loop
nest the best schedule that the databases know. A worker process without torch builds and runs the
candidates; when one crashes it or never ends, the candidate is remembered as failed and a new worker goes
on. Running `tune` again continues: what is in the database is not measured again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import seeds
from breakthrough.deploy import database as records, spaces
from breakthrough.deploy.database import Database, Record, shipped
from breakthrough.deploy.measuring import Measuring
from breakthrough.deploy.nests import Task, loop_nests, tasks_of
from breakthrough.deploy.optimize import prepare
from breakthrough.errors import InputError, expected

OPAQUE = 8  # TVM's "joins nothing": a scheduled loop nest must not be fused again
FIRST, ROUND = 4, 8  # candidates that every task gets at once; proposals of one round of MetaSchedule
CANDIDATE_LIMIT_S = 15.0
UNKNOWN = 1e9  # the hope set on tasks that were hardly timed: more than any time

__all__ = ["Plan", "Task", "TuningResult", "apply", "plan", "prepare", "shipped", "tasks_of", "tune"]


@dataclass(frozen=True)
class TuningResult:
    """What tuning came to.

    Units: before_s and after_s are sums over the net's loop nests of their fastest times, at the start of this
           call (the tasks' first candidates where nothing was known) and at its end
    """

    database: Path
    trials: int
    measured: int
    failed: int
    crashes: int
    before_s: float
    after_s: float
    seconds: float
    tasks: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """A module with its schedules, and where they came from: task names by source."""

    module: Any
    tuned: tuple[str, ...]
    borrowed: tuple[str, ...]  # from records of another instruction set
    guessed: tuple[str, ...]  # a rule's first candidate: never measured
    plain: tuple[str, ...]  # no schedule at all

    @property
    def untuned(self) -> tuple[str, ...]:
        """The tasks without a record."""
        return self.guessed + self.plain


def plan(module: Any, target: Any, database: Path | Iterable[Path] | None = None) -> Plan:
    """Give every loop nest the best schedule of the databases, then a rule's first guess, then none.

    Without `database` the shipped one is used; with it, the shipped one comes after.
    """
    module = prepare(module, target)
    sources, own = _databases(database), records.isa(target)
    groups: dict[str, list[str]] = {"tuned": [], "borrowed": [], "guessed": [], "plain": []}
    updates = {}
    for variable, function in loop_nests(module):
        key = records.task_key(function)
        found, source = _scheduled(function, target, [s.best(key, own) for s in sources], own)
        groups[source].append(variable.name_hint)
        updates[variable] = _finished(found, function)
    changed = module.clone()
    for variable, function in updates.items():
        changed.update_func(variable, function)
    return Plan(changed, *(tuple(groups[name]) for name in ("tuned", "borrowed", "guessed", "plain")))


def apply(module: Any, target: Any, database: Path | Iterable[Path] | None = None) -> Any:
    """The module with its schedules, ready for `tvm.compile`; `plan` says where they came from."""
    return plan(module, target, database).module


def tune(
    module: Any,
    target: Any,
    database: Path | str,
    trials: int,
    *,
    seconds: float | None = None,
    seed: int = 0,
    bar: bool = True,
    candidate_s: float = CANDIDATE_LIMIT_S,
) -> TuningResult:
    """Measure schedules of a net's loop nests until the database holds `trials` of them.

    Units:  trials counts records of this net's tasks for this instruction set, earlier runs' included;
            candidate_s is how long one candidate may take to build and run
    Raises: InputError for fewer than one trial; tvm's errors when the module does not compile at all
    """
    if trials < 1:
        raise InputError(expected("at least one trial", trials))
    session = _Session(module, target, Database(database), seed, candidate_s)
    return session.run(trials, math.inf if seconds is None else seconds, bar)


class _Session:
    """One call of `tune`: picks a task, lets the worker measure a candidate, keeps the record."""

    def __init__(self, module: Any, target: Any, database: Database, seed: int, candidate_s: float) -> None:
        self.target, self.database, self.seed = target, database, seed
        self.isa, self.cpu = records.isa(target), str(target.attrs.get("mcpu", ""))
        self.tasks = [task for task in tasks_of(module, target) if task.static and task.weight]
        self.open = {task.key: self._untried(task) for task in self.tasks}
        self.searchable = {task.key for task in self.tasks if self._rule(task) in (None, "tiny")}
        self.stale = {task.key: 0 for task in self.tasks}
        self.measuring = Measuring({task.key: task.function for task in self.tasks}, target, candidate_s)
        self.failed = self.measured = 0

    def run(self, trials: int, seconds: float, bar: bool) -> TuningResult:
        """Measure until the trials, the time or the candidates run out."""
        from tqdm.auto import tqdm

        start, before = time.monotonic(), None
        done = sum(len(self.database.of(task.key, self.isa)) for task in self.tasks)
        with tqdm(total=trials, initial=min(done, trials), disable=not bar, unit="trial") as progress, self.measuring:
            while done < trials and time.monotonic() - start < seconds:
                task = self._pick()
                if task is None:
                    break
                for record in self._measure(task, trials - done):
                    self.database.add(record)
                    done += 1
                    self._count(task, record)
                    before = self._total() if before is None and self._all_known() else before
                    progress.update()
                    progress.set_postfix_str(self._status(task))
        after = self._total()
        times = {task.name: self._best(task) for task in self.tasks}
        elapsed = time.monotonic() - start
        crashes, path = self.measuring.crashes, self.database.path
        return TuningResult(
            path, done, self.measured, self.failed, crashes, after if before is None else before, after, elapsed, times
        )

    def _untried(self, task: Task) -> Iterator[spaces.Candidate]:
        known = (c for c in spaces.candidates(task.function, self.target))
        return iter([c for c in known if not self.database.has(task.key, self.isa, c.key)])

    def _rule(self, task: Task) -> str | None:
        return next((candidate.rule for candidate in spaces.candidates(task.function, self.target)), None)

    def _pick(self) -> Task | None:
        """The task where most can be won: hardly timed ones first, then time × hope, which fades without success."""
        open_tasks = [task for task in self.tasks if task.key in self.open]
        if not open_tasks:
            return None

        def hope(task: Task) -> float:
            if len(self.database.of(task.key, self.isa)) < FIRST:
                return UNKNOWN / 2 if task.key in self.searchable else UNKNOWN  # proposals take longer than rules
            best = self._best(task)
            return (best if math.isfinite(best) else 1.0) * task.weight / (1 + self.stale[task.key] / 8)

        return max(open_tasks, key=hope)

    def _measure(self, task: Task, most: int) -> Iterator[Record]:
        candidate = next(self.open[task.key], None)
        if candidate is not None:
            answer = self.measuring.candidate(task.key, candidate.rule, dict(candidate.params))
            yield self._record(task, candidate.key, answer, rule=candidate.rule, params=dict(candidate.params))
        elif task.key in self.searchable:
            yield from self._search(task, min(ROUND, most))
        else:
            del self.open[task.key]

    def _search(self, task: Task, count: int) -> Iterator[Record]:
        known = [(r.trace, r.run_s) for r in self.database.of(task.key, self.isa) if r.trace is not None]
        seed = seeds.derive(self.seed, task.key, len(known))
        some = False
        for answer in self.measuring.search(task.key, count, seed, known):
            some = True
            yield self._record(task, answer["candidate"], answer, trace=answer["trace"])
        if not some:
            del self.open[task.key]

    def _record(self, task: Task, candidate: str, answer: dict[str, Any], **how: Any) -> Record:
        measured = {"run_s": answer.get("run_s"), "error": answer.get("error")}
        return Record(task.key, task.name, self.isa, candidate, cpu=self.cpu, **how, **measured)

    def _count(self, task: Task, record: Record) -> None:
        self.measured += record.ok
        self.failed += not record.ok
        better = record.ok and record.fastest_s <= self._best(task)
        self.stale[task.key] = 0 if better else self.stale[task.key] + 1

    def _best(self, task: Task) -> float:
        found = self.database.of(task.key, self.isa)
        return found[0].fastest_s if found and found[0].ok else math.inf

    def _all_known(self) -> bool:
        return all(self.database.of(task.key, self.isa) for task in self.tasks)

    def _total(self) -> float:
        return sum(self._best(task) * task.weight for task in self.tasks)

    def _status(self, task: Task) -> str:
        known = [t for t in self.tasks if math.isfinite(self._best(t))]
        total = sum(self._best(t) * t.weight for t in known)
        return f"{total * 1e3:.4f} ms in {len(known)}/{len(self.tasks)} loop nests, now {task.name[:32]}"


def _scheduled(function: Any, target: Any, found: list[Record | None], own: str) -> tuple[Any, str]:
    """A loop nest's schedule and its source; a record that does not fit is passed over."""
    from breakthrough.deploy import search

    known = [record for record in found if record is not None]
    for record in sorted(known, key=lambda r: (r.isa != own, r.run_s)):
        try:
            if record.rule is not None:
                made = spaces.schedule(function, spaces.Candidate(record.rule, record.params or {}))
            else:
                made = search.apply_trace(function, record.trace)
        except Exception:  # noqa: BLE001 - written by another version: as good as no record
            continue
        return made, "tuned" if record.isa == own else "borrowed"
    for candidate in spaces.candidates(function, target):
        try:
            return spaces.schedule(function, candidate), "guessed"
        except Exception:  # noqa: BLE001 - a rule that does not fit this loop nest after all
            continue
    return function, "plain"


def _finished(function: Any, original: Any) -> Any:
    """A scheduled loop nest as it was called, private, and left alone by later passes."""
    name = original.attrs.get("global_symbol") if original.attrs else None
    function = function.without_attr("global_symbol")
    function = function.with_attr("global_symbol", name) if name else function
    return function.with_attr("tirx.is_scheduled", True).with_attr("op_pattern", OPAQUE)


def _databases(database: Path | Iterable[Path] | None) -> list[Database]:
    own = [] if database is None else [database] if isinstance(database, (str, Path)) else list(database)
    with_shipped = [*own, shipped()] if shipped() not in own else own
    return [Database(path) for path in with_shipped if path is not None]
