"""What a question asks, as a card beside those of `check`: HTML for JupyterLab and the web, and a plain twin."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

from breakthrough.exercises.exercise import Exercise
from breakthrough.language import say
from breakthrough.learner import STANDARD
from breakthrough.palette import NOTE, faint, framed, toned

EDGE = faint("border-bottom:1px solid ")


def bundle(exercise: Exercise, learner: str) -> dict[str, Any]:
    """The MIME bundle that a notebook shows."""
    return {"text/html": html(exercise, learner), "text/plain": plain(exercise, learner)}


def plain(exercise: Exercise, learner: str) -> str:
    """The question as text."""
    text = re.sub(r"^- \*\*(\w)\*\*", r"\1 ", _asks(exercise), flags=re.MULTILINE)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
    text = re.sub(r"\*(\S(?:[^*\n]*\S)?)\*", r"\1", text)
    return f"? {exercise.name}: {say(exercise.title)}, {_worth(exercise)}\n{text}\n({_whose(learner)})"


def html(exercise: Exercise, learner: str) -> str:
    """The question as HTML with inline style."""
    ink = toned("color:", NOTE)
    head = (
        f'<div style="display:flex;gap:.6em;align-items:baseline;flex-wrap:wrap"><b style="{ink};font-size:1.15em">?</b>'
        f'<b>{escape(say(exercise.title))}</b><code>{escape(exercise.name)}</code><span style="margin-left:auto">{_worth(exercise)}</span></div>'
    )
    foot = f'<div style="opacity:.75;font-size:.9em">{escape(_whose(learner))}</div>'
    return framed(NOTE, head + _blocks(_asks(exercise)) + foot)


def _worth(exercise: Exercise) -> str:
    return say(f"{exercise.points} point{'s' * (exercise.points > 1)}, {exercise.minutes} min")


def _asks(exercise: Exercise) -> str:
    """What is asked, and each option, in the language in force."""
    asked, *options = exercise.asks.split("\n\n- **A** ")
    lines = [line.split("** ", 1) for option in options for line in f"- **A** {option}".split("\n")]
    return "\n\n".join([say(asked), *(["\n".join(f"{head}** {say(text)}" for head, text in lines)] if lines else [])])


def _whose(learner: str) -> str:
    if learner == STANDARD:
        return say("Everyone gets a question of their own, and this is the one on the web: run the cell for yours.")
    return say(f"drawn for {learner}")


def _blocks(markdown: str) -> str:
    """The little Markdown that questions use: paragraphs, options, a table."""
    return "".join(_block(block.splitlines()) for block in markdown.split("\n\n"))


def _block(lines: list[str]) -> str:
    as_html: Callable[[list[str]], str] = _paragraph
    if lines[0].startswith("|"):
        as_html = _table
    elif lines[0].startswith("- "):
        as_html = _options
    return as_html(lines)


def _paragraph(lines: list[str]) -> str:
    return f'<div style="margin:.45em 0">{_inline(" ".join(lines))}</div>'


def _options(lines: list[str]) -> str:
    pairs = (re.fullmatch(r"- \*\*(\w)\*\* (.*)", line) for line in lines)
    # blocks, not a grid: where a site takes the styles away each option still has a line of its own
    return "".join(
        f'<div style="padding-left:1.6em;text-indent:-1.6em;margin:.2em 0"><b style="display:inline-block;width:1.3em;text-indent:0">'
        f"{pair[1]}</b> {_inline(pair[2])}</div>"
        for pair in pairs if pair
    )


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in (lines[0], *lines[2:])]
    shown = (
        "<tr>" + "".join(f'<{tag} style="text-align:left;padding:.15em .9em;{EDGE}">{_inline(cell)}</{tag}>' for cell in row) + "</tr>"
        for row, tag in zip(rows, ["th", *["td"] * len(rows)])
    )
    return f'<table style="margin:.45em 0;border-collapse:collapse">{"".join(shown)}</table>'


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*(\S(?:[^*]*\S)?)\*", r"<i>\1</i>", text)
