"""How long the whole course takes, and what of it costs most.

Every notebook is executed anew by the run engine, then everything once more with nothing changed. For each: seconds from
begin to end, processor seconds of its kernel and all that it started, peak memory; and the cells that took longest. Goals,
for all of it at quick on two cores: 30 minutes with the set-up from a clean clone, 2 minutes when nothing changed.

Run: breakthrough bench course [MODULE...] [--profile tiny] [--jobs 2] [--clean-clone DIR] [--write]. With --clean-clone the
project's last commit is cloned there, set up by make, and measured in its own environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _course_report import met, write

from breakthrough.course import doctor, lanes, notebooks, runs, syllabus, terminal

HOME = Path(__file__).resolve().parents[1]
OUT = Path("benchmarks/results")
VERSIONS = ("torch", "apache-tvm", "flwr", "ray", "mitsuba", "papermill")


def measure(plan: runs.Plan, modules: Sequence[Any] | None, jobs: int, *, again: bool) -> dict[str, Any]:
    """A run's wall time, what each of its notebooks took, and the cells that took longest.

    Units:  wall_s, seconds and cpu_s in seconds; peak_bytes
    """
    began = time.monotonic()
    with terminal.RunWatcher() as watcher:
        results = runs.run(plan, modules, resume=again, watcher=watcher, jobs=jobs)
    wall_s = time.monotonic() - began
    kept = ("name", "status", "seconds", "cpu_s", "peak_bytes", "resumed")
    found = [{name: getattr(one, name) for name in kept} for one in results]
    cells = [cell for task in plan.tasks(modules) if task.target.is_file() for cell in cells_of(task.name, task.target)]
    return {"wall_s": round(wall_s, 2), "notebooks": found, "cells": sorted(cells, key=lambda cell: -cell["seconds"])[:60]}


def cells_of(name: str, executed: Path) -> list[dict[str, Any]]:
    """What each cell of an executed notebook took, as papermill noted it."""
    cells = notebooks.code_cells(notebooks.read(executed))
    took = {cell.get("id", ""): cell["metadata"].get("papermill", {}).get("duration") or 0.0 for cell in cells}
    every = sum(took.values()) or 1.0
    return [{"notebook": name, "cell": cell, "seconds": round(seconds, 2), "share": seconds / every} for cell, seconds in took.items()]


def clean_clone(place: Path, arguments: Sequence[str]) -> int:
    """Clone the project, set it up, and measure there: the clone's own interpreter, library and environment."""
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(HOME), str(place)], check=True)
    subprocess.run(["make", "setup"], cwd=place, check=True, env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
    setup_s = time.monotonic() - began
    print(f"cloned and set up in {setup_s:.0f} s", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(place / ".venv" / "bin" / "python"), str(place / "benchmarks" / "course.py"), *arguments, "--setup-s", f"{setup_s:.2f}"]
    return subprocess.run(command, cwd=place, env=environment, check=False).returncode


def facts_of(chosen: argparse.Namespace, jobs: int) -> dict[str, str]:
    """When, where and with what it was measured."""
    machine = doctor.facts(chosen.device)
    versions = [f"{name} {version(name)}" for name in VERSIONS if doctor.installed(name)]
    said = {name: machine[name] for name in ("date", "device", "cores", "memory", "python")}
    return said | {"processor": processor(), "versions": ", ".join(versions), "profile": chosen.profile,
                   "modules": " ".join(chosen.modules) or "all", "notebooks at a time": str(jobs), "load before": f"{os.getloadavg()[0]:.2f}"}  # fmt: skip


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="01, moe or 01_moe; all when none")
    parser.add_argument("--profile", choices=tuple(runs.LIMIT_S), default="quick")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--jobs", type=int, help="notebooks at a time; by cores and memory unless given")
    parser.add_argument("--folder", type=Path, help="where to run; a temporary folder unless given")
    parser.add_argument("--clean-clone", type=Path, metavar="DIR", help="clone the last commit to a new folder, set it up, measure there")
    parser.add_argument("--setup-s", type=float, help="seconds that the set-up took; given by --clean-clone")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results/course-DEVICE.md, .json and .png")
    parser.add_argument("--out", type=Path, help="keep them here instead: a path without ending")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, keep where asked; 1 when a notebook failed or a goal was missed."""
    chosen = parsed(arguments)
    out = chosen.out or (HOME / OUT / f"course-{chosen.device}" if chosen.write else None)
    if chosen.clean_clone:
        rest = [*chosen.modules, "--profile", chosen.profile, "--device", chosen.device, *(["--jobs", str(chosen.jobs)] if chosen.jobs else [])]
        rest += ["--folder", str(chosen.folder.resolve())] if chosen.folder else []
        return clean_clone(chosen.clean_clone.resolve(), [*rest, *(["--out", str(out.resolve())] if out else [])])
    course, jobs = syllabus.load(HOME), chosen.jobs or lanes.sensible(chosen.device)
    modules = [course.find_built(name) for name in chosen.modules] or None
    found: dict[str, Any] = {"facts": facts_of(chosen, jobs), "setup_s": chosen.setup_s}
    with tempfile.TemporaryDirectory(prefix="breakthrough-course-") as place:
        plan = runs.Plan(course, chosen.profile, chosen.device, build=(chosen.folder or Path(place)).resolve())
        found["first"] = measure(plan, modules, jobs, again=False)
        found["again"] = measure(plan, modules, jobs, again=True)
    found["facts"]["load after"] = f"{os.getloadavg()[0]:.2f}"
    print(write(found, out))
    return 0 if met(found) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
