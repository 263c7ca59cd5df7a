"""WCAG's contrast of the colours of cards and panels, on the pages of JupyterLab's own light and dark themes and others."""

import re
import sys
from pathlib import Path

import pytest

from breakthrough import palette
from breakthrough.course import board, claims
from breakthrough.exercises import card

TEXT, GRAPHICS = 4.5, 3.0  # WCAG 2.2, level AA
HUES = {"good": palette.GOOD, "bad": palette.BAD, "note": palette.NOTE, "quiet": palette.QUIET}
DIMMED = (0.75, 0.8)  # the opacities that cards use for lesser text


def jupyterlab(theme):
    """The colours of text and page of JupyterLab's theme, from its own style sheet."""
    css = (Path(sys.prefix) / "share/jupyter/lab/themes/@jupyterlab" / f"theme-{theme}-extension" / "index.css").read_text()

    def value(name):
        found = re.search(rf"--{name}\s*:\s*([^;}}]+)", css)[1].strip()
        return re.fullmatch(r"var\(--[\w-]+,\s*(.+)\)", found)[1] if found.startswith("var(") else found

    return colour(value("jp-content-font-color1")), colour(value("jp-layout-color0"))


def colour(text):
    """A CSS colour as red, green, blue from 0 to 1, and alpha."""
    text = {"white": "#ffffff", "black": "#000000"}.get(text, text)
    if text.startswith("rgba"):
        *rgb, alpha = re.findall(r"[\d.]+", text)
        return (*(float(part) / 255 for part in rgb), float(alpha))
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    return (*(int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)), 1.0)


def mix(one, other, share):
    """CSS's color-mix in sRGB: of premultiplied colours."""
    alpha = share * one[3] + (1 - share) * other[3]
    return (*((share * a * one[3] + (1 - share) * b * other[3]) / alpha for a, b in zip(one[:3], other[:3])), alpha)


def over(front, page):
    return tuple(front[3] * a + (1 - front[3]) * b for a, b in zip(front[:3], page[:3]))


def luminance(rgb):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(front, page):
    high, low = sorted((luminance(over(front, page)), luminance(page[:3])), reverse=True)
    return (high + 0.05) / (low + 0.05)


def declared(declaration, text):
    """The colour that a browser makes of the last value of a declaration, with the text's colour around it."""
    hue, share, other = re.search(r"color-mix\(in srgb,(\S+) (\d+)%,(\w+)\)$", declaration).groups()
    named = {"currentColor": text, "transparent": (0, 0, 0, 0)}
    return mix(named.get(hue) or colour(hue), named[other], int(share) / 100)


PAGES = {
    "JupyterLab light": jupyterlab("light"), "JupyterLab dark": jupyterlab("dark"),
    "VS Code light": (colour("#3b3b3b"), colour("#ffffff")), "VS Code dark": (colour("#cccccc"), colour("#1f1f1f")),
    "Colab light": (colour("#1f1f1f"), colour("#ffffff")), "Colab dark": (colour("#e3e3e3"), colour("#383838")),
    "GitHub light": (colour("#1f2328"), colour("#ffffff")), "GitHub dark": (colour("#f0f6fc"), colour("#0d1117")),
}
on_each_page = pytest.mark.parametrize("page", PAGES)


def test_the_themes_that_are_installed_are_one_light_and_one_dark():
    (_, light), (_, dark) = PAGES["JupyterLab light"], PAGES["JupyterLab dark"]
    assert luminance(light[:3]) > 0.9 and luminance(dark[:3]) < 0.05
    assert contrast(colour("#000000"), colour("#ffffff")) == pytest.approx(21)
    assert contrast(colour("#767676"), colour("#ffffff")) == pytest.approx(4.54, abs=0.01)


@on_each_page
@pytest.mark.parametrize("hue", HUES)
def test_words_and_signs_reach_aa_on(page, hue):
    text, ground = PAGES[page]
    assert contrast(declared(palette.toned("color:", HUES[hue]), text), ground) >= TEXT


@on_each_page
@pytest.mark.parametrize("opacity", DIMMED)
def test_dimmed_text_reaches_aa_on(page, opacity):
    text, ground = PAGES[page]
    assert contrast((*text[:3], text[3] * opacity), ground) >= TEXT


@on_each_page
def test_the_bar_stands_out_from_its_track_and_the_page_on(page):
    text, ground = PAGES[page]
    bar, track = (declared(one, text) for one in (palette.toned("background:", palette.GOOD), palette.faint("background:")))
    assert contrast(bar, ground) >= GRAPHICS
    assert contrast(bar, (*over(track, ground), 1.0)) >= GRAPHICS


def test_no_plain_hue_would_do_on_both():
    """Why they are mixed: each hue alone falls short on some page."""
    short = {hue: [name for name, (_, ground) in PAGES.items() if contrast(colour(HUES[hue]), ground) < TEXT] for hue in HUES}
    assert all(short.values())


def test_all_cards_take_their_colours_from_here():
    used = {hue for *_, hue in (*card._LOOKS.values(), *board.LOOKS.values(), *claims.VERDICTS.values())}
    assert used <= set(HUES.values())
    library = Path(palette.__file__).parent
    for path in (library / "exercises" / "card.py", library / "exercises" / "statement.py", library / "course" / "exchange" / "result_card.py",
                 library / "course" / "board.py", library / "course" / "claims.py"):
        assert not re.findall(r"#[0-9a-fA-F]{6}\b", path.read_text()), path.name
        assert {float(found) for found in re.findall(r"opacity:(\.?\d[.\d]*)", path.read_text())} <= set(DIMMED), path.name


def test_who_cannot_mix_gets_the_hue_itself_first():
    assert palette.toned("color:", "#009e73") == "color:#009e73;color:color-mix(in srgb,#009e73 50%,currentColor)"
