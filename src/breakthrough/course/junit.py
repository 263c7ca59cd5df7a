"""Results as JUnit XML, which GitHub, GitLab and most others read: a case for each notebook, fault or exercise."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from breakthrough import files

if TYPE_CHECKING:
    from breakthrough.course.results import Result


@dataclass(frozen=True)
class Case:
    """One thing that was tried; it passed when there is no failure.

    Units: seconds of wall time
    """

    group: str
    name: str
    seconds: float = 0.0
    failure: str = ""  # its first line is the short one
    file: str = ""


@dataclass(frozen=True)
class Suite:
    """The cases of one step."""

    name: str
    cases: tuple[Case, ...]

    @property
    def failed(self) -> list[Case]:
        """The cases that failed."""
        return [case for case in self.cases if case.failure]

    @property
    def seconds(self) -> float:
        """What all cases took together."""
        return sum(case.seconds for case in self.cases)


def of_results(results: Sequence[Result]) -> Suite:
    """A suite of executed notebooks: a case each, which fails with what went wrong, exercise by exercise."""
    return Suite("breakthrough run", tuple(_of_notebook(one) for one in results))


def write(target: Path, suites: Iterable[Suite]) -> None:
    """Write suites as one file, aside and then renamed."""
    root = xml.Element("testsuites")
    for suite in suites:
        root.append(_element(suite))
    xml.indent(root)
    files.write_text(target, '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n")


def read(source: Path) -> list[Case]:
    """The cases of a file that another program wrote, of all its suites; none when there is no file."""
    if not source.is_file():
        return []
    found = []
    for one in xml.parse(source).getroot().iter("testcase"):
        wrong = [f"{part.get('message') or ''}\n{part.text or ''}".strip() for part in one if part.tag in ("failure", "error")]
        found.append(Case(one.get("classname", ""), one.get("name", ""), float(one.get("time", 0)), "\n".join(wrong)))
    return found


def _of_notebook(one: Result) -> Case:
    wrong = [f"{name}: {check['status']}. {check.get('says', '')}".rstrip() for name, check in one.checks.items() if check["status"] != "passed"]
    failure = "" if one.whole else "\n".join([f"{one.status}: {one.error or 'no reason given'}", *wrong])
    return Case(one.module, one.name, 0.0 if one.resumed else one.seconds, failure)


def _element(suite: Suite) -> xml.Element:
    made = xml.Element("testsuite", name=suite.name, tests=str(len(suite.cases)), failures=str(len(suite.failed)), errors="0",
                       skipped="0", time=f"{suite.seconds:.3f}")
    for case in suite.cases:
        where = {"file": case.file} if case.file else {}
        one = xml.SubElement(made, "testcase", {"classname": case.group, "name": case.name, "time": f"{case.seconds:.3f}", **where})
        if case.failure:
            text = _printable(case.failure)
            xml.SubElement(one, "failure", message=text.splitlines()[0], type="failure").text = text
    return made


def _printable(text: str) -> str:
    """Text without what XML has no place for: colours of a terminal, control characters."""
    return "".join(letter for letter in text if letter in "\t\n" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff")
