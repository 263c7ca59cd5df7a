"""The mistakes to plant: each is the misconception that it says, by itself and in another hand; right answers stay right."""

import ast
import inspect
import random

import pytest

from breakthrough.errors import ConfigError, InputError
from breakthrough.exercises import plants, showing, standing, styles
from breakthrough.exercises.exercise import load
from breakthrough.exercises.judge import PASSED, WRONG, judge

EVERY = [plant for own in plants.table().values() for plant in own]


def styled(text, exercise, seed):
    lot = random.Random(f"{exercise.name} {seed}")
    return styles.restyle(text, exercise.reference.__name__, inspect.getdoc(exercise.reference), styles.draw(lot), lot)


@pytest.mark.parametrize("name", plants.table())
def test_a_planted_mistake_is_diagnosed_as_itself_in_another_hand(name):
    exercise = load(name)
    drawn = list(showing.inputs(exercise, 3).values())
    for number, plant in enumerate(plants.table()[name]):
        text = styled(plants.source(plant), exercise, number)
        wrong = plants.answer(text, exercise)
        assert any(showing.shows(exercise, wrong, one).differs for one in drawn), plant.id
        verdict = judge(exercise, wrong, 1)
        found = verdict.diagnosis.name if verdict.diagnosis else verdict.difference
        assert (verdict.status, found) == (WRONG, plant.kind), f"{plant.id}\n{text}"


@pytest.mark.parametrize("name", plants.table())
def test_a_right_answer_stays_right_in_another_hand(name):
    exercise = load(name)
    for way, text in standing.right_ways(exercise).items():
        made = styled(text, exercise, way)
        assert judge(exercise, plants.answer(made, exercise), 1).status == PASSED, made


@pytest.mark.parametrize("room", ["moe", "scenes", "federated", "quant", "deploy", "capstone"])
def test_every_module_has_ten_mistakes_in_five_exercises(room):
    own = [plant for plant in EVERY if plant.exercise.startswith(f"{room}.")]
    assert len(own) >= 10 and len({plant.exercise for plant in own}) >= 5
    assert len({(plant.exercise, plant.of, plant.kind) for plant in own}) == len(own)


def test_an_edit_that_does_not_fit_says_so():
    plant = plants.Plant("moe.route", "route", "sigmoid", (("no such text", ""),))
    with pytest.raises(ConfigError, match="expected 'no such text' once, got 0 times"):
        plants.source(plant)


def test_what_needs_more_than_text_does_not_stand_alone():
    with pytest.raises(InputError):
        standing.alone(load("moe.mend").alternatives[0].__init__, "def f(x):\n    return MISSING", "f")


def test_a_function_under_another_name_is_the_last_one_that_is_defined():
    text = "def helper(x):\n    return x + 1\n\ndef mine(logits, k):\n    return helper(k)"
    assert plants.answer(text, load("moe.route"))(None, 1) == 2
    with pytest.raises(InputError, match="expected a function for moe.route"):
        plants.answer("x = 1", load("moe.route"))


def test_restyling_leaves_out_what_an_edit_made_idle():
    plant = next(p for p in EVERY if (p.exercise, p.of, p.kind) == ("moe.capacity", "keep", "rounded down"))
    plain = styles.Style(0.0, False, "none", False, False, False, False)
    text = styles.restyle(plants.source(plant), "keep", "", plain, random.Random(0))
    assert "import math" not in text and "int(factor" in text


def test_long_lines_are_broken_and_stay_the_same_program():
    text = "def f(x):\n    return " + " + ".join(f"x[{i}] * max({i}, 2)" for i in range(20)) + " if x and len(x) > 3 else None"
    style = styles.Style(0.0, False, "none", True, True, False, False)
    made = styles.restyle(text, "f", "", style, random.Random(0))
    assert max(map(len, made.splitlines())) < 115
    assert ast.dump(ast.parse(made)) == ast.dump(ast.parse(text))


def test_no_input_shows_a_mistake_in_a_right_answer():
    exercise = load("moe.bias")
    assert not any(showing.shows(exercise, exercise.alternatives[0], one).differs for one in showing.inputs(exercise, 3).values())


def test_where_right_answers_differ_a_mistake_shows_when_it_agrees_with_none():
    import torch

    exercise, zeros = load("quant.absmax"), (torch.zeros(4),)  # any scale but 0 will do
    assert "differ among themselves" in showing.usable(exercise, zeros).says
    right, wrong = (next(one for one in plants.table()[exercise.name] if one.kind == kind) for kind in ("cut off", "zeros divided by zero"))
    assert showing.shows(exercise, plants.answer(plants.source(wrong), exercise), zeros).differs
    assert not showing.shows(exercise, plants.answer(plants.source(right), exercise), zeros).differs  # another mistake, which zeros do not show
    assert not any(showing.shows(exercise, way, zeros).differs for way in (exercise.reference, *exercise.alternatives))


def test_an_input_on_which_right_answers_raise_shows_nothing():
    import torch

    exercise = load("moe.route")
    beyond = showing.usable(exercise, (torch.zeros(2, 3), 5))
    assert not beyond.usable and "raises" in beyond.says
    tied = showing.usable(load("moe.cost"), (4, 8, 4, 2, 1, 3))
    assert tied.usable


@pytest.mark.parametrize(("evidence", "said"), [
    ([1, 2], "as a tuple, got list"), ((1,), r"the arguments of moe.route, \(logits, k\), got a tuple of 1"),
    ({"input": "no such", "seed": 0}, "known input of moe.route"), ({"input": "no such", "seed": "0"}, "the label and the seed"),
])
def test_evidence_that_is_no_input_is_refused(evidence, said):
    with pytest.raises(InputError, match=said):
        showing.usable(load("moe.route"), evidence)
