"""What a cell's source does with names: which it binds, reads and changes. Read from its syntax, never run."""

from __future__ import annotations

import ast
import re
import symtable
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

PYTHON_MAGICS = {"time", "timeit", "capture", "prun"}  # cell magics below which Python stands
DYNAMIC = {"exec", "eval", "globals", "locals", "vars", "setattr", "delattr", "__import__", "get_ipython", "compile", "open"}
ANALYSED_CHARS = 2**16  # a longer source is not taken apart

_CELL_MAGIC = re.compile(r"\s*%%(\w+)[^\n]*\n?")
_LINE_MAGIC = re.compile(r"^([ \t]*)(?:[%!?].*|[\w.]+\?{1,2})$")
_ASSIGNED_MAGIC = re.compile(r"^([\w., \t]+=)[ \t]*[%!].*$")
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Names:
    """The names of a cell.

    `binds` are those it gives a value; `reads` those of others that it uses at once, `late` those that its functions
    look up when they are called; `changes` those whose objects it stores into, `touches` those it gives to calls or calls
    methods of; `calls` are the functions that it calls by name, `effects` for every function it defines the names that
    a call of it binds or changes. `values` are the bound names that are neither imported nor defined. `imports` says that
    the cell mostly imports, `dynamic` that it may bind names that its syntax does not show, `parses` whether it is Python.
    """

    binds: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    touches: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    effects: tuple[tuple[str, frozenset[str]], ...] = ()
    imports: bool = False
    dynamic: bool = False
    parses: bool = True


@lru_cache(maxsize=128)
def python(source: str) -> str | None:
    """A cell's source as Python, magics and shell lines made harmless; none when it is no Python."""
    if len(source) > ANALYSED_CHARS:
        return None
    found = _CELL_MAGIC.match(source)
    if found:
        source = source[found.end() :] if found[1] in PYTHON_MAGICS else ""
    for text in (source, _without_magics(textwrap.dedent(source))):  # the shell takes an indented cell too
        if _parsed(text) is not None:
            return text
    return None


def defined(source: str) -> frozenset[str]:
    """The names that a cell defines: functions, classes, and what it assigns; not what it imports."""
    tree = _parsed(python(source) or "")
    nodes = tree.body if tree else []
    named = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    targets = [target for node in nodes for target in _targets(node)]
    return frozenset(named | {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)})


def alike(one: str, other: str) -> bool:
    """Whether two sources are the same but for spaces at their ends, comments, docstrings and the layout of code.

    A lab in another language has other comments and docstrings, and the same code.
    """
    texts = ["\n".join(line.rstrip() for line in source.strip().split("\n")) for source in (one, other)]
    if texts[0] == texts[1]:
        return True
    first, second = (python(text) if text and text[:2] != "%%" and len(text) < 20_000 else None for text in texts)
    if first is None or second is None or _magics(one) != _magics(other):
        return False
    return _dump(first) == _dump(second)


@lru_cache(maxsize=128)
def names_of(source: str) -> Names:
    """The names of a cell; of one that is no Python nothing is known."""
    text = python(source)
    tree = _parsed(text) if text is not None else None
    if text is None or tree is None:
        return Names(dynamic=True, parses=False)
    try:
        return _names(source, text, tree)
    except _UNREADABLE:
        return Names(dynamic=True, parses=False)


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except _UNREADABLE:
        return None


@lru_cache(maxsize=128)
def _dump(text: str) -> str:
    tree = _parsed(text)
    if tree is None:
        return text
    try:
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return ast.dump(tree)
    except RecursionError:
        return text


def _magics(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if _LINE_MAGIC.match(line) or _ASSIGNED_MAGIC.match(line)]


def _without_magics(source: str) -> str:
    lines = (_LINE_MAGIC.sub(r"\1pass", line) for line in source.split("\n"))
    return "\n".join(_ASSIGNED_MAGIC.sub(r"\1 None", line) for line in lines)


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return [target for target in node.targets if isinstance(target, (ast.Name, ast.Tuple, ast.List))]
    return [node.target] if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name) else []


def _names(source: str, text: str, tree: ast.Module) -> Names:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = symtable.symtable(text, "cell", "exec")
    binds, reads, late = _bound(table)
    known = binds | reads | late
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    stars = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    imported = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return Names(
        frozenset(binds), frozenset(binds - _fixed(tree)), frozenset(reads), frozenset(late), frozenset(_changed(tree) & known), frozenset(_touched(tree) & known),
        frozenset(calls), tuple(_effects(table, tree)), 2 * len(imported) > len(tree.body),
        stars or bool(calls & DYNAMIC) or _has_magic(source),
    )


def _fixed(tree: ast.AST) -> set[str]:
    """Names that are imported, or defined as a function or class."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def _has_magic(source: str) -> bool:
    # plotting in the notebook binds nothing; %%writefile and %load_ext may do anything
    return any(line.lstrip()[:1] in "%!" and not line.startswith("%matplotlib") for line in source.splitlines() if line.strip())


def _bound(table: symtable.SymbolTable) -> tuple[set[str], set[str], set[str]]:
    """Names that a cell binds, those it reads at once, and those that its functions read later."""
    binds, reads, late = set[str](), set[str](), set[str]()
    todo = [(table, False)]
    while todo:
        scope, inside = todo.pop()
        top = scope.get_type() == "module"
        for symbol in scope.get_symbols():
            if top or symbol.is_global():
                if symbol.is_assigned() or symbol.is_imported():
                    binds.add(symbol.get_name())
                if symbol.is_referenced():
                    (late if inside else reads).add(symbol.get_name())
        todo += [(child, inside or _is_function(child)) for child in scope.get_children()]
    return binds, reads, late


def _is_function(scope: symtable.SymbolTable) -> bool:
    return scope.get_type() == "function" and scope.get_name() not in ("listcomp", "setcomp", "dictcomp", "genexpr")


def _root(node: ast.AST) -> str:
    """The name at the beginning of `name.a[0].b`; empty when there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _changed(tree: ast.AST) -> set[str]:
    """Names whose objects are stored into, deleted from, or assigned in place."""
    found = {_root(node) for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load)}
    found |= {_root(node.target) for node in ast.walk(tree) if isinstance(node, ast.AugAssign)}
    found |= {_root(target) for node in ast.walk(tree) if isinstance(node, ast.Delete) for target in node.targets}
    return found - {""}


def _touched(tree: ast.AST) -> set[str]:
    """Names whose methods are called, or that are given to a call: either may alter the object."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found.add(_root(node.func) if isinstance(node.func, ast.Attribute) else "")
            found |= {_root(argument) for argument in (*node.args, *(keyword.value for keyword in node.keywords))}
    return found - {""}


def _effects(table: symtable.SymbolTable, tree: ast.Module) -> Iterator[tuple[str, frozenset[str]]]:
    """Of every function of a cell, the global names that it binds or changes."""
    outside = {scope.get_name(): _global_in(scope) for scope in _nested(table)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in outside:
            bound, used = outside[node.name]
            touched = frozenset(bound | ((_changed(node) | _touched(node)) & used))
            if touched:
                yield node.name, touched


def _nested(table: symtable.SymbolTable) -> Iterable[symtable.SymbolTable]:
    todo = list(table.get_children())
    while todo:
        scope = todo.pop()
        yield scope
        todo += scope.get_children()


def _global_in(scope: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    symbols = [symbol for symbol in scope.get_symbols() if symbol.is_global()]
    return {s.get_name() for s in symbols if s.is_assigned()}, {s.get_name() for s in symbols}
