"""The rooms of the tests: which import a package, how to run one's tests in another environment, what came out."""

from __future__ import annotations

import ast
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

TOP = "tests"  # the files that lie in tests/ itself


@dataclass(frozen=True)
class Outcome:
    """What the tests of a room did. A process that died has a code of its own, and maybe no test."""

    room: str
    passed: int
    failed: tuple[str, ...]  # node ids
    errors: tuple[str, ...]
    first: str = ""
    died: str = ""

    @property
    def broken(self) -> bool:
        """Whether anything went wrong."""
        return bool(self.failed or self.errors or self.died)


def rooms(project: Path) -> list[str]:
    """The rooms that have tests."""
    return [TOP, *sorted(path.name for path in (project / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py")))]


def paths(project: Path, room: str) -> list[str]:
    """What pytest is given for a room."""
    return sorted(str(path.relative_to(project)) for path in (project / "tests").glob("test_*.py")) if room == TOP else [f"tests/{room}"]


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("require", "optional.require", "pytest.importorskip") and node.args:
            found |= {str(one.value) for one in node.args[:1] if isinstance(one, ast.Constant)}
    return {name.partition(".")[0] for name in found}


def touched(project: Path, packages: Iterable[str]) -> list[str]:
    """The rooms whose sources or tests import one of some packages; all of them where no source names one."""
    names = {canonicalize_name(one) for one in packages}
    modules = {module for module, owners in metadata.packages_distributions().items() if names & {canonicalize_name(one) for one in owners}}
    found = []
    for room in rooms(project):
        folders = [project / "tests" / room, project / "src" / "breakthrough" / room]
        sources = (project / "tests").glob("*.py") if room == TOP else (path for folder in folders for path in folder.rglob("*.py"))
        if any(modules & _imported(path) for path in sources):
            found.append(room)
    return found or rooms(project)


def _case(one: ElementTree.Element) -> str:
    """A test's node id, from what JUnit's XML says of it."""
    module, _, group = one.get("classname", "").rpartition(".")
    whole = f"{module}.{group}".strip(".").split(".")
    inner = [part for part in whole if part[:1].isupper()]
    return "::".join(["/".join(part for part in whole if part not in inner) + ".py", *inner, one.get("name", "")])


def outcome(room: str, xml: Path, code: int, said: str) -> Outcome:
    """Read what a room's tests left behind."""
    lines = [line for line in said.splitlines() if line.strip()]
    last = next((line for line in lines if "Fatal Python error" in line), lines[-1] if lines else "")
    if not xml.exists():
        return Outcome(room, 0, (), (), last, f"ended with code {code} before its report")
    failed: list[str] = []
    errors: list[str] = []
    first, passed = "", 0
    for case in ElementTree.parse(xml).iter("testcase"):
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        if wrong is None:
            passed += case.find("skipped") is None
            continue
        (failed if wrong.tag == "failure" else errors).append(_case(case))
        first = first or f"{_case(case)}: {(wrong.get('message') or '').strip().splitlines()[0] if wrong.get('message') else ''}"
    died = "" if code in (0, 1, 5) or failed or errors else f"ended with code {code}"
    return Outcome(room, passed, tuple(failed), tuple(errors), first, died)


def run(project: Path, python: Path, room: str, folder: Path, which: Sequence[str] = (), more: Sequence[str] = ()) -> Outcome:
    """Run the tests of a room, or those named, with another Python; its output is kept beside its report."""
    folder.mkdir(parents=True, exist_ok=True)
    xml = folder / f"{room}.xml"
    xml.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--junitxml={xml}", *(which or paths(project, room)), *more]
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    (folder / f"{room}.log").write_text(done.stdout)
    return outcome(room, xml, done.returncode, done.stdout)
