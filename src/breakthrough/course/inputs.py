"""What the result of a notebook depends on, each thing by its name: one hash over all of it is the result's key.

The notebook, what course.yml says of its module, the files of the library that it reaches, the packages
they import, what executes it, the settings, and the content of the artifacts that it takes.
"""

from __future__ import annotations

import ast
import platform
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

import breakthrough
from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.course import doctor, notebooks
from breakthrough.course.plan import Plan, Task
from breakthrough.course.schema import Module, Syllabus
from breakthrough.course.sources import PACKAGE, Library, Reached, named
from breakthrough.digests import digest_of
from breakthrough.errors import ArtifactError

HOME = Path(breakthrough.__file__).parent
EXECUTES = ("course/execution.py", "course/notebooks.py")
WHOLE = "course/progress.py"  # whoever reaches it reads all of course.yml; a lab that records a claim, the claims
CLAIMS = "course/claims.py"
STAFF = "the staff's"


class Checkout:
    """One state of the course and of the library: by default the library that is imported here."""

    def __init__(self, course: Syllabus, home: Path = HOME) -> None:
        self.course, self.home = course, home
        self._library = Library(home)
        self._hashes: dict[Path, str] = {}
        self._reached: dict[tuple[Path, tuple[str, ...]], Reached] = {}

    def of(self, task: Task, staff: Iterable[str] = ()) -> dict[str, str]:
        """The hash of each file and entry that a task depends on, by name; with the makers of these staff artifacts."""
        reached = self.reached(task, staff)
        found = {self._name(path): self._hash(path) for path in (*reached.files, *(self.home / name for name in EXECUTES))}
        found[task.source.relative_to(self.course.root).as_posix()] = self._hash(task.source)
        found[f"course.yml: {task.module.id}"] = digest_of(_entry(task.module))
        if self.home / WHOLE in reached.files:
            found["course.yml"] = self._hash(self.course.root / "course.yml")
        elif self.home / CLAIMS in reached.files:
            found["course.yml: claims"] = digest_of([claim.model_dump(mode="json") for claim in self.course.claims])
        return found

    def reached(self, task: Task, staff: Iterable[str] = ()) -> Reached:
        """The files and packages that a notebook, its exercises, and the makers of these staff artifacts reach."""
        made = tuple(sorted(staff))
        if (task.source, made) not in self._reached:
            names = set(_imported(task.source)) | {_bank(exercise) for exercise in task.exercises}
            builders = artifacts.staff_builders() if made else {}
            names |= {builders[kind].value.partition(":")[0] for kind in made if kind in builders}
            self._reached[task.source, made] = self._library.reached(names)
        return self._reached[task.source, made]

    @cached_property
    def requirements(self) -> dict[str, str]:
        """What pyproject.toml asks of each package, by its plain name; nothing when there is none."""
        from packaging.requirements import Requirement

        try:
            project = tomllib.loads((self.course.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        except (OSError, ValueError, KeyError):
            return {}
        lines = [*project.get("dependencies", ()), *(line for extra in project.get("optional-dependencies", {}).values() for line in extra)]
        return {plain(Requirement(line).name): line for line in lines}

    def _name(self, path: Path) -> str:
        inside = path.is_relative_to(self.course.root)
        return path.relative_to(self.course.root if inside else self.home.parent).as_posix()

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = artifacts.sha256(path) if path.is_file() else "missing"
        return self._hashes[path]


def key(plan: Plan, task: Task, checkout: Checkout) -> str:
    """The hash of all that a result depends on, as it stands now: givers that run before it have to be done."""
    taken = {kind: taken_digest(plan, kind) for kind in task.takes}
    staff = list(_staff_behind(plan, [kind for kind, digest in taken.items() if digest == STAFF]))
    facts = checkout.of(task, staff)
    facts |= {f"package {name}": installed for name, installed in _versions(checkout.reached(task, staff).packages)}
    facts |= {f"takes {kind}": digest for kind, digest in taken.items()}
    facts |= {"profile": plan.profile, "seed": str(plan.seed), "device": _device(plan.device), "python": platform.python_version()}
    return digest_of(facts)


def newest(plan: Plan, kind: str) -> Artifact | None:
    """The artifact that a notebook of this plan would take, as its manifest says; None when there is no whole one."""
    for folder in sorted((plan.folder / artifacts.FOLDER / kind).glob("[0-9]*"), reverse=True):
        try:
            return artifacts.read_manifest(folder)
        except ArtifactError:
            continue
    return None


def taken_digest(plan: Plan, kind: str) -> str:
    """The content of the artifact that a notebook would take; the staff's is made when there is none of a lab's."""
    found = newest(plan, kind)
    return STAFF if found is None or found.staff else found.digest


def plain(name: str) -> str:
    """The name of a distribution, however it is written."""
    return name.lower().replace("_", "-").replace(".", "-")


@cache
def distributions() -> dict[str, list[str]]:
    """The installed distributions that bring a top-level package, by its name."""
    return {name: sorted({plain(one) for one in owners}) for name, owners in packages_distributions().items()}


def _staff_behind(plan: Plan, kinds: Iterable[str]) -> Iterator[str]:
    """The kinds, and those that their makers take where no lab has given them."""
    for kind in kinds:
        yield kind
        for module in plan.course.built:
            if kind in module.gives:
                yield from _staff_behind(plan, module.takes)


def _versions(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        for name in distributions().get(package, ()):
            try:
                yield name, version(name)
            except PackageNotFoundError:
                continue


@cache
def _device(choice: str) -> str:
    card = doctor.gpu() if choice != "cpu" else None
    return f"{choice} ({card})" if card else choice


def _imported(source: Path) -> Iterator[str]:
    if not source.is_file():
        return
    for cell in notebooks.code_cells(notebooks.read(source)):
        try:
            yield from named(ast.parse(notebooks.python(cell["source"])))[0]
        except SyntaxError:  # it fails when it runs, and says so there
            continue


def _bank(exercise: str) -> str:
    return f"{PACKAGE}.exercises.{exercise.partition('.')[0]}"  # loaded by name, where it is checked


def _entry(module: Module) -> dict:
    return module.model_dump(mode="json", include={"exercises", "questions", "points", "takes", "gives"})
