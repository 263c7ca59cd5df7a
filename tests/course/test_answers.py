import pytest
from toy_course import lab_cells, write_notebook

from breakthrough.course import answers
from breakthrough.errors import ConfigError, InputError


@pytest.fixture
def toy(course):
    return course.find("toy")


def learner(course, toy, double, half):
    return write_notebook(course.lab(toy), *lab_cells(double, half))


def test_passed_and_wrong_and_not_attempted_are_told_apart(course, toy):
    path = learner(course, toy, "def double(x):\n    return 2 * x", "def half(x):\n    raise NotImplementedError()")
    before = path.read_bytes()
    checked = answers.run_lab(course, toy)
    double, half = checked.scores
    assert (double.status, double.points, double.of) == ("passed", 40, 40)
    assert (half.status, half.points, half.of, half.says) == ("not attempted", 0, 30, "")
    assert checked.stopped == () and not checked.passed
    assert path.read_bytes() == before


def test_a_wrong_answer_says_why_and_the_rest_still_runs(course, toy):
    learner(course, toy, "def double(x):\n    return x", "def half(x):\n    return x / 2")
    double, half = answers.run_lab(course, toy).scores
    assert (double.status, double.says) == ("wrong", "toy.double: wrong")
    assert half.passed


def test_a_check_that_did_not_run_is_not_reached(course, toy):
    cells = [one for one in lab_cells() if "toy.half" not in one[1] or one[0] != "code" or "check(" not in one[1][:6]]
    write_notebook(course.lab(toy), *cells)
    double, half = answers.run_lab(course, toy).scores
    assert double.passed and (half.status, half.points) == ("not reached", 0)


def test_a_check_whose_cell_failed_says_with_what(course, toy):
    learner(course, toy, "def double(x):\n    return 2 * x", "halve = 1")
    _, half = answers.run_lab(course, toy).scores
    assert (half.status, half.of, half.says) == ("not reached", 30, "its check cell raised NameError: name 'half' is not defined")


@pytest.mark.parametrize("endless", ["def double(x):\n    while True: pass", "while True: pass"], ids=["in the check", "in the answer"])
def test_a_loop_that_never_ends_costs_its_own_exercise_only(course, toy, endless):
    learner(course, toy, endless, "def half(x):\n    return x / 2")
    checked = answers.run_lab(course, toy, limit_s=2)
    double, half = checked.scores
    assert (double.status, double.points, double.of) == ("stopped", 0, 40) and "loop" in double.says
    assert half.passed
    [said] = checked.stopped
    assert "(toy.double) ran longer than 2 s" in said and "--limit" in said


def test_a_lab_over_three_limits_ends_and_keeps_what_it_earned(course, toy, monkeypatch):
    monkeypatch.setattr(answers, "WHOLE", 1.5)
    learner(course, toy, "def double(x):\n    return 2 * x\nimport time; time.sleep(3)", "import time; time.sleep(60)")
    checked = answers.run_lab(course, toy, limit_s=4)
    double, half = checked.scores
    assert double.passed and (half.status, half.of) == ("not reached", 30)
    assert half.says == checked.stopped[-1] == "the lab ended early: longer than 6 s, in cell cell-07"


def test_claims_are_told_recorded_or_not(course, toy):
    path = learner(course, toy, "def double(x):\n    return 2 * x", "def half(x):\n    return x / 2")
    assert answers.run_lab(course, toy).claims == {"C01": ""}
    record = ("code", "from breakthrough.course import claims\nclaims.record('C01', 'holds', '2 of 2', profile=PROFILE)")
    write_notebook(path, *lab_cells(), record)
    (path.parents[2] / "course.yml").touch()
    assert answers.run_lab(course, toy).claims == {"C01": "holds"}


def test_without_a_released_lab_it_says_how_to_get_it(course, toy):
    with pytest.raises(InputError, match="breakthrough release 01_toy"):
        answers.run_lab(course, toy)


def test_a_module_without_a_lab_and_an_unknown_profile(course, toy):
    with pytest.raises(InputError, match="expected a module with a lab"):
        answers.run_lab(course, course.find("00"))
    with pytest.raises(ConfigError, match="expected a profile"):
        answers.run_lab(course, toy, "fast")
