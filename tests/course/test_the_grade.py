import pytest

from breakthrough.course import grade
from breakthrough.course.grade import Score


def full(of):
    return Score(of, of, of)


def test_all_of_everything_is_a_hundred(course):
    found = grade.of(course, {"00_start": {"lesson": full(1)}, "01_toy": {"lab": full(70), "exchange": full(20), "lesson": full(9)}})
    assert found.percent == pytest.approx(100) and found.whole and found.missing_line() == ""
    assert found.line() == "grade: 100.0% = 70% × 70/70 (lab) + 20% × 20/20 (exchange) + 10% × 10/10 (lesson)"


def test_nothing_known_is_nothing_earned_and_all_open(course):
    found = grade.of(course, {})
    assert found.percent == 0 and found.open_percent == pytest.approx(100)
    assert found.parts[1].missing == ("01_toy",)


def test_zero_points_are_known_and_not_missing(course):
    found = grade.of(course, {"01_toy": {"exchange": Score(0, 20, 20)}})
    assert found.percent == 0 and found.open_percent == pytest.approx(80) and found.parts[1].missing == ()


def test_kinds_without_points_give_their_weight_to_the_others(course):
    start = [course.find("00_start")]
    found = grade.of(course, {"00_start": {"lesson": full(1)}}, start)
    assert [(part.kind, part.weight) for part in found.parts] == [("lesson", 100)] and found.percent == pytest.approx(100)


def test_the_weights_are_those_of_the_course(course):
    other = course.model_copy(update={"shape": course.shape.model_copy(update={"lab": 50, "exchange": 40})})
    known = {"01_toy": {"lab": full(70)}}
    assert grade.of(course, known).percent == pytest.approx(70) and grade.of(other, known).percent == pytest.approx(50)


def test_part_of_a_kind_is_open(course):
    found = grade.of(course, {"01_toy": {"lab": Score(20, 30, 70)}})
    assert found.percent == pytest.approx(20) and found.parts[0].open_percent == pytest.approx(40) and found.parts[0].missing == ()
    assert "lab 40 of 70 points" in found.missing_line()


def test_a_gradebook_with_other_points_for_a_lab_changes_no_weights(course):
    assert grade.of(course, {"01_toy": {"lab": Score(40, 80, 80)}}).percent == pytest.approx(35)
