"""Docstrings of public names: there, one line first, and only the sections the project has."""

import ast
import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1] / "src" / "breakthrough"
FILES = sorted(HOME.rglob("*.py"))
# these do what their base class says; the docstring of the class has the shapes
OVERRIDES = {"forward", "backward", "setup_context", "extra_repr"}
SECTIONS = ["Shapes", "Units", "Raises", "Source"]
OTHERS = re.compile(r"^\s*(Args|Arguments|Parameters|Returns?|Yields?|Shape|Unit|Raise|Sources|Examples?|Notes?):", re.MULTILINE)


def overrides(node: ast.ClassDef, name: str, classes: dict[str, ast.ClassDef]) -> bool:
    """Whether a method does what a base class says: the base is torch's, or has it documented in this file."""
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    said = [inner for base in bases for inner in base.body if isinstance(inner, ast.FunctionDef) and inner.name == name]
    return name in OVERRIDES or any(map(ast.get_docstring, said)) or any(overrides(base, name, classes) for base in bases)


def public(tree: ast.Module):
    """Public functions, classes, and their public methods, with their names."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and not inner.name.startswith("_") and not overrides(node, inner.name, classes):
                        yield f"{node.name}.{inner.name}", inner


def faults(tree: ast.Module) -> list[str]:
    found = [] if ast.get_docstring(tree) else ["module: no docstring"]
    for name, node in public(tree):
        text = ast.get_docstring(node)
        if not text:
            found.append(f"{name}: no docstring")
            continue
        lines = text.splitlines()
        if len(lines) > 1 and lines[1].strip():
            found.append(f"{name}: the first line stands alone")
        if not re.search(r"[.:?!…)]$", lines[0]):
            found.append(f"{name}: the first line is one sentence, with its full stop")
        if wrong := OTHERS.search(text):
            found.append(f"{name}: a section {wrong.group(1)!r}; the project has {', '.join(SECTIONS)}")
        order = [SECTIONS.index(label) for label in re.findall(rf"^({'|'.join(SECTIONS)}):", text, re.MULTILINE)]
        if order != sorted(order):
            found.append(f"{name}: sections in another order than {', '.join(SECTIONS)}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_public_names_are_documented(path):
    assert faults(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("source", [
    "def f(): pass", "class A:\n    '''A.'''\n    def m(self): pass", "def f():\n    '''Do it.\n    at once.'''", "def f():\n    '''Do it'''",
    "def f():\n    '''Do it.\n\n    Args:\n        x'''", "def f():\n    '''Do it.\n\n    Raises: E\n    Units: s\n    '''",
])
def test_the_rule_sees(source):
    assert faults(ast.parse(f"'''M.'''\n{source}"))


def test_an_override_of_a_documented_method_needs_no_second_docstring():
    base = "class A:\n    '''A.'''\n    def m(self):\n        '''Do it.'''\n"
    assert faults(ast.parse(f"'''M.'''\n{base}class B(A):\n    '''B.'''\n    def m(self): pass")) == []
    assert faults(ast.parse(f"'''M.'''\n{base}class B(A):\n    '''B.'''\n    def other(self): pass")) == ["B.other: no docstring"]


def test_the_rule_allows():
    source = "'''M.'''\ndef f():\n    '''Do it.\n\n    Shapes: (T, E)\n    Raises: E\n    '''\ndef _g(): pass"
    assert faults(ast.parse(source)) == []
