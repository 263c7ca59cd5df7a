"""Which files of the library a student's process may see: all but exercises, their answers and their cases.

A lab imports some of the exercises' material (broken layers, counting memory), and some judges have a part that works
where the answer is. Those files are shown, with what they import, unless they define exercises.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from breakthrough.course import notebooks

PACKAGE = Path(__file__).resolve().parents[1]
EXERCISES = PACKAGE / "exercises"
PREFIX = "breakthrough.exercises"


def imported(source: str) -> set[str]:
    """The modules that a text imports, `from a import b` as `a` and `a.b`, a cell's magics aside; nothing for a text that is no Python."""
    try:
        tree = ast.parse(notebooks.python(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@cache
def drivers() -> tuple[str, ...]:
    """The files whose functions are called where an answer is."""
    return tuple(sorted(path.stem for path in EXERCISES.glob("*_there.py")))


def material(sources: Iterable[str]) -> tuple[Path, ...]:
    """The files of exercises/ that a lab's released cells need."""
    todo = [name.split(".")[2] for source in sources for name in imported(source) if name.startswith(f"{PREFIX}.")] + list(drivers())
    seen: set[str] = set()
    shown = []
    while todo:
        stem = todo.pop()
        path = EXERCISES / f"{stem}.py"
        if stem in seen or not path.is_file():
            continue
        seen.add(stem)
        text = path.read_text(encoding="utf-8")
        if _defines_exercises(text):
            continue
        shown.append(path)
        todo += [name.split(".")[2] for name in imported(text) if name.startswith(f"{PREFIX}.")]
    return tuple(sorted(shown))


def _defines_exercises(text: str) -> bool:
    return any("EXERCISES" in {getattr(target, "id", "") for target in node.targets} for node in ast.parse(text).body if isinstance(node, ast.Assign))
