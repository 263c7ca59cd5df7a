"""A federation of real processes: over TLS, with registered keys, and what is left of it when a node is killed."""

import json
import os
import signal
import socket
import stat
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("flwr")

from breakthrough.errors import BreakthroughError, InputError
from breakthrough.federated import deployment, federation, processes, submission, supernodes

MEANS = [np.full(3, 1.0), np.full(3, 2.0), np.full(3, 6.0)]


@pytest.fixture
def data(tmp_path):
    """A data file for each of three nodes; their means tell who took part."""
    for number, mean in enumerate(MEANS):
        np.savez(tmp_path / f"node-{number}.npz", values=np.tile(mean, (4, 1)))
    return [tmp_path / f"node-{number}.npz" for number in range(3)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for a federation; whatever a test leaves running is ended."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the nodes find toy_app
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield tmp_path / "fed"
    deployment.down(tmp_path / "fed")


def write_plan(path, **plan):
    path.write_text(json.dumps({"rounds": 1, "width": 3, "least": 2, "timeout_s": 30.0} | plan))
    return path


def weights(rounds):
    """Where the vector is after some rounds, each with the nodes that took part in it."""
    at = np.zeros(3)
    for nodes in rounds:
        at = at + 0.5 * (np.mean([MEANS[node] for node in nodes], axis=0) - at)
    return at


def listens_only_here(pids):
    ports = [one.laddr for pid in pids for one in psutil.Process(pid).net_connections() if one.status == psutil.CONN_LISTEN]
    return bool(ports) and {one.ip for one in ports} == {"127.0.0.1"}


def test_a_run_goes_on_with_the_survivors_of_a_killed_node(data, folder, tmp_path):
    said = []
    fed = deployment.up(data, folder, strangers=data[:1], say=said.append)
    assert [one.status for one in supernodes.look(fed)] == ["online", "online", "online", "refused"]
    assert any(one.startswith("node 3  refused") and "Failed to activate SuperNode" in one for one in said)
    assert federation.load(folder) == fed
    assert listens_only_here([fed.pid, *(node.pid for node in fed.members)])
    for node in fed.members:  # a node's process is told of its own file, and of no other
        told = " ".join(psutil.Process(node.pid).cmdline())
        assert [str(one) in told for one in data] == [number == node.number for number in range(3)]
        assert stat.S_IMODE((fed.home(node.number) / "node.key").stat().st_mode) == 0o600

    with pytest.raises(InputError, match="expected no running federation in .*; try breakthrough federate down"):
        deployment.up(data, folder)
    with pytest.raises(InputError, match="expected a free port, got"):
        deployment.up(data, tmp_path / "other", port=fed.port)

    stranger = supernodes.start_node(fed, 4, data[0], tls=False)

    def say(text):
        said.append(text)
        if text == "aggregate_train: Received 3 results and 0 failures":
            os.kill(fed.nodes[2].pid, signal.SIGKILL)
            (tmp_path / "out" / "killed").touch()

    plan = write_plan(tmp_path / "plan.json", rounds=2, timeout_s=15.0, wait_for="killed")
    outcome = submission.run(fed, plan, tmp_path / "out", apps="toy_app", say=say)
    assert outcome.completed and outcome.lost == {2: "its process was killed"}
    assert outcome.answered == {0: 2, 1: 2, 2: 1}
    assert "with 2 of 3 nodes; lost: node 2 (its process was killed)" in outcome.summary()
    assert "node 2 lost: its process was killed; 2 of 3 nodes left" in said
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["rounds"] == [[0, 1, 2], [0, 1]]
    assert np.allclose(record["weights"], weights(record["rounds"]))
    assert f"took part: {record['rounds']}" in said  # what the ServerApp prints is passed on
    assert supernodes.look(fed)[2].status == "lost"

    refused = supernodes.look_at(fed, stranger)  # it spoke in plain to a port that speaks TLS
    assert refused.status == "failed" and "Failed to initialize the connection" in refused.reason

    with pytest.raises(InputError, match="expected 3 nodes online, the least of the plan, got 2 of 3"):
        submission.run(fed, write_plan(tmp_path / "plan.json", least=3), tmp_path / "out", apps="toy_app")
    with pytest.raises(BreakthroughError, match="Unable to load module none_such"):
        submission.run(fed, write_plan(tmp_path / "plan.json"), tmp_path / "out", apps="none_such")
    failed = submission.run(fed, write_plan(tmp_path / "plan.json", fault="no such task"), tmp_path / "out", apps="toy_app")
    assert failed.status == "failed" and "no such task" in failed.reason

    assert deployment.down(folder) >= 6
    assert processes.marked(fed.token) == []
    assert not list(folder.rglob("private.pem")) + list(folder.rglob("node.key")) and outcome.log.exists()
    assert deployment.down(folder) == 0
    assert not (tmp_path / "home").exists()  # nothing of the user's own ~/.flwr is touched


def test_what_fails_to_start_takes_the_rest_down(data, folder, monkeypatch):
    tokens = []
    real = supernodes.start_superlink

    def start(fed):
        tokens.append(fed.token)
        return real(fed)

    monkeypatch.setattr(supernodes, "start_superlink", start)
    monkeypatch.setattr(supernodes, "start_nodes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        deployment.up(data, folder)
    assert len(tokens) == 1 and processes.marked(tokens[0]) == [] and federation.read(folder) is None


def test_the_remains_of_a_killed_federation_are_recognised(data, folder, monkeypatch):
    fed = federation.Federation(folder.resolve(), "token of a machine that was switched off", 1, pid=os.getpid(), nodes=())
    federation.keep(fed)
    (folder / "runs").mkdir()
    with pytest.raises(InputError, match="expected a running federation in .*, got one whose SuperLink has ended"):
        federation.load(folder)  # the pid is in use again, by a process that is none of it
    said = []
    monkeypatch.setattr(supernodes, "start_superlink", lambda one: one)
    monkeypatch.setattr(supernodes, "start_nodes", lambda one, files: one)
    new = deployment.up(data, folder, say=said.append)
    assert "ended without `down`; starting anew" in said[0]
    assert new.token != fed.token and (folder / "runs").exists()


def test_a_folder_that_holds_other_things_is_left_alone(data, folder):
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or empty folder, or one of a federation"):
        deployment.up(data, folder)
    assert [one.name for one in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("change", "message"), [
    (lambda files: files[:1], "expected data files for 2 nodes or more, got 1"),
    (lambda files: [*files, files[0].with_name("gone.npz")], "expected a data file for every node, got .*gone.npz, which is not there"),
])
def test_data_that_are_not_enough_start_nothing(data, folder, change, message):
    with pytest.raises(InputError, match=message):
        deployment.up(change(data), folder)
    assert not folder.exists()


def test_a_path_that_flowers_configuration_cannot_hold_is_refused(data, folder):
    odd = data[0].with_name('node "zero".npz')
    odd.write_bytes(data[0].read_bytes())
    with pytest.raises(InputError, match="expected a path without quotes"):
        deployment.up([odd, data[1]], folder)


def test_data_files_are_taken_by_number_without_held_out_ones(tmp_path):
    for number in (10, 2, *range(2), *range(3, 10)):
        (tmp_path / f"node-{number}.npz").touch()
    (tmp_path / "node-0.test.npz").touch()
    assert [one.name for one in deployment.data_files(tmp_path)] == [f"node-{number}.npz" for number in range(11)]
    assert len(deployment.data_files(tmp_path, 3)) == 3
    with pytest.raises(InputError, match="expected 2 to 11 nodes, got 12"):
        deployment.data_files(tmp_path, 12)
    (tmp_path / "node-1.npz").unlink()
    with pytest.raises(InputError, match="without gaps"):
        deployment.data_files(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "t"}', '{"token": "t", "port": 1, "pid": 1, "nodes": [{}]}'])
def test_a_damaged_state_is_named(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match="expected the state of a federation in .*state.json"):
        federation.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"least": "two"}'])
def test_a_plan_that_is_none_is_named(tmp_path, text):
    fed = federation.Federation(tmp_path, "t", 1)
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError, match="expected a plan in JSON in .*plan.json"):
        submission.run(fed, tmp_path / "plan.json", tmp_path / "out")


