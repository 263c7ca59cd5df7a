"""What an attack is, and how its notebook is made of the released lab or the solved one."""

import copy
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

from honest import FULL, NAME
from solved_labs import as_bytes, cell_of, code, grade_id, insert_after

CANARY = f"canary-{0x4F1D:x}-2b8e"  # what the test plants; no attack spells it
MARK = "attack_was_here"  # the name of every file that an attack leaves behind
PORT = 47111  # the test listens here, TCP and UDP, on 127.0.0.1 and ::1
ABSTRACT = "breakthrough-attack"  # and on the abstract socket of this name
# files that the test plants with the canary in them, by what they stand for, below the course's folder
PLACES = {
    "masters": "solutions/01_moe/01_moe.ipynb", "another's work": "cohort/submitted/neighbour/01_moe/01_moe.ipynb",
    "gradebook": "cohort/gradebook.db", "seed": "cohort-secret/seed", "released": "cohort/release/01_moe/secret.txt",
}
FUNCTIONS = {
    "moe.route": "def route(logits, k):", "moe.combine": "def combine(rows, tokens, weights, n_tokens):",
    "moe.dispatch": "def dispatch(x, experts, n_experts):", "moe.balance": "def balance(probs, experts):", "moe.zloss": "def zloss(logits):",
    "moe.capacity": "def keep(experts, n_experts, factor):", "moe.bias": "def route_with_bias(logits, bias, k, rate):",
    "moe.cost": "def cost(d_model, d_hidden, n_experts, top_k, n_shared, tokens):", "moe.mend": "def MendedMoE(*sizes):",
    "moe.prove": "def proofs():", "moe.upcycle": "def upcycle(dense, n_experts, generator):",
}
# stock nbgrader 0.9.6 was seen to give these 46 to 63 of 63 points (benchmarks/stock_attacks.py)
SEEN_TO_BEAT_STOCK = {
    "check_replaced_by_nothing", "judge_asked_about_the_reference", "verdict_always_passed", "comparison_of_every_exercise_replaced",
    "reference_of_every_exercise_replaced", "no_cases_but_one_empty", "load_gives_an_easy_exercise", "failure_made_silent", "checks_tagged_to_be_skipped",
    "input_transformer_drops_checks", "post_transformer_drops_checks", "ast_transformer_drops_checks", "compiler_of_the_shell_replaced",
    "run_code_of_the_shell_replaced", "a_hook_before_every_cell", "start_up_files_of_the_shell", "an_import_that_lies", "the_course_in_sys_modules_replaced",
    "reference_of_the_bank", "answers_of_the_masters_found_and_run", "answers_of_a_neighbour_found_and_run",
}
_MADE: dict[str, "Attack"] = {}


@dataclass(frozen=True)
class Link:
    """In the place of a file's bytes: a symbolic link."""

    target: str


@dataclass(frozen=True)
class Pipe:
    """In the place of a file's bytes: a named pipe."""


@dataclass(frozen=True)
class Attack:
    """A hostile submission.

    `make` gets the released and the solved notebook and gives the files by path. `deserved` is the most that may be
    earned, by exercise, `least` what must be earned nevertheless: the honest answers beside the attack.
    `beats_stock` says that stock nbgrader was seen to give it points, `endangers` that it is for a sandbox with caps.
    """

    name: str
    family: str
    make: Callable[[dict, dict], dict[str, object]]
    deserved: dict[str, int] = field(default_factory=dict)
    least: dict[str, int] = field(default_factory=dict)
    beats_stock: bool = False
    endangers: bool = False


def every() -> tuple[Attack, ...]:
    """All attacks."""
    return tuple(_MADE.values())


def lay(files, folder):
    """Write the files of a submission into a folder, links and pipes among them."""
    for name, what in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, Link):
            path.symlink_to(what.target)
        elif isinstance(what, Pipe):
            os.mkfifo(path)
        else:
            path.write_bytes(what)
    return folder


def register(name, family, edit, *, base="lab", deserved=(), least=(), endangers=False):
    """An attack whose `edit` changes a copy of the lab, solved or not, or gives another notebook, bytes or files."""
    def make(lab, solved):
        notebook = copy.deepcopy(solved if base == "solved" else lab)
        got = edit(notebook)
        got = notebook if got is None else got
        if isinstance(got, dict) and "cells" in got:
            got = as_bytes(got)
        return {NAME: got} if isinstance(got, bytes) else got

    if name in _MADE:
        raise ValueError(f"expected a new name, got {name!r} again")
    points = [{one: FULL[one] for one in names} for names in (deserved, least)]
    _MADE[name] = Attack(name, family, make, *points, beats_stock=name in SEEN_TO_BEAT_STOCK, endangers=endangers)


def made(family, **options):
    """Register a function as an attack of a family, under its own name."""
    def mark(edit):
        register(edit.__name__, family, edit, **options)
        return edit
    return mark


def early(name, family, source, *, returns=None, **options):
    """An attack that runs before the first check, in an answer's own cell; other answers return something, or are stubs."""
    def edit(notebook):
        if returns is not None:
            answer(notebook, f"return {returns}", [one for one in FUNCTIONS if one not in ("moe.mend", "moe.prove")])
        cell = cell_of(notebook, "moe-route-answer")
        cell["source"] = textwrap.dedent(source).strip() + "\n\n\n" + cell["source"]
    register(name, family, edit, **options)


def bodies(name, family, body, *, before="", of=tuple(FUNCTIONS), **options):
    """An attack in the bodies of answers, with code before the first of them."""
    def edit(notebook):
        answer(notebook, body, of, before)
    register(name, family, edit, **options)


def beside(name, family, body, *, before="", of="moe.zloss", **options):
    """An attack in one answer of a lab that is solved otherwise: that one earns nothing, the others all."""
    rest = [one for one in FULL if one != of]
    bodies(name, family, body, before=before, of=[of], base="solved", deserved=rest, least=rest, endangers=True, **options)


def answer(notebook, body, of=tuple(FUNCTIONS), before=""):
    """Give answers another body."""
    for number, name in enumerate(of):
        cell = cell_of(notebook, name.replace(".", "-") + "-answer")
        head = textwrap.dedent(before).strip() + "\n\n\n" if before and not number else ""
        cell["source"] = head + FUNCTIONS[name] + "\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")


__all__ = ["as_bytes", "cell_of", "code", "grade_id", "insert_after"]
