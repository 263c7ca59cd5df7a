"""How stock nbgrader 0.9.6 fares against the attack suite: points that it gives and that nobody earned, by family.

Every submission is autograded by nbgrader's own command in a course folder of its own, inside bubblewrap without a
network, so that nothing outlives it. The lab ends before its experiment. Attacks on the machine itself (bombs, deaths,
daemons) are left out: they are only for a sandbox with caps; so are files that nbgrader refuses before it runs anything.

Run: python benchmarks/stock_attacks.py [--workers 2] [--json FILE] [family or name …]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "grading"))

import attacks  # noqa: E402
import honest  # noqa: E402
from solved_labs import COURSE, as_bytes, released, solved  # noqa: E402

END = "s12"  # the first cell of the experiment
KEPT = {"imports", "parameters", "s1-picture", "s4-picture", "s5-picture", "s9-article", "s10-example"}
LIMIT_S = 240
LEFT_OUT = {"archives", "documents", "weights that lie", "bombs", "never ends, or dies", "outlives its run", "network"}
CONFIG = """c = get_config()
c.CourseDirectory.course_id = "attacked"
c.CourseDirectory.root = "/course"
c.ExecutePreprocessor.timeout = 60
c.Execute.timeout = 60
c.Autograde.permissions = 0o644
"""


@dataclass(frozen=True)
class Outcome:
    """What stock nbgrader gave one submission; `ended` says how its command ended when it did not end well.

    `raised` are the errors of the cells that are the attack's own: whether it did what it meant to do.
    """

    name: str
    family: str
    points: float
    deserved: float
    ended: str
    raised: tuple[str, ...]
    seconds: float

    @property
    def won(self) -> bool:
        """Whether it got points that it did not deserve."""
        return self.points > self.deserved


def cut(notebook: dict) -> dict:
    """A notebook without its pictures, the experiment and what follows: answers, checks, and what they need."""
    at = next((place for place, cell in enumerate(notebook["cells"]) if cell.get("id") == END), None)
    return {**notebook, "cells": [cell for cell in notebook["cells"][:at] if "nbgrader" in cell["metadata"] or cell["cell_type"] == "markdown" or cell["id"] in KEPT]}


def sandboxed(course: Path, *command: str) -> list[str]:
    """A command in a throwaway of this machine: it sees the system, the project's library and one course folder."""
    prefixes = {sys.prefix, sys.base_prefix, str(ROOT / "src")}
    shown = [part for path in ("/usr", "/bin", "/lib", "/lib64", "/etc", *sorted(prefixes)) if Path(path).exists() for part in ("--ro-bind", path, path)]
    settings = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/tmp", "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1",
                "BREAKTHROUGH_PROGRESS": "/tmp/progress", "BREAKTHROUGH_ARTIFACTS": "/tmp/artifacts", "MPLCONFIGDIR": "/tmp/mpl", "LANG": "C.UTF-8"}
    named = [part for name, value in settings.items() for part in ("--setenv", name, value)]
    return ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", *named, "--size", str(2**30), "--tmpfs", "/tmp", *shown, "--proc", "/proc", "--dev", "/dev",
            "--bind", str(course), "/course", "--chdir", "/course", "prlimit", "--data=6000000000", "--fsize=500000000", "--cpu=200", "--nofile=1024", "--core=0", *command]


def prepare(folder: Path) -> Path:
    """A course folder with the lab released and a gradebook that knows it."""
    course = folder / "template"
    (course / "source" / "01_moe").mkdir(parents=True)
    (course / "nbgrader_config.py").write_text(CONFIG)
    master = json.loads(COURSE.solution(honest.MODULE).read_text(encoding="utf-8"))
    (course / "source" / "01_moe" / honest.NAME).write_bytes(as_bytes(cut(master)))
    done = subprocess.run(sandboxed(course, sys.executable, "-m", "nbgrader", "generate_assignment", "01_moe"), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    neighbour = course / "submitted" / "neighbour" / "01_moe"
    neighbour.mkdir(parents=True)
    (neighbour / honest.NAME).write_bytes(as_bytes(cut(solved(honest.MODULE))))
    return course


def graded(template: Path, attack: attacks.Attack | honest.Slip) -> Outcome:
    """Autograde one submission in a copy of the course."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stock-", ignore_cleanup_errors=True) as scratch:
        course = Path(scratch) / "course"
        shutil.copytree(template, course)
        files = attack.make(cut(released(honest.MODULE)), cut(solved(honest.MODULE)))
        attacks.lay(files, course / "submitted" / "student" / "01_moe")
        ended = ""
        try:
            command = sandboxed(course, sys.executable, "-m", "nbgrader", "autograde", "01_moe", "--student", "student")
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, errors="replace")
            if done.returncode:
                ended = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][-150:]
        except subprocess.TimeoutExpired:
            ended = f"longer than {LIMIT_S} s"
        points = _points(course / "gradebook.db")
        raised = tuple(_errors(course / "autograded" / "student" / "01_moe" / honest.NAME))
    deserved = sum(attack.deserved.values())
    return Outcome(attack.name, getattr(attack, "family", "honest slips"), points, deserved, ended, raised, time.monotonic() - started)


def _points(gradebook: Path) -> float:
    """The points in a gradebook: what its owner would read out, a manual score before the automatic one."""
    with contextlib.closing(sqlite3.connect(f"file:{gradebook}?mode=ro", uri=True)) as book:
        [[points]] = book.execute("select coalesce(sum(coalesce(manual_score, auto_score, 0) + coalesce(extra_credit, 0)), 0) from grade")
    return float(points)


def _errors(executed: Path) -> Iterator[str]:
    """The errors in cells that are not checks, of an executed notebook if there is one."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and not cell["metadata"].get("nbgrader", {}).get("grade"):
                yield from (f"{cell['id']}: {one['ename']}: {one['evalue'][:100]}" for one in cell["outputs"] if one["output_type"] == "error")


def table(outcomes: list[Outcome]) -> str:
    """Family, attacks that won, tried, and the most points that one got."""
    lines = ["| family | attacks | won | points won, at most | grading failed |", "|---|---:|---:|---:|---:|"]
    for family in dict.fromkeys(one.family for one in outcomes):
        mine = [one for one in outcomes if one.family == family]
        most = max(one.points - one.deserved for one in mine)
        lines.append(f"| {family} | {len(mine)} | {sum(one.won for one in mine)} | {max(most, 0):g} | {sum(bool(one.ended) for one in mine)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("only", nargs="*")
    options = parser.parse_args()
    chosen = [one for one in (*attacks.every(), *honest.every()) if (one.name in options.only or getattr(one, "family", "honest slips") in options.only if options.only
              else not getattr(one, "endangers", False) and getattr(one, "family", "") not in LEFT_OUT)]
    with tempfile.TemporaryDirectory(prefix="stock-") as scratch, ThreadPoolExecutor(options.workers) as pool:
        template = prepare(Path(scratch))
        outcomes = list(tqdm(pool.map(lambda one: graded(template, one), chosen), total=len(chosen), disable=not os.isatty(2)))
    print(table(outcomes))
    for one in outcomes:
        if one.won or one.ended or one.points < one.deserved:
            print(f"{one.family}: {one.name}: {one.points:g} of {one.deserved:g} deserved{', ' + one.ended if one.ended else ''} ({one.seconds:.0f} s)")
    if options.json:
        options.json.write_text(json.dumps([one.__dict__ for one in outcomes], indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