@pytest.mark.parametrize(("log", "status", "reason"), [
    ("", "failed", "ended before it was online"),
    ("SuperNode ID: 12\n", "lost", "was killed"),
    ("SuperNode ID: 12\nExit Code: 607\nthe app's\n\nSuperExec terminated gracefully.", "lost", "was killed"),
    ("SuperNode ID: 12\nSuperNode terminated gracefully.", "left", "asked"),
    ("ERROR : Exit Code: 305\nFailed to initialize.\n[code: 2004] Failed to activate\nno key.\n\nmore", "refused", "^Failed to activate no key.$"),
    ("ERROR : Exit Code: 305\nFailed to initialize.\nno route\n\nmore", "failed", "^Failed to initialize. no route$"),
])
def test_a_node_that_ended_is_told_by_its_log(tmp_path, log, status, reason):
    import re

    fed = federation.Federation(tmp_path, "t", 1, nodes=(federation.Node(0, 2**22 + 1, 1, "node-0.npz"),))
    fed.home(0).mkdir(parents=True)
    (fed.home(0) / "log.txt").write_text(log)
    [seen] = supernodes.look(fed)
    assert seen.status == status and re.search(reason, seen.reason)


def test_answers_are_counted_by_run(tmp_path):
    fed = federation.Federation(tmp_path, "t", 1, nodes=(federation.Node(0, 1, 1, "a"), federation.Node(1, 1, 1, "b", registered=False)))
    fed.home(0).mkdir(parents=True)
    (fed.home(0) / "log.txt").write_text("[RUN 7, ROUND 1]\nReceiving\n[RUN 7]\nSent successfully\n[RUN 77]\nSent successfully\n[RUN 7]\nSent successfully\n")
    assert supernodes.answers(fed, "7") == {0: 2} and supernodes.answers(fed, "8") == {0: 0}


def test_a_taken_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="expected a free port"):
        processes.check_port(taken.getsockname()[1])
    assert processes.check_port(processes.free_port())
    with pytest.raises(InputError, match="expected a free port, got 70000"):
        processes.check_port(70000)
