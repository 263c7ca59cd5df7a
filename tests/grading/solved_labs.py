"""Solved labs: the released notebook with the master's answers in it, as a learner would hand it in."""

import copy
import json
import zlib
from functools import cache

from breakthrough.course import notebooks, syllabus
from breakthrough.course.notebooks import grade_id
from breakthrough.grading import canary

COURSE = syllabus.load()
LABS = COURSE.labs


@cache
def _read(path):
    return notebooks.read(path)


def released(module):
    """The released lab, as data of its own."""
    return copy.deepcopy(_read(COURSE.lab(module)))


def master_answers(module):
    """The master's sources by grade id, without the markers of nbgrader."""
    cells = _read(COURSE.solution(module))["cells"]
    return {grade_id(cell): _unmarked(cell["source"]) for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution")}


def solved(module):
    """The released lab with every answer of the master's."""
    return canary.solved(_read(COURSE.solution(module)), released(module))


def cell_of(notebook, name):
    """The cell of a grade id or, when none has it, of a cell id."""
    cells = notebook["cells"]
    return next((cell for cell in cells if grade_id(cell) == name), None) or next(cell for cell in cells if cell.get("id") == name)


def code(source, **metadata):
    """A plain code cell."""
    return {"cell_type": "code", "execution_count": None, "id": f"own-{zlib.crc32(source.encode())}", "metadata": metadata, "outputs": [], "source": source}


def points(module):
    """The points of every exercise that answers earn: all but the experiment, which is judged by its files."""
    graded = [cell["metadata"].get("nbgrader", {}) for cell in _read(COURSE.lab(module))["cells"]]
    return {one["grade_id"].replace("-", ".", 1): one["points"] for one in graded if one.get("grade") and not one["grade_id"].endswith("-experiment")}


def insert_after(notebook, name, *cells):
    """Put cells behind the one of a name."""
    at = notebook["cells"].index(cell_of(notebook, name)) + 1
    notebook["cells"][at:at] = cells


def as_bytes(notebook):
    """The notebook as a file's bytes."""
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


def _unmarked(source):
    return "\n".join(line for line in source.split("\n") if line.strip() not in ("### BEGIN SOLUTION", "### END SOLUTION"))
