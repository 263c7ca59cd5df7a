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
    double, half = answers.run_lab(course, toy)
    assert (double.status, double.points, double.of) == ("passed", 40, 40)
    assert (half.status, half.points, half.of) == ("not attempted", 0, 30)
    assert path.read_bytes() == before


def test_a_wrong_answer_says_why_and_the_rest_still_runs(course, toy):
    learner(course, toy, "def double(x):\n    return x", "def half(x):\n    return x / 2")
    double, half = answers.run_lab(course, toy)
    assert (double.status, double.says) == ("wrong", "toy.double: wrong")
    assert half.passed


def test_a_check_that_did_not_run_is_not_reached(course, toy):
    cells = [one for one in lab_cells() if "toy.half" not in one[1] or one[0] != "code" or "check(" not in one[1][:6]]
    write_notebook(course.lab(toy), *cells)
    double, half = answers.run_lab(course, toy)
    assert double.passed and (half.status, half.points) == ("not reached", 0)


def test_without_a_released_lab_it_says_how_to_get_it(course, toy):
    with pytest.raises(InputError, match="breakthrough release 01_toy"):
        answers.run_lab(course, toy)


def test_a_module_without_a_lab_and_an_unknown_profile(course, toy):
    with pytest.raises(InputError, match="expected a module with a lab"):
        answers.run_lab(course, course.find("00"))
    with pytest.raises(ConfigError, match="expected a profile"):
        answers.run_lab(course, toy, "fast")
