"""Running the course: every lesson, then every solved lab, in order; state in build/run/<profile>."""

from __future__ import annotations

import difflib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from breakthrough import artifacts, devices, events, files, learner
from breakthrough.course import doctor, notebooks
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import ConfigError, expected

# a notebook that hangs must end some time; far above what a profile may take
LIMIT_S = {"tiny": 600, "quick": 3600, "full": 12 * 3600}
RESULTS, ENVIRONMENT = "results.json", "environment.json"


@dataclass(frozen=True)
class Task:
    """One notebook to execute."""

    module: Module
    kind: str  # lesson or lab
    source: Path
    target: Path

    @property
    def name(self) -> str:
        """What lines and reports call it: `01_moe lab`."""
        return f"{self.module.id} {self.kind}"

    @property
    def of(self) -> float:
        """The points its exercises carry."""
        return getattr(self.module.points, self.kind)

    @property
    def exercises(self) -> tuple[str, ...]:
        """The exercises that count here: questions in a lesson, the others in a lab."""
        return self.module.questions if self.kind == "lesson" else self.module.exercises


@dataclass(frozen=True)
class Result:
    """What one executed notebook gave.

    Units: `points` earned out of `of`; `seconds` of wall time; `key` is the hash of all inputs;
           `peak_bytes` is the most that the kernel and the processes it started held, as `memory.Peak` has it
    """

    name: str
    module: str
    kind: str
    status: str  # passed, short (of points), failed, timeout, missing
    seconds: float
    points: float
    of: float
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: str | None = None
    key: str = ""
    output_sha256: str = ""
    resumed: bool = False
    peak_bytes: int = 0

    @property
    def whole(self) -> bool:
        """Whether it ran to its end and earned every point."""
        return self.status == "passed"

    def line(self) -> str:
        """The one line of a notebook: seconds, points, claims, and what went wrong."""
        mark = "ok" if self.whole else "FAILED"
        parts = [f"{self.name:<18} {mark:<6} {self.seconds:7.1f} s {self.peak_bytes / 2**20:6.0f} MiB  {self.points:g}/{self.of:g} points"]
        if self.claims:
            parts.append("claims " + ", ".join(f"{name}: {c['verdict']}" for name, c in sorted(self.claims.items())))
        if self.resumed:
            parts.append("unchanged")
        if self.error:
            parts.append(self.error)
        return "  ".join(parts)


@dataclass(frozen=True)
class Plan:
    """What to run, and how."""

    course: Syllabus
    profile: str = "quick"
    device: str = "auto"
    seed: int = 0
    build: Path | None = None  # build/ of the project unless given

    def __post_init__(self) -> None:
        validate_profile(self.profile)
        _validate_choice("device", self.device, devices.CHOICES)

    @property
    def folder(self) -> Path:
        """Where executed notebooks, log, artifacts and results of this profile lie."""
        return (self.build or self.course.root / "build") / "run" / self.profile

    @property
    def log(self) -> Path:
        """The folder of the run's own event log."""
        return self.folder / "progress"

    def tasks(self, modules: Sequence[Module] | None = None) -> list[Task]:
        """The notebooks of these modules, of all that are built when none is given, in course order."""
        chosen = [m for m in self.course.built if modules is None or m in modules]
        return [task for module in chosen for task in self._of_module(module)]

    def _of_module(self, module: Module) -> Iterator[Task]:
        lesson = self.course.lesson(module)
        yield Task(module, "lesson", lesson, self.folder / "notebooks" / lesson.name)
        if module.has_lab:
            lab = self.course.solution(module)
            yield Task(module, "lab", lab, self.folder / "solutions" / lab.name)

    def environment(self) -> dict[str, str]:
        """The variables that keep a learner's own log and artifacts untouched by a run, and its questions the standard ones."""
        return {devices.VARIABLE: self.device, **apart(self.folder)}


class Watcher:
    """What a run tells while it goes; does nothing until a method is overridden."""

    def begin(self, task: Task, cells: int) -> None:
        """A notebook begins."""

    def cell(self, task: Task, index: int, name: str) -> None:
        """A cell begins, counted from 0; its id is its name."""

    def end(self, task: Task, result: Result) -> None:
        """A notebook ended."""


