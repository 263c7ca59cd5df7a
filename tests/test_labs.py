"""Labs are in step with their masters, score nothing untouched, and everything when solved."""

import builtins
import re
import symtable

import pytest

from breakthrough.course import answers, execution, notebooks, release, runs, shape, syllabus

COURSE = syllabus.load()
labs = pytest.mark.parametrize("module", COURSE.labs, ids=lambda module: module.id)
built = pytest.mark.parametrize("module", COURSE.built, ids=lambda module: module.id)


@labs
def test_a_lab_is_what_its_master_gives(module):
    [released] = release.release(COURSE, [module], check=True)
    assert released.differ == ()


@labs
def test_a_lab_has_nothing_of_the_solution(module):
    master, lab = notebooks.read(COURSE.solution(module)), notebooks.read(COURSE.lab(module))
    assert list(release.solution_lines(master)), "the scan knows no solution line: it would find nothing"
    assert list(release.scan(master, lab)) == []


def globals_of(table):
    """Names that a cell defines for all cells, and names that it, or a function in it, takes from them."""
    defined, used, top = set(), set(), table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_global() or top:
            defined |= {symbol.get_name()} if symbol.is_assigned() or symbol.is_imported() else set()
            used |= {symbol.get_name()} if symbol.is_referenced() else set()
    for child in table.get_children():
        there, taken = globals_of(child)
        defined, used = defined | there, used | taken
    return defined, used


def promised(source):
    """The names that an answer cell asks for: "# Set verdict (one of four) and reason (a sentence)." asks for two."""
    comment = " ".join(line.lstrip("# ") for line in source.splitlines() if line.startswith("#"))
    asked = re.match(r"Set (.*)", re.sub(r"\([^)]*\)", "", comment.split(" YOUR CODE")[0]))
    return set(re.findall(r"\w+", asked[1])) - {"and"} if asked else set()


def unknown_names(lab):
    defined, used = {*dir(builtins), "display", "get_ipython"}, set()
    for cell in notebooks.code_cells(lab):
        there, taken = globals_of(symtable.symtable(notebooks.python(cell["source"]), "cell", "exec"))
        defined, used = defined | there, used | taken
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            defined |= promised(cell["source"])
    return used - defined


@labs
def test_a_lab_uses_no_name_that_only_the_solution_defines(module):
    assert unknown_names(notebooks.read(COURSE.lab(module))) == set()


def test_a_name_of_the_solution_alone_is_found():
    asked = {"cell_type": "code", "source": "# Set a (b, one of\n# two) and c (d).\n# YOUR CODE HERE: e", "metadata": {"nbgrader": {"solution": True}}}
    uses = "def f(g=a):\n    h = [i for i in c if i]\n    return h, b, print\nfor j in f():\n    d, e, (lambda k: k + l)(j)"
    assert unknown_names({"cells": [asked, {"cell_type": "code", "source": uses, "metadata": {}}]}) == {"b", "d", "e", "l"}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """One folder for all modules, as `make run` has it: each takes what the one before has given."""
    return tmp_path_factory.mktemp("build")


@built
def test_lesson_and_solved_lab_earn_every_point(module, build):
    plan = runs.Plan(COURSE, "tiny", build=build)
    results = runs.run(plan, [module])
    assert [(one.name, one.error) for one in results if not one.whole] == []
    assert sum(one.points for one in results) == module.points.lesson + module.points.lab
    for task in plan.tasks([module]):
        assert list(shape.picture_faults(notebooks.read(task.target))) == [], task.name


def test_an_untouched_lab_scores_nothing(tmp_path):
    """The first one as a learner's kernel runs it; all of them in the grader's sandbox: grading/test_every_lab."""
    module = COURSE.labs[0]
    target = tmp_path / "lab.ipynb"
    own = runs.Plan(COURSE, "tiny", build=tmp_path).environment()
    execution.execute(COURSE.lab(module), target, parameters={"PROFILE": "tiny", "SEED": 0}, environment=own,
                      limit_s=runs.LIMIT_S["tiny"], allow_errors=True)
    scores = answers.score(module, notebooks.read(target))
    assert sum(score.points for score in scores) == 0
    assert [score.exercise for score in scores] == list(module.exercises)
    assert {score.status for score in scores} <= {"not attempted", answers.NOT_REACHED}
