"""What a card and a notebook show of an error: the learner's own lines, and the message in plain words."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from breakthrough import errors
from breakthrough.exercises import card, judge, load
from breakthrough.exercises.moe_layers import Expert
from breakthrough.exercises.moe_upcycle import upcycle


class Mended(nn.Module):
    """A layer as a learner writes it, in a file of their own."""

    def __init__(self, d_model, d_hidden, n_experts, top_k):
        super().__init__()
        self.router = nn.Linear(d_model, n_experts, bias=False)
        self.experts = nn.ModuleList(Expert(d_model, d_hidden) for _ in range(n_experts))

    def forward(self, x):
        return x


class NoRouter(Mended):
    def __init__(self, *sizes):
        nn.Module.__init__(self)
        self.experts = nn.ModuleList(Expert(*sizes[:2]) for _ in range(sizes[2]))


class SmallRouter(Mended):
    def __init__(self, d_model, d_hidden, n_experts, top_k):
        super().__init__(d_model, d_hidden, n_experts, top_k)
        self.router = nn.Linear(d_model, top_k, bias=False)


class Broken(Mended):
    def forward(self, x):
        return self.experts[0](x[:, :-1])  # the library fails, below a line of the learner's


SIZES = 8, 16, 4, 2
ODD = {
    "y alone": (Mended, "forward returns y alone"),
    "no router": (NoRouter, "without router.weight"),
    "another size": (SmallRouter, "router.weight of shape (4, 8), got (2, 8)"),
    "a lambda": (lambda x: x, "made from four sizes"),
    "no module": (lambda *sizes: "a layer", "a class that makes an nn.Module"),
    "an instance": (Mended(*SIZES), 'try check("moe.mend", Mended), without calling it'),
    "a number": (7, "the class of your layer, got an int"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_class_is_told_what_it_is_without_the_engines_lines(name):
    answer, says = ODD[name]
    verdict = judge(load("moe.mend"), answer, 0)
    shown = card.plain(verdict, 1)
    assert verdict.status == "wrong" and verdict.traceback == ""
    assert says in shown and "Error" not in shown and ".py" not in shown


@pytest.mark.parametrize(("change", "says"), [
    ({"router": torch.zeros(3)}, "expected router of shape (3, 4), got (3,)"),
    ({"router": [1.0]}, "expected a tensor for router, got a list"),
    ({"down": torch.zeros(3, 4, 6, dtype=torch.float16)}, "expected down of torch.float32, as the dense weights are"),
    ({"gate": torch.zeros(3)}, "expected a dict with router, gate_up and down, got down, gate, gate_up, router"),
    (None, "expected a dict with router, gate_up and down, got a tuple"),
])
def test_odd_weights_are_told_in_plain_words(change, says):
    def answer(dense, n_experts, generator):
        weights = upcycle(dense, n_experts, generator)
        return tuple(weights) if change is None else weights | change

    verdict = judge(load("moe.upcycle"), answer, 0)
    assert verdict.traceback == "" and says in card.plain(verdict, 1)
    assert "InputError" not in card.plain(verdict, 1)


def test_a_traceback_holds_the_learners_own_lines_and_no_others():
    shown = judge(load("moe.mend"), Broken, 0).traceback.splitlines()
    files = [line for line in shown if line.startswith("  File ")]
    assert len(files) == 1 and __file__ in files[0] and "in forward" in files[0]
    assert shown[-1].startswith("RuntimeError: ")


def test_a_traceback_starts_at_the_learners_first_line():
    def inner(x):
        return torch.cat([x, "x"])

    def answer(logits):
        return inner(logits)

    shown = judge(load("start.softmax"), answer, 0).traceback
    assert [line.rpartition(" in ")[2] for line in shown.splitlines() if line.startswith("  File ")] == ["answer", "inner"]


def test_an_error_of_the_course_is_one_line_in_a_notebook():
    try:
        load("moe.rout")
    except errors.UnknownNameError as error:
        (line, *own) = error._render_traceback_()
    assert line.startswith("UnknownNameError: expected the name of a known exercise") and "moe.route" in line
    assert all("test_" in frame for frame in own)


def test_ipython_shows_one_line():
    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell('from breakthrough.exercises import check')
shell.run_cell('check("moe.rout", None)')
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert line.startswith("UnknownNameError: expected") and "moe.route" in line
