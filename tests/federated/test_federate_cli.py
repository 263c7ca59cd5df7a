"""`breakthrough federate`: what it prints and refuses, and that Ctrl-C leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from breakthrough import cli

pytest.importorskip("flwr")

from breakthrough.federated import federation, processes


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three data files; whatever a test leaves running is ended."""
    monkeypatch.chdir(tmp_path)
    source = str(Path(cli.__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, str(Path(__file__).parent)]))
    for number in range(3):
        (tmp_path / "data").mkdir(exist_ok=True)
        np.savez(tmp_path / "data" / f"node-{number}.npz", values=np.full((2, 2), float(number)))
    (tmp_path / "plan.json").write_text("{}")
    yield tmp_path
    cli.main(["federate", "down"])


def run(*arguments):
    return cli.main(["federate", *map(str, arguments)])


def begin(*arguments):
    """A command in a process of its own, as at a terminal."""
    log = Path(f"{arguments[0]}.txt")
    # tests that a shell started in the background ignore Ctrl-C, and so would a command of theirs
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with log.open("wb") as out:
            return subprocess.Popen([sys.executable, "-m", "breakthrough.cli", "federate", *arguments], stdout=out, stderr=out), log
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(log, text, child, limit_s=120):
    deadline = time.monotonic() + limit_s
    while text not in log.read_text():
        assert child.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("command", ["split", "up", "run", "status", "down"])
def test_every_command_shows_an_example(capsys, command):
    assert run(command, "--help") == 0
    assert f"  breakthrough federate {command}" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["run", "plan.json"], 2, "expected a federation in build/federation, got none; try breakthrough federate up DIR"),
    (["up", "nowhere"], 2, "expected node-0.npz, node-1.npz… without gaps in nowhere, got none"),
    (["up", "data", "--nodes", "1"], 2, "expected 2 to 3 nodes, got 1"),
    (["up", "data", "--port", "70000"], 2, "expected a free port, got 70000"),
    (["up", "data", "--folder", "data"], 2, "expected a new or empty folder, or one of a federation, got"),
    (["upp"], 2, "expected the name of a known command, got 'upp'; try up"),
])
def test_an_error_is_one_line_and_starts_nothing(here, capsys, arguments, code, said):
    assert run(*arguments) == code
    shown = capsys.readouterr().err
    assert said in shown and len(shown.splitlines()) == 1 and shown.startswith("breakthrough: ")
    assert not (here / "build").exists()


def test_without_a_federation_there_is_nothing_to_end_and_nothing_to_see(here, capsys):
    assert run("down") == 0 and run("status") == 1
    assert capsys.readouterr().out == "build/federation: no federation, nothing to end\nbuild/federation: no federation\n"


def test_split_gives_every_digit_to_one_node_and_a_plan_to_begin_with(here, capsys):
    from breakthrough.federated.digits import Samples, digits
    from breakthrough.federated.plan import Plan

    assert run("split", "--out", "parts", "--nodes", 5, "--alpha", 0.5) == 0
    lines = capsys.readouterr().out.splitlines()
    parts, (train, test) = [Samples.load(f"parts/node-{number}.npz") for number in range(5)], digits(0)
    assert [line.split(":")[0] for line in lines] == [*(f"node {number}" for number in range(5)), "next"]
    assert sum(map(len, parts)) == len(train) and len(Samples.load("parts/test.npz")) == len(test)
    counts = [[int(one) for one in line.rpartition(":")[2].split()] for line in lines[:-1]]
    assert counts == [np.bincount(part.y, minlength=10).tolist() for part in parts]
    assert np.array_equal(np.sum(counts, 0), np.bincount(train.y))
    assert Plan.load("parts/plan.json").least == 2
    assert run("split", "--out", "parts") == 2 and "expected a new or empty folder, got parts" in capsys.readouterr().err
    assert run("split", "--out", "one", "--nodes", 1) == 2 and not Path("one").exists()


def test_the_apps_of_the_simulation_run_in_processes_with_the_same_result(here, capsys):
    """And Ctrl-C at a run leaves no process behind."""
    from dataclasses import replace

    from breakthrough.federated.history import History
    from breakthrough.federated.local import scorer
    from breakthrough.federated.plan import Plan
    from breakthrough.federated.simulation import Job, simulate
    from breakthrough.federated.tasks import load_data, task_of

    assert run("split", "--out", "digits", "--nodes", 3) == 0
    plan = replace(Plan.load("digits/plan.json"), rounds=1, timeout_s=300.0, least=3)
    plan.save("digits/plan.json")
    job = Job(plan, scorer(plan, {"": load_data(task_of("digits"), "digits/test.npz")}))
    expected = simulate({"": job}, "digits", 3, engine="local", progress=False)[""].history
    capsys.readouterr()

    assert run("up", "digits") == 0
    token = federation.load().token
    shown = capsys.readouterr().out
    assert [shown.count(f"node {number}  online") for number in range(3)] == [1, 1, 1]
    assert shown.endswith("3 nodes online; next: breakthrough federate run PLAN, then down\n")

    assert run("run", "digits/plan.json", "--out", "out", "--test", "digits/test.npz") == 0
    shown = capsys.readouterr().out
    assert "round 1/1: nodes 0, 1, 2, loss" in shown and "completed in" in shown and "with 3 of 3 nodes" in shown
    assert "node 2: 2 messages answered" in shown  # who it is, and its update
    found = History.load(Path("out", "history.json"))
    assert found.rounds[0].names == (0, 1, 2) and found.rounds[0].weight == expected.rounds[0].weight
    assert found.series() == pytest.approx(expected.series(), abs=0.005) and found.series("loss") == pytest.approx(expected.series("loss"), abs=1e-3)
    assert run("run", "digits/plan.json", "--test", "digits/none.npz") == 2
    assert "expected a file to score on, got digits/none.npz, which is not there" in capsys.readouterr().err
    assert run("status") == 0
    shown = capsys.readouterr().out
    assert shown.count("online") == 4 and "finished:completed" in shown

    Path("plan.json").write_text(json.dumps({"rounds": 100, "width": 2, "least": 3, "timeout_s": 60}))
    child, log = begin("run", "plan.json", "--apps", "toy_app")
    wait_for(log, "[ROUND 1/1]", child)
    child.send_signal(signal.SIGINT)
    assert child.wait(300) == 130, log.read_text()
    assert processes.marked(token) == [] and federation.read() is None
    assert "Traceback" not in log.read_text() and "interrupted: " in log.read_text().splitlines()[-1]


def test_up_that_waits_tells_of_losses_and_ends_everything(here, capsys):
    child, log = begin("up", "data", "--nodes", "2", "--wait")
    wait_for(log, "Ctrl-C ends everything", child)
    fed = federation.load()
    Path("plan.json").write_text(json.dumps({"rounds": 100, "width": 2, "least": 2, "timeout_s": 60.0}))
    follower, followed = begin("run", "plan.json", "--apps", "toy_app")
    wait_for(followed, "[ROUND 1/1]", follower)
    os.kill(fed.nodes[1].pid, signal.SIGKILL)
    wait_for(log, "node 1  lost      node-1.npz: its process was killed", child)
    assert follower.wait(120) == 1  # Flower would wait for node 1 for ever
    assert "stopped in" in followed.read_text() and "1 node left, and the plan needs 2" in followed.read_text()
    assert run("status") == 1
    assert "finished:stopped" in capsys.readouterr().out
    child.send_signal(signal.SIGTERM)
    assert child.wait(300) == 130, log.read_text()
    assert processes.marked(fed.token) == [] and federation.read() is None
