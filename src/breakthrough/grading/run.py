"""Grading a module's submissions: in parallel, resumable after a kill, written by one writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.grading import grade, gradebook, sandbox, seed as seeds
from breakthrough.grading.grade import Rules, Task
from breakthrough.grading.records import Graded

if TYPE_CHECKING:
    from breakthrough.grading.cohort import Cohort

AHEAD = 2  # submissions a worker has waiting: results in memory stay few, however many there are
TRIES = 2


@dataclass(frozen=True)
class Way:
    """How the work is done: workers of this machine or of a cluster at an address."""

    workers: int = 1
    address: str | None = None
    unsandboxed: bool = False


@dataclass
class Done:
    """What a run did: submissions graded, those that were graded before, and those the grader failed on, with why."""

    graded: list[Graded] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    finished: tuple[str, ...] = ()


class Grader:
    """One worker: a warm process for one lab, and what it grades with it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.nest: sandbox.Nest | None = None
        self.lab: Path | None = None

    def grade(self, task: Task) -> Graded:
        """Grade one submission; a sandbox that failed is started again once. A failure of the grader is in the record."""
        for _ in range(TRIES):
            try:
                return grade.grade(task, self.rules, self._warm(task.lab))
            except BreakthroughError as error:
                self.close()
                why = str(error)
        return Graded(task.student, task.module, (), "", "", self.rules.tier, self.rules.seed_id, failure=why)

    def close(self) -> None:
        """End the warm process."""
        if self.nest is not None:
            self.nest.stop()
        self.nest = None

    def _warm(self, lab: Path) -> sandbox.Nest:
        if self.nest is None or self.lab != lab:
            self.close()
            self.nest = sandbox.Nest(grade.warm_modules(lab), grade.material(lab), sandboxed=self.rules.tier != sandbox.NONE)
            self.nest.start()
            self.lab = lab
        return self.nest


def run(
    cohort: Cohort, module: str, way: Way = Way(), *, students: Sequence[str] | None = None, again: bool = False,
    watch: Callable[[Graded, int], None] | None = None,
) -> Done:
    """Grade the submissions of a module that are not graded yet as they are now; with `again`, all of them.

    `watch` is told each result, and how many there are to come in all.

    Raises: InputError without a release, without submissions, without a sandbox, or for an unknown student
    """
    rules = rules_of(cohort, way)
    todo, before = _todo(cohort, module, rules, students, again)
    done = Done(before=before)
    with gradebook.GradebookWriter(cohort) as writer:
        done.finished = writer.finished
        for graded in results(todo, rules, way):
            if graded.failure:
                done.failed[graded.student] = graded.failure
            else:
                writer.write(graded)
                done.graded.append(replace(graded, outputs={}))
            if watch:
                watch(graded, len(todo))
    return done


def results(todo: Sequence[Task], rules: Rules, way: Way) -> Iterator[Graded]:
    """Each submission graded, as they come."""
    if way.workers > 1 or way.address:
        yield from _by_ray(todo, rules, way)
        return
    grader = Grader(rules)
    try:
        yield from map(grader.grade, todo)
    finally:
        grader.close()


def _by_ray(todo: Sequence[Task], rules: Rules, way: Way) -> Iterator[Graded]:
    from breakthrough.cluster import start_ray

    start_ray(way.workers, way.address)
    import ray

    # each a process of its own, which keeps its warm process; one that dies is started again with its task
    remote = ray.remote(num_cpus=1, max_restarts=TRIES, max_task_retries=TRIES)(Grader)
    graders: list[Any] = [remote.remote(rules) for _ in range(min(way.workers, len(todo)))]
    waiting = list(reversed(todo))
    running: dict[Any, tuple[Any, Task]] = {}

    def start(grader: Any) -> None:
        if waiting:
            task = waiting.pop()
            running[grader.grade.remote(task)] = (grader, task)

    try:
        for grader in graders * AHEAD:
            start(grader)
        while running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            grader, task = running.pop(ready)
            start(grader)
            try:
                yield ray.get(ready)
            except ray.exceptions.RayError as error:
                yield Graded(task.student, task.module, (), "", "", rules.tier, rules.seed_id, failure=str(error).splitlines()[0][:300])
    finally:
        for grader in graders:
            ray.kill(grader)


def rules_of(cohort: Cohort, way: Way) -> Rules:
    """How a cohort's submissions are graded on this machine.

    Raises: InputError without the cohort's seed, or without a sandbox
    """
    secret = seeds.seed_of(cohort)
    return Rules(secret, seeds.seed_id(secret), sandbox.require_sandbox(way.unsandboxed))


def lab_of(cohort: Cohort, module: str) -> Path:
    """The lab as it was released last.

    Raises: InputError when it was not
    """
    lab = cohort.release / module / f"{module}.ipynb"
    if not lab.is_file():
        raise InputError(expected(f"a release of {module}", "none", f"breakthrough cohort release {module}"))
    return lab


def _todo(cohort: Cohort, module: str, rules: Rules, students: Sequence[str] | None, again: bool) -> tuple[list[Task], list[str]]:
    """What is to be graded, and whose submission was graded before as it is now."""
    lab = lab_of(cohort, module)
    there = sorted(path.parent.name for path in (cohort.folder / "submitted").glob(f"*/{module}") if path.is_dir())
    unknown = sorted(set(students or ()) - set(there))
    if unknown or not there:
        raise InputError(expected(f"submissions of {module}", f"none of {', '.join(unknown)}" if unknown else "none", f"breakthrough cohort collect {module}"))
    released, todo, before = grade.hash_of(lab), [], []
    for student in students or there:
        task = Task(student, module, cohort.submitted(student, module), lab)
        record = gradebook.read_record(cohort.record(student, module))
        if record is not None and not again and _same(record, task, rules, released):
            before.append(student)
        else:
            todo.append(_as_before(cohort, task, record) if again and record is not None else task)
    return todo, before


def _same(record: Graded, task: Task, rules: Rules, released: str) -> bool:
    return (record.release_hash, record.seed_id) == (released, rules.seed_id) and record.submission_hash == grade.hash_of(task.submission)


def _as_before(cohort: Cohort, task: Task, record: Graded) -> Task:
    """The task with the release it was graded against, which is kept."""
    kept = cohort.released(task.module, record.release_hash)
    return replace(task, lab=kept) if kept.is_file() else task
