"""Tables out of a graded cohort: grades, LTI scores, item analysis."""

import csv
import json

import pytest
from toy_cohort import MODULE, cohort, cohort_template, graded, mark, submit  # noqa: F401

from breakthrough.errors import InputError
from breakthrough.grading import course_config, entered, grades, items, tables
from breakthrough.grading.entered import Entry
from breakthrough.grading.gradebook import GradebookWriter
from breakthrough.grading.records import NOT_ATTEMPTED, Program


def write(cohort, *many):
    with GradebookWriter(cohort) as writer:
        for one in many:
            writer.write(one)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_grades_are_the_gradebooks_with_penalties_and_manual_scores(cohort, tmp_path):
    submit(cohort, "bob")
    write(cohort, graded(cohort, half=False))
    with course_config.gradebook(cohort) as book:
        for name, points in (("toy-essay", 5), ("toy-task", 4)):
            grade = book.find_grade(name, MODULE, MODULE, "ada")
            grade.manual_score, grade.needs_manual_grade = points, False
        book.find_submission_notebook(MODULE, MODULE, "ada").late_submission_penalty = 9
        book.db.commit()
    assert grades.write_csv(tmp_path / "g.csv", grades.graded(cohort, [MODULE])) == 2
    ada, bob = read(tmp_path / "g.csv")
    assert ada == {"id": "ada", "first_name": "Ada", "last_name": "Lovelace", "email": "ada@x.org", "lms_user_id": "901", "01_toy": "40", "01_toy_max": "79",
                   "01_toy_late": "9", "01_toy_state": "graded", "total": "40", "total_max": "79", "grade_percent": "35.44", "missing_percent": "30.00",
                   "missing": "30.0% of it not there yet: exchange 20 of 20 points, nothing of 01_toy; lesson 9 of 9 points, nothing of 01_toy"}
    assert (bob["01_toy"], bob["01_toy_state"], bob["missing_percent"]) == ("", "collected", "100.00")


def test_reviews_and_lessons_stand_beside_the_lab_and_count_in_the_grade(cohort, tmp_path):
    write(cohort, graded(cohort), graded(cohort, "bob"))
    with course_config.gradebook(cohort) as book:
        entered.put(book, MODULE, "exchange", {"reviews": 12, "work": 8}, {"ada": Entry({"reviews": 12, "work": 4}, {}), "bob": Entry({"reviews": 0, "work": None}, {})})
        entered.put(book, MODULE, "lesson", {"toy.q_one": 9}, {"ada": Entry({"toy.q_one": 9}, {}), "bob": Entry({"toy.q_one": None}, {})})
    grades.write_csv(tmp_path / "g.csv", grades.graded(cohort, [MODULE]))
    ada, bob = read(tmp_path / "g.csv")
    assert float(ada["grade_percent"]) == pytest.approx(70 * 70 / 79 + 20 * 16 / 20 + 10, abs=0.01) and ada["missing"] == ""
    assert (ada["01_toy_exchange"], ada["01_toy_exchange_max"], ada["01_toy_lesson"]) == ("16", "20", "9")
    assert (bob["01_toy_exchange"], bob["01_toy_exchange_state"], bob["01_toy_lesson"], bob["01_toy_lesson_state"]) == ("0", "in part", "", "no submission")
    assert "exchange 8 of 20 points" in bob["missing"] and float(bob["missing_percent"]) == pytest.approx(20 * 8 / 20 + 10)


def test_a_lab_that_only_the_cohort_has_is_a_grade_of_its_own(cohort, tmp_path):
    with course_config.gradebook(cohort) as book:
        book.update_or_create_assignment("Extra-lab")
    ada, _ = grades.graded(cohort, ["Extra-lab"])
    assert ada.results[0].state == "no submission" and ada.grade.parts == ()
    assert grades.write_csv(tmp_path / "g.csv", grades.graded(cohort, [MODULE, "Extra-lab"])) == 2


def test_nbgraders_own_export_says_the_same(cohort, tmp_path):
    from nbgrader.plugins import CsvExportPlugin

    write(cohort, graded(cohort, half=False), graded(cohort, "bob"))
    with course_config.gradebook(cohort) as book:
        CsvExportPlugin(to=str(tmp_path / "stock.csv")).export(book)
    grades.write_csv(tmp_path / "g.csv", grades.graded(cohort, [MODULE]))
    stock = {row["student_id"]: float(row["score"]) for row in read(tmp_path / "stock.csv")}
    assert stock == {row["id"]: float(row["01_toy"]) for row in read(tmp_path / "g.csv")} == {"ada": 40, "bob": 70}


