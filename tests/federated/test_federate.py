"""Rounds of the two apps: what comes out, what is kept, and what a failing node costs."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from federated_toys import PLAN, Faulty, dies, toy_data, with_arrays

from breakthrough.errors import ArtifactError, BreakthroughError, ConfigError, UnknownNameError
from breakthrough.federated import wire
from breakthrough.federated.history import History
from breakthrough.federated.local import initial_state, scorer, train_round
from breakthrough.federated.plan import STRATEGIES, Plan
from breakthrough.federated.server import federate
from breakthrough.federated.simulation import Job, prepare_keys, simulate
from breakthrough.federated.tasks import load_data, task_of
from breakthrough.federated.vectors import Layout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("federation")
    return folder, toy_data(folder)


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_a_round_is_the_mean_of_what_the_nodes_make_of_the_weights(home):
    folder, _ = home
    plan = replace(PLAN, rounds=1)
    found = federate(Faulty(folder), plan)
    start = initial_state(plan)
    data = [load_data(task_of("digits"), folder / "toy" / f"node-{k}.npz") for k in range(4)]
    each = [train_round(plan, start, one, k, 1)[0] for k, one in enumerate(data)]
    for name in start:
        np.testing.assert_allclose(found.weights[name], np.mean([one[name] for one in each], 0), atol=1e-6)


def test_accuracy_rises_and_stands_in_the_history(home):
    folder, test = home
    job = Job(replace(PLAN, rounds=8, epochs=2, evaluate_every=4), scorer(PLAN, {"": test}))
    history = simulate({"toy": job}, folder, 4, engine="local", progress=False)["toy"].history
    accuracy = history.series()
    assert accuracy[-1] > 0.8 > accuracy[0] and history.series("loss")[-1] < history.series("loss")[0]
    assert history.rounds[3].local["accuracy"] > 0.5 and not history.rounds[2].local
    assert history.rounds[0].names == (0, 1, 2, 3) and history.rounds[0].weight == 240
    with pytest.raises(UnknownNameError, match="accuracy"):
        history.series("acuracy")  # codespell:ignore acuracy


@pytest.mark.parametrize("protection", ["masked", "encrypted"])
def test_a_protected_sum_is_the_plain_sum(home, protection):
    folder, _ = home
    plan = replace(PLAN, protection=protection, rounds=2)
    plain = federate(Faulty(folder), replace(plan, protection="plain"))
    found = federate(Faulty(folder), plan, public=prepare_keys(folder / "keys", [plan], 4))
    for name, x in plain.weights.items():
        np.testing.assert_allclose(found.weights[name], x, atol=5e-4)
    assert found.history.rounds[0].weight == pytest.approx(240, rel=1e-3)
    assert found.history.rounds[0].up_bytes > plain.history.rounds[0].up_bytes * 0.9


def test_masked_updates_tell_the_server_nothing_but_the_sum(home):
    folder, _ = home
    grid = Faulty(folder)
    seen = []
    grid.faults = {(1, wire.MASKED): lambda message, reply: seen.append(reply.content[wire.ARRAYS]["masked"].numpy()) or reply}
    federate(grid, replace(PLAN, protection="masked", rounds=1))
    counts = np.bincount(seen[0].view(np.uint8), minlength=256)
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 400  # 255 degrees of freedom: 400 is beyond one in a million


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_killed_server_goes_on_to_the_same_result(home, tmp_path, strategy):
    folder, _ = home
    plan = replace(PLAN, strategy=strategy, rounds=4)
    whole = federate(Faulty(folder), plan)

    class Killed(Exception):
        pass

    def kill(one):
        if one.number == 2:
            raise Killed

    with pytest.raises(Killed):
        federate(Faulty(folder), plan, folder=tmp_path, on_round=kill)
    assert len(History.load(tmp_path / "history.json")) == 2
    resumed = federate(Faulty(folder), plan, folder=tmp_path)
    assert same(whole.weights, resumed.weights)
    assert [one.number for one in resumed.history.rounds] == [1, 2, 3, 4]
    grid = Faulty(folder)
    assert same(federate(grid, plan, folder=tmp_path).weights, whole.weights) and not grid.seen


def test_another_plans_run_is_not_gone_on_with(home, tmp_path):
    folder, _ = home
    federate(Faulty(folder), replace(PLAN, rounds=1), folder=tmp_path)
    with pytest.raises(ArtifactError, match="another lr"):
        federate(Faulty(folder), replace(PLAN, rounds=1, lr=0.05), folder=tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(ArtifactError, match="checkpoint of a federated run"):
        federate(Faulty(folder), replace(PLAN, rounds=1), folder=tmp_path)


PHASES = {"plain": [wire.TRAIN], "masked": [wire.KEYS, wire.SHARES, wire.MASKED], "encrypted": [wire.ENCRYPTED]}


@pytest.mark.parametrize("protection, phase", [(p, phase) for p, phases in PHASES.items() for phase in phases])
def test_a_node_killed_in_any_phase_costs_its_own_update_only(home, protection, phase):
    folder, _ = home
    plan = replace(PLAN, protection=protection, rounds=2, timeout_s=0.5)
    grid = Faulty(folder, faults={(2, phase): dies})
    public = prepare_keys(folder / "keys", [plan], 4)
    found = federate(grid, plan, public=public)
    one, two = found.history.rounds
    assert one.names == two.names == (0, 1, 3)
    assert "no answer within" in one.lost["2"] and not two.lost  # the next round begins without it
    three = [k for k in range(4) if k != 2]
    start, layout = initial_state(plan), Layout.of(initial_state(plan))
    data = [load_data(task_of("digits"), folder / "toy" / f"node-{k}.npz") for k in three]
    mean = np.mean([layout.flatten(train_round(plan, start, d, k, 1)[0]) for k, d in zip(three, data)], 0)
    after = federate(Faulty(folder, faults={(2, phase): dies}), replace(plan, rounds=1), public=public)
    np.testing.assert_allclose(layout.flatten(after.weights), mean, atol=5e-4)


def test_a_node_killed_while_masks_are_taken_off_costs_nothing(home):
    folder, _ = home
    plan = replace(PLAN, protection="masked", rounds=1, timeout_s=0.5)
    grid = Faulty(folder, faults={(2, wire.UNMASK): dies})
    found = federate(grid, plan)
    assert found.history.rounds[0].names == (0, 1, 2, 3)  # its update was in the sum, and stays in it
    assert same(found.weights, federate(Faulty(folder), plan).weights)


def test_below_the_least_number_the_run_ends_and_says_who_is_missing(home, tmp_path):
    folder, _ = home
    plan = replace(PLAN, least=3, timeout_s=0.3)
    grid = Faulty(folder, faults={(1, wire.TRAIN): dies, (2, wire.TRAIN): dies})
    with pytest.raises(BreakthroughError, match=r"at least 3 nodes that trained in round 1, got 2 \(node 1 no answer .* node 2 no answer"):
        federate(grid, plan, folder=tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()
    with pytest.raises(BreakthroughError, match="at least 3 nodes to begin with, got 2"):
        federate(grid, plan)


def test_too_few_nodes_for_the_threshold_of_a_masked_round(home):
    folder, _ = home
    plan = replace(PLAN, protection="masked", timeout_s=0.3)
    grid = Faulty(folder, faults={(1, wire.MASKED): dies, (2, wire.MASKED): dies})
    with pytest.raises(BreakthroughError, match="at least 3 nodes that sent masked updates"):
        federate(grid, plan)


def nan(state):
    state["head.bias"][3] = np.nan
    return state


def another_shape(state):
    state["head.bias"] = state["head.bias"][:5]
    return state


def another_model(state):
    return {f"other.{name}": x for name, x in state.items()}


def oversized(state):
    state["head.bias"] = np.zeros(10_000_000, np.float32)
    return state


def another_dtype(state):
    return {name: x.astype(np.float64) for name, x in state.items()}


@pytest.mark.parametrize(
    "change, why",
    [(nan, "not finite"), (another_shape, "wrong shape"), (another_model, "another model"), (oversized, "oversized"), (another_dtype, "oversized|wrong shape")],
)
def test_bad_weights_are_refused_by_name_and_the_round_goes_on(home, change, why):
    folder, _ = home
    plan = replace(PLAN, rounds=1)
    found = federate(Faulty(folder, faults={(1, wire.TRAIN): with_arrays(change)}), plan)
    one = found.history.rounds[0]
    assert one.names == (0, 2, 3) and list(one.lost) == ["1"]
    assert re.match(why, one.lost["1"]) and "expected" in one.lost["1"]
    assert all(np.isfinite(x).all() for x in found.weights.values())


@pytest.mark.parametrize("change, why", [(lambda s: {"masked": s["masked"][:-1]}, "wrong shape"), (lambda s: {"update": s["masked"]}, "another model")])
def test_bad_masked_updates_are_refused_and_their_masks_taken_off(home, change, why):
    folder, _ = home
    plan = replace(PLAN, rounds=1, protection="masked")
    found = federate(Faulty(folder, faults={(1, wire.MASKED): with_arrays(change)}), plan)
    one = found.history.rounds[0]
    assert one.names == (0, 2, 3) and one.lost["1"].startswith(why)


@pytest.mark.parametrize("phase, record, why", [(wire.KEYS, "key", "bad keys"), (wire.UNMASK, "reveal", "bad shares")])
def test_garbage_instead_of_keys_and_shares_is_refused(home, phase, record, why):
    folder, _ = home
    plan = replace(PLAN, rounds=1, protection="masked")

    def garbage(message, reply):
        reply.content[wire.FACTS][record] = b"garbage"
        return reply

    one = federate(Faulty(folder, faults={(1, phase): garbage}), plan).history.rounds[0]
    assert (1 in one.names) == (phase == wire.UNMASK)  # its update was in before it failed to help
    assert phase == wire.UNMASK or one.lost["1"].startswith(why)


def test_sealed_shares_for_too_few_are_refused(home):
    folder, _ = home

    def forgets(message, reply):
        sent = wire.unblob(reply.content[wire.BLOBS])
        sent.pop(0)
        reply.content[wire.BLOBS] = wire.blobs(sent)
        return reply

    one = federate(Faulty(folder, faults={(1, wire.SHARES): forgets}), replace(PLAN, rounds=1, protection="masked")).history.rounds[0]
    assert one.names == (0, 2, 3) and "shares for [0, 2, 3]" in one.lost["1"]


def test_a_replayed_answer_is_refused(home):
    folder, _ = home
    kept = []

    def replay(message, reply):
        kept.append(reply.content)
        if len(kept) > 1:
            reply.content = kept[0]
        return reply

    found = federate(Faulty(folder, faults={(1, wire.TRAIN): replay}), replace(PLAN, rounds=2))
    one, two = found.history.rounds
    assert one.names == (0, 1, 2, 3) and two.names == (0, 2, 3)
    assert two.lost["1"] == "replayed or foreign: expected the token of this round, got that of round 1"


@pytest.mark.parametrize("weight", [0, -5, float("nan"), 1e12])
def test_a_weight_that_cannot_be_is_refused(home, weight):
    folder, _ = home

    def lies(message, reply):
        reply.content["metrics"][wire.EXAMPLES] = weight
        return reply

    one = federate(Faulty(folder, faults={(0, wire.TRAIN): lies}), replace(PLAN, rounds=1)).history.rounds[0]
    assert one.names == (1, 2, 3) and one.lost["0"].startswith("bad weight")


def test_a_node_that_raises_says_why(home):
    folder, _ = home

    def raises(message, reply):
        raise OSError("disk full")

    one = federate(Faulty(folder, faults={(3, wire.TRAIN): raises}), replace(PLAN, rounds=1)).history.rounds[0]
    assert one.names == (0, 1, 2) and one.lost["3"] == "failed: OSError: disk full"


def test_a_second_node_with_the_same_number_is_refused(home):
    folder, _ = home
    grid = Faulty(folder)
    grid.contexts[1003].node_config["partition-id"] = 0
    one = federate(grid, replace(PLAN, rounds=1)).history.rounds[0]
    assert one.names == (0, 1, 2) and one.lost["1003"] == "the number 0 is taken"


def test_garbage_instead_of_ciphertexts_is_refused(home):
    folder, _ = home
    plan = replace(PLAN, rounds=1, protection="encrypted")
    public = prepare_keys(folder / "keys", [plan], 4)

    def garbage(message, reply):
        sent = wire.unblob(reply.content[wire.BLOBS])
        reply.content[wire.BLOBS] = wire.blobs({i: b"\0" * len(x) for i, x in sent.items()})
        return reply

    one = federate(Faulty(folder, faults={(2, wire.ENCRYPTED): garbage}), plan, public=public).history.rounds[0]
    assert one.names == (0, 1, 3) and one.lost["2"].startswith("unreadable")


def test_clipped_updates_weigh_the_same_and_noise_is_added(home):
    folder, _ = home
    plan = replace(PLAN, rounds=1, clip=0.1)
    start = initial_state(plan)
    layout = Layout.of(start)
    clipped = layout.flatten(federate(Faulty(folder), plan).weights) - layout.flatten(start)
    noisy = layout.flatten(federate(Faulty(folder), replace(plan, noise=2.0)).weights) - layout.flatten(start)
    assert np.linalg.norm(clipped) <= 0.1 + 1e-6
    assert np.std(noisy - clipped) == pytest.approx(2.0 * 0.1 / 4, rel=0.03)
    masked = layout.flatten(federate(Faulty(folder), replace(plan, protection="masked")).weights) - layout.flatten(start)
    np.testing.assert_allclose(masked, clipped, atol=1e-6)


def test_a_fraction_of_the_nodes_is_drawn_anew_and_again(home):
    folder, _ = home
    plan = replace(PLAN, fraction=0.5, rounds=6)
    one, two = (federate(Faulty(folder), plan).history for _ in range(2))
    names = [r.names for r in one.rounds]
    assert names == [r.names for r in two.rounds] and {len(n) for n in names} == {2} and len(set(names)) > 2


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": 0}, {"lr": float("nan")}, {"fraction": 2}, {"noise": 1.0}, {"clip": -1}, {"protection": "masked", "least": 1}, {"data": "../secrets"}],
)
def test_plans_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match="expected"):
        Plan(**wrong)


def test_plans_travel_as_json(tmp_path):
    plan = replace(PLAN, options={"eta": 0.1}, strategy="fedadam")
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    with pytest.raises(UnknownNameError, match="rounds"):
        Plan.from_dict({"round": 3})
    (tmp_path / "plan.json").write_text(json.dumps([1]))
    with pytest.raises(ConfigError, match="a plan as JSON"):
        Plan.load(tmp_path / "plan.json")
    with pytest.raises(ConfigError, match="options of FedAdam"):
        from breakthrough.federated.strategies import Step
        Step(replace(plan, options={"etta": 1.0}), set())


def test_a_round_ends_after_so_many_steps(home):
    folder, _ = home
    data = load_data(task_of("digits"), folder / "toy" / "node-0.npz")
    start = initial_state(PLAN)
    whole = train_round(replace(PLAN, batch_size=20), start, data, "0", 1)  # 60 pictures: 3 steps
    assert same(train_round(replace(PLAN, batch_size=20, steps=3), start, data, "0", 1)[0], whole[0])
    assert same(train_round(replace(PLAN, batch_size=20, steps=9), start, data, "0", 1)[0], whole[0])
    two, one = (train_round(replace(PLAN, batch_size=20, steps=count), start, data, "0", 1)[0] for count in (2, 1))
    assert not same(two, whole[0]) and not same(one, two)
    again = train_round(replace(PLAN, batch_size=20, steps=4, epochs=2), start, data, "0", 1)[0]
    assert not same(again, whole[0])  # the steps go on in the next pass


def test_a_node_may_send_the_mean_of_its_last_weights(home):
    folder, _ = home
    data = load_data(task_of("digits"), folder / "toy" / "node-0.npz")
    start, plan = initial_state(PLAN), replace(PLAN, batch_size=20)
    after = [train_round(replace(plan, steps=count), start, data, "0", 1)[0] for count in (1, 2, 3)]
    mean = train_round(replace(plan, average=0.9), start, data, "0", 1)[0]
    for name in start:
        wanted = start[name]
        for step, one in enumerate(after, 1):
            wanted = wanted + (1 - min(0.9, step / (step + 10))) * (one[name] - wanted)
        np.testing.assert_allclose(mean[name], wanted, atol=1e-6)
