"""Hostile submissions of lab 01 over the real grader: no undeserved point, no leak, no effect on a neighbour.

A family is one test: its submissions are graded, and after them an honest one, all by one grader with its one warm process.
"""

import os
import shutil
import socket
import threading

import attacks
import pytest
from honest import FULL, MODULE
from solved_labs import COURSE, as_bytes, cell_of, released, solved

from breakthrough.grading import run, sandbox
from breakthrough.grading.grade import Rules, Task
from breakthrough.grading.session import Patience
from breakthrough.grading.spaces import Caps

pytestmark = pytest.mark.sandbox
CAPS = Caps(memory_bytes=512 << 20, all_memory_bytes=1 << 30, processes=32, cpu_s=60)
PATIENCE = Patience(cell_s=5, call_s=12, exercise_s=15, total_s=200, restarts=15)
FAMILIES = sorted({attack.family for attack in attacks.every()})
UNASKED = "moe.prove"  # takes as long as the others together: left out here, but where an attack is about it
LAB, SOLVED = released(MODULE), solved(MODULE)
cell_of(SOLVED, "moe-prove-answer")["source"] = cell_of(LAB, "moe-prove-answer")["source"]
EACH = 4  # submissions of a family that every run of the tests takes; BREAKTHROUGH_ATTACKS=all takes all


def chosen(family):
    """The submissions of a family to grade: spread evenly over it, all when asked for."""
    every = [attack for attack in attacks.every() if attack.family == family]
    if os.environ.get("BREAKTHROUGH_ATTACKS") == "all":
        return every
    step = max(1, -(-len(every) // EACH))
    return every[::step]


@pytest.fixture(scope="module")
def listeners():
    """Whoever calls out is heard here: TCP, UDP and an abstract socket."""
    heard, open_ones = [], []
    for family, kind, address in ((socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", attacks.PORT)), (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", attacks.PORT)),
                                  (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{attacks.ABSTRACT}")):
        one = socket.socket(family, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        open_ones.append(one)
        if kind == socket.SOCK_STREAM:
            one.listen()
        threading.Thread(target=lambda one=one, kind=kind: _hear(one, kind, heard), daemon=True).start()
    yield heard
    for one in open_ones:
        one.close()


def _hear(one, kind, heard):
    while True:
        try:
            heard.append(one.accept() if kind == socket.SOCK_STREAM else one.recvfrom(100))
        except OSError:
            return


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course's folder with the canary planted where secrets lie, and in the environment."""
    for place in attacks.PLACES.values():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"planted {attacks.CANARY}")
        path.chmod(0o644)
    monkeypatch.setenv("BREAKTHROUGH_PLANTED", attacks.CANARY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def grader():
    """The grader of all of them."""
    made = run.Grader(Rules(4242, "tests", sandbox.tier(), CAPS, PATIENCE))
    yield made
    made.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_attacks_earns_nothing_leaks_nothing_and_disturbs_nobody(family, grader, course, listeners):
    faults = []
    for attack in chosen(family):
        faults += graded(grader, course, attack.name, attack.make(LAB, SOLVED), attack.deserved, attack.least)
    right = {name: points for name, points in FULL.items() if name != UNASKED}
    faults += graded(grader, course, "an honest one after them", {f"{MODULE.id}.ipynb": as_bytes(SOLVED)}, right, right)
    assert faults == []
    assert not listeners, "somebody called out"
    assert [path for top in (course, "/tmp", "/dev/shm") for path in _marks(top)] == []
    for name, place in attacks.PLACES.items():
        assert (course / place).read_text() == f"planted {attacks.CANARY}", f"{name} was changed"


def graded(grader, course, name, files, deserved, least):
    """Grade one submission; what is wrong with how it came out."""
    folder = course / "cohort" / "submitted" / "eve" / MODULE.id
    folder.mkdir(parents=True)
    try:
        attacks.lay(files, folder)
        found = grader.grade(Task("eve", MODULE.id, folder, COURSE.lab(MODULE)))
    finally:
        shutil.rmtree(folder)
    earned = {mark.exercise: mark.points for mark in found.marks if mark.points}
    over = {one: points for one, points in earned.items() if points > deserved.get(one, 0)}
    under = [one for one in least if one != UNASKED and one not in earned]
    faults = [f"{name}: undeserved {over}"] if over else []
    faults += [f"{name}: not given {under}: {[mark.says[:200] for mark in found.marks if mark.exercise in under]}"] if under else []
    faults += [f"{name}: a planted secret came out"] if attacks.CANARY in found.to_json() else []
    return faults + ([f"{name}: the grader failed: {found.failure}"] if found.failure else [])


def _marks(top):
    return [os.path.join(base, attacks.MARK) for base, _, names in os.walk(top) if attacks.MARK in names]


def test_there_are_enough_of_them_over_every_family():
    assert sum(len(chosen(family)) for family in FAMILIES) >= 60 and len(FAMILIES) >= 12
    assert all(len(chosen(family)) >= 3 for family in FAMILIES)
