"""What there is to run, and where it goes: build/run/<profile>."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakthrough import artifacts, devices, events, learner
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import ConfigError, expected

# a notebook that hangs must end some time; far above what a profile may take
LIMIT_S = {"tiny": 600, "quick": 3600, "full": 12 * 3600}


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
    def takes(self) -> tuple[str, ...]:
        """The kinds of artifacts that it takes from other labs: a lesson makes all that it shows."""
        return self.module.takes if self.kind == "lab" else ()

    @property
    def early(self) -> bool:
        """Whether it is so long that it should begin before others."""
        return self.kind in self.module.early

    @property
    def of(self) -> float:
        """The points its exercises carry."""
        return getattr(self.module.points, self.kind)

    @property
    def exercises(self) -> tuple[str, ...]:
        """The exercises that count here: questions in a lesson, the others in a lab."""
        return self.module.questions if self.kind == "lesson" else self.module.exercises


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

    def givers(self, task: Task) -> list[Task]:
        """The labs of other modules whose artifacts this notebook takes."""
        return [one for one in self.tasks() if one.kind == "lab" and one.module != task.module and set(one.module.gives) & set(task.takes)]


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
