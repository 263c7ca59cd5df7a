"""Module 5's last hints: the code that is shown runs where the lab has it run."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from breakthrough.exercises import every, judge

LAB = Path(__file__).parents[2] / "solutions" / "05_deploy" / "05_deploy.ipynb"
CODE = [e for e in every() if e.room == "deploy" and not e.question]


def lab_names():
    cells = json.loads(LAB.read_text(encoding="utf-8"))["cells"]
    imports = next("".join(cell["source"]) for cell in cells if "from breakthrough.exercises import check" in "".join(cell["source"]))
    names = {}
    exec("\n".join(line for line in imports.splitlines() if re.match(r"import |from ", line)), names)
    return names


@pytest.mark.parametrize("exercise", CODE, ids=lambda e: e.name)
def test_the_last_hint_runs_among_the_labs_imports(exercise):
    pytest.importorskip("tvm", reason="TVM is not installed: pip install -e '.[deploy]'")
    names = lab_names()
    before = set(names)
    exec(exercise.hint(4), names)  # as if typed into a cell
    made = [names[name] for name in names if name not in before and inspect.isfunction(names[name])]
    assert len(made) == 1
    if not exercise.training:
        assert judge(exercise, made[0], 0).status == "passed"


def test_the_experiments_last_hint_is_the_function_that_the_lab_asks_for():
    exercise = next(e for e in CODE if e.training)
    cells = json.loads(LAB.read_text(encoding="utf-8"))["cells"]
    asked = next("".join(cell["source"]) for cell in cells if "check(\"deploy.experiment\"" in "".join(cell["source"]).replace("'", '"') or "def hand_over" in "".join(cell["source"]))
    name = re.search(r"def (\w+)\(", asked).group(1)
    assert exercise.hint(4).startswith(f"def {name}(quantized")
    assert "built, artifact" in exercise.hint(3) and "batches" in exercise.hint(3) and "batches" in exercise.hint(4)
