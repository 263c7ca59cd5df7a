"""Points of reviews and lessons in nbgrader's gradebook: whole, and never zero for missing."""

import pytest
from toy_cohort import MODULE, cohort, cohort_template  # noqa: F401

from breakthrough.course.grade import Score
from breakthrough.errors import InputError
from breakthrough.grading import course_config, entered
from breakthrough.grading.entered import Entry

CELLS = {"reviews": 12.0, "work": 8.0}


def put(cohort, **students):
    entries = {name: Entry(dict(zip(CELLS, points, strict=True)), {"work": "as your reviewers see it"}) for name, points in students.items()}
    with course_config.gradebook(cohort) as book:
        return entered.put(book, MODULE, "exchange", CELLS, entries)


def scores(cohort):
    with course_config.gradebook(cohort) as book:
        return entered.scores(book, MODULE, "exchange")


def test_points_are_nbgraders_own(cohort):
    assert put(cohort, ada=(9, 6), bob=(3.5, None)) == 2
    assert scores(cohort) == {"ada": Score(15, 20, 20), "bob": Score(3.5, 12, 20)}
    with course_config.gradebook(cohort) as book:
        assert book.find_assignment("01_toy_exchange").max_score == 20
        assert book.find_submission("01_toy_exchange", "ada").score == 15
        assert book.find_comment("work", "01_toy_exchange", "01_toy_exchange", "ada").comment == "as your reviewers see it"


def test_nothing_known_is_no_submission(cohort):
    assert put(cohort, ada=(0, 0), bob=(None, None)) == 1
    assert scores(cohort) == {"ada": Score(0, 20, 20)}


def test_again_replaces_what_was_written_and_keeps_what_a_person_entered(cohort):
    put(cohort, ada=(9, 6), bob=(5, 5))
    with course_config.gradebook(cohort) as book:
        book.find_grade("work", "01_toy_exchange", "01_toy_exchange", "ada").manual_score = 7
        book.db.commit()
    put(cohort, ada=(10, 2), bob=(None, None))
    assert scores(cohort) == {"ada": Score(17, 20, 20), "bob": Score(0, 0, 20)}


def test_a_failure_leaves_all_as_it_was(cohort):
    put(cohort, ada=(9, 6))
    with course_config.gradebook(cohort) as book, pytest.raises(KeyError):
        entered.put(book, MODULE, "exchange", CELLS, {"bob": Entry({"reviews": 1.0}, {}), "ada": Entry({"elsewhere": 1.0}, {})})
    assert scores(cohort) == {"ada": Score(15, 20, 20)}


def test_a_kind_that_is_none(cohort):
    with pytest.raises(InputError, match="expected one of lab, exchange, lesson, got homework"):
        entered.assignment_of(MODULE, "homework")
