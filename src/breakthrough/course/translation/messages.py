"""The texts that exercises and cards say, read from their files' syntax, so that nothing has to be marked in them.

A string with values in it becomes a template: f"k = {k} of them" is "k = {k} of them".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from breakthrough import language
from breakthrough.course.translation.units import MESSAGE, TEMPLATE, WORD, Unit

EXERCISES = Path(__file__).parents[2] / "exercises"
ENGINE = ("answering", "calling", "card", "compare", "diagnosis", "exercise", "judge", "numbers", "questions", "statement")
# what a call says to learners: by place, and by name
SAYS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "Misconception": ((2,), ("says",)),
    "Wrong": ((1, 2), ("given", "says")),
    "Right": ((0,), ("given",)),
    "Number": ((), ("asks", "hints")),
    "Choice": ((), ("asks", "hints")),
    "Exercise": ((), ("title", "hints")),
    "drawn": ((1,), ("title",)),
    "Case": ((0,), ("label",)),
    "Difference": ((1, 2, 3), ("text",)),
    "Outcome": ((1, 2, 3), ("text",)),
    "say": ((0,), ()),
    "_wrong": ((1,), ("says",)),  # makes a Misconception
}
NAMED = {"text", "share", "asks", "hints", "LADDER", "NOT_ATTEMPTED", "WORDS", "_LOOKS", "COVERED", "SHAPE"}  # variables that hold what is said
GIVES = {"_name", "_miss", "_misshapen", "_rule_broken"}  # functions that return what is said


def files(room: str) -> list[Path]:
    """The files whose texts belong to a room's catalogue; to that of `cards` the engine's."""
    if room == "cards":
        return [EXERCISES / f"{name}.py" for name in ENGINE]
    return [path for path in sorted(EXERCISES.glob(f"{room}*.py")) if path.stem == room or path.stem.startswith(f"{room}_")]


def units(room: str) -> Iterator[Unit]:
    """The messages of a room, in the order of its files."""
    for path in files(room):
        for text, has_values in texts(path.read_text(encoding="utf-8")):
            yield Unit("", text, TEMPLATE if has_values else MESSAGE, path.name)


def texts(source: str) -> Iterator[tuple[str, bool]]:
    """Every text that a file says, in order, and whether it has values in it."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Call, ast.Assign, ast.FunctionDef, ast.Tuple))]
    for node in sorted(found, key=lambda one: (one.lineno, one.col_offset)):
        for part in _spoken(node):
            yield from _strings(part)


def _spoken(node: ast.Call | ast.Assign | ast.FunctionDef | ast.Tuple) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple):  # ("the draws differ", lambda: …): what holds, and its test
        if len(node.elts) == 2 and isinstance(node.elts[1], ast.Lambda):
            yield node.elts[0]
        return
    if isinstance(node, ast.FunctionDef):
        if node.name in GIVES:
            yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)
        return
    if isinstance(node, ast.Assign):
        if {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)} & NAMED:
            yield node.value
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    places, names = SAYS.get(name, ((), ()))
    yield from (part for at, part in enumerate(node.args) if at in places)
    yield from (keyword.value for keyword in node.keywords if keyword.arg in names)


def _strings(node: ast.expr) -> Iterator[tuple[str, bool]]:
    """The strings of an expression; those within the values of a template or a call are others' business."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if WORD.search(node.value):
            yield node.value, False
    elif isinstance(node, ast.JoinedStr):
        text = "".join(map(_piece, node.values))
        if WORD.search(language.PLACE.sub("", text)):
            yield text, True
        for value in node.values:  # f"{'not so' if want else 'but so'}: …": its choices are texts too
            if isinstance(value, ast.FormattedValue) and isinstance(value.value, ast.IfExp):
                yield from _strings(value.value)
    elif isinstance(node, (ast.Tuple, ast.List, ast.Dict)):
        for part in node.values if isinstance(node, ast.Dict) else node.elts:
            yield from _strings(part)
    elif isinstance(node, ast.IfExp):
        yield from (*_strings(node.body), *_strings(node.orelse))
    elif isinstance(node, ast.BoolOp):
        for part in node.values:
            yield from _strings(part)


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    inner = ast.unparse(ast.JoinedStr([value]))[3:-2] if isinstance(value, ast.FormattedValue) else "…"
    return "{" + (inner if not set(inner) & set("{}\n") else "…") + "}"
