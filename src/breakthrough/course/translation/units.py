"""What of a text is translated: blocks of Markdown; of code the comments and docstrings, never the code.

Blocks are what blank lines part: a paragraph, a heading, a whole list or table. So a change of one sentence
makes one unit drift, and a translator sees a thought at a time.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PROSE, FENCE, COMMENT, DOCSTRING, MESSAGE, TEMPLATE = "prose", "fence", "comment", "docstring", "message", "template"
CODE_KINDS = (COMMENT, DOCSTRING)
WORD = re.compile(r"[A-Za-z]{2,}")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_NOT_SAID = re.compile(r"noqa|type:|fmt:|YOUR CODE HERE")  # for tools; the last is nbgrader's, where a solution stood
_BEGIN, _END = "### BEGIN", "### END"

Translate = Callable[[str, str], str]  # the kind of a unit and its text → what stands in its place


@dataclass(frozen=True)
class Unit:
    """One text to translate: the cell it stands in (of a message: nothing), what it is, where it comes from."""

    context: str
    text: str
    kind: str
    where: str = ""


@dataclass(frozen=True)
class _Edit:
    """A stretch of a source, from line and column to line and column, and the unit in it."""

    start: tuple[int, int]
    end: tuple[int, int]
    kind: str
    text: str


def markdown(text: str, translate: Translate) -> str:
    """A text in Markdown with every block translated; what parts the blocks stays."""
    return "".join(_block(part, translate) for part in _parts(text))


def code(source: str, translate: Translate) -> str:
    """A cell's code with its comments and docstrings translated; code that cannot be read stays as it is."""
    lines = source.split("\n")
    for edit in sorted(_edits(source), key=lambda one: one.start, reverse=True):
        said = translate(edit.kind, edit.text)
        if said == edit.text:
            continue
        (top, left), (bottom, right) = edit.start, edit.end
        if edit.kind == DOCSTRING:
            said = _indented(said, left, lines[bottom][:right].strip() == '"""')
        lines[top : bottom + 1] = (lines[top][:left] + said + lines[bottom][right:]).split("\n")
    return "\n".join(lines)


def in_markdown(text: str) -> list[tuple[str, str]]:
    """The units of a text in Markdown: kind and text."""
    return _collected(markdown, text)


def in_code(source: str) -> list[tuple[str, str]]:
    """The units of a cell's code."""
    return _collected(code, source)


def without_comments(text: str) -> str:
    """A fenced block without what may be translated in it: comments, the words in a diagram's boxes; of a tree, all but paths."""
    if text.split("\n", 1)[0].strip() in ("```", "~~~"):
        return "\n".join(" ".join(re.findall(r"\S*(?:\w/|\.\w+)(?!\S)|```|~~~", line)) for line in text.splitlines())
    inside = text.startswith(("```mermaid", "~~~mermaid"))
    lines = (re.sub(r'\["[^"]*"\]', '[""]', line) if inside else re.sub(r"(^|\s+)# .*$", "", line) for line in text.splitlines())
    return "\n".join(line.rstrip() for line in lines)


def skeleton(source: str) -> str:
    """What of a cell's code may never change: its syntax without docstrings."""
    tree = ast.parse(_plain(source))
    for node in ast.walk(tree):
        if _documented(node):
            node.body = node.body[1:] or [ast.Pass()]  # type: ignore[attr-defined]  # only what has a docstring comes here
    return ast.dump(tree)


def _collected(walk: Callable[[str, Translate], str], text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def keep(kind: str, unit: str) -> str:
        found.append((kind, unit))
        return unit

    walk(text, keep)
    return found if walk is markdown else found[::-1]  # edits go from the end


def _block(part: str, translate: Translate) -> str:
    if not part.strip():
        return part
    fenced = bool(_FENCE.match(part))
    if fenced and without_comments(part) == "\n".join(line.rstrip() for line in part.splitlines()):
        return part
    return translate(FENCE if fenced else PROSE, part) if WORD.search(part) else part


def _parts(text: str) -> Iterator[str]:
    """Blocks and what lies between them, in turn; together they are the text."""
    block: list[str] = []
    fence = kind = ""  # the marks that the block is fenced by; what the line before was
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        opens, closes = bool(mark and not fence), bool(mark and mark[1] == fence)
        now = "fence" if mark or fence else "text" if line.strip() else "blank"
        if block and (now != kind or opens):
            yield "\n".join(block)
            yield "\n"
            block = []
        block.append(line)
        fence = mark[1] if mark and opens else "" if closes else fence
        kind = now
    yield "\n".join(block)


def _plain(source: str) -> str:
    return re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)


def _edits(source: str) -> Iterator[_Edit]:
    try:
        tree = ast.parse(_plain(source))
        tokens = list(tokenize.generate_tokens(io.StringIO(_plain(source)).readline))
    except (SyntaxError, tokenize.TokenError):
        return
    solving = False
    for token in tokens:
        if token.type != tokenize.COMMENT:
            continue
        solving = (solving or token.string.startswith(_BEGIN)) and not token.string.startswith(_END)
        text = token.string.lstrip("#").strip()
        if not solving and not token.string.startswith("###") and len(WORD.findall(text)) > 1 and not _NOT_SAID.match(text):
            (line, column), (_, end) = token.start, token.end
            yield _Edit((line - 1, column + token.string.index(text)), (line - 1, end), COMMENT, text)
    yield from _docstrings(source, tree)


def _docstrings(source: str, tree: ast.Module) -> Iterator[_Edit]:
    lines = source.split("\n")
    solutions = [i for i, line in enumerate(lines) if line.strip().startswith((_BEGIN, _END))]
    for node in ast.walk(tree):
        if not _documented(node):
            continue
        text = node.body[0]  # type: ignore[attr-defined]  # only what has a docstring comes here
        top, bottom = text.lineno - 1, text.end_lineno - 1
        hidden = sum(at < top for at in solutions) % 2 == 1
        left = len(lines[top].encode()[: text.col_offset].decode())
        right = len(lines[bottom].encode()[: text.end_col_offset].decode())
        raw = "\n".join([*lines[top:bottom], lines[bottom][:right]])[left:]
        if raw.startswith('"""') and not hidden:
            yield _Edit((top, left), (bottom, right), DOCSTRING, inspect.cleandoc(raw[3:-3]))


def _documented(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None


def _indented(text: str, left: int, below: bool) -> str:
    """A docstring at its place, its closing quotes on a line of their own where they had one."""
    rest = textwrap.indent(text, " " * left)[left:]
    return f'"""{rest}\n{" " * left}"""' if below else f'"""{rest}"""'
