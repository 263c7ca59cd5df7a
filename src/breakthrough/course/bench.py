"""Benchmarks: ratios against peers, one file a room in benchmarks/, run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from breakthrough.errors import unknown


def rooms(root: Path) -> list[str]:
    """The rooms that have a benchmark."""
    return sorted(path.stem for path in (root / "benchmarks").glob("[!_]*.py"))


def run(root: Path, room: str, arguments: Sequence[str]) -> int:
    """Run the benchmark of a room with its own arguments and return its exit code.

    Raises: UnknownNameError for a room without a benchmark
    """
    if room not in rooms(root):
        raise unknown("benchmark", room, rooms(root))
    return subprocess.run([sys.executable, str(root / "benchmarks" / f"{room}.py"), *arguments], cwd=root).returncode
