"""The gate's table: written, read back, and in step with the exercises as they are now."""

from pathlib import Path

import pytest

from breakthrough import cli
from breakthrough.errors import InputError
from breakthrough.exercises import every, gate, gate_table, mutants
from breakthrough.exercises.gate import Counts

PAGE = Path(__file__).parents[2] / "docs" / "grader.md"
ROWS = gate_table.rows_of(PAGE.read_text(encoding="utf-8"))
EVERY = list(every())
EMPTY = f"# Page\n\n{gate_table.BEGIN}\n{gate_table.END}\n\nmore\n"
ROUTE = Counts("moe.route", "0123abcd", 8, 9, 9, 9, 4, 0, 10, 8, 2, 0)
SOFTMAX = Counts("start.softmax", "89ab0123", 6, 6, 6, 6, 4, 1, 34, 30, 2, 2)
QUESTION = Counts("moe.q_bias", "01234567", 4, 4, 4, 4, 4, 0)


def test_the_page_names_every_exercise_in_course_order():
    assert list(ROWS) == [exercise.name for exercise in EVERY]


@pytest.mark.parametrize("exercise", EVERY, ids=[one.name for one in EVERY])
def test_the_page_is_in_step(exercise):
    row, again = ROWS[exercise.name], f"breakthrough gate {exercise.name} --report"
    assert row.reference == mutants.digest(exercise), again
    assert row.misconceptions == len(exercise.misconceptions), again
    draws = gate.draws(exercise)  # of a question, several learners' too
    assert row.wrong == sum(1 + len(m.variants) for one in draws for m in one.misconceptions), again
    assert row.right == sum(1 + len(one.alternatives) for one in draws), again
    assert bool(row.mutants) == mutants.mutated(exercise), again


@pytest.mark.parametrize("exercise", EVERY, ids=[one.name for one in EVERY])
def test_the_page_shows_no_error_of_the_grader(exercise):
    row = ROWS[exercise.name]
    assert row.killed == row.diagnosed == row.wrong and row.failed == row.survived == 0
    assert row.mutants == row.mutants_killed + row.equivalent


def test_the_page_adds_up():
    rows = list(ROWS.values())
    text = PAGE.read_text(encoding="utf-8")
    assert gate_table.table(rows)[-1] in text and gate_table.summary(rows)[0] in text


def test_rows_are_replaced_in_course_order_and_the_rest_of_the_page_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(EMPTY, encoding="utf-8")
    gate_table.write(page, {row.exercise: row for row in (QUESTION, ROUTE)})
    gate_table.write(page, {SOFTMAX.exercise: SOFTMAX})
    text = page.read_text(encoding="utf-8")
    assert gate_table.rows_of(text) == {row.exercise: row for row in (SOFTMAX, ROUTE, QUESTION)}
    assert list(gate_table.rows_of(text)) == ["start.softmax", "moe.route", "moe.q_bias"]
    assert text.startswith("# Page\n\n") and text.endswith(f"{gate_table.END}\n\nmore\n")
    assert "3 exercises, 18 misconceptions in 19 wrong answers: 0 (0.0%) passed" in text
    assert "44 mutants" in text and "2 (4.5%) survived" in text and "1 (8.3%) failed" in text


def test_what_was_not_measured_has_a_dash():
    line = gate_table.table([QUESTION])[2]
    assert line.count("–") == 4 and gate_table.table([ROUTE], with_mutants=False)[2].count("–") == 4


@pytest.mark.parametrize("text", [
    "no marks", EMPTY + EMPTY, EMPTY.replace(gate_table.END, f"| moe.route | 1 | 2 |\n{gate_table.END}"),
])
def test_another_page_is_refused(text):
    with pytest.raises(InputError):
        gate_table.rows_of(text)


def test_shares_of_an_exercise_add_up():
    facts, half = Counts("moe.route", "0123abcd", 8, 9, 9, 9, 4, 0), Counts("moe.route", mutants=5, mutants_killed=4, equivalent=1)
    assert gate_table.add(gate_table.add(facts, half), half) == ROUTE


def test_the_command_measures_and_writes_its_row(course_folder, capsys):
    page = course_folder / "docs" / "grader.md"
    page.parent.mkdir()
    page.write_text(EMPTY, encoding="utf-8")
    assert cli.main(["gate", "00", "--report", "--workers", "1"]) == 0
    shown = capsys.readouterr().out
    row = gate_table.rows_of(page.read_text(encoding="utf-8"))["start.softmax"]
    assert row == ROWS["start.softmax"] and "start.softmax" in shown and "docs/grader.md" in shown


def test_a_grader_that_errs_is_told(course_folder, capsys, monkeypatch):
    from breakthrough.exercises import gate

    part = gate.Part(Counts("start.softmax", "x", 1, 2, 1, 1, 4, 0), ("start.softmax: overflow: not killed",))
    monkeypatch.setattr(gate, "measure", lambda exercises, workers, with_mutants, on_part: on_part(part))
    assert cli.main(["gate", "start.softmax"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "start.softmax: overflow: not killed"
