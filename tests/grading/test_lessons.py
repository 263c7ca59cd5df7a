"""A lesson's questions in a cohort: judged from the answers in the log, each student's against their own draw."""

import json

import pytest

from breakthrough import exercises
from breakthrough.course import syllabus
from breakthrough.course.grade import Score
from breakthrough.errors import InputError
from breakthrough.grading import course_config, entered, grades, lessons, setting_up

MODULE = "01_moe"
ASKED = ("moe.q_capacity", "moe.q_bias")
COURSE = f"""\
title: Small
subtitle: Questions alone
shape: {{lab: 70, exchange: 20, lesson: 10}}
modules:
  - id: "{MODULE}"
    title: Experts
    room: moe
    hours: {{lab: 7, exchange: 2, lesson: 1}}
    points: {{exchange: 20, lab: 70, lesson: 10}}
    exercises: [moe.route]
    questions: [{", ".join(ASKED)}]
claims: []
"""


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    monkeypatch.setenv("BREAKTHROUGH_SEEDS", str(tmp_path / "seeds"))
    project = tmp_path / "project"
    (project / "solutions" / MODULE).mkdir(parents=True)
    (project / "course.yml").write_text(COURSE)
    (project / "solutions" / MODULE / f"{MODULE}.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (tmp_path / "students.csv").write_text("id,email\nada,ada@x.org\nbob,bob@x.org\n")
    return setting_up.init(tmp_path / "cohort", syllabus.load(project), students_csv=tmp_path / "students.csv").cohort


def hand_in(cohort, student, *answers, learner=None):
    folder = cohort.submitted(student, MODULE)
    folder.mkdir(parents=True, exist_ok=True)
    events = [{"kind": "check", "time_s": i, "exercise": name, "points": 99, "status": "passed", "answer": answer, "learner": learner or student}
              for i, (name, answer) in enumerate(answers)]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def right(name, learner):
    return exercises.load(name).redraw(learner).reference


def wrong(name, learner):
    return exercises.load(name).redraw(learner).misconceptions[0].answer


def scores(cohort):
    with course_config.gradebook(cohort) as book:
        return entered.scores(book, MODULE, "lesson")


def test_answers_are_judged_against_the_students_own_draw_and_the_logs_points_count_for_nothing(cohort):
    hand_in(cohort, "ada", *((name, right(name, "ada")) for name in ASKED))
    hand_in(cohort, "bob", (ASKED[0], right(ASKED[0], "bob")), (ASKED[1], wrong(ASKED[1], "bob")))
    ada, bob = lessons.grade(cohort, MODULE)
    assert list(ada.points.values()) == [2, 2] and list(bob.points.values()) == [2, 0]
    assert scores(cohort) == {"ada": Score(4, 4, 4), "bob": Score(2, 4, 4)}


def test_an_answer_passed_on_is_wrong_for_whoever_got_it(cohort):
    other = next(f"other{i}" for i in range(99) if right(ASKED[0], f"other{i}") != right(ASKED[0], "ada"))
    hand_in(cohort, "ada", (ASKED[0], right(ASKED[0], other)))
    assert lessons.grade(cohort, MODULE)[0].points[ASKED[0]] == 0


def test_the_best_answer_counts_and_the_mail_address_is_an_id_too(cohort):
    hand_in(cohort, "ada", (ASKED[0], right(ASKED[0], "ada@x.org")), (ASKED[0], wrong(ASKED[0], "ada@x.org")), learner="ada@x.org")
    assert lessons.grade(cohort, MODULE)[0].points[ASKED[0]] == 2


def test_what_is_missing_is_said_and_is_no_zero(cohort):
    hand_in(cohort, "ada", (ASKED[0], right(ASKED[0], "learner-1")), learner="learner-1")
    ada, bob = lessons.grade(cohort, MODULE)
    assert set(ada.points.values()) == {None} and "answered as learner-1, not as ada (breakthrough learner ada): moe.q_capacity" in ada.missing
    assert bob.missing == "no answer in the log: moe.q_capacity, moe.q_bias" and scores(cohort) == {}
    found = grades.graded(cohort, [MODULE])
    assert found[0].grade.open_percent == pytest.approx(100)


@pytest.mark.parametrize("line", ["nonsense", '{"kind": "check", "time_s": 1, "exercise": "moe.q_capacity", "answer": [1], "learner": "ada"}',
                                  '{"kind": "check", "time_s": 1, "exercise": "moe.q_capacity", "answer": {"a": 1}, "learner": ["ada"]}'])
def test_a_log_may_say_anything(cohort, line):
    hand_in(cohort, "ada", (ASKED[1], right(ASKED[1], "ada")))
    with (cohort.submitted("ada", MODULE) / "events.jsonl").open("a") as log:
        log.write(line + "\n")
    assert lessons.grade(cohort, MODULE)[0].points[ASKED[1]] == 2


def test_a_module_without_questions(cohort):
    text = (cohort.project / "course.yml").read_text().replace(f"questions: [{', '.join(ASKED)}]", "questions: []").replace(", lesson: 10}\n    exer", "}\n    exer")
    (cohort.project / "course.yml").write_text(text.replace("shape: {lab: 70, exchange: 20, lesson: 10}", "shape: {lab: 78, exchange: 22, lesson: 0}").replace(", lesson: 1}", "}"))
    with pytest.raises(InputError, match="expected questions in the lesson of 01_moe"):
        lessons.grade(cohort, MODULE)
