"""The federated inspector and its controls: who learns from what, and what is left to do after a stop."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_inspector import PART, PLAN, toy_scenes

from breakthrough.errors import BreakthroughError, UnknownNameError
from breakthrough.federated import training
from breakthrough.federated.factories import from_scenes
from breakthrough.federated.figures_inspector import draw_federation
from breakthrough.federated.local import centralised
from breakthrough.federated.training import CENTRAL, FEDERATED, PLANS, answers, train_inspector


@pytest.fixture(scope="module")
def scenes(store):
    return toy_scenes(store)


def train(scenes, **how):
    return train_inspector(scenes, "tiny", **{"plan": PLAN, "progress": False} | how)


@pytest.fixture(scope="module")
def federation(scenes):
    return train(scenes)


def same(one, other):
    return all(torch.equal(one.state_dict()[name], x) for name, x in other.state_dict().items())


def test_every_training_picture_is_in_one_factory_and_no_other_picture_in_any(federation):
    held = np.concatenate(list(federation.held.values()))
    assert sorted(held.tolist()) == np.flatnonzero(PART == 0).tolist() and len(federation.held) == 4


def test_the_models_are_the_rounds_the_control_and_each_factory_alone(federation, scenes):
    shared = from_scenes(scenes)
    plan = federation.plan
    with training.devices.threads(1):
        assert same(federation.control, centralised(plan, shared.train))
        for name, site in zip(shared.names, shared.sites):
            assert same(federation.alone[name], centralised(plan, site.train))
    assert not same(federation.model, federation.control) and federation.model.config.experts == 2
    assert len(federation.history) == 3 and {one.names for one in federation.history.rounds} == {(0, 1, 2, 3)}


def test_scores_are_those_of_the_models_on_the_test_part(federation, scenes):
    test = from_scenes(scenes).test
    models = {FEDERATED: federation.model, CENTRAL: federation.control, **federation.alone}
    assert set(federation.scores.said) == set(models)
    for name, model in models.items():
        right = float(np.mean(answers(model, test) == test.labels))
        assert federation.scores.accuracy(name).value == pytest.approx(right)
    assert federation.history.last() == pytest.approx(federation.scores.accuracy(FEDERATED).value)
    lost = federation.scores.accuracy(CENTRAL).value - federation.scores.accuracy(FEDERATED).value
    assert federation.lost.value == pytest.approx(lost) and "lost against central" in str(federation)


def test_what_is_done_is_not_done_again_and_what_is_left_comes_out_the_same(federation, scenes, store):
    (home,) = (store / "runs" / "federated").iterdir()
    for name in ("0", "3"):  # the central control and one factory's are lost
        (home / "controls" / f"{name}.safetensors").unlink()
    again = train(scenes, engine="ray", workers=2)  # the rounds are there, so Ray is not started; workers do the rest
    assert again.history == federation.history and same(again.model, federation.model)
    assert same(again.control, federation.control)
    assert all(same(again.alone[name], model) for name, model in federation.alone.items())


def test_a_run_that_was_stopped_ends_as_one_that_was_not(federation, scenes, tmp_path, monkeypatch):
    real = training.simulate

    def killed(jobs, *rest, **how):
        (job,) = jobs.values()
        real({FEDERATED: replace(job, score=dies_after(job.score, 2))}, *rest, **how)

    def dies_after(score, rounds):
        count = iter(range(rounds))

        def scored(state):
            if next(count, None) is None:
                raise BreakthroughError("expected a server that goes on, got killed")
            return score(state)

        return scored

    monkeypatch.setattr(training, "simulate", killed)
    with pytest.raises(BreakthroughError, match="killed"):
        train(scenes, folder=tmp_path)
    monkeypatch.setattr(training, "simulate", real)
    again = train(scenes, folder=tmp_path)
    assert same(again.model, federation.model)
    assert again.history.series() == federation.history.series()


def test_another_plan_or_seed_is_another_run(scenes, federation):
    other = train(scenes, seed=1, plan=replace(PLAN, rounds=1))
    assert not same(other.model, federation.model) and len(other.history) == 1


def test_names_that_are_not_there_are_refused(scenes):
    for how in ({"profile": "quik"}, {"engine": "rai"}, {"by": "smell"}):
        with pytest.raises(UnknownNameError):
            train_inspector(scenes, **{"plan": PLAN, "progress": False} | how)


def test_every_profile_has_module_1s_layer_in_the_net():
    assert set(PLANS) == {"tiny", "quick", "full"}
    for plan in PLANS.values():
        assert training.task_of(plan.task, plan.task_options).model(0).mixture is not None


def test_the_figure_says_what_was_measured(federation):
    figure = draw_federation(federation)
    figure.savefig(io.BytesIO(), format="png")
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), 100 * np.array(federation.history.series()))
    assert left.lines[1].get_ydata()[0] == pytest.approx(100 * federation.scores.accuracy(CENTRAL).value)
    heights = [bar.get_height() for bar in right.patches]
    first = federation.scores.factories[0]
    wanted = [federation.scores.accuracy(name, first).value for name in (FEDERATED, CENTRAL, first)]
    np.testing.assert_allclose(np.array(heights)[[0, 4, 8]], 100 * np.array(wanted))
    assert [label.get_text().splitlines()[0] for label in right.get_xticklabels()] == list(federation.held)


def test_a_factory_whose_like_is_not_in_the_test_is_trained_all_the_same(scenes, federation):
    shared = from_scenes(scenes)
    left = replace(federation, scores=replace(federation.scores, owner=np.zeros(len(shared.test), int)))
    assert left.scores.accuracy(FEDERATED, shared.names[3]).n == 0
    draw_federation(left).savefig(io.BytesIO(), format="png")  # a figure without its bars
    camera = train(scenes, by="camera", plan=replace(PLAN, rounds=1))
    assert list(camera.held) == list(from_scenes(scenes, "camera").names)
