"""Calibration specimens look like work in the lab, and compute what they did."""

import ast

import pytest
import torch

from breakthrough import exercises
from breakthrough.course import syllabus
from breakthrough.course.exchange import specimens
from breakthrough.exercises import plants
from breakthrough.grading.peers import disguise

STUB = 'def mean(values: list, start: float = 0.0) -> float:\n    """The mean.\n\n    Units: those of values\n    """\n    raise NotImplementedError()'
COURSE = syllabus.load()


@pytest.mark.parametrize("source", [
    "import math\n\n\ndef mean(values, start=0.0):\n    # all of them\n    return math.fsum(values) / len(values)",
    'import math\n\n\ndef helper(x):\n    return x\n\n\ndef mean(values, start=0.0):\n    """Mean of values."""\n    return helper(math.fsum(values)) / len(values)',
    "import math\ndef mean(values, start=0.0): return math.fsum(values) / len(values)",
])
def test_the_labs_header_stands_over_the_same_program(source):
    made = disguise.in_lab_form({"toy.mean": source}, {"toy-mean": STUB}, "import math\nimport torch")["toy.mean"]
    if "): return" not in source:
        assert "def mean(values: list, start: float = 0.0) -> float:" in made and made.count('"""The mean.') == 1 and "Mean of values" not in made
        assert "import math" not in made
    space = {"math": __import__("math")}
    exec(compile(made, "made", "exec"), space)
    assert space["mean"]([1, 2, 6]) == 3


def test_other_parameters_and_imports_that_the_lab_lacks_stay():
    source = "import heapq\n\n\ndef mean(xs):\n    return 1"
    assert disguise.in_lab_form({"toy.mean": source}, {"toy-mean": STUB}, "import math")["toy.mean"] == source
    assert disguise.in_lab_form({"toy.mean": source}, {}, "")["toy.mean"] == source


@pytest.mark.parametrize("module", COURSE.labs, ids=lambda module: module.id)
def test_specimens_of_every_module_take_the_labs_form_and_run_with_its_names(module):
    lab = COURSE.lab(module)
    imports, stubs = disguise.imports_of(lab), disguise.stubs_of(lab)
    assert "from breakthrough" in imports
    dressed = 0
    for seed in range(3):
        one = specimens.specimen(module.id, seed)
        for name, source in disguise.in_lab_form(one.code, stubs, imports).items():
            exercise = exercises.load(name)
            function = plants.answer(source, exercise, given=plants.lab_names(exercise))
            [node] = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == function.__name__]
            dressed += node.returns is not None
            assert callable(function)
    assert dressed >= 12


def test_a_dressed_specimen_computes_what_it_did():
    module = COURSE.find("01_moe")
    for seed in range(20):
        one = specimens.specimen(module.id, seed)
        if "moe.route" in one.code:
            exercise = exercises.load("moe.route")
            made = disguise.in_lab_form(one.code, disguise.stubs_of(COURSE.lab(module)), disguise.imports_of(COURSE.lab(module)))["moe.route"]
            x = torch.randn(7, 5, generator=torch.Generator().manual_seed(seed))
            plain, dressed = plants.answer(one.code["moe.route"], exercise), plants.answer(made, exercise, given=plants.lab_names(exercise))
            assert all(torch.equal(a, b) for a, b in zip(plain(x, 2), dressed(x, 2), strict=True))
