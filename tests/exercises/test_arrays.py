"""The engine on numpy: arrays are judged as tensors are, and a case may look at more than the output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from breakthrough.exercises import Case, Exercise, Misconception, judge
from breakthrough.exercises.compare import close, same


def halve(x):
    return x / 2


def in_place(x):
    x /= 2
    return x


def _cases(generator):
    yield Case("numbers", (torch.randn(5, generator=generator).numpy(),))
    yield Case("none", (np.zeros(0, np.float32),))


EXERCISE = Exercise(
    "test.halve", "Halve", 1, 1, 1, halve, _cases,
    (Misconception("doubled", lambda x: 2 * x, "This is twice the input, not half of it."),), ("a", "b", "c"),
)
WRONG = {
    "shape": (lambda x: x[:-1] / 2, "shape"),
    "dtype": (lambda x: x.astype(np.float64) / 2, "float64, not float32"),
    "nan": (lambda x: x * np.nan, "NaN"),
    "mutated": (in_place, "changed its own input"),
    "random": (lambda x: np.random.rand(len(x)).astype(np.float32), "two different outputs"),
    "missing": (lambda x: None, "is there a `return`"),
    "type": (lambda x: (x / 2).tolist(), "a list, not an array"),
    "value": (lambda x: x / 2 + np.float32(0.25), "differ"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_each_sort_of_failure_is_told_for_arrays(kind):
    answer, says = WRONG[kind]
    verdict = judge(EXERCISE, answer, 0)
    assert (verdict.status, verdict.kind) == ("wrong", kind)
    assert says in verdict.difference.text


def test_right_and_mistaken_arrays():
    assert judge(EXERCISE, halve, 0).status == "passed"
    assert judge(EXERCISE, lambda x: 2 * x, 0).diagnosis.name == "doubled"
    assert judge(EXERCISE, lambda x: torch.from_numpy(x) / 2, 0).difference.text == "the output is a Tensor, not an array"
    assert "holds <U" in judge(EXERCISE, lambda x: x.astype(str), 0).difference.text


def test_numpys_numbers_are_numbers():
    compare = close()
    assert compare((1, 2.5, True), (np.int64(1), np.float32(2.5), np.True_)) is None
    assert compare([1, 2, 3], np.arange(1, 4)) is None
    assert compare(3, np.array([3])) is None
    assert compare([1, 2, 3], np.arange(4)).kind == "type"
    assert compare(True, np.int64(1)) is not None


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float16, np.float64])
def test_arrays_of_every_dtype_and_layout(dtype):
    want = np.arange(6).reshape(2, 3).astype(dtype)
    turned = want[::-1, ::-1]
    assert close()(turned, turned.copy()) is None
    assert close()(turned, np.asfortranarray(turned)) is None
    assert close()(want, turned).kind == "value"
    nothing = np.zeros((0, 3), dtype)
    assert close()(nothing, nothing.copy()) is None


def test_same_sees_every_change_of_an_array():
    before = np.array([1.0, np.nan, 3.0])
    assert same(before, before.copy())
    assert not same(before, np.array([1.0, 2.0, 3.0]))
    assert not same(before, before.astype(np.float32)) and not same(before, before[:2])
    assert not same(before, torch.from_numpy(before))


def test_a_case_may_look_at_more_than_the_output():
    looking = Case("sum", (np.ones(3),), look=lambda output: {"the sum": float(np.sum(output))})
    exercise = Exercise(
        "test.look", "Look", 1, 1, 1, halve, lambda generator: (looking,), EXERCISE.misconceptions, ("a", "b", "c"),
    )
    assert judge(exercise, lambda x: x[::-1] / 2, 0).status == "passed"
    assert judge(exercise, lambda x: 2 * x, 0).diagnosis.name == "doubled"
    assert "the sum is 3, expected 1.5" in judge(exercise, lambda x: x, 0).difference.text
