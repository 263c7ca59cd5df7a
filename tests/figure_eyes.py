"""What keeps a figure from being read: small or pale letters, lines that some eyes cannot tell apart."""

import itertools
from functools import cache

import numpy as np

from breakthrough import pictures

LACKS = ("deuteranomaly", "protanomaly", "tritanomaly")  # at 100 what Machado et al. 2009 call the lack of a cone
APART = 10  # CAM02-UCS; what one sees at a glance side by side
SMALLEST = 8  # points at the shown size


@cache
def least_apart(one, other):
    """How far two colours are apart for the eye that tells them apart worst, the usual one among them."""
    from colorspacious import cspace_convert, deltaE
    from matplotlib.colors import to_rgb

    pair = [to_rgb(one), to_rgb(other)]
    worst = deltaE(*pair, input_space="sRGB1")
    for lack in LACKS:
        space = {"name": "sRGB1+CVD", "cvd_type": lack, "severity": 100}
        worst = min(worst, deltaE(*(np.clip(cspace_convert(colour, space, "sRGB1"), 0, 1) for colour in pair), input_space="sRGB1"))
    return worst


def texts(figure):
    """Every piece of text that a drawn figure shows."""
    from matplotlib.text import Text

    figure.canvas.draw()
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if text.get_text().strip()]


def words(figure):
    """What these texts say."""
    return [text.get_text() for text in texts(figure)]


def faults(figure):
    """Everything in a figure that some eyes could not read or tell apart, a text each."""
    return [*_letters(figure), *_lines(figure)]


def _letters(figure):
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if not text.get_visible() or not text.get_text().strip():
            continue
        if text.get_fontsize() < SMALLEST:
            yield f"{text.get_fontsize():g} points: {text.get_text()!r}"
        contrast = pictures.contrast(text.get_color())
        if 1.01 < contrast < 4.48:  # white letters stand on something dark
            yield f"contrast {contrast:.1f}: {text.get_text()!r}"


def _lines(figure):
    for axes in figure.axes:
        named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
        for one, other in itertools.combinations(named, 2):
            if _look(one) == _look(other) and least_apart(_hex(one), _hex(other)) < APART:
                yield f"lines {one.get_label()!r} and {other.get_label()!r}: {_hex(one)} and {_hex(other)}"


def _look(line):
    return line.get_marker(), line.get_linestyle(), line._unscaled_dash_pattern, line.get_linewidth()


def _hex(line):
    from matplotlib.colors import to_hex

    return to_hex(line.get_color())
