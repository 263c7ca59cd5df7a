"""The notebooks of a review: one for each work, to read and run; and review.ipynb, to rate and to write findings in.

Cell ids are stable, so that the same works give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.course.exchange import works
from breakthrough.course.exchange.rubric import Criterion, Rubric
from breakthrough.course.exchange.works import Packet, Work

REVIEW = "review.ipynb"
Cell = dict[str, Any]

_SCORING_SOLO = """\
One of the three works is faultless. The others have one to three wrong functions, and at least one of them a flaw in its
experiment. For each thing that is wrong you earn **0.4** for the right place, **0.3** for its kind and **0.3** for evidence that
shows it. Finding that a work is faultless, all its criteria rated and no finding, counts as much as a whole flaw. A **false alarm
takes 0.4**, so a guess does not pay; one finding for each function, as only the first counts. That is 70% of the points. The other
30% are for your levels: their squared distance to the right ones, against that of somebody who gives 4 to everything.

`check` of the lab would judge these functions for you. What you practise here is to find out without it, as you will have to with code
that no check is written for."""
_SCORING_PEERS = """\
Your instructor collects the reviews. Each is read beside those of others for the same work, and some works have known flaws, so that
careful reviewers are told from hasty ones. A finding counts most with an input that shows it, and a false alarm costs its author
time: try an input before you report it."""
_OTHERS = """
> **Others' code runs in your kernel**, with your rights, when you call `A.…(…)`. Read a function before you call it.
"""


def write(folder: Path, module: str, packet: Packet, given: Mapping[str, Work], rubric: Rubric, title: str = "") -> None:
    """Write the notebooks and the manifest of works to review into a folder, whole or not at all.

    `given` are the works by name, A, B, C, …; a packet with a seed is a learner's own, who may ask for the score.
    """
    with files.folder_aside(folder) as made:
        for name, work in given.items():
            _save(made / f"work_{name}.ipynb", work_cells(name, work, rubric, title or module))
        _save(made / REVIEW, review_cells(packet, given, rubric, title or module))
        works.write(made, packet)


def work_cells(name: str, work: Work, rubric: Rubric, title: str) -> Iterable[Cell]:
    """A work as cells: its code, a function a cell, then the account of its experiment."""
    yield _text(f"{name}-title", f"# {title}: work {name}\n\nRead and run it here, try inputs of your own in new cells; rate it in [review.ipynb]({REVIEW}).")
    if work.imports:
        yield _code(f"{name}-imports", work.imports)
    for place, (exercise, source) in enumerate(work.code.items(), start=1):
        yield _text(f"{name}-h{place}", f"## {place} · `{exercise}`\n\n{_asked(exercise)}")
        yield _code(f"{name}-c{place}", source)
    if work.account:
        yield _text(f"{name}-account", "## The experiment\n\nThe author's account, section by section.")
    for section, text in work.account.items():
        yield _text(f"{name}-s-{section.replace('_', '-')}", f"### {section.replace('_', ' ').capitalize()}\n\n{text}")


def review_cells(packet: Packet, given: Mapping[str, Work], rubric: Rubric, title: str) -> Iterable[Cell]:
    """The review notebook as cells."""
    solo = packet.seed is not None
    names = ", ".join(f"[work {name}](work_{name}.ipynb)" for name in given)
    yield _text("title", f"# Review: {title}\n\n{rubric.intro}\n\nThe works: {names}. Open them beside this notebook.{'' if solo else _OTHERS}")
    yield _text("scoring", f"## How it is scored\n\n{_SCORING_SOLO if solo else _SCORING_PEERS}\n\n{_example(packet)}")
    yield _code("open", "from breakthrough.course.exchange.desk import open_desk\n\ndesk = open_desk()\ndesk")
    yield _text("tools", "## Your tools\n\nRun a work's functions on inputs of your own, or on inputs that the exercise draws; "
                "see which kinds of mistakes there are. Change the name and run the cell again.")
    first = packet.exercises[0] if packet.exercises else ""
    yield _code("inputs", f'desk.inputs("{first}")')
    yield _code("kinds", f'desk.kinds("{first}")')
    yield _code("kinds-experiment", 'desk.kinds("experiment")')
    yield _text("rubric", "## The rubric\n\nWhere a criterion names headings of the lab, look at the functions "
                "and the sections of the account that are about the same.\n\n" + "\n\n".join(_criterion(one) for one in rubric.criteria))
    for name, work in given.items():
        yield from _one(name, work, rubric)
    yield _text("end", "## Hand in\n\n`desk.write()` writes review.json beside this notebook"
                + (". Then `desk.score()` says what you found, missed, and was right: **the first score counts**, so finish first." if solo
                   else ", which your instructor collects."))
    yield _code("write", "desk.write()")
    if solo:
        yield _code("score", "# desk.score()      # when you have finished: remove the first # and run it")


def _one(name: str, work: Work, rubric: Rubric) -> Iterable[Cell]:
    functions = ", ".join(f"`{name}.{one.partition('.')[2]}`" for one in work.code)
    yield _text(f"{name}-work", f"---\n\n## Work {name}\n\nRead [work_{name}.ipynb](work_{name}.ipynb). Its functions here: {functions}.")
    yield _code(f"{name}-try", f'{name} = desk.work("{name}")\n# try it: {_a_call(name, work)}')
    width = max(len(one.id) for one in rubric.criteria)
    rates = "\n".join(f"    {one.id}=None,{' ' * (width - len(one.id))}  # 0 to 4: {one.title}" for one in rubric.criteria)
    reasons = "\n".join(f'        "{one.id}": "",' for one in rubric.criteria)
    yield _text(f"{name}-rating", "**Levels**, with a reason for each: what did you run or read?")
    yield _code(f"{name}-rate", f'desk.rate(\n    "{name}",\n{rates}\n    reasons={{\n{reasons}\n    }},\n)')
    yield _text(f"{name}-findings", "**Findings**: one call for each thing that is wrong; none if you find nothing. Copy a line for more. "
                f"Sections of the account: {', '.join(f'`{one}`' for one in work.account) or 'none'}.")
    first = next(iter(work.code), "moe.route")
    yield _code(f"{name}-find", f'# desk.finding("{name}", "{first}", kind="…", evidence=(…,), note="…")\n'
                f'# desk.finding("{name}", "experiment", kind="…", evidence="{next(iter(work.account), "setup")}", note="…")')


def _a_call(name: str, work: Work) -> str:
    exercise = next(iter(work.code), "")
    match = re.search(r"^def \w+\((.*)\):$", work.code.get(exercise, ""), re.MULTILINE)
    return f"{name}.{exercise.partition('.')[2]}({match[1] if match else '…'})"


def _example(packet: Packet) -> str:
    return (
        "**A finding, worked out.** Say an exercise asks for the mean of a list, 0 for an empty one, and a work has "
        "`sum(x) / len(x)`. Ordinary lists come out right; you try `A.mean([])`, it raises. The kinds of mistakes listed for it "
        "have *empty list*. Then the finding is\n\n"
        "```python\ndesk.finding(\"A\", \"some.mean\", kind=\"empty list\", evidence=([],),      # the arguments, in a tuple\n"
        "             note=\"divides by zero; 0 is asked for\")\n```\n\n"
        "The desk says at once whether right answers take this input and agree on it, and not whether the work is wrong. "
        "Evidence may also be one of `desk.inputs(\"some.mean\")`, by its label; for the experiment it is the name of a section."
    )


def _criterion(one: Criterion) -> str:
    rows = "\n".join(f"| **{level}** | {_cell(text)} |" for level, text in reversed(list(enumerate(one.levels))))
    return f"### `{one.id}`: {one.title}\n\n{one.asks}\n\n*In the lab: {one.where}. Weight {one.weight:g}.*\n\n| Level | What it looks like |\n|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _asked(exercise: str) -> str:
    """What an exercise asks for, in the words of its reference."""
    import inspect

    from breakthrough.errors import UnknownNameError
    from breakthrough.exercises.exercise import load

    try:
        found = load(exercise)
    except UnknownNameError:
        return ""
    first, *rest = (inspect.getdoc(found.reference) or found.title).splitlines()
    points: list[str] = []
    for line in filter(str.strip, rest):
        begins = re.match(r"(\w+):\s+(.*)", line)
        if begins:
            points.append(f"- **{begins[1]}:** {_prose(begins[2])}")
        elif points:
            points[-1] += f" {_prose(line.strip())}"
    return f"**{found.title}.** {_prose(first)}" + ("\n\n" + "\n".join(points) if points else "")


def _prose(text: str) -> str:
    """Text as Markdown that shows it as it is; `code` in backticks stays code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_$~\[\]|\\])", r"\\\1", escape(part, quote=False)) for part in parts[::2]]
    return "`".join(parts)


def _text(name: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source.strip()}


def _code(name: str, source: str) -> Cell:
    return {"cell_type": "code", "id": name, "metadata": {}, "source": source.strip(), "execution_count": None, "outputs": []}


def _save(path: Path, cells: Iterable[Cell]) -> None:
    notebook = {
        "cells": list(cells), "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}},
    }  # fmt: skip
    files.write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
