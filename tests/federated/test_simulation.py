"""Flower's simulation on Ray: the same result as in one process, and a worker that is killed."""

from dataclasses import replace

import numpy as np
import pytest
from federated_toys import PLAN as TOY, toy_data

from breakthrough.errors import ConfigError, InputError, UnknownNameError
from breakthrough.federated import simulation
from breakthrough.federated.client import client_app
from breakthrough.federated.simulation import Job, place, simulate

PLAN = replace(TOY, timeout_s=90)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulation")
    toy_data(folder)
    return folder


def deadly(data, keys):
    """The same app, but node 2's process dies in round 2."""
    app = client_app(data, keys)
    train = app._registered_funcs["train.default"]

    def dying(message, context):
        from breakthrough.federated import wire
        if context.node_config["partition-id"] == 2 and wire.order_of(message).number == 2:
            import os
            import signal
            os.kill(os.getpid(), signal.SIGKILL)
        return train(message, context)

    app._registered_funcs["train.default"] = dying
    return app


def test_ray_gives_what_one_process_gives_and_survives_a_killed_worker(home, monkeypatch):
    plans = {"plain": PLAN, "masked": replace(PLAN, protection="masked", rounds=2)}
    local = simulate({name: Job(plan) for name, plan in plans.items()}, home, 4, engine="local", progress=False)
    monkeypatch.setattr(simulation, "client_app", deadly)
    jobs = {"plain": Job(replace(PLAN, rounds=25)), "masked": Job(plans["masked"])}
    found = simulate(jobs, home, 4, engine="ray", progress=False)
    one, two, *_, last = found["plain"].history.rounds
    assert one.names == last.names == (0, 1, 2, 3)  # Ray starts the worker anew, which takes as long as some rounds; who meets it meanwhile fails too
    assert 2 not in two.names and "failed" in two.lost["2"]
    assert local["plain"].history.rounds[0].names == one.names
    for name, weights in local["masked"].weights.items():
        np.testing.assert_array_equal(found["masked"].weights[name], weights)


def test_what_cannot_be_simulated(home):
    with pytest.raises(UnknownNameError, match="engine"):
        simulate({"a": Job(PLAN)}, home, 4, engine="rey")
    with pytest.raises(ConfigError, match="same number of parts"):
        place(home, {"a": [], "b": [1]})
    with pytest.raises(InputError):
        simulate({"a": Job(replace(PLAN, task="digit"))}, home, 4, engine="local", progress=False)
