import pytest

from breakthrough import events
from breakthrough.course import progress


def check(exercise, status, points, at_s=0.0):
    return {"kind": "check", "time_s": at_s, "exercise": exercise, "status": status, "points": points, "of": 40}


def hint(exercise, level, at_s=0.0):
    return {"kind": "hint", "time_s": at_s, "exercise": exercise, "level": level}


def review(module, points, at_s=0.0):
    return {"kind": "exchange", "time_s": at_s, "module": module, "points": points, "of": 20}


def toy(found):
    return next(one for one in found.modules if one.module.id == "01_toy")


def test_an_empty_log_is_the_start(course):
    found = progress.measure(course, [])
    assert found.earned.total == 0 and found.of.total == 100
    assert found.next == "start.softmax, in notebooks/00_start.ipynb"
    assert [one.module.id for one in found.modules] == ["00_start", "01_toy"]


def test_what_was_passed_once_stays_passed(course):
    found = progress.measure(course, [check("toy.double", "passed", 40), check("toy.double", "wrong", 0)])
    assert toy(found).earned.lab == 40


def test_questions_count_as_lesson_and_exercises_as_lab(course):
    found = progress.measure(course, [check("toy.q_one", "passed", 9), check("toy.half", "passed", 30)])
    assert (toy(found).earned.lesson, toy(found).earned.lab, toy(found).earned.exchange) == (9, 30, 0)


def test_attempts_are_answers_and_hints_are_levels_seen(course):
    log = [check("toy.half", "not attempted", 0), check("toy.half", "wrong", 0), check("toy.half", "passed", 30),
           hint("toy.half", 1), hint("toy.half", 1), hint("toy.half", 2), hint("toy.double", 1)]
    assert (toy(progress.measure(course, log)).attempts, toy(progress.measure(course, log)).hints) == (2, 3)


def test_time_spent_leaves_breaks_out(course):
    log = [check("toy.half", "wrong", 0, 0), check("toy.half", "wrong", 0, 600), hint("toy.half", 1, 600 + 3600),
           check("toy.half", "passed", 30, 600 + 3600 + 300)]
    assert toy(progress.measure(course, log)).spent_min == pytest.approx(15)
    assert toy(progress.measure(course, log)).planned_min == pytest.approx(60 * 9.75)


def test_the_best_review_of_a_module_counts(course):
    found = progress.measure(course, [review("01_toy", 8), review("01_toy", 13.5), review("01_toy", 11)])
    assert toy(found).earned.exchange == 13.5


def test_the_grade_weighs_kinds_as_the_course_says_and_names_what_is_open(course):
    log = [check("toy.double", "passed", 40), check("toy.half", "wrong", 0), review("01_toy", 10)]
    found = progress.measure(course, log).grade
    assert found.percent == pytest.approx(70 * 40 / 70 + 20 * 10 / 20) and found.open_percent == pytest.approx(10)
    assert [part.missing for part in found.parts] == [(), (), ("00_start", "01_toy")]
    assert found.line().endswith("10.0% of it not there yet: lesson 10 of 10 points, nothing of 00_start, 01_toy")


def test_an_exercise_that_was_tried_and_failed_is_not_open_and_one_that_was_not_tried_is(course):
    lab = toy(progress.measure(course, [check("toy.double", "wrong", 0)])).scores["lab"]
    assert (lab.earned, lab.there, lab.open) == (0, 40, 30)
    assert toy(progress.measure(course, [check("toy.double", "not attempted", 0)])).scores["lab"].there == 0


def test_the_next_thing_follows_the_course(course):
    log = [check("start.softmax", "passed", 1), check("toy.q_one", "passed", 9), check("toy.double", "passed", 40)]
    assert progress.measure(course, log).next == "toy.half, in labs/01_toy/01_toy.ipynb"
    done = progress.measure(course, [*log, check("toy.half", "passed", 30)])
    assert done.next == "three works to review: breakthrough exchange solo 01_toy, or your cohort's round"
    done = progress.measure(course, [*log, check("toy.half", "passed", 30), review("01_toy", 12)])
    assert done.next == "all is done; 02_later is in preparation"


@pytest.mark.parametrize("event", [
    {"kind": "check", "time_s": 1, "exercise": "other.thing", "points": 5}, {"kind": "check", "time_s": 1, "points": 5},
    {"kind": "check", "time_s": 1, "exercise": "toy.half", "points": "many"}, {"kind": "check", "time_s": 1, "exercise": "toy.half"},
    review("01_toy", 1e9), review(["01_toy"], 5), review("01_other", 5), review("01_toy", "all"), review("01_toy", -3), review("01_toy", float("nan")),
    {"kind": "hint", "time_s": 1, "exercise": ["toy.half"]}, {"kind": "check", "time_s": 1, "exercise": "toy.half", "points": 1e9},
])
def test_strange_events_are_never_fatal_and_earn_nothing_beyond_the_module(course, event):
    found = progress.measure(course, [event])
    assert found.earned.total <= found.of.total


def test_an_exercise_that_the_course_does_not_name_is_named_once(course):
    found = progress.measure(course, [check("toy.halff", "passed", 30), check("toy.halff", "wrong", 0), check("toy.half", "passed", 30)])
    assert found.unknown == ("toy.halff",) and toy(found).earned.lab == 30
    assert progress.measure(course, [check("toy.half", "passed", 30)]).unknown == ()


def test_the_log_is_the_learners_own_by_default(course):
    events.append("check", exercise="toy.half", status="passed", points=30, of=30)
    assert toy(progress.measure(course)).earned.lab == 30


def test_the_figure_draws_earned_and_aims(course):
    drawn = progress.figure(progress.measure(course, [check("toy.double", "passed", 40)]))
    points, shape = drawn.axes
    assert [label.get_text() for label in points.get_yticklabels()] == ["00_start", "01_toy"]
    assert max(patch.get_width() for patch in shape.patches) == pytest.approx(100)
    assert "next" in drawn.get_suptitle().lower()
