"""The drawings and charts of lesson 01: what they say is what they were given, and it can be read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from figure_eyes import texts, words
from matplotlib import pyplot

from breakthrough.errors import ShapeError
from breakthrough.moe import MoEConfig, cost, diagrams, figures, route
from breakthrough.moe.published import MODELS

SHARES = np.full((3, 4), 0.25)
ROUTED = route(torch.tensor([[2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 3.0, 1.0]]), 2)
DRAWN = {
    "dense": lambda: diagrams.dense_and_sparse(),
    "dispatch": lambda: diagrams.dispatch([2, 0, 1, 0, 2, 2]),
    "slots": lambda: diagrams.slots([0, 2, 0, 0, 1, 0, 3, 1], 4, 2),
    "all-to-all": lambda: diagrams.all_to_all([[1, 0], [0, 1]]),
    "routing": lambda: figures.routing_table(ROUTED.probs, ROUTED.experts),
    "text": lambda: figures.expert_text("if x:\n\ty", [0, 1, 2, 3, 0, 1, 2, 3], 4),
    "kinds": lambda: figures.kinds_by_expert({"space": [0.5, 0.5], "a–z": [0.995, 0.005]}),
    "bars": lambda: figures.load_bars({"a": [4, 2, 1, 1], "b": [1, 1, 1, 1]}),
    "steps": lambda: figures.loads_over_steps({"a": [([1, 2, 3], SHARES)] * 2}),
    "drops": lambda: figures.drop_curves([1, 2], {"a": [0.5, 0.1]}),
    "bias": lambda: figures.bias_path(SHARES, SHARES),
    "sizes": lambda: figures.sizes(MODELS),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_is_large_enough_to_read_and_leaves_no_trace(name):
    figure = DRAWN[name]()
    assert min(text.get_fontsize() for text in texts(figure)) >= 9
    assert pyplot.get_fignums() == []


def test_the_sparse_half_lights_the_chosen_experts_only():
    left, right = diagrams.dense_and_sparse(n_experts=6, chosen=(1, 4)).axes
    lit = [sum(patch.get_facecolor()[:3] == pytest.approx((0.337, 0.706, 0.914), abs=0.01)
               for patch in axes.patches) for axes in (left, right)]
    assert lit == [6, 2]


def test_dispatch_draws_the_stable_order():
    drawn = [word for word in words(diagrams.dispatch([2, 0, 1, 0, 2, 2])) if word[0] == "t" and len(word) == 2]
    assert drawn == [f"t{i}" for i in (0, 1, 2, 3, 4, 5, 1, 3, 2, 0, 4, 5, 0, 1, 2, 3, 4, 5)]


@pytest.mark.parametrize(("capacity", "dropped", "empty"), [(1, 4, 0), (2, 2, 2), (4, 0, 8)])
def test_slots_drops_what_comes_too_late(capacity, dropped, empty):
    drawn = words(diagrams.slots([0, 2, 0, 0, 1, 0, 3, 1], 4, capacity))
    assert sum("✗" in word for word in drawn) == dropped
    assert drawn.count("empty") == empty
    late = {word for word in drawn if "✗" in word}
    assert late == {"t3 ✗", "t5 ✗"} if capacity == 2 else True


def test_uneven_devices_are_refused():
    with pytest.raises(ShapeError, match="as many tokens"):
        diagrams.all_to_all([[0, 1], [0]])


def test_text_and_experts_must_agree():
    with pytest.raises(ShapeError, match="one expert a character"):
        figures.expert_text("abc", [0, 1], 2)


def test_bars_print_the_coefficient_of_variation():
    titles = [axes.get_title() for axes in figures.load_bars({"a": [4, 2, 1, 1], "b": [8, 0, 0, 0]}).axes]
    assert titles == ["a\nCV 0.61", "b\nCV 1.73"]


def test_small_shares_stay_blank():
    drawn = words(figures.kinds_by_expert({"a–z": [0.995, 0.005]}))
    assert "100" in drawn and "0" not in drawn


def test_published_sizes_are_possible():
    assert len({model.name for model in MODELS}) == len(MODELS)
    assert all(0 < model.active <= model.total and model.source for model in MODELS)
    assert sum(model.sparse for model in MODELS) >= 6 and not all(model.sparse for model in MODELS)


def test_every_published_model_is_named_in_the_picture():
    assert {model.name for model in MODELS} <= set(words(figures.sizes(MODELS)))


def test_the_count_agrees_with_a_published_model():
    layer = cost(MoEConfig(d_model=7168, d_hidden=2048, n_experts=256, top_k=8, n_shared=1), tokens=1)
    model = next(model for model in MODELS if model.name == "DeepSeek-V3")
    assert 0.97 < 58 * layer.total_params / model.total < 1  # the rest: attention, embeddings, 3 dense layers
    assert 0.5 < 58 * layer.active_params / model.active < 0.7
