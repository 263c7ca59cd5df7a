"""The cells that answers need: all of those, and nothing that trains or draws."""

import honest
import pytest
from solved_labs import COURSE, LABS, as_bytes, released, solved

from breakthrough import exercises
from breakthrough.exercises.judge import judge
from breakthrough.grading.names import names_of
from breakthrough.grading.normalize import normalize
from breakthrough.grading.records import ADDED, ANSWER, CHECK, GIVEN, Program, ProgramCell
from breakthrough.grading.slices import left_out, needed, with_learners

LAB = COURSE.lab(honest.MODULE)
EXPERIMENT = ("moe.experiment",)
GIVEN_KEPT = {  # the cells of each lab that bind what answers of the master's look up
    "01_moe": ["imports", "s9-article", "s10-example"], "02_scenes": ["imports"], "03_federated": ["imports"],
    "04_quant": ["imports", "s12-broken"], "05_deploy": ["imports"], "06_capstone": ["imports"],
}


def handed_in(tmp_path, module, files):
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return normalize(COURSE.lab(module), tmp_path)


def program(*cells):
    """A small program: (kind, source), a check as ("check", variable)."""
    made = [ProgramCell(str(n), f'check("a.{text}", {text})', CHECK, f"a.{text}", text) if kind == CHECK else ProgramCell(str(n), text, kind)
            for n, (kind, text) in enumerate(cells)]
    return Program(tuple(made))


def kept(*cells):
    return [int(cell.id) for cell in needed(program(*cells))]


def run_and_judge(cells, checks):
    """Run cells in a plain namespace and judge every answer where its check stands."""
    space, statuses = {}, {}
    for cell in cells:
        if cell.kind == CHECK:
            statuses[cell.exercise] = judge(exercises.load(cell.exercise), space.get(cell.variable), seed=5).status
            continue
        try:
            exec(compile("\n".join(line for line in cell.source.split("\n") if line[:1] not in ("%", "!")), cell.id, "exec"), space)
        except Exception as error:  # noqa: BLE001 - a learner's cell may raise anything
            statuses[f"error in {cell.id}"] = repr(error)
    return statuses


def with_checks(whole, cells):
    there = {cell.id for cell in cells}
    return [cell for cell in whole.cells if cell.id in there or (cell.kind == CHECK and cell.exercise not in EXPERIMENT)]


@pytest.mark.parametrize("module", LABS, ids=lambda module: module.id)
def test_of_a_solved_lab_the_answers_are_kept_and_nothing_that_trains(tmp_path, module):
    whole = handed_in(tmp_path, module, {f"{module.id}.ipynb": as_bytes(solved(module))})
    measured = [name for name in module.exercises if name.endswith(".experiment")]  # by their files
    cells = needed(whole, measured)
    print(module.id, [cell.id for cell in cells if cell.kind != ANSWER])
    assert [cell.id for cell in cells if cell.kind == GIVEN] == GIVEN_KEPT[module.id]
    bound = {name for cell in cells for name in names_of(cell.source).binds}
    assert {check.variable for check in whole.checks if check.exercise not in measured} <= bound
    assert {check.exercise for check in whole.checks} - set(measured) <= {cell.exercise for cell in cells}


def test_the_kept_cells_of_the_solved_lab_pass_every_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = handed_in(tmp_path, honest.MODULE, {honest.NAME: as_bytes(solved(honest.MODULE))})
    assert run_and_judge(with_checks(whole, needed(whole, EXPERIMENT)), whole.checks) == dict.fromkeys(honest.FULL, "passed")


