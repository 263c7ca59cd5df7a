"""The cards in the lessons' kept outputs are those that `ask` and `hint` show today, so that nbval has nothing to say about them."""

import re

import pytest

from breakthrough.course import notebooks, syllabus
from breakthrough.exercises import card, load, statement
from breakthrough.learner import STANDARD

COURSE = syllabus.load()


@pytest.mark.parametrize("module", COURSE.built, ids=lambda module: module.id)
def test_a_lesson_shows_questions_and_hints_as_they_are_today(module):
    seen = []
    for cell in notebooks.code_cells(notebooks.read(COURSE.lesson(module))):
        for name in re.findall(r'^ask\("([\w.]+)"\)', cell["source"], re.MULTILINE):
            kept = ["".join(output["data"]["text/html"]) for output in cell["outputs"] if "text/html" in output.get("data", {})]
            assert statement.html(load(name).redraw(STANDARD), STANDARD) in kept
            seen.append(name)
        for name in re.findall(r'^hint\("([\w.]+)"\)', cell["source"], re.MULTILINE):
            kept = ["".join(output["data"]["text/html"]) for output in cell["outputs"]]
            assert kept == [card.hint_bundle(load(name), 1)["text/html"]]
    assert set(seen) == {name for name in module.questions if load(name).question and load(name).asks} - {"start.softmax"}
