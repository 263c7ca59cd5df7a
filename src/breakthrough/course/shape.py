"""The shape every notebook has: lengths, tags, ids, parameters, title card, links, outputs, pictures, headings."""

from __future__ import annotations

import ast
import itertools
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from breakthrough.course import notebooks
from breakthrough.course.notebooks import Cell, Notebook

TAGS = {"parameters", "answer", "quiet", "raises-exception", "skip-execution", "hide-input", "hide-output", "remove-cell",
        "nbval-ignore-output", "nbval-check-output", "nbval-raises-exception", "nbval-skip"}
CARD = ("hours", "points", "prerequisites", "in", "out", "claims")
SAME = {"prerequisites": {"before"}}  # "Before this" says it too
MEDIAN_LINES, MOST_LINES, MOST_WORDS = 12, 45, 4000
WORDS = (20, 400)  # characters of a picture's description
EMPTY_LINKS = {"", "here", "this", "link", "click here", "more", "read more", "this page"}
MAY_RAISE = {"raises-exception", "nbval-raises-exception"}


@dataclass(frozen=True)
class Kind:
    """What is asked of one kind of notebook.

    Units: `cells` is the least and the most of them
    """

    cells: tuple[int, int]
    outputs_kept: bool


LESSON = Kind((40, 80), outputs_kept=True)
START = Kind((15, 40), outputs_kept=True)
LAB = Kind((40, 81), outputs_kept=False)  # the one more is the panel of progress
Rule = Callable[[Notebook, Path, Kind], Iterator[str]]


def faults(path: Path, kind: Kind) -> list[str]:
    """Everything in which a notebook departs from the shape, one text each.

    Raises: NotebookError when the file is missing or no notebook
    """
    notebook = notebooks.read(path)
    return [text for rule in RULES for text in rule(notebook, path, kind)]


def anchor(heading: str) -> str:
    """The name JupyterLab and GitHub give a heading in links, compared without case or dashes."""
    return re.sub(r"[^\w]+", "", heading).lower()


