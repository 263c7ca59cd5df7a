"""Module 2's exercises on sampling, physics, light and budget, beyond the gate."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load
from breakthrough.exercises.scenes_budget import choose
from breakthrough.exercises.scenes_chance import FALSE_ALARM, far_from_uniform, in_turn, margin
from breakthrough.exercises.scenes_light_trial import to_linear, to_srgb
from breakthrough.exercises.scenes_sample import sample
from breakthrough.exercises.scenes_settle import TOLERANCE_M, WINDOW_S, at_rest
from breakthrough.exercises.scenes_support import support
from breakthrough.scenes import materials, validity
from breakthrough.scenes.camera import linearize
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.sampling import sample as sample_scene
from breakthrough.scenes.spec import Camera
from breakthrough.seeds import numpy_generator, torch_generator

EXACTLY = "as far as the tolerance allows"  # binary fractions, so that nothing is rounded
STILL = {
    "two bodies that do not move at all", "a resting stack, simulated", "rest, with a solver's jitter of microns",
    "a slide, then rest", "60 moments a second, a fast slide, then rest", "a slide within a wider tolerance", "no bodies",
    "a jump just before the window", EXACTLY,
}  # fmt: skip


def draw(seed=0):
    return numpy_generator(seed, "test")


# settling


@pytest.mark.parametrize("seed", range(4))
def test_recordings_are_what_they_are_called(seed):
    for case in load("scenes.settle").cases(torch_generator(seed)):
        assert at_rest(*case.args) == (case.label in STILL), case.label


@pytest.mark.parametrize("seed", range(4))
def test_no_recording_is_near_the_tolerance_but_the_one_at_it(seed):
    for case in load("scenes.settle").cases(torch_generator(seed)):
        if case.label == EXACTLY:
            continue
        position, dt_s, window_s, tolerance_m = *case.args, *(WINDOW_S, TOLERANCE_M)[len(case.args) - 2 :]
        window = position[-round(window_s / dt_s) - 1 :]
        spread = np.ptp(window, axis=0).max(initial=0.0)
        assert not tolerance_m / 1.7 < spread < tolerance_m * 1.7, case.label


def test_the_order_of_the_recordings_changes_with_the_seed():
    orders = {tuple(case.label for case in load("scenes.settle").cases(torch_generator(seed))) for seed in range(4)}
    assert len(orders) == 4


# support


@pytest.mark.parametrize("seed", range(6))
def test_support_agrees_with_the_room(seed):
    generator = draw(seed)
    spec = sample_scene(preset("all"), generator)
    n = len(spec.bodies)
    a, b = generator.integers(n, size=(2, 2 * n))
    gap_m = generator.normal(4e-4, 4e-4, size=2 * n)
    deepest_m, supported = support(a, b, gap_m, n, validity.TOUCHING_M)
    loose = {body.name for body, held in zip(spec.bodies, supported) if not held and body.attached_to is None}
    assert loose == set(validity.unsupported(spec, tuple(zip(a.tolist(), b.tolist(), gap_m.tolist()))))
    assert deepest_m == max(0.0, -gap_m.min())


# light


def test_srgbs_curve_agrees_with_the_room_and_turns_round():
    srgb = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(to_linear(srgb), materials.to_linear(srgb), atol=1e-6)
    np.testing.assert_allclose(to_srgb(to_linear(srgb)), srgb, atol=1e-5)


# statistics


@pytest.mark.parametrize("name", ["scenes.sample", "scenes.light"])
def test_right_answers_pass_for_many_seeds(name):
    exercise = load(name)
    for seed in range(15):
        assert judge(exercise, exercise.reference, seed).status == "passed", seed


def test_uniform_draws_stay_far_inside_the_margin():
    worst = max(np.abs(np.sort(draw(seed).random(500)) - np.arange(500) / 500).max() for seed in range(200))
    assert worst < 0.8 * margin(500) and FALSE_ALARM * 50 <= 1e-6
    assert not far_from_uniform(draw().random(500)) and far_from_uniform(draw().random(500) ** 1.5)


def test_only_the_first_fact_that_fails_is_told():
    found = in_turn([("a", lambda: 1), ("b", lambda: False), ("c", lambda: 1 / 0)])
    assert found == {"a": True, "b": False, "c": True}


def test_a_biased_draw_is_wrong_though_nobody_knows_its_name():
    def drawn(ranges, generator):
        values = sample(ranges, generator)
        return {n: v if isinstance(v, str) else bent(n, *ranges[n], v) for n, v in values.items()}

    def bent(name, low, high, value):
        return low + (high - low) * ((value - low) / (high - low)) ** 1.8 if high > low else value

    verdict = judge(load("scenes.sample"), drawn, 0)
    assert verdict.status == "wrong" and "every part of a range is as likely" in verdict.difference.text


@pytest.mark.parametrize(("answer", "says"), [
    (lambda ranges, generator: {"a": 1}, "expected a dict with"),
    (lambda ranges, generator: dict.fromkeys(ranges, "x"), "expected a number for yaw_rad"),
    (lambda ranges, generator: None, "is there a `return`"),
])
def test_draws_of_another_kind_are_told_what_is_wanted(answer, says):
    assert says in card.plain(judge(load("scenes.sample"), answer, 0), 1).splitlines()[0]


@pytest.mark.parametrize(("answer", "says"), [
    (lambda g, n, angle: np.zeros((n, 3)), "expected two arrays"),
    (lambda g, n, angle: (np.zeros((3, n + 1)), np.zeros((n, 3))), "expected directions of shape (3, 3)"),
    (lambda g, n, angle: (np.zeros((n, 3)), [0.0]), "expected colours_linear as an array of floats"),
])
def test_lights_of_another_kind_are_told_what_is_wanted(answer, says):
    assert says in card.plain(judge(load("scenes.light"), answer, 0), 1).splitlines()[0]


# budget


@pytest.mark.parametrize("seed", range(5))
def test_a_choice_stays_within_its_budget_and_beats_chance(seed):
    generator = draw(seed)
    features, scene = generator.normal(size=(60, 3)), np.arange(60) % 15
    chosen = choose(features, scene, 10, 1, 100)
    assert len(set(chosen)) == len(chosen) and chosen[0] == 0
    assert 10 * len(set(scene[chosen].tolist())) + len(chosen) <= 100

    def covered(indices):
        return np.linalg.norm(features[:, None] - features[None, indices], axis=-1).min(axis=1).max()

    assert covered(chosen) <= np.median([covered(generator.permutation(60)[: len(chosen)]) for _ in range(50)])


def test_the_first_choice_that_differs_is_told():
    exercise = load("scenes.budget")
    verdict = judge(exercise, lambda *case: [i + 1 for i in choose(*case)], 0)
    assert verdict.difference.text == "choice 1 is shot 1, not shot 0"
    shorter = judge(exercise, lambda *case: choose(*case)[:2], 0)
    assert "the number of shots is 2, not 3" in shorter.difference.text
    assert judge(exercise, lambda *case: 7, 0).difference.text == "the output is an int, not a list of indices"


# the questions' numbers, computed


def test_the_questions_numbers():
    camera = Camera((0.0, 0.0, 0.5), near_m=0.1, far_m=1.0)
    assert load("scenes.q_zbuffer").reference == round(1000 * float(linearize(np.array([[0.5]]), camera)[0, 0]))
    assert load("scenes.q_physics").reference == round(50 / (500 / 240))
    assert load("scenes.q_split").reference == round(100 * (1 - 0.2**3))


@pytest.mark.parametrize(("name", "answer", "says"), [
    ("scenes.q_zbuffer", "550 mm", "even scale"),
    ("scenes.q_zbuffer", 0.182, "whole millimetres"),
    ("scenes.q_split", "80 %", "one given sister"),
    ("scenes.q_physics", "100 ms", "write a number"),
    ("scenes.q_gap", "camera", "write the letter"),
])
def test_an_answer_in_another_form_is_told_which_form(name, answer, says):
    verdict = judge(load(name), answer, 0)
    assert verdict.status == "wrong" and says in card.plain(verdict, 1).splitlines()[0]
