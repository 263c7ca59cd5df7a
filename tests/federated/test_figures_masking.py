"""The picture of cancelling masks: its arithmetic, and what it refuses."""

import numpy as np
import pytest

from breakthrough.errors import InputError, ShapeError
from breakthrough.federated.figures_masking import add_up, draw_masks
from breakthrough.seeds import numpy_generator

CODES = np.array([[7, 2, 9], [3, 30, 1], [5, 4, 40]])


def test_the_columns_add_up():
    vectors, *pairs, own, seen = add_up(CODES, numpy_generator(0), 100)
    assert all((pair.sum(axis=0) == 0).all() and (pair != 0).any(axis=1).sum() == 2 for pair in pairs)
    assert np.array_equal((seen - own - sum(pairs)) % 100, vectors)
    assert np.array_equal((seen.sum(axis=0) - own.sum(axis=0)) % 100, CODES.sum(axis=0))
    assert not (seen == CODES).all(axis=1).any()


@pytest.mark.parametrize("size", [1, 3])
def test_the_picture_says_the_numbers(size):
    figure = draw_masks(CODES[:, :size], numpy_generator(0), names=("Turin", "Kyoto", "Graz"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"Turin", "mask of Kyoto, Graz", "the server sees", "modulo 100"} <= set(texts)
    assert texts.count("0") >= 3 * size  # the pairs' sums
    totals = [str(total) for total in CODES[:, :size].sum(axis=0)]
    assert all(texts.count(total) >= 2 for total in totals)  # under the vectors, and once the masks are off
    figure.draw_without_rendering()
    inside = figure.bbox
    assert all(inside.contains(*corner) for text in figure.axes[0].texts for corner in text.get_window_extent().corners())


@pytest.mark.parametrize(("codes", "modulus", "error"), [
    (CODES[:2], 100, ShapeError), (np.zeros((3, 4), int), 100, ShapeError), (np.zeros(3, int), 100, ShapeError),
    (CODES, 50, InputError), (-CODES, 100, InputError), (CODES, 10_000, InputError),
])
def test_numbers_that_do_not_fit_are_refused(codes, modulus, error):
    with pytest.raises(error):
        draw_masks(codes, numpy_generator(0), modulus)
