"""The look of cards and panels: colours that are a hue mixed with the text's own colour, so that it reads on a light and on a dark page.

No single colour reaches WCAG's 4.5 : 1 on white and on JupyterLab's dark grey at once. Mixed with `currentColor` it
grows dark where text is dark and light where text is light: in JupyterLab, VS Code, Colab and on any site, without
asking which theme there is. A front end that does not know `color-mix` takes the plain hue that stands before it.
"""

from __future__ import annotations

import re
from html import escape

GOOD, BAD, NOTE, QUIET = "#009e73", "#d55e00", "#0072b2", "#7f7f7f"  # Okabe and Ito's, and a grey
SHARE = 50  # per cent of the hue in the mix
FAINT = 12  # per cent of the text's colour in a bar's track, and in lines between rows


def mixed(hue: str, share: int = SHARE, other: str = "currentColor") -> str:
    """A hue mixed with the colour of the text around it, as a CSS value."""
    return f"color-mix(in srgb,{hue} {share}%,{other})"


def toned(prefix: str, hue: str) -> str:
    """A CSS declaration in a hue, `toned("color:", GOOD)`, the plain hue first for front ends that cannot mix."""
    return f"{prefix}{hue};{prefix}{mixed(hue)}"


def faint(prefix: str) -> str:
    """A CSS declaration in a breath of the text's colour, for lines and tracks."""
    return f"{prefix}#7f7f7f55;{prefix}{mixed('currentColor', FAINT, 'transparent')}"


def framed(hue: str, inside: str, width: str = "52em") -> str:
    """HTML in the frame that all cards have."""
    edges = f"{toned('border:1px solid ', hue)};{toned('border-left:6px solid ', hue)}"
    return f'<div style="{edges};border-radius:4px;padding:.6em .9em;margin:.3em 0;max-width:{width};line-height:1.45">{inside}</div>'


def prose(text: str) -> str:
    """Text as HTML, with `code` in backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
