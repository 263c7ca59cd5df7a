"""What a cell binds, reads and changes, as its syntax says it."""

import pytest

from breakthrough.grading.names import alike, defined, names_of, python


@pytest.mark.parametrize(("source", "names"), [
    ("def f(): pass\nclass A: pass\nx, (y, *z) = 1, (2, 3)", {"f", "A", "x", "y", "z"}),
    ("import os\nfrom a import b\na.b = c[1] = 2", set()), ("n: int = 3\nm: int", {"n"}), ("async def g(): pass", {"g"}),
    ("if True:\n    def inner(): pass", set()), ("def f(:", set()), ("%%bash\nx = 1", set()), ("%%time\nx = 1", {"x"}), ("y = !ls\n%time z = 1\nroute?", {"y"}),
])
def test_names_that_a_cell_defines(source, names):
    assert defined(source) == names


@pytest.mark.parametrize(("one", "other", "same"), [
    ("x = 1", "x = 1  \n\n", True), ("x = 1", "# mine\nx  =  1", True), ("x = 1", "x = 2", False), ("", "  \n", True), ("x = (", "x = (  ", True),
    ("x = (", "x = ((", False), ("%time x", "%timeit x", False), ("!ls\nx = 1", "x = 1", False), ("%%bash\nls", "%%bash\nrm", False), ("%%html\na", "", False),
    ("def f():\n    'doc'", "def f():\n    'other'", True), ("def f():\n    return 'a'", "def f():\n    return 'b'", False), ("x = 'a'", 'x = "a"', True),
])
def test_sources_are_alike_but_for_layout_and_comments(one, other, same):
    assert alike(one, other) is same and alike(other, one) is same


@pytest.mark.parametrize("source", ["x = 1", "%matplotlib inline\nx = 1", "  !ls -la\n" , "x = %pwd", "?print\nprint??", "%%capture out\nx = 1", "text = ('%d'\n    % 3)"])
def test_notebook_python_is_python(source):
    assert python(source) is not None


def test_scopes_are_told_apart():
    names = names_of("import numpy as np\ntotal = start + 1\ndef f(a, b=early):\n    global seen\n    seen = a\n    inner = [late for a in b]\n    return inner, np\nclass A(Base):\n    x = soon")
    assert names.binds == {"np", "total", "f", "A", "seen"} and names.values == {"total", "seen"}
    assert {"start", "early", "Base", "soon"} <= names.reads and {"late", "np"} <= names.late
    assert not {"a", "b", "inner", "x"} & (names.binds | names.reads | names.late)
    assert dict(names.effects) == {"f": {"seen"}}


def test_changes_and_calls_are_seen():
    names = names_of("a.b = 1\nc[0] += 1\ndel d.e\nf.g(h)\ni = print(*j, k=l.m[0])")
    assert names.changes == {"a", "c", "d"} and {"f", "h", "j", "l"} <= names.touches and names.calls == {"print"}


@pytest.mark.parametrize(("source", "dynamic"), [
    ("x = 1", False), ("%matplotlib inline\nx = 1", False), ("exec('x = 1')", True), ("globals()['x'] = 1", True), ("from a import *", True), ("%load_ext a", True), ("%%writefile a.py\nx", True),
    ("x = (", True),
])
def test_what_syntax_does_not_show_is_told(source, dynamic):
    assert names_of(source).dynamic is dynamic
