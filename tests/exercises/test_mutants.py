"""Mutants of references: how they are made, how each is judged apart, and what is excused."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from breakthrough.errors import BreakthroughError
from breakthrough.exercises import Exercise, every, gate, load, mutants
from breakthrough.exercises.apart import DIED, TOO_LONG, call_apart
from breakthrough.exercises.exercise import Case

MUTATED = [exercise for exercise in every() if mutants.mutated(exercise)]
QUICK = ("start.softmax", "moe.route", "moe.zloss", "scenes.split", "federated.compose", "quant.absmax", "deploy.tile", "deploy.fuse")


def shifted(x: int, n: int = 2) -> int:
    """Add n − 1 to a number."""
    # a comment - 1
    return x + (n - 1)


def toy(reference=shifted, **fields) -> Exercise:
    return Exercise("start.shifted", "Shift", 1, 1, 1, reference, lambda generator: (Case("by hand", (3, 5)), Case("negative", (-4, 1))), (), ("a", "b", "c"), **fields)


def test_mutants_are_single_changes_of_what_runs():
    found = mutants.mutants(toy())
    texts = [mutant.source for mutant in found]
    assert len(set(texts)) == len(texts) > 20
    assert all("Add n" not in text and "int" not in text and "comment" not in text for text in texts)
    assert ("return x + (n - 1)", "return x - (n - 1)") in [(mutant.was, mutant.now) for mutant in found]
    assert ("return x + (n - 1)", "return x + (n - 2)") in [(mutant.was, mutant.now) for mutant in found]
    assert mutants.bare(toy()) not in texts and [m.now for m in found] == [m.now for m in mutants.mutants(toy())]


def twice(x, y):
    x = x + 1
    y = y + 1
    x = x + 1
    return x * y


def test_the_same_change_to_lines_that_read_alike_has_two_names():
    names = [(mutant.was, mutant.now) for mutant in mutants.mutants(toy(twice))]
    assert len(set(names)) == len(names) and ("x = x + 1", "x = x - 1  # 2") in names


def test_a_mutant_runs_among_the_names_of_its_reference():
    [mutant] = [m for m in mutants.mutants(load("start.softmax")) if "softmax" in m.source and ".sum(dim=-1" in m.now and " * " in m.now]
    answer = mutants.planted(load("start.softmax"), mutant)
    assert answer(torch.zeros(1, 4)).tolist() == [[4.0] * 4]
    assert load("start.softmax").reference(torch.zeros(1, 4)).tolist() == [[0.25] * 4]


def loops(x, n=2):
    while n > 1:
        n = n - 1
        x = x + 1
    return x + n - 1


def hungry(x, n=2):
    kept = bytearray(1 + n - n)
    return x + n - len(kept)


def leaves(x, n=2):
    if n < 0:
        os._exit(3)
    return x + n - 1


@pytest.mark.parametrize(("reference", "now", "end"), [
    (loops, "n = n + 1", gate.ENDLESS),
    (hungry, "kept = bytearray(1 + n << n + 40)", gate.RAISED),
    (leaves, "if n > 0:", DIED),
    (leaves, "if n < -1:", gate.PASSED),
    (leaves, "if n == 0:", gate.PASSED),
])
def test_whatever_a_mutant_does_its_fate_is_told(reference, now, end):
    exercise = toy(reference)
    found = {mutant.now: mutant for mutant in mutants.mutants(exercise)}
    if now in found:
        mutant = found[now]
    else:
        was = next(line for line in mutants.bare(exercise).splitlines() if "bytearray" in line)
        mutant = mutants.Mutant("by hand", was, now, mutants.bare(exercise).replace(was.strip(), now))
    assert gate.fate(exercise, mutant, 1.0) == end


def test_what_runs_apart_changes_nothing_here():
    here = []

    def there():
        here.append(1)
        os.environ["APART"] = "1"
        print("not to be seen")
        return {"pid": os.getpid(), "here": here}

    assert call_apart(there)["here"] == [1] and here == [] and "APART" not in os.environ


def _gone(pid):
    """Whether a process ends, or is a zombie that nobody has asked for yet; it is given ten seconds."""
    for _ in range(200):
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_what_runs_apart_is_ended_with_what_it_started():
    def starts():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        return child.pid

    pid = call_apart(starts)
    assert _gone(pid)
    assert call_apart(lambda: time.sleep(600), 0.2) == TOO_LONG
    assert call_apart(lambda: os.kill(os.getpid(), 9)) == DIED
    with pytest.raises(BreakthroughError, match="ZeroDivisionError"):
        call_apart(lambda: 1 / 0)
    assert len(call_apart(lambda: "x" * 3_000_000)) == 3_000_000


def test_what_runs_apart_ends_with_whoever_called(tmp_path):
    told = tmp_path / "pid"
    code = f"import os, pathlib, time\nfrom breakthrough.exercises.apart import call_apart\n" \
           f"call_apart(lambda: (pathlib.Path({str(told)!r}).write_text(str(os.getpid())), time.sleep(600)))"
    caller = subprocess.Popen([sys.executable, "-c", code])
    while not told.exists() or not told.read_text():
        assert caller.poll() is None
        time.sleep(0.05)
    caller.kill()
    caller.wait()
    assert _gone(told.read_text())


def test_a_reference_that_fails_is_no_ground_to_count_on():
    wrong = dataclasses.replace(toy(), compare=lambda want, got: load("moe.route").compare(torch.zeros(1), torch.ones(1)))
    with pytest.raises(BreakthroughError, match="the reference of start.shifted to pass"):
        gate.patience(wrong)


def test_a_survivor_and_a_wrong_excuse_are_named(monkeypatch):
    blind = dataclasses.replace(toy(), cases=lambda generator: (Case("by hand", (0, 1)),))  # 0 + 0: many signs do not show
    those = mutants.mutants(blind)
    alive, dead = ("return x + (n - 1)", "return x - (n - 1)"), ("return x + (n - 1)", "return x + (n + 1)")
    monkeypatch.setattr(gate, "equivalents", lambda: {"start.shifted": {dead[0]: {dead[1]: "a mistake"}}})
    part = gate.try_mutants(blind, [m for m in those if (m.was, m.now) in (alive, dead)])
    assert part.faults == (
        f"start.shifted: survived: {alive[0]} → {alive[1]}",
        f"start.shifted: listed as equivalent, but killed: {dead[0]} → {dead[1]}",
    )
    assert (part.counts.mutants, part.counts.mutants_killed, part.counts.equivalent, part.counts.survived) == (2, 1, 0, 1)
    monkeypatch.setattr(gate, "equivalents", lambda: {"start.shifted": {alive[0]: {alive[1]: "0 + 0 is 0 − 0"}}})
    part = gate.try_mutants(blind, [m for m in those if (m.was, m.now) == alive])
    assert part.faults == () and (part.counts.equivalent, part.counts.survived) == (1, 0)


def test_every_excuse_has_a_line_of_its_reference_and_a_reason():
    by_name = {exercise.name: exercise for exercise in MUTATED}
    for name, lines in gate.equivalents().items():
        stripped = {line.strip() for line in mutants.bare(by_name[name]).splitlines()}
        for was, excused in lines.items():
            assert was in stripped, f"{name} has no line {was!r} any more"
            assert all(len(why) > 20 and now != was for now, why in excused.items()), name


def test_mutants_of_a_sample_are_all_killed_or_equivalent():
    parts = []
    gate.measure([load(name) for name in QUICK], 2, True, parts.append)
    assert [fault for part in parts for fault in part.faults] == []
    tried = sum(part.counts.mutants for part in parts)
    assert tried == sum(part.counts.mutants_killed + part.counts.equivalent for part in parts) > 300
