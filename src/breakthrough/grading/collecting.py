"""Collecting submissions: from nbgrader's exchange, a folder or a platform's zip, into nbgrader's folders."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from breakthrough import artifacts, events, files
from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config, exchange, identity, intake, students
from breakthrough.grading.cohort import Cohort
from breakthrough.grading.identity import Label
from breakthrough.grading.intake import LIMITS, Entry
from breakthrough.grading.students import Student

TIMESTAMP = "%Y-%m-%d %H:%M:%S.%f UTC"  # as nbgrader writes it
HANDED_IN = (".ipynb", ".zip")
STAMP, SECRET = "timestamp.txt", "submission_secret.txt"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Package:
    """What one submitter handed in at once: its files, and nbgrader's secret when it came through the exchange.

    Units: `time_s` is seconds since 1970
    """

    label: Label
    time_s: float
    files: tuple[Entry, ...]
    secret: str = ""
    note: str = ""


@dataclass(frozen=True)
class Collected:
    """What became of one package: collected, updated, kept (another is there), or refused with the reason."""

    label: str
    student: str
    state: str
    why: str = ""

    def line(self) -> str:
        """What the command prints."""
        return f"{self.state}: {self.student or self.label}" + (f" ({self.why})" if self.why else "")


def collect(cohort: Cohort, module: str, source: Path | None = None, *, update: bool = False) -> list[Collected]:
    """Collect the newest submission of every student; from the exchange unless there is a source.

    Raises: InputError when the source is no folder and no zip, or there is no exchange
    """
    config = course_config.read_config(cohort)
    with course_config.gradebook(cohort, config) as gradebook:
        known = students.of(gradebook)
    with ExitStack() as stack:
        if source is None:
            packages = [_from_exchange(one, stack) for one in exchange.inbound(cohort, config, module)]
        else:
            packages = list(_packages(stack.enter_context(intake.opened(source)), source, known, module))
        return list(_take(cohort, module, packages, known, update, from_exchange=source is None))


def _take(cohort: Cohort, module: str, packages: Sequence[Package], known: Sequence[Student], update: bool, *,
          from_exchange: bool) -> Iterator[Collected]:
    newest: dict[str, Package] = {}
    for package in packages:
        # who could write into the exchange has an account: nbgrader adds such a student, a file's name is no proof
        found = Student(package.label.name) if from_exchange else identity.find(package.label, known)
        if isinstance(found, str):
            yield Collected(package.label.text, "", "unmatched", found)
        elif found.id not in newest or _order(package) > _order(newest[found.id]):
            newest[found.id] = package
    for student, package in sorted(newest.items()):
        try:
            yield _store(cohort, module, student, package, update)
        except InputError as error:
            yield Collected(package.label.text, student, "refused", str(error))


def _from_exchange(found: exchange.Inbound, stack: ExitStack) -> Package:
    entries = (entry for entry in stack.enter_context(intake.opened(found.folder)) if entry.parts not in ((STAMP,), (SECRET,)))
    return Package(Label(found.student, found.student), found.time_s, tuple(entries), found.secret, exchange.owner_note(found))


def _order(package: Package) -> tuple[float, int]:
    return package.time_s, package.label.attempt


def _store(cohort: Cohort, module: str, student: str, package: Package, update: bool) -> Collected:
    target = cohort.submitted(student, module)
    before = _collected_s(target)
    if before is not None and not update:
        return Collected(package.label.text, student, "kept", "--update takes a newer one")
    if before is not None and before >= round(package.time_s, 6):
        return Collected(package.label.text, student, "kept", "it is the newest")
    with ExitStack() as stack:
        content, left_out = _content(module, _unpacked(package.files, stack))
    with files.folder_aside(target) as folder:
        for name, data in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        stamp = datetime.fromtimestamp(package.time_s, UTC).strftime(TIMESTAMP)
        (folder / STAMP).write_text(stamp, encoding="utf-8")
        # nbgrader's feedback is fetched by it; without the exchange nobody knows it
        (folder / SECRET).write_text(package.secret or secrets.token_hex(64), encoding="utf-8")
    note = ", ".join(filter(None, (package.note, f"{left_out} other files left out" if left_out else "")))
    return Collected(package.label.text, student, "collected" if before is None else "updated", note)


def _unpacked(entries: Iterable[Entry], stack: ExitStack) -> list[Entry]:
    """The files, with those of a zip in the place of the zip when there is no notebook beside it."""
    listed = list(entries)
    zips = [entry for entry in listed if entry.suffix == ".zip"]
    if any(entry.suffix == ".ipynb" for entry in listed) or len(zips) != 1:
        return listed
    inside = stack.enter_context(intake.opened_inside(zips[0]))
    return [entry for entry in listed if entry is not zips[0]] + inside


def _content(module: str, entries: Sequence[Entry]) -> tuple[dict[str, bytes], int]:
    """What is kept of a submission, by its name in the folder; and how many files are not.

    Raises: InputError without one notebook, and for too many files or bytes, links and paths that lead out
    """
    if len(entries) > LIMITS.files:
        raise InputError(expected(f"at most {LIMITS.files} files", len(entries)))
    for entry in entries:
        if entry.fault:
            raise InputError(expected("plain files", f"{entry.fault}: {'/'.join(entry.parts)[:80]!r}"))
    notebook = _notebook(module, entries)
    content = {f"{module}.ipynb": notebook.read(LIMITS.notebook_bytes)}
    left, depth = LIMITS.bytes_ - len(content[f"{module}.ipynb"]), len(notebook.parts) - 1
    for entry in entries:
        name = _kept(entry.below(depth).parts) if entry.parts[:depth] == notebook.parts[:depth] else None
        if name is None or name in content:
            continue
        content[name] = entry.read(left)
        left -= len(content[name])
    return content, len(entries) - len(content)


def _notebook(module: str, entries: Sequence[Entry]) -> Entry:
    found = [entry for entry in entries if entry.suffix == ".ipynb"]
    exact = [entry for entry in found if entry.parts[-1] == f"{module}.ipynb"]
    near = [entry for entry in found if module in entry.parts[-1]]
    for some in (exact, near, found):  # a browser or a platform may have renamed it
        if len(some) == 1:
            return some[0]
    names = ", ".join("/".join(entry.parts)[:60] for entry in found[:5])
    raise InputError(expected(f"one notebook, {module}.ipynb", names or "none"))


def _kept(parts: tuple[str, ...]) -> str | None:
    """The name under which a file beside the notebook is kept: the log, and files of artifacts."""
    if parts == (events.FILE,):
        return events.FILE
    plain = all(_NAME.fullmatch(part) for part in parts)
    if plain and 4 <= len(parts) <= 8 and parts[0] == artifacts.FOLDER and Path(parts[-1]).suffix in artifacts.SUFFIXES:
        return "/".join(parts)
    return None


def _packages(entries: Sequence[Entry], source: Path, known: Sequence[Student], module: str) -> Iterator[Package]:
    """The files by submitter: the first part of their path names one."""
    entries = _without_wrapper(entries, known)
    if _alone(entries, module):  # one submission by itself: its own name says whose
        label = identity.label_of(source.name, folder=source.is_dir())
        yield Package(label, source.stat().st_mtime, tuple(entries))
        return
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if len(entry.parts) > 1 or entry.suffix in HANDED_IN:  # a flat archive: a notebook or a zip each
            groups[entry.parts[0]].append(entry)
    for top, group in groups.items():
        folder = len(group[0].parts) > 1
        inner = [entry.below(1) for entry in group] if folder else group
        times = [entry.time_s for entry in inner if entry.suffix in HANDED_IN]
        if "_assignsubmission_onlinetext" not in top:
            yield Package(identity.label_of(top, folder=folder), max(times or [entry.time_s for entry in inner]), tuple(inner))


def _without_wrapper(entries: Sequence[Entry], known: Sequence[Student]) -> Sequence[Entry]:
    tops = {entry.parts[0] for entry in entries}
    if len(tops) != 1 or any(len(entry.parts) < 3 or entry.fault for entry in entries):
        return entries
    label = identity.label_of(next(iter(tops)), folder=True)
    names_one = label.platform or not isinstance(identity.find(label, known), str)
    return entries if names_one else [entry.below(1) for entry in entries]


def _alone(entries: Sequence[Entry], module: str) -> bool:
    notebooks = [entry.parts for entry in entries if entry.suffix == ".ipynb"]
    return notebooks in ([(f"{module}.ipynb",)], [(module, f"{module}.ipynb")])


def _collected_s(folder: Path) -> float | None:
    """When the submission that is there was handed in; none when there is none."""
    if not folder.is_dir():
        return None
    from nbgrader.utils import parse_utc

    try:
        found = parse_utc((folder / STAMP).read_text(encoding="utf-8").strip())
    except (OSError, ValueError, OverflowError):
        return 0.0
    return found.replace(tzinfo=UTC).timestamp() if found else 0.0
