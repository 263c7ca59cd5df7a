"""Which notebooks to run since a git revision: those whose inputs are not what they were."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from breakthrough.course import inputs, syllabus
from breakthrough.course.inputs import Checkout
from breakthrough.course.plan import Plan, Task
from breakthrough.errors import ConfigError, InputError, expected

PARTS = ("course.yml", "pyproject.toml", "notebooks", "solutions", "src")
SHOWN = 2  # names of changed inputs, and how many more there are


@dataclass(frozen=True)
class Decision:
    """Whether a notebook is to run, and why."""

    task: Task
    changed: tuple[str, ...] = ()
    takes: str = ""  # what it takes from a lab that changed

    @property
    def runs(self) -> bool:
        """Whether anything that it depends on changed."""
        return bool(self.changed or self.takes)

    def line(self) -> str:
        """The one line of a notebook: what changed, or that nothing did."""
        more = f" and {len(self.changed) - SHOWN} more" if len(self.changed) > SHOWN else ""
        why = f"changed: {', '.join(self.changed[:SHOWN])}{more}" if self.changed else self.takes
        return f"{self.task.name:<18} {'runs    ' if self.runs else 'stays   '} {why or 'nothing it depends on changed'}"


def decide(plan: Plan, tasks: Sequence[Task], revision: str) -> list[Decision]:
    """For each task, whether its inputs in the working tree differ from those at a revision.

    What a lab gives counts as changed when the lab's own inputs are. Packages count by what pyproject.toml asks for.

    Raises: InputError without git, outside a checkout, and for a revision that this clone has not
    """
    now = Checkout(plan.course, _library(plan.course.root))
    with checked_out(plan.course.root, revision) as folder:
        try:
            before = Checkout(syllabus.load(folder), _library(folder))
        except ConfigError:  # none there yet, or one that this version cannot read
            return [Decision(task, (f"course.yml, unreadable at {revision}",)) for task in tasks]
        old = replace(plan, course=before.course)
        known = {task.name: _facts(before, task) for task in old.tasks()}
        changed = {task.name: _differing(known.get(task.name), _facts(now, task)) for task in plan.tasks()}
    return [Decision(task, changed[task.name], _from_givers(plan, task, changed)) for task in tasks]


@contextmanager
def checked_out(root: Path, revision: str) -> Iterator[Path]:
    """What the inputs of notebooks were at a revision, in a folder that is removed at the end.

    Raises: InputError without git, outside a checkout, and for a revision that this clone has not
    """
    found = commit(root, revision)
    there = set(_git(root, "ls-tree", "--name-only", found).splitlines()) & set(PARTS)
    with tempfile.TemporaryDirectory(prefix="breakthrough-revision-") as scratch:
        folder = Path(scratch).resolve()
        if there:
            with tarfile.open(fileobj=io.BytesIO(_said(root, "archive", "--format=tar", found, *sorted(there)).stdout)) as packed:
                packed.extractall(folder, filter="data")
        yield folder


def commit(root: Path, revision: str) -> str:
    """The commit that a revision names.

    Raises: InputError without git, outside a checkout, and for a revision that this clone has not
    """
    _git(root, "rev-parse", "--show-toplevel")
    done = _said(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.decode().strip()
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise InputError(expected("a git revision that this clone has", f"{revision!r}, and the clone is shallow",
                                  f"git fetch --depth=1 origin {revision}, or a clone with its history (GitHub: fetch-depth: 0; GitLab: GIT_DEPTH: 0)"))
    raise InputError(expected("a git revision", repr(revision), "origin/main, HEAD~1 or a commit's hash"))


def _git(root: Path, *arguments: str) -> str:
    done = _said(root, *arguments)
    if done.returncode:
        why = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[0]
        raise InputError(expected(f"a git checkout at {root}", why, "running without --changed-since"))
    return done.stdout.decode()


def _said(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True)
    except OSError as error:
        raise InputError(expected("git, to see what changed", error.strerror or "none", "installing git, or running without --changed-since")) from None


def _library(root: Path) -> Path:
    own = root / "src" / inputs.PACKAGE
    return own if own.is_dir() else inputs.HOME


def _facts(checkout: Checkout, task: Task) -> dict[str, str]:
    wanted = checkout.requirements
    names = {name for package in checkout.reached(task).packages for name in inputs.distributions().get(package, ())}
    return checkout.of(task) | {f"pyproject.toml: {name}": wanted[name] for name in names & wanted.keys()}


def _differing(before: dict[str, str] | None, now: dict[str, str]) -> tuple[str, ...]:
    if before is None:
        return ("the notebook is new",)
    return tuple(sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)))


def _from_givers(plan: Plan, task: Task, changed: dict[str, tuple[str, ...]]) -> str:
    for giver in plan.givers(task):
        kinds = " and ".join(sorted(set(giver.module.gives) & set(task.takes)))
        if changed[giver.name] or _from_givers(plan, giver, changed):
            return f"takes {kinds} from {giver.name}, which changed"
    return ""