@pytest.mark.parametrize("slip", [slip for slip in honest.every() if not slip.same], ids=lambda slip: slip.name)
def test_the_kept_cells_of_an_honest_slip_pass_what_it_deserves(tmp_path, slip, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = handed_in(tmp_path, honest.MODULE, slip.make(released(honest.MODULE), solved(honest.MODULE)))
    statuses = run_and_judge(with_checks(whole, needed(whole, EXPERIMENT)), whole.checks)
    assert {name for name, status in statuses.items() if status == "passed"} == set(slip.deserved)


def test_without_the_files_an_experiment_would_train(tmp_path):
    whole = handed_in(tmp_path, honest.MODULE, {honest.NAME: as_bytes(solved(honest.MODULE))})
    assert {"s12-compare", "artifact-save"} <= {cell.id for cell in needed(whole)}


@pytest.mark.parametrize(("cells", "places"), [
    ([(GIVEN, "a = 1"), (GIVEN, "b = 2"), (ANSWER, "def f(): return a"), (CHECK, "f")], [0, 2]),
    ([(GIVEN, "a = 1"), (ANSWER, "def f():\n    a = 2\n    return a"), (CHECK, "f")], [1]),
    ([(GIVEN, "a = 1"), (ANSWER, "def f(): return [a for a in range(3)]"), (CHECK, "f")], [1]),
    ([(GIVEN, "a = 1"), (GIVEN, "b = a + 1"), (ANSWER, "f = lambda: b"), (CHECK, "f")], [0, 1, 2]),
    ([(ANSWER, "def f(): return g()"), (ADDED, "def g(): return 1"), (CHECK, "f")], [0, 1]),
    ([(ANSWER, "f = 1"), (CHECK, "f"), (ADDED, "f = 2")], [0]),
    ([(GIVEN, "d = {}"), (GIVEN, "d['a'] = 1"), (GIVEN, "e['a'] = 1"), (ANSWER, "def f(): return d"), (CHECK, "f")], [0, 1, 3]),
    ([(GIVEN, "d = []"), (GIVEN, "d.append(1)"), (ANSWER, "def f(): return d"), (CHECK, "f")], [0, 1, 2]),
    ([(GIVEN, "from m import d"), (GIVEN, "d.draw(1)"), (ANSWER, "def f(): return d"), (CHECK, "f")], [0, 2]),
    ([(ADDED, "import numpy as np"), (ADDED, "np.seterr(all='raise')"), (ANSWER, "def f(): return np"), (CHECK, "f")], [0, 1, 2]),
    ([(GIVEN, "n = 1"), (GIVEN, "n += 1"), (ANSWER, "f = n"), (CHECK, "f")], [0, 1, 2]),
    ([(GIVEN, "for i in range(3): t = i"), (ANSWER, "f = i"), (CHECK, "f")], [0, 1]),
    ([(GIVEN, "with open('x') as h: pass"), (ANSWER, "f = h"), (CHECK, "f")], [0, 1]),
    ([(GIVEN, "print(w := 3)"), (ANSWER, "f = w"), (CHECK, "f")], [0, 1]),
    ([(GIVEN, "def set_up():\n    global a\n    a = 1"), (ADDED, "set_up()"), (ANSWER, "f = lambda: a"), (CHECK, "f")], [0, 1, 2]),
    ([(ADDED, "t = {}"), (ADDED, "def fill(): t[1] = 2"), (ADDED, "fill()"), (ANSWER, "f = lambda: t"), (CHECK, "f")], [0, 1, 2, 3]),
    ([(ADDED, "a = [3, 1]"), (ADDED, "import random\nrandom.shuffle(a)"), (ANSWER, "f = lambda: a"), (CHECK, "f")], [0, 1, 2]),
    ([(GIVEN, "class A: pass"), (GIVEN, "A.x = 1"), (ANSWER, "class B(A): pass"), (CHECK, "B")], [0, 1, 2]),
    ([(GIVEN, "T = int"), (ANSWER, "def f(x: T = 1): return x"), (CHECK, "f")], [0, 1]),
    ([(GIVEN, "a = 1"), (GIVEN, "del a"), (ANSWER, "f = lambda: a"), (CHECK, "f")], [0, 1, 2]),
    ([(ADDED, "%%writefile m.py\nx = 1"), (ADDED, "%load_ext autoreload"), (ADDED, "exec('a = 1')"), (ADDED, "1 +"), (ANSWER, "f = 1"), (CHECK, "f")], [0, 1, 2, 3, 4]),
    ([(GIVEN, "%%html\n<b>"), (GIVEN, "exec('a = 1')"), (GIVEN, "1 +"), (ANSWER, "f = 1"), (CHECK, "f")], [3]),
    ([(GIVEN, "from m import *\nx = 1\ny = 2\nz = 3"), (ANSWER, "f = 1"), (CHECK, "f")], [0, 1]),
    ([(ADDED, "%%time\nb = 1"), (ANSWER, "f = lambda: b"), (CHECK, "f")], [0, 1]),
    ([(GIVEN, "result = train()"), (ADDED, "text = open('x').read()\nprint(result)"), (ANSWER, "f = 1"), (CHECK, "f")], [1, 2]),
    ([(ADDED, "setattr(m, 'a', b)"), (ADDED, "b = 1"), (ANSWER, "f = 1"), (CHECK, "f")], [0, 2]),
    ([(ADDED, "b = 1"), (ADDED, "setattr(m, 'a', b)"), (ANSWER, "f = 1"), (CHECK, "f")], [0, 1, 2]),
    ([(ANSWER, "x = 3\ndef f(): return x"), (CHECK, "f"), (ADDED, "y = 1"), (ANSWER, "def g(): return f() + y"), (CHECK, "g")], [0, 2, 3]),
])
def test_names_are_followed(cells, places):
    assert kept(*cells) == places


def test_the_learners_cells_that_are_left_out_can_be_run_too():
    whole = program((ADDED, "seen = 1"), (GIVEN, "picture = 2"), (ANSWER, "f = 1"), (CHECK, "f"), (ADDED, "after = 2"))
    cells = needed(whole)
    assert [cell.id for cell in left_out(whole, cells)] == ["0", "4"]
    assert [cell.id for cell in with_learners(whole, cells)] == ["0", "2", "4"]


def test_hard_sources_are_kept_and_never_a_crash():
    for source in ("(" * 50_000, "1" + "+1" * 30_000, "a" + ".b" * 30_000, "a\0b", "x = '\ud800'", "f" + "()" * 30_000, "[" * 50_000 + "]" * 50_000):
        assert kept((ADDED, source), (ANSWER, "f = 1"), (CHECK, "f")) == [0, 1]
