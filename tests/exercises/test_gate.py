"""The gate: what must hold for every exercise, so that a new one is one entry and no new test."""

from __future__ import annotations

import itertools

import pytest

from breakthrough.exercises import every, judge
from breakthrough.exercises.exercise import LADDER, call_directly

EVERY = list(every())
SEEDS = (0, 1, 2)
pytestmark = pytest.mark.parametrize("exercise", EVERY, ids=lambda e: e.name)


def _verdict(exercise, answer, seed=0):
    verdict = judge(exercise, answer, seed)
    found = verdict.difference.text if verdict.difference else ""
    return verdict, f"{verdict.status} {verdict.kind} {verdict.case} {found}\n{verdict.traceback}"


def test_the_reference_passes(exercise):
    for seed in SEEDS[:1] if exercise.training else SEEDS:
        verdict, why = _verdict(exercise, exercise.reference, seed)
        assert verdict.status == "passed", why
        assert verdict.points == exercise.points


def test_three_differently_written_right_answers_pass(exercise):
    assert len(exercise.alternatives) >= 3
    for answer, seed in itertools.product(exercise.alternatives, SEEDS[:1] if exercise.training else SEEDS):
        verdict, why = _verdict(exercise, answer, seed)
        assert verdict.status == "passed", f"{getattr(answer, '__name__', answer)}: {why}"


def test_every_misconception_fails_and_is_diagnosed_as_itself(exercise):
    for misconception, seed in itertools.product(exercise.misconceptions, SEEDS[:1] if exercise.training else SEEDS):
        for answer in (misconception.answer, *misconception.variants):
            verdict, why = _verdict(exercise, answer, seed)
            assert verdict.status == "wrong", f"{misconception.name}: {why}"
            found = verdict.diagnosis.name if verdict.diagnosis else None
            assert found == misconception.name, f"{misconception.name} was diagnosed as {found}: {why}"


def test_there_are_enough_misconceptions_each_with_one_sentence(exercise):
    assert len(exercise.misconceptions) >= 4
    assert len({m.name for m in exercise.misconceptions}) == len(exercise.misconceptions)
    for misconception in exercise.misconceptions:
        assert 20 <= len(misconception.says) <= 300, misconception.name


def test_nothing_and_the_untouched_stub_score_zero(exercise):
    def stub(*args, **kwargs):
        raise NotImplementedError()

    assert judge(exercise, None, 0).status == "not attempted"
    if not exercise.question and not exercise.training:
        verdict = judge(exercise, stub, 0)
        assert (verdict.status, verdict.points) == ("not attempted", 0)


def test_outputs_learned_by_heart_fail(exercise):
    if exercise.call is not call_directly:
        pytest.skip("the answer is not a plain function")
    heard = []

    def listen(*args, **kwargs):
        heard.append(exercise.reference(*args, **kwargs))
        return heard[-1]

    judge(exercise, listen, 0)
    recited = itertools.cycle(heard)
    assert judge(exercise, lambda *args, **kwargs: next(recited), 1).status == "wrong"


def test_every_rung_of_the_hint_ladder_says_something(exercise):
    rungs = [exercise.hint(level) for level in range(1, len(LADDER) + 1)]
    assert all(len(rung) >= 1 for rung in rungs) and len(set(rungs)) == len(rungs)
