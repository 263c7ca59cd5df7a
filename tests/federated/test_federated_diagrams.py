"""The drawing of a round: what it says under each protection, and what it refuses."""

import pytest

from breakthrough.errors import InputError, UnknownNameError
from breakthrough.federated.diagrams import NAMES, TRAVELS, draw_round


@pytest.mark.parametrize("protection", TRAVELS)
def test_a_round_says_what_travels_and_who_reads_it(protection):
    (axes,) = draw_round((protection,)).axes
    texts = [text.get_text() for text in axes.texts]
    sent, _, reads, besides = TRAVELS[protection]
    assert texts.count(sent) == texts.count("pictures stay") == len(NAMES)
    assert {reads, besides, protection, "server", *NAMES} <= set(texts)
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 2 * len(NAMES)  # down and up


def test_all_text_lies_within_the_figure():
    figure = draw_round(tuple(TRAVELS), names=("Turin", "Kyoto", "Graz"))
    assert len(figure.axes) == 3
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    assert all(figure.bbox.contains(*corner) for text in texts for corner in text.get_window_extent().corners())


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError):
        draw_round(())
    with pytest.raises(InputError):
        draw_round(names=("alone",))
    with pytest.raises(UnknownNameError):
        draw_round(("invisible",))