def test_lti_scores_have_the_fields_of_its_grade_service(cohort, tmp_path):
    write(cohort, graded(cohort, graded_s=1_700_000_000.5), graded(cohort, "eve"))
    rows, without = grades.write_lti_csv(tmp_path / "l.csv", grades.results(cohort, [MODULE]))
    assert (rows, without) == (2, ["eve"])
    ada, bob = read(tmp_path / "l.csv")
    assert ada == {"userId": "901", "resourceId": MODULE, "scoreGiven": "70", "scoreMaximum": "79", "timestamp": "2023-11-14T22:13:20.500Z",
                   "activityProgress": "Completed", "gradingProgress": "PendingManual"}
    assert (bob["scoreGiven"], bob["activityProgress"], bob["gradingProgress"]) == ("", "Initialized", "NotReady")


def test_a_name_is_never_a_formula(cohort, tmp_path):
    with course_config.gradebook(cohort) as book:
        book.update_or_create_student("bob", first_name='=HYPERLINK("http://evil")', last_name="-3", email="@x")
    grades.write_csv(tmp_path / "g.csv", grades.graded(cohort, [MODULE]))
    bob = next(row for row in read(tmp_path / "g.csv") if row["id"] == "bob")
    assert (bob["first_name"], bob["last_name"], bob["email"]) == ('\'=HYPERLINK("http://evil")', "-3", "'@x")


def test_a_module_that_nobody_knows_is_said(cohort):
    with pytest.raises(InputError, match="try 01_toy"):
        grades.results(cohort, ["09_none"])
    with pytest.raises(InputError, match="breakthrough cohort grade"):
        items.analyse(cohort, MODULE)


def log(cohort, student, *events):
    folder = submit(cohort, student)
    (folder / "events.jsonl").write_text("".join(event if isinstance(event, str) else json.dumps(event) + "\n" for event in events))


def event(kind, exercise, time_s, **fields):
    return {"kind": kind, "exercise": exercise, "time_s": time_s, **fields}


def test_items_count_shares_mistakes_and_what_the_logs_say(cohort):
    wrong = mark("toy.half", False, diagnosis="twice")
    write(
        cohort, graded(cohort, "a"), graded(cohort, "b", marks=(mark("toy.double"), wrong)), graded(cohort, "c", marks=(mark("toy.double", False, kind="shape"), wrong)),
        graded(cohort, "d", marks=(mark("toy.double", status=NOT_ATTEMPTED, points=0), mark("toy.half"))),
        graded(cohort, "e", marks=(), program=Program(()), refused="not JSON"))
    log(cohort, "a", event("hint", "toy.double", 0, level=1), event("hint", "toy.double", 60, level=1), event("check", "toy.double", 120, status="wrong", points=0),
        event("check", "toy.double", 240, status="passed", points=40), event("check", "toy.half", 4000, status="passed", points=30))
    log(cohort, "b", event("check", "toy.double", 0, status="passed", points=40), "{broken\n", "[]\n", '{"kind": "check", "time_s": NaN, "exercise": "toy.double"}\n',
        event("check", "toy.double", 30, status="passed", points="many"), event("check", 7, 1), {"kind": "check", "time_s": 2})
    double, half = items.analyse(cohort, MODULE)
    assert (double.exercise, double.submissions, double.attempted, double.passed) == ("toy.double", 4, 0.75, 0.5)
    assert double.misconceptions == {"shape": 1} and half.misconceptions == {"twice": 2}
    assert (double.logs, double.hints, double.minutes, double.attempts) == (2, 0.5, 2.25, 2.0)
    assert double.marks_per_attempt == 20 and half.minutes == 0 and half.logs == 1
    assert double.discrimination == pytest.approx(0.0) and half.passed == 0.5


def test_discrimination_is_the_correlation_with_the_rest_and_needs_something_that_varies():
    assert items.discrimination([True, True, False, False], [3, 3, 1, 1]) == pytest.approx(1)
    assert items.discrimination([True, False, True, False], [3, 3, 1, 1]) == pytest.approx(0)
    assert items.discrimination([True, True], [3, 1]) is None and items.discrimination([True, False], [2, 2]) is None
    assert items.discrimination([True], [1]) is None


def test_the_table_names_no_student(cohort, tmp_path, capsys):
    write(cohort, graded(cohort, "ada", half=False), graded(cohort, "bob", marks=(mark("toy.double", False, diagnosis="one more"), mark("toy.half"))))
    found = items.analyse(cohort, MODULE)
    tables.print_items(found)
    items.to_csv(tmp_path / "i.csv", found)
    shown = capsys.readouterr().out + (tmp_path / "i.csv").read_text()
    assert "toy.double" in shown and "one more 1" in shown and "-1.00" in shown
    assert "ada" not in shown and "bob" not in shown and "Lovelace" not in shown
