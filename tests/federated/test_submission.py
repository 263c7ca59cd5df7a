"""What of a run's log is told, and what Flower is given."""

import tomllib

import pytest

from breakthrough.federated import submission
from breakthrough.federated.federation import Federation


@pytest.mark.parametrize(("line", "told"), [
    ("INFO :      [ROUND 2/3]", "[ROUND 2/3]"),
    ("INFO :      aggregate_train: Received 2 results and 1 failures", "aggregate_train: Received 2 results and 1 failures"),
    ("INFO :      \t> Received error in reply from node 1: Error: Node Unavailable", "Received error in reply from node 1: Error: Node Unavailable"),
    ("ERROR :     ServerApp thread raised an exception: no such task", "ServerApp thread raised an exception: no such task"),
    ("round 1/3: nodes 0, 1, loss 0.5 nats", "round 1/3: nodes 0, 1, loss 0.5 nats"),
    ("INFO :      \t├── Number of rounds: 3", ""),
    ("INFO :      ", ""),
    ("WARNING :   fraction_evaluate is set to 0.0.", ""),
    ("Successfully installed federation to /tmp/x", ""),
    ("Using SuperLink: federation (127.0.0.1:1)", ""),
    ("│ Connection to the SuperLink is unavailable. │", ""),
    ("", ""),
])
def test_rounds_failures_and_what_the_app_prints_are_told(line, told):
    assert submission.told(line) == told


def test_flower_is_given_names_and_paths_only(tmp_path):
    fed = Federation(tmp_path, "t", 1)
    told = {"plan": '/a b/plän = "x".json'.replace('"', "'"), "folder": "/out", "nodes": 3}
    folder = submission.write_app(fed, "some.apps", told)
    assert [path.name for path in folder.iterdir()] == ["pyproject.toml"]
    app = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert app["components"] == {"serverapp": "some.apps:server", "clientapp": "some.apps:client"} and app["config"] == told
    assert submission.write_app(fed, "other.apps", told) == folder and "some.apps" not in (folder / "pyproject.toml").read_text()


def test_a_summary_says_who_was_lost():
    outcome = submission.Outcome("7", "completed", 12.34, {0: 3, 1: 3, 2: 1}, {2: "its process was killed"}, None)
    assert outcome.completed and outcome.summary() == "run 7 completed in 12.3 s with 2 of 3 nodes; lost: node 2 (its process was killed)"
    stopped = submission.Outcome("7", "stopped", 1.0, {0: 1}, {}, None, "1 node left, and the plan needs 2")
    assert not stopped.completed and stopped.summary() == "run 7 stopped in 1.0 s with 1 of 1 node: 1 node left, and the plan needs 2"
