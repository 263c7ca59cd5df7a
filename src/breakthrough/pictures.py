"""What every figure of the course shares: its colours, an empty sheet, and the words for those who do not see it.

A figure that was described shows its words wherever it is displayed: as `alt` in the metadata of the
PNG, which nbconvert reads and the course's extension brings to JupyterLab, and as the plain text that
VS Code and terminals take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, SupportsFloat, cast

from breakthrough.errors import InputError, expected

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with any colour vision tell apart
ORANGE, SKY, GREEN, YELLOW = "#e69f00", "#56b4e9", "#009e73", "#f0e442"
BLUE, RED, PURPLE, GREY = "#0072b2", "#d55e00", "#cc79a7", "#999999"
INK, PALE, SLATE = "#333333", "#eeeeee", "#555555"
COLOURS = (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE, RED, SLATE)  # side by side; GREY is for what stands behind
READABLE = 4.5  # contrast of text with its ground
SHORTEST, LONGEST = 20, 400  # characters of a description: a screen reader reads it in one go
SHOWN = "_repr_mimebundle_"  # what IPython asks an object for


def new_figure(width: float, height: float) -> Figure:
    """An empty figure. Units: inches at 100 dots each."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def describe(figure: Figure, text: str, *, curves: bool = False) -> Figure:
    """Give a figure the words that stand for it: what kind of chart, of what, and the one thing that it shows.

    With `curves`, where each line of its legends begins and ends is read from the figure. Words beyond
    the longest are cut. Returns the same figure.

    Raises: InputError for a text that is too short to say anything
    """
    words = " ".join(f"{text} {_read(figure) if curves else ''}".split())
    if len(words) < SHORTEST:
        raise InputError(expected(f"a description of {SHORTEST} characters or more", repr(words), "say what kind of chart it is, and what it shows"))
    if len(words) > LONGEST:
        words = words[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
    setattr(figure, SHOWN, partial(_bundle, figure, words))
    return figure


def _read(figure: Figure) -> str:
    """The lines of a figure that a legend names, or that are alone, each with the values that it begins and ends with."""
    found = {}
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_transform() == axes.transData and len(cast(Any, line.get_ydata())) > 1]
        for line in lines:
            name = str(line.get_label())
            if not name.startswith("_") or len(lines) == 1:
                found[axes.get_ylabel() if name.startswith("_") else name] = cast(Any, line.get_ydata())
    return trends(found) + "." if found else ""


def description(figure: Figure) -> str:
    """The words that stand for a figure; none when nobody described it."""
    shown = getattr(figure, SHOWN, None)
    return shown.args[1] if isinstance(shown, partial) else ""


def contrast(one: str, other: str = "white") -> float:
    """How far two colours are apart in lightness, from 1 to 21; text needs 4.5.

    Source: WCAG 2.2, success criterion 1.4.3
    """
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def ink_on(ground: Any) -> str:
    """Black or white, whichever can be read better on a colour."""
    return max(("black", "white"), key=lambda ink: contrast(ink, ground))


@cache
def readable(colour: str, ground: str = "white") -> str:
    """A colour, darkened until text in it can be read on a light ground."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(colour)
    shades = (to_hex((red * share / 100, green * share / 100, blue * share / 100)) for share in range(100, 0, -2))
    return next(shade for shade in shades if contrast(shade, ground) >= READABLE)


def _luminance(colour: Any) -> float:
    from matplotlib.colors import to_rgb

    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def listed(parts: Iterable[str]) -> str:
    """Some parts as they are written in a sentence: a, b and c."""
    *first, last = [*parts] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def trends(curves: Mapping[str, Iterable[SupportsFloat]], form: str = "{:.3g}") -> str:
    """Each curve's name with the values that it begins and ends with."""
    return "; ".join(f"{name} {trend(values, form)}" for name, values in curves.items())


def trend(values: Iterable[SupportsFloat], form: str = "{:.3g}") -> str:
    """The values that a curve begins and ends with."""
    row = [float(value) for value in values]
    if not row:
        return "empty"
    first, last = form.format(row[0]), form.format(row[-1])
    return first if first == last else f"from {first} to {last}"


def amounts(named: Mapping[str, SupportsFloat], form: str = "{:.3g}") -> str:
    """Each name with its value."""
    return listed(f"{name} {form.format(value)}" for name, value in named.items())


def _bundle(figure: Figure, words: str, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What IPython shows of a figure; the PNG is drawn by its own formatter where `%matplotlib inline` set one."""
    from IPython import get_ipython
    from IPython.core.pylabtools import print_figure

    data: dict[str, Any] = {"text/plain": words}
    shell = get_ipython()
    try:
        shell.display_formatter.formatters["image/png"].lookup(figure)
    except (AttributeError, KeyError):  # no shell, or none that draws figures
        data["image/png"] = print_figure(figure, fmt="png", base64=True)
    return data, {"image/png": {"alt": words}}
