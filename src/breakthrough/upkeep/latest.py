"""Each dependency at its newest version, whatever pyproject.toml allows: what breaks, by room."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from breakthrough import files
from breakthrough.errors import unknown
from breakthrough.language import counted
from breakthrough.upkeep import index, lock, rooms
from breakthrough.upkeep.overlay import Overlay

FOLDER = "build/latest"


@dataclass(frozen=True)
class Newer:
    """A dependency that has a newer version than the one tested; why it cannot be installed, where it cannot."""

    name: str
    tested: Version
    newest: Version
    bound: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Trial:
    """An environment with newer packages, and what its tests did beside what they do with the tested versions."""

    tried: tuple[Newer, ...]
    packages: dict[str, tuple[str, str]]  # name → tested, now
    outcomes: tuple[rooms.Outcome, ...] = ()
    also_before: frozenset[str] = frozenset()
    conflicts: tuple[str, ...] = ()

    def broke(self, outcome: rooms.Outcome) -> bool:
        """Whether a room broke that is whole with the tested versions."""
        return bool(set(outcome.failed + outcome.errors) - self.also_before) or bool(outcome.died)

    @property
    def broken(self) -> bool:
        """Whether any room broke."""
        return any(self.broke(one) for one in self.outcomes)


def newer(project: Path, only: Sequence[str] = ()) -> list[Newer]:
    """The dependencies that have a newer version on the index than is installed; `NAME==VERSION` asks for one version.

    Raises: UnknownNameError for a name that pyproject.toml does not list
    """
    listed = {canonicalize_name(one.name): one for one in lock.wanted(project)}
    asked = {canonicalize_name(name): version for name, _, version in (one.partition("==") for one in only)}
    for name in asked:
        if name not in listed:
            raise unknown("dependency", name, listed)
    found = []
    for name in asked or listed:
        tested = Version(Version(metadata.version(name)).public)
        best = Version(asked[name]) if asked.get(name) else index.newest(name, SpecifierSet())
        if best > tested or asked.get(name):
            found.append(Newer(name, tested, best, str(listed[name].specifier)))
    return found


def attempt(project: Path, some: Sequence[Newer], only_rooms: Sequence[str], more: Sequence[str], tell: Callable[[str], None]) -> Trial:
    """Install newer packages into an environment of its own, one after another, and run the rooms they touch."""
    folder = project / FOLDER / ("together" if len(some) > 1 else some[0].name)
    overlay = Overlay(folder / "venv")
    tried = []
    for one in some:
        refused = overlay.install(f"{one.name}=={one.newest}")
        tell(f"{one.name} {one.tested} → {one.newest}" + (f": cannot be installed ({refused})" if refused else ""))
        tried.append(Newer(one.name, one.tested, one.newest, one.bound, refused))
    now = overlay.installed()
    packages = {name: (_here(name), version) for name, version in now.items()}
    if not now:
        return Trial(tuple(tried), {})
    outcomes, before = [], set()
    for room in [room for room in rooms.touched(project, now) if not only_rooms or room in only_rooms]:
        outcome = rooms.run(project, overlay.python, room, folder, more=more)
        tell(f"  {room}: {outcome.passed} passed, {len(outcome.failed)} failed, {counted(len(outcome.errors), 'error')}{f', {outcome.died}' if outcome.died else ''}")
        outcomes.append(outcome)
        wrong = outcome.failed + outcome.errors
        if wrong:
            again = rooms.run(project, Path(sys.executable), room, folder / "tested", wrong, more)
            before |= {*again.failed, *again.errors}
    return Trial(tuple(tried), packages, tuple(outcomes), frozenset(before), tuple(overlay.conflicts(now)))


def _here(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "–"


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(one).replace("|", "\\|").replace("\n", " ") for one in cells) + " |"


def page(trials: Sequence[Trial]) -> str:
    """The report: what was tried, and a row for each room that ran."""
    lines = ["# The newest versions", "", _row("package", "tested", "newest", "pyproject.toml says", "installed"), "|---|---|---|---|---|"]
    lines += [_row(one.name, one.tested, one.newest, one.bound or "any", f"no: {one.refused}" if one.refused else "yes") for trial in trials for one in trial.tried]
    lines += ["", _row("room", "versions that differ", "passed", "failed", "errors", "broke", "first error"), "|---|---|---|---|---|---|---|"]
    for trial in trials:
        differ = ", ".join(f"{name} {was} → {now}" for name, (was, now) in sorted(trial.packages.items()) if was != now)
        for one in trial.outcomes:
            broke = one.died or ("yes" if trial.broke(one) else "fails with the tested versions too" if one.broken else "no")
            lines.append(_row(one.room, differ, one.passed, len(one.failed), len(one.errors), broke, one.first[:300]))
    conflicts = [line for trial in trials for line in trial.conflicts]
    lines += ["", "## What pip says does not fit", "", *(f"- {line}" for line in conflicts)] if conflicts else []
    return "\n".join(lines) + "\n"


def latest(
    project: Path, only: Sequence[str], only_rooms: Sequence[str], more: Sequence[str], apart: bool, tell: Callable[[str], None]
) -> tuple[Path, bool]:
    """Try the newest versions, write the report; its path, and whether something broke."""
    for room in only_rooms:
        if room not in rooms.rooms(project):
            raise unknown("room", room, rooms.rooms(project))
    some = newer(project, only)
    groups = [[one] for one in some] if apart else [some] if some else []
    trials = []
    target = project / FOLDER / "report.md"
    for group in groups:
        trials.append(attempt(project, group, only_rooms, more, tell))
        files.write_text(target, page(trials))
    if not trials:
        files.write_text(target, "# The newest versions\n\nEvery dependency is at its newest version.\n")
    return target, any(trial.broken for trial in trials)
