"""Running the course: every lesson and every solved lab, those at once that may; state in build/run/<profile>."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from breakthrough import artifacts, devices, events, files
from breakthrough.course import doctor, inputs, lanes, notebooks, results
from breakthrough.course.plan import LIMIT_S, Plan, Task, apart, validate_profile
from breakthrough.course.results import RESULTS, Result, load_results
from breakthrough.course.schema import Module

__all__ = ["ENVIRONMENT", "LIMIT_S", "RESULTS", "Plan", "Result", "Task", "Watcher", "apart", "count_cells", "load_results", "run", "validate_profile"]

ENVIRONMENT = "environment.json"


class Watcher:
    """What a run tells while it goes; does nothing until a method is overridden."""

    def begin(self, task: Task, cells: int) -> None:
        """A notebook begins."""

    def cell(self, task: Task, index: int, name: str) -> None:
        """A cell begins, counted from 0; its id is its name."""

    def end(self, task: Task, result: Result) -> None:
        """A notebook ended."""


def run(plan: Plan, modules: Sequence[Module] | None = None, *, resume: bool = False, watcher: Watcher | None = None,
        jobs: int = 1, only: Collection[str] | None = None) -> list[Result]:
    """Execute notebooks; one that fails does not hide the rest. Results come in course order, however they ended.

    Results are kept after every notebook, beside those of others that were not asked for. `only` are names
    of tasks; `jobs` is how many run at a time, those apart that measure time.

    Raises: ConfigError for `cuda` on a machine without it
    """
    if plan.device == "cuda":
        devices.choose(plan.device)
    if not resume and modules is None and only is None:
        shutil.rmtree(plan.folder, ignore_errors=True)
    tasks = [task for task in plan.tasks(modules) if only is None or task.name in only]
    _write_environment(plan, jobs)
    going = _Going(plan, watcher or Watcher(), resume, jobs)
    lanes.run(plan, tasks, jobs, going.begin, going.end, going.kernels)
    return [going.results[task.name] for task in tasks]


class _Going:
    """A run that goes on: what begins, what ended."""

    def __init__(self, plan: Plan, watcher: Watcher, resume: bool, jobs: int) -> None:
        self.plan, self.watcher, self.jobs = plan, watcher, jobs
        self.before = load_results(plan) if resume else {}
        self.checkout, self.kernels = inputs.Checkout(plan.course), lanes.Kernels()
        self.results: dict[str, Result] = {}
        self.turns = lanes.Turns()

    def begin(self, task: Task) -> Callable[[], None] | None:
        """The work of a task; None when its result is there."""
        key = inputs.key(self.plan, task, self.checkout)
        self.watcher.begin(task, count_cells(task.source))
        resumed = _resumed(self.plan, task, self.before.get(task.name), key)
        if resumed is not None:
            self.results[task.name] = resumed
            return None
        environment = self.plan.environment() | lanes.share(self.jobs)

        def work() -> None:
            with lanes.Lane(self.turns, notebooks.tagged(task.source, "quiet")) as lane:

                def on_cell(index: int, name: str) -> None:
                    lane.cell(name)
                    self.watcher.cell(task, index, name)

                self.results[task.name] = _execute(self.plan, task, key, environment, on_kernel=self.kernels.add, on_cell=on_cell)

        return work

    def end(self, task: Task) -> None:
        """Keep and tell the result of a task."""
        results.keep(self.plan, self.results[task.name])
        self.watcher.end(task, self.results[task.name])


def given(plan: Plan, task: Task) -> dict[str, str]:
    """The artifacts that a lab has left for other modules: their ids, by kind."""
    found = {kind: inputs.newest(plan, kind) for kind in task.module.gives if task.kind == "lab"}
    return {kind: one.id for kind, one in found.items() if one is not None and not one.staff}


def _resumed(plan: Plan, task: Task, before: Result | None, key: str) -> Result | None:
    if before is None or not before.whole or before.key != key or not task.target.is_file():
        return None
    if artifacts.sha256(task.target) != before.output_sha256 or not _still_there(plan, before.gives):
        return None
    return replace(before, resumed=True)


def _still_there(plan: Plan, gives: Mapping[str, str]) -> bool:
    """Whether what a lab left for others is there whole."""
    for kind, name in gives.items():
        try:
            artifacts.load(plan.folder / artifacts.FOLDER / kind / name)
        except artifacts.ArtifactError:
            return False
    return True


def _execute(plan: Plan, task: Task, key: str, environment: Mapping[str, str], **told: Any) -> Result:
    if not task.source.is_file():
        error = f"no file {task.source.relative_to(plan.course.root)}"
        return Result(task.name, task.module.id, task.kind, "missing", 0.0, 0.0, task.of, error=error, key=key)
    from breakthrough.course import execution  # papermill: a second to import

    outcome = execution.execute(
        task.source, task.target, parameters={"PROFILE": plan.profile, "SEED": plan.seed},
        environment=environment, limit_s=LIMIT_S[plan.profile], fill_answers=task.kind == "lesson", **told,
    )
    events.append("run", plan.log, notebook=task.name, status=outcome.status, seconds=outcome.seconds)
    executed = notebooks.read(task.target)
    checks = notebooks.checks(executed)
    lost = [name for name in task.exercises if checks.get(name, {}).get("status") != "passed"]
    short = outcome.status == "passed" and lost
    return Result(
        task.name, task.module.id, task.kind, "short" if short else outcome.status, outcome.seconds,
        points=sum(checks[name]["points"] for name in task.exercises if name in checks), of=task.of, checks=checks,
        claims=notebooks.claims(executed), error=f"not passed: {', '.join(lost)}" if short else outcome.error,
        key=key, output_sha256=artifacts.sha256(task.target), peak_bytes=outcome.peak_bytes, cpu_s=outcome.cpu_s,
        gives=given(plan, task),
    )


def _write_environment(plan: Plan, jobs: int) -> None:
    facts = doctor.facts(plan.device) | {"profile": plan.profile, "seed": plan.seed, "notebooks at a time": jobs}
    files.write_text(plan.folder / ENVIRONMENT, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def count_cells(source: Path) -> int:
    """How many cells an execution goes through: those of the file, and the parameters that are injected."""
    return len(notebooks.read(source)["cells"]) + 1 if source.is_file() else 0
