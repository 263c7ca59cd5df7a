"""A canary for the grader itself: submissions whose points are known, graded as the cohort's are, without its gradebook.

The solved lab earns all that is not measured from files, the untouched one nothing, and so do some that try to talk
the grader into a mark, to read its secrets, or to bring it down. Whatever comes out otherwise says that this machine's
sandbox, or a changed library, is not to be trusted with a cohort.
"""

from __future__ import annotations

import copy
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakthrough import files
from breakthrough.course import notebooks
from breakthrough.course.release import BEGIN, END
from breakthrough.grading import run
from breakthrough.grading.grade import Task
from breakthrough.language import counted

if TYPE_CHECKING:
    from breakthrough.grading.cohort import Cohort
    from breakthrough.grading.records import Graded

Notebook = dict[str, Any]
HOSTILE = {
    "patches the check": "import breakthrough.exercises as e\ne.check = lambda *a, **k: None\nimport builtins, torch, numpy\n"
    "torch.allclose = torch.equal = lambda *a, **k: True\nnumpy.testing.assert_allclose = lambda *a, **k: None\nraise SystemExit(0)",
    "answers yes to everything": "class Yes:\n    def __eq__(self, other): return True\n    def __bool__(self): return True\n"
    "    def __call__(self, *a, **k): return Yes()\n    def __getattr__(self, name): return Yes()\n"
    "import builtins\nfor name in NAMES: globals()[name] = Yes()",
    "looks for secrets": "import os, pathlib\nfound = []\nfor top in ('/', PLANTED):\n    for base, folders, names in os.walk(top):\n"
    "        for name in names:\n            try:\n                text = pathlib.Path(base, name).read_bytes()[:100000]\n"
    "            except Exception:\n                continue\n            if b'CANARY' in text: print(text)\nprint(dict(os.environ))",
    "calls out": "import socket\nfor port in (22, 80, 443, 6379, 8000, 8888):\n    s = socket.socket(); s.settimeout(0.2)\n    s.connect(('127.0.0.1', port))",
    "takes all memory": "hoard = []\nwhile True: hoard.append(bytearray(100 << 20))",
    "ends the process": "import os\nos._exit(0)",
}


@dataclass(frozen=True)
class Sung:
    """How one canary came out: what it should have earned, what it earned, and whether a planted secret came with it."""

    name: str
    wanted: float
    graded: Graded
    leaked: bool

    @property
    def alive(self) -> bool:
        """Whether the grader did what it should."""
        return self.graded.points == self.wanted and not self.leaked and not self.graded.failure

    def line(self) -> str:
        """What the command prints."""
        if self.alive:
            return f"ok    {self.name}: {counted(self.graded.points, 'point')}"
        why = "a planted secret came out" if self.leaked else self.graded.failure or f"{counted(self.graded.points, 'point')}, not {self.wanted:g}"
        return f"DEAD  {self.name}: {why}"


def sing(cohort: Cohort, module: str, way: run.Way = run.Way(), watch: Callable[[], object] = lambda: None) -> list[Sung]:
    """Grade each canary of a module as its submissions are graded; nothing is written to the cohort.

    Raises: InputError without a release or without a sandbox
    """
    rules = run.rules_of(cohort, way)
    lab = run.lab_of(cohort, module)
    word = f"CANARY-{secrets.token_hex(8)}"
    sung = []
    with tempfile.TemporaryDirectory(prefix="breakthrough-canary-") as scratch:
        folder = Path(scratch)
        (folder / "planted.txt").write_text(word)
        made = {name: (wanted, notebook) for name, wanted, notebook in _canaries(cohort, module, lab, str(folder))}
        tasks = [Task(name, module, _laid(folder / str(number), module, notebook), lab) for number, (name, (_, notebook)) in enumerate(made.items())]
        for graded in run.results(tasks, rules, way):
            text = graded.to_json()
            sung.append(Sung(graded.student, made[graded.student][0], graded, word in text))
            watch()
    return sorted(sung, key=lambda one: list(made).index(one.name))


def _canaries(cohort: Cohort, module: str, lab: Path, planted: str) -> Iterator[tuple[str, float, Notebook]]:
    released = notebooks.read(lab)
    done = solved(notebooks.read(cohort.source / module / f"{module}.ipynb"), released)
    yield "the solved lab", _judged_points(lab), done
    yield "the untouched lab", 0, released
    for name, source in HOSTILE.items():
        hostile = copy.deepcopy(released)
        answers = [cell for cell in hostile["cells"] if notebooks.grade_id(cell).endswith("-answer") and cell["cell_type"] == "code"]
        variables = [variable for cell in notebooks.code_cells(hostile) if cell["metadata"].get("nbgrader", {}).get("grade") for _, variable, _ in notebooks.check_calls(cell["source"])]
        text = source.replace("NAMES", repr(variables)).replace("PLANTED", repr(planted))
        answers[0]["source"] = f"{answers[0]['source']}\n\n{text}"
        yield name, 0, hostile


def _judged_points(lab: Path) -> float:
    """The points of the exercises that are judged by calling answers."""
    from breakthrough import exercises
    from breakthrough.grading.normalize import normalize

    every = [exercises.load(check.exercise) for check in normalize(lab, lab).checks]
    return sum(exercise.points for exercise in every if not exercise.training)


def solved(master: Notebook, released: Notebook) -> Notebook:
    """The released lab with the master's answers."""
    answers = {notebooks.grade_id(cell): cell["source"] for cell in master["cells"] if cell["metadata"].get("nbgrader", {}).get("solution")}
    made = copy.deepcopy(released)
    for cell in made["cells"]:
        if notebooks.grade_id(cell) in answers:
            lines = answers[notebooks.grade_id(cell)].splitlines()
            cell["source"] = "\n".join(line for line in lines if not line.strip().startswith((BEGIN, END)))
    return made


def _laid(folder: Path, module: str, notebook: Notebook) -> Path:
    folder.mkdir()
    files.write_text(folder / f"{module}.ipynb", json.dumps(notebook))
    return folder


