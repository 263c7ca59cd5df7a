from types import SimpleNamespace

import pytest
from toy_course import lab_cells, notebook

from breakthrough.course import agreement, syllabus

BANK = {
    "toy.double": SimpleNamespace(name="toy.double", points=40, minutes=240),
    "toy.half": SimpleNamespace(name="toy.half", points=30, minutes=180),
    "toy.q_one": SimpleNamespace(name="toy.q_one", points=9, minutes=3),
}


@pytest.fixture
def toy(course):
    return course.find("toy")


def lab():
    made = notebook(*lab_cells())
    made["cells"][0]["source"] = "# Toy\n70 points. Claims: C01"
    made["cells"][3]["source"] = "## Double\n`toy.double` · 40 points · 240 min"
    made["cells"][6]["source"] = "## Half\n`toy.half` · 30 points · 180 min"
    return made


def lesson():
    return notebook(("markdown", "# Toy\n9 points"), ("markdown", "`toy.q_one` · 9 points · 3 min"),
                    ("code", 'answer_one = None\ncheck("toy.q_one", answer_one)', {"tags": ["answer"]}))


def test_a_module_that_agrees_has_no_faults(toy):
    assert list(agreement.bank_faults(toy, BANK)) == []
    assert list(agreement.lab_faults(toy, lab(), BANK)) == []
    assert list(agreement.lesson_faults(toy, lesson(), BANK)) == []


@pytest.fixture
def bank(monkeypatch):
    """Make the toy's exercises those that there are."""
    from breakthrough import exercises

    there = {name: SimpleNamespace(**vars(one), lesson="q_" in name) for name, one in BANK.items()}
    there["start.softmax"] = SimpleNamespace(name="start.softmax", points=1, minutes=3, lesson=True)
    monkeypatch.setattr(exercises, "every", lambda: iter(there.values()))
    return there


def test_names_that_agree_are_no_fault(course, bank):
    assert agreement.name_faults(course) == []


def respelled(course, old, new):
    path = course.root / "course.yml"
    path.write_text(path.read_text().replace(old, new))
    return agreement.name_faults(syllabus.load(course.root))


def test_a_misspelled_exercise_names_line_and_nearest_and_what_is_left_out(course, bank):
    assert respelled(course, "toy.half]", "toy.halff]") == [
        "course.yml:18: modules[1].exercises[1]: expected the name of a known exercise, got 'toy.halff'; try toy.half or toy.double or toy.q_one",
        "course.yml:12: modules[1]: expected the exercise 'toy.half' to be listed, got no such line",
    ]


def test_a_question_is_no_exercise_of_the_lab(course, bank):
    bank["toy.half"].lesson = True
    assert agreement.name_faults(course) == [
        "course.yml:18: modules[1].exercises[1]: expected 'toy.half' under questions, got it under exercises"]


def test_an_exercise_of_no_module_is_named_at_the_modules(course, bank):
    bank["moon.walk"] = SimpleNamespace(name="moon.walk", points=1, minutes=1, lesson=False)
    assert agreement.name_faults(course) == ["course.yml:4: modules: expected the exercise 'moon.walk' to be listed, got no such line"]


def test_points_may_stand_in_a_table(toy):
    made = lab()
    made["cells"][0]["source"] = "# Toy\n| **Points** | 70 |\n| **Claims** | C01 |"
    assert list(agreement.lab_faults(toy, made, BANK)) == []


def test_points_and_minutes_of_the_exercises_sum_to_the_syllabus(toy):
    bank = BANK | {"toy.half": SimpleNamespace(name="toy.half", points=29, minutes=181)}
    assert list(agreement.bank_faults(toy, bank)) == [
        "01_toy: expected 70 lab points in the exercises, got 69", "01_toy: expected 420 minutes of lab in the exercises, got 421"]


def meta(made, number):
    return made["cells"][number]["metadata"]["nbgrader"]


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda made: meta(made, 5).update(points=41), "toy.double: expected 40 points in the metadata, got 41"),
    (lambda made: meta(made, 5).update(locked=False), "expected a locked check cell"),
    (lambda made: made["cells"][5].update(source='check("toy.half", double)'), 'expected check("toy.double", …) in its check cell'),
    (lambda made: meta(made, 4).update(grade_id="other"), "expected a solution cell whose id ends in -answer, got none"),
    (lambda made: meta(made, 4).update(locked=True), "expected an open solution cell"),
    (lambda made: made["cells"][4].update(source="def double(x): return 2 * x"), "expected ### BEGIN SOLUTION"),
    (lambda made: made["cells"][3].update(source="`toy.double` · 40 points · 24 min"), "got 40 points and 24 min"),
    (lambda made: made["cells"][3].update(source="## Double"), "got no such text"),
    (lambda made: made["cells"][0].update(source="# Toy, C01, 71 points"), "expected '70 points' on the title card"),
    (lambda made: made["cells"][0].update(source="# Toy, 70 points"), "expected the claims C01 on the title card"),
    (lambda made: meta(made, 8).update(grade=False), "expected graded cells ['toy-half']"),
])
def test_each_disagreement_of_a_lab_is_named(toy, spoil, said):
    made = lab()
    spoil(made)
    found = list(agreement.lab_faults(toy, made, BANK))
    assert len(found) == 1 and said in found[0], found


def test_a_question_without_an_answer_cell_is_named(toy):
    made = lesson()
    made["cells"][2]["metadata"] = {}
    assert "expected answer cells for toy.q_one, got none" in next(agreement.lesson_faults(toy, made, BANK))