def _cells(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    least, most = kind.cells
    count = len(notebook["cells"])
    if not least <= count <= most:
        yield f"expected {least} to {most} cells, got {count}"


def _lengths(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    lengths = [len(cell["source"].splitlines()) for cell in notebooks.code_cells(notebook)]
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        yield f"expected a median code cell of {MEDIAN_LINES} lines or fewer, got {statistics.median(lengths):g}"
    for number, cell in enumerate(notebook["cells"], start=1):
        lines = len(cell["source"].splitlines())
        if cell["cell_type"] == "code" and lines > MOST_LINES:
            yield f"cell {number}: expected {MOST_LINES} lines of code or fewer, got {lines}"


def _words(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    # the account is the learner's to write, and is read by reviewers
    words = sum(len(re.sub(r"^## Your account$.*?(?=^## |\Z)", "", cell["source"], flags=re.MULTILINE | re.DOTALL).split()) for cell in _markdown(notebook))
    if words > MOST_WORDS:
        yield f"expected {MOST_WORDS} words or fewer, got {words}"


def _ids(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    if (notebook.get("nbformat"), notebook.get("nbformat_minor", 0) >= 5) != (4, True):
        yield f"expected format 4.5 or newer, got {notebook.get('nbformat')}.{notebook.get('nbformat_minor')}"
    ids = Counter(cell.get("id") for cell in notebook["cells"])
    if None in ids:
        yield f"expected an id in every cell, got {ids[None]} without"
    for name, count in ids.items():
        if name is not None and count > 1:
            yield f"expected ids to be unique, got {name!r} {count} times"


def _known_tags(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    for number, cell in enumerate(notebook["cells"], start=1):
        for tag in notebooks.tags(cell):
            if tag not in TAGS:
                yield f"cell {number}: expected a tag out of {', '.join(sorted(TAGS))}, got {tag!r}"


def _code_parses(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "code":
            try:
                ast.parse(notebooks.python(cell["source"]))
            except SyntaxError as error:
                yield f"cell {number}: expected Python, got {error.msg} in line {error.lineno}"


def _parameters(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    found = [cell for cell in notebook["cells"] if "parameters" in notebooks.tags(cell)]
    if len(found) != 1:
        yield f"expected one cell tagged parameters, got {len(found)}"
        return
    if [line.split("#")[0].strip() for line in found[0]["source"].splitlines()] != ['PROFILE = "quick"', "SEED = 0"]:
        yield f"expected the parameters PROFILE = \"quick\" and SEED = 0, got {found[0]['source']!r}"


def _card(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    first = notebook["cells"][0] if notebook["cells"] else {"cell_type": "none", "source": ""}
    if first["cell_type"] != "markdown" or not first["source"].startswith("# "):
        yield "expected a title card first: a markdown cell that begins with '# '"
        return
    words = set(re.findall(r"\w+", first["source"].lower()))
    lacking = [word for word in CARD if not words & {word, *SAME.get(word, ())}]
    if lacking:
        yield f"expected the title card to name {', '.join(CARD)}, got none of {', '.join(lacking)}"


def _links(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    anchors = {anchor(line.lstrip("#")) for cell in _markdown(notebook)
               for line in cell["source"].splitlines() if line.startswith("#")}
    for number, cell in enumerate(notebook["cells"], start=1):
        for target in _targets(cell) if cell["cell_type"] == "markdown" else ():
            file, _, part = target.partition("#")
            if file and not (path.parent / file).exists():
                yield f"cell {number}: expected a link to a file that is there, got {target}"
            elif not file and anchor(part) not in anchors:
                yield f"cell {number}: expected a link to a heading that is there, got {target}"


def _outputs(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        if not kind.outputs_kept:
            if cell.get("outputs") or cell.get("execution_count"):
                yield f"cell {number}: expected no outputs, got {len(cell.get('outputs', []))}"
            continue
        if cell["source"].strip() and cell.get("execution_count") is None and "nbval-skip" not in notebooks.tags(cell):
            yield f"cell {number}: expected its outputs to be kept, got a cell that was not run"
        yield from (f"cell {number}: {text}" for text in _bad_outputs(cell))


def _bad_outputs(cell: Cell) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output["output_type"] == "error" and not MAY_RAISE & set(notebooks.tags(cell)):
            yield f"expected no error in the outputs, got {output['ename']}"
        if output.get("name") == "stderr":
            yield f"expected nothing on stderr, got {''.join(output['text'])[:60]!r}"


def _pictures(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    yield from picture_faults(notebook)


def picture_faults(notebook: Notebook) -> Iterator[str]:
    """Figures in outputs that have no words for who does not see them, or not their own."""
    found: Counter[str] = Counter()
    for number, cell in enumerate(notebook["cells"], start=1):
        for output in cell.get("outputs", []):
            if any(mime.startswith("image/") for mime in output.get("data", {})):
                words = notebooks.alt(output)
                found[words] += 1
                if not WORDS[0] <= len(words) <= WORDS[1]:
                    yield f"cell {number}: expected a picture with a description of {WORDS[0]} to {WORDS[1]} characters, got {words!r}"
                elif found[words] == 2:
                    yield f"cell {number}: expected a description of its own, got {words[:60]!r} again"


def _headings(notebook: Notebook, path: Path, kind: Kind) -> Iterator[str]:
    yield from heading_faults("\n\n".join(cell["source"] for cell in _markdown(notebook)))


def heading_faults(markdown: str) -> Iterator[str]:
    """One title and first of all, no level left out, every heading with a name of its own; links that say where they lead."""
    text = re.sub(r"^(```|~~~).*?^\1", "", markdown, flags=re.MULTILINE | re.DOTALL)
    found = [(len(marks), words) for marks, words in re.findall(r"^(#{1,6}) +(.+?) *$", text, flags=re.MULTILINE)]
    if [level for level, _ in found].count(1) != 1 or found[0][0] != 1:
        yield f"expected one heading of the first level, before all others, got {[words for level, words in found if level == 1]}"
    for (before, _), (level, words) in itertools.pairwise(found):
        if level > before + 1:
            yield f"expected no level of headings left out, got {'#' * level} {words} after {'#' * before}"
    for name, count in Counter(anchor(words) for _, words in found).items():
        if count > 1:
            yield f"expected headings with names of their own, got {name} {count} times"
    for words in re.findall(r"(?<!!)\[([^\]\n]*)\]\(", re.sub(r"`[^`\n]*`", "code", text)):
        if words.strip().lower() in EMPTY_LINKS:
            yield f"expected a link whose words say where it leads, got [{words}]"
    for words, target in re.findall(r"!\[([^\]\n]*)\]\(([^)\n]*)\)", text):
        if len(words) < WORDS[0] and "badge" not in target:
            yield f"expected a picture with a description of {WORDS[0]} characters or more, got {words!r} of {target}"


def _targets(cell: Cell) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", cell["source"], flags=re.DOTALL)
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def _markdown(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


RULES: tuple[Rule, ...] = (_cells, _lengths, _words, _ids, _known_tags, _code_parses, _parameters, _card, _links, _outputs, _pictures, _headings)
