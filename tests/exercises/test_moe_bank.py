"""Module 1's bank, beyond the gate: it agrees with the room, catches what outputs do not show, names what it should."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from breakthrough import artifacts, moe
from breakthrough.exercises import bank, card, judge, load, moe_layers as layers
from breakthrough.exercises.moe_balance import balance
from breakthrough.exercises.moe_bias import route_with_bias
from breakthrough.exercises.moe_capacity import keep
from breakthrough.exercises.moe_combine import combine
from breakthrough.exercises.moe_dispatch import dispatch
from breakthrough.exercises.moe_layers import ArticleMoE, make_layer
from breakthrough.exercises.moe_mend import MendedMoE
from breakthrough.exercises.moe_prove import proofs
from breakthrough.exercises.moe_routing import route
from breakthrough.exercises.moe_speed import choices, too_slow
from breakthrough.exercises.moe_upcycle import upcycle
from breakthrough.exercises.moe_zloss import zloss
from breakthrough.moe.dispatch import make_plan
from breakthrough.seeds import torch_generator

COURSE = yaml.safe_load((Path(__file__).parents[2] / "course.yml").read_text())
MODULE = next(module for module in COURSE["modules"] if module["id"] == "01_moe")


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch_generator(seed), dtype=dtype)


# the syllabus


def test_names_points_and_minutes_are_those_of_the_syllabus():
    found = bank("moe")
    assert [name for name in found if not found[name].question] == MODULE["exercises"]
    assert [name for name in found if found[name].question] == MODULE["questions"]
    lab = [exercise for exercise in found.values() if not exercise.question]
    assert sum(exercise.points for exercise in lab) == MODULE["points"]["lab"]
    assert sum(exercise.minutes for exercise in lab) == 60 * MODULE["hours"]["lab"]
    assert sum(e.points for e in found.values() if e.question) == MODULE["points"]["lesson"]


# the references agree with the room, which is written and tested on its own


def test_route_agrees_with_the_room():
    logits = draw(50, 8)
    theirs = moe.route(logits, 3)
    weights, experts = route(logits, 3)
    assert torch.equal(experts, theirs.experts)
    torch.testing.assert_close(weights, theirs.weights)


def test_biased_routing_agrees_with_the_room():
    logits, bias = draw(50, 8), draw(8, seed=1)
    theirs = moe.route(logits, 3, bias=bias)
    weights, experts, new = route_with_bias(logits, bias, 3, 0.01)
    assert torch.equal(experts, theirs.experts)
    torch.testing.assert_close(weights, theirs.weights)
    load = torch.bincount(experts.flatten(), minlength=8)
    torch.testing.assert_close(new, moe.bias_update(bias, load, 0.01))


def test_losses_agree_with_the_room():
    logits, experts = draw(50, 8), choices(50, 8, 2, torch_generator(1))
    torch.testing.assert_close(balance(logits.softmax(-1), experts), moe.load_balance_loss(logits.softmax(-1), experts))
    torch.testing.assert_close(zloss(logits), moe.z_loss(logits))


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.3])
def test_capacity_agrees_with_the_room(factor):
    experts = choices(60, 8, 2, torch_generator(2))
    config = moe.MoEConfig(4, 4, 8, 2, capacity_factor=factor)
    plan = make_plan(experts, 8, config.capacity(60))
    assert torch.equal(keep(experts, 8, factor), plan.rows < len(plan.tokens))


def test_cost_agrees_with_the_room():
    cost = load("moe.cost").reference
    theirs = moe.cost(moe.MoEConfig(64, 96, 16, 3, n_shared=2), tokens=100)
    assert cost(64, 96, 16, 3, 2, 100) == (theirs.total_params, theirs.active_params, theirs.flops)


def test_upcycled_weights_fit_the_rooms_layer_and_start_dense():
    dense = moe.SwiGLU(8, 12, torch_generator(0))
    layer = moe.SparseMoE(moe.MoEConfig(8, 12, 4, 2))
    weights = upcycle(dict(dense.state_dict()), 4, torch_generator(1))
    assert layer.load_state_dict(weights, strict=False).unexpected_keys == []
    x = draw(20, 8)
    torch.testing.assert_close(layer(x)[0], dense(x))


def test_the_mended_layer_is_the_rooms_layer():
    mended, x = MendedMoE(8, 12, 4, 2), draw(20, 8)
    theirs = moe.SparseMoE(moe.MoEConfig(8, 12, 4, 2))
    with torch.no_grad():
        theirs.router.copy_(mended.router.weight)
        for e, expert in enumerate(mended.experts):
            theirs.gate_up[e] = torch.cat((expert.gate.weight, expert.up.weight))
            theirs.down[e] = expert.down.weight
    (y, loss), (want, stats) = mended(x), theirs(x)
    torch.testing.assert_close(y, want)
    torch.testing.assert_close(loss, stats.balance_loss)


def test_route_dispatch_and_combine_make_a_layer():
    layer, x = make_layer(), draw(30, 16)
    weights, experts = route(layer.router(x), 2)
    rows, tokens, load_ = dispatch(x, experts, 4)
    said = torch.cat([expert(part) for expert, part in zip(layer.experts, rows.split(load_.tolist()))])
    sorted_weights = weights.flatten()[experts.flatten().argsort(stable=True)]
    torch.testing.assert_close(combine(said, tokens, sorted_weights, 30), layer(x)[0])


# dispatch is judged by time as well


def test_only_a_loop_over_tokens_is_slow():
    exercise = load("moe.dispatch")
    slow = exercise.misconceptions[0]
    assert all(too_slow(answer) for answer in (slow.answer, *slow.variants))
    assert not any(too_slow(answer) for answer in (exercise.reference, *exercise.alternatives))
    shown = card.plain(judge(exercise, slow.answer, 0), 1)
    assert shown.count(" ms") >= 4 and "half of the loop's time" in shown


def test_an_answer_that_fails_at_size_is_a_verdict_not_a_crash():
    def small_only(x, experts, n_experts):
        if len(x) > 1000:
            raise MemoryError
        return dispatch(x, experts, n_experts)

    verdict = judge(load("moe.dispatch"), small_only, 0)
    assert (verdict.status, verdict.points) == ("wrong", 0)


# mending: the article's layer and what the engine says to odd classes


def test_the_articles_layer_has_its_defects():
    article, x = ArticleMoE(16, 32, 8, 2), draw(60, 16)
    with pytest.raises(AttributeError, match="router"):
        article(x)
    article.router = nn.Linear(16, 8, bias=False)
    seen = []
    for expert in article.experts:
        expert.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    y = article(x)
    assert seen == [60] * 8  # nothing is sparse
    assert (article(x[:1]) - y[:1]).abs().max() > 1e-3  # the neighbours decide
    y.sum().backward()
    assert article.router.weight.grad is None  # scores dropped


def test_the_articles_layer_fails_and_an_odd_one_is_told_what_to_change():
    class Renamed(MendedMoE):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.gate = self.__dict__["_modules"].pop("router")

    class InPlace(MendedMoE):
        def forward(self, x):
            out = super().forward(x)
            x.zero_()
            return out

    exercise = load("moe.mend")
    assert "router" in card.plain(judge(exercise, ArticleMoE, 0), 1)
    assert "self.router = nn.Linear" in card.plain(judge(exercise, Renamed, 0), 1)
    assert "expected x left as it was" in card.plain(judge(exercise, InPlace, 0), 1)
    assert judge(exercise, 7, 0).status == "wrong"


# proving


@pytest.mark.parametrize("seed", range(8))
def test_good_proofs_pass_on_many_layers(seed):
    exercise = load("moe.prove")
    for answer in (exercise.reference, *exercise.alternatives):
        verdict = judge(exercise, answer, seed)
        assert verdict.status == "passed", verdict.difference


@pytest.mark.parametrize("defect", layers.BROKEN)
def test_a_missing_assertion_is_noticed_at_every_defect(defect):
    def asserts_nothing(layer):
        layer(draw(4, layer.router.in_features))

    verdict = judge(load("moe.prove"), proofs() | {defect: asserts_nothing}, 0)
    assert verdict.status == "wrong" and repr(defect) in verdict.difference.text


def test_broken_layers_are_broken_in_one_respect():
    x = draw(40, 16)
    healthy = make_layer(seed=3)
    for defect in layers.BROKEN:
        broken = make_layer(defect, seed=3)
        broken.load_state_dict(healthy.state_dict())
        (y, loss), (want, even) = broken(x), healthy(x)
        assert torch.allclose(y, want, atol=1e-5) == (defect in ("sparse", "balance"))
        if defect in ("weights", "normalised", "sparse"):
            torch.testing.assert_close(loss, even)
    with pytest.raises(ValueError, match="per_token"):
        make_layer("per_tokens")


def test_healthy_styles_agree():
    x, one = draw(37, 16), make_layer(seed=1)
    for style in layers.HEALTHY:
        y, loss = make_layer(seed=1, style=style)(x)
        torch.testing.assert_close(y, one(x)[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loss, one(x)[1])


def test_stubs_inside_the_dict_are_not_attempted():
    def stub(layer):
        raise NotImplementedError()

    assert judge(load("moe.prove"), dict.fromkeys(layers.BROKEN, stub), 0).status == "not attempted"
    assert judge(load("moe.prove"), ["no dict"], 0).status == "wrong"


# the experiment


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path))
    return tmp_path


def test_the_staff_model_passes_as_artifact_and_as_path(store):
    from breakthrough.train.staff import moe_lm

    artifact = moe_lm()
    assert artifact.staff and artifact.kind == "moe_lm"
    assert artifacts.latest("moe_lm").id == artifact.id
    for answer in (artifact, artifact.folder, str(artifact.folder)):
        assert judge(load("moe.experiment"), answer).status == "passed"


def test_what_the_manifest_tells_counts_for_nothing(store):
    from breakthrough.train import PROFILES, ByteLM
    from breakthrough.train.handover import save_model

    model = ByteLM(PROFILES["tiny"].model, torch_generator(0))
    artifact = save_model(model, {"valid_loss": 1.0, "status": "passed"}, "tiny")
    claimed = replace(artifact, metrics={"valid_loss": 5.9}, profile="tiny")
    for answer in (artifact, claimed):
        assert judge(load("moe.experiment"), answer).diagnosis.name == "untrained"


def test_a_small_profiles_model_does_not_pass_as_a_larger_one(store):
    from breakthrough.exercises.moe_experiment import experiment
    from breakthrough.train.handover import load_model, save_model

    small = experiment()
    for profile in ("quick", "full", "any name"):
        verdict = judge(load("moe.experiment"), save_model(load_model(small), small.metrics, profile))
        assert (verdict.status, verdict.diagnosis.name) == ("wrong", "another profile")


def test_a_small_model_trained_too_little_is_not_excused_by_its_profile(store):
    from breakthrough.train import PROFILES, ByteLM
    from breakthrough.train.handover import save_model

    model = ByteLM(PROFILES["tiny"].model, torch_generator(0))
    assert judge(load("moe.experiment"), save_model(model, {"valid_loss": 2.6}, "quick")).diagnosis.name == "untrained"


def test_what_is_no_artifact_is_told_what_it_is(store):
    def shown(answer):
        verdict = judge(load("moe.experiment"), answer)
        assert verdict.status == "wrong" and verdict.traceback == ""
        return card.plain(verdict, 1)

    assert "There is no artifact at this path" in shown(store / "nothing") and "no such folder" in shown("nothing")
    assert "the folder holds no artifact" in shown(store)
    assert "this is an int, not an artifact" in shown(5)
    assert "a function that needs arguments" in shown(lambda model, loss, profile: None)


# the questions' numbers, computed


def test_the_questions_numbers():
    config = moe.MoEConfig(4096, 14336, 8, 2)
    assert load("moe.q_active").reference == round(moe.cost(config, 1).active_params / 1e6)
    room = math.ceil(1.25 * 16 * 2 / 4)
    assert load("moe.q_capacity").reference == sum(max(0, n - room) for n in (14, 9, 6, 3))


@pytest.mark.parametrize(("name", "answer", "says"), [
    ("moe.q_active", 354, "not the answer"),
    ("moe.q_active", "352,321,536", "whole number of millions"),
    ("moe.q_active", "352 thousand", "write a number"),
    ("moe.q_parallel", "two", "write a number"),
    ("moe.q_parallel", True, "write a number"),
    ("moe.q_capacity", 2, "You divided by k"),
    ("moe.q_collapse", 3, "write the letter"),
    ("moe.q_collapse", "the third", "write the letter"),
    ("moe.q_collapse", "F", "not the answer"),
])
def test_an_answer_in_another_form_is_told_which_form(name, answer, says):
    verdict = judge(load(name), answer, 0)
    assert verdict.status == "wrong" and says in card.plain(verdict, 1).splitlines()[0]