def run(plan: Plan, modules: Sequence[Module] | None = None, *, resume: bool = False,
        watcher: Watcher | None = None) -> list[Result]:
    """Execute the notebooks one by one; one that fails does not hide the rest.

    Results are kept after every notebook, beside those of modules that were not asked for.
    """
    tasks, watch = plan.tasks(modules), watcher or Watcher()
    before = load_results(plan)
    if not resume and modules is None:
        shutil.rmtree(plan.folder, ignore_errors=True)
    results, library = [], library_hash()
    _write(plan.folder / ENVIRONMENT, doctor.facts(plan.device) | {"profile": plan.profile, "seed": plan.seed})
    for task in tasks:
        key = input_key(plan, task, library)
        result = _resumed(task, before.get(task.name), key) if resume else None
        watch.begin(task, count_cells(task.source))
        result = result or _execute(plan, task, key, lambda index, name, task=task: watch.cell(task, index, name))
        _keep(plan, result)
        results.append(result)
        watch.end(task, result)
    return results


def apart(folder: Path | str) -> dict[str, str]:
    """The variables that keep log and artifacts in a folder, apart from the learner's own, and ask the standard questions."""
    return {events.VARIABLE: f"{folder}/progress", artifacts.VARIABLE: f"{folder}/artifacts", learner.VARIABLE: learner.STANDARD}


def validate_profile(name: str) -> None:
    """Raise unless there is a profile of this name.

    Raises: ConfigError with the nearest one
    """
    _validate_choice("profile", name, LIMIT_S)


def _validate_choice(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(expected(f"a {what} out of {', '.join(known)}", repr(name), near[0] if near else None))


def load_results(plan: Plan) -> dict[str, Result]:
    """The kept results of a profile, by name, in course order; a damaged file counts as none."""
    try:
        kept = json.loads((plan.folder / RESULTS).read_text())
        found = {name: Result(**record) for name, record in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {task.name: found[task.name] for task in plan.tasks() if task.name in found}


def input_key(plan: Plan, task: Task, library: str) -> str:
    """The hash of all that the result depends on: notebook, library, profile, device, seed, givers.

    Givers are the labs whose artifacts the module takes.
    """
    source = artifacts.sha256(task.source) if task.source.is_file() else "missing"
    parts = [source, library, plan.profile, plan.device, str(plan.seed)]
    before = [other for other in plan.tasks() if other.kind == "lab" and other.module != task.module]
    parts += [input_key(plan, other, library) for other in before if set(other.module.gives) & set(task.module.takes)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def library_hash() -> str:
    """The hash of the library's own sources."""
    home = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        digest.update(f"{path.relative_to(home)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _resumed(task: Task, before: Result | None, key: str) -> Result | None:
    if before is None or not before.whole or before.key != key or not task.target.is_file():
        return None
    if artifacts.sha256(task.target) != before.output_sha256:
        return None
    return Result(**{**asdict(before), "resumed": True})


def _execute(plan: Plan, task: Task, key: str, on_cell: Callable[[int, str], None]) -> Result:
    if not task.source.is_file():
        error = f"no file {task.source.relative_to(plan.course.root)}"
        return Result(task.name, task.module.id, task.kind, "missing", 0.0, 0.0, task.of, error=error, key=key)
    from breakthrough.course import execution  # papermill: a second to import

    with execution.environ(**plan.environment()):
        outcome = execution.execute(
            task.source, task.target, parameters={"PROFILE": plan.profile, "SEED": plan.seed},
            environment=plan.environment(), limit_s=LIMIT_S[plan.profile],
            fill_answers=task.kind == "lesson", on_cell=on_cell,
        )
        events.append("run", notebook=task.name, status=outcome.status, seconds=outcome.seconds)
    executed = notebooks.read(task.target)
    checks = notebooks.checks(executed)
    lost = [name for name in task.exercises if checks.get(name, {}).get("status") != "passed"]
    short = outcome.status == "passed" and lost
    return Result(
        task.name, task.module.id, task.kind, "short" if short else outcome.status, outcome.seconds,
        points=sum(checks[name]["points"] for name in task.exercises if name in checks), of=task.of, checks=checks,
        claims=notebooks.claims(executed), error=f"not passed: {', '.join(lost)}" if short else outcome.error,
        key=key, output_sha256=artifacts.sha256(task.target), peak_bytes=outcome.peak_bytes,
    )


def _keep(plan: Plan, result: Result) -> None:
    kept = {name: asdict(other) for name, other in load_results(plan).items()}
    kept[result.name] = asdict(result)
    _write(plan.folder / RESULTS, kept)


def _write(path: Path, data: Any) -> None:
    files.write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def count_cells(source: Path) -> int:
    """How many cells an execution goes through: those of the file, and the parameters that are injected."""
    return len(notebooks.read(source)["cells"]) + 1 if source.is_file() else 0
