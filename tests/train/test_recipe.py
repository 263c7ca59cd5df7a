import json
from dataclasses import replace

import pytest
import torch

from breakthrough.errors import ConfigError
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.recipe import RECIPES, Recipe, make_optimizer, one_cycle


def test_the_rates_rise_in_a_line_and_fall_to_nothing():
    recipe = Recipe(steps=100, warm=0.2)
    rates = [one_cycle(step, recipe) for step in range(1, 101)]
    assert rates[9] == pytest.approx(0.5) and max(rates) == rates[19] == 1
    assert rates[-1] == pytest.approx(0) and rates[59] == pytest.approx(0.5)
    assert one_cycle(1, replace(recipe, warm=0.0)) == 1


def test_every_weight_is_trained_by_one_of_the_two():
    model = Inspector(InspectorConfig(), torch_generator(0))
    muon, rest = make_optimizer(model, Recipe(lr=0.25, lr_rest=0.5)).param_groups
    assert muon["muon"] and not rest["muon"] and (muon["lr"], rest["lr"]) == (0.25, 0.5)
    assert all(weight.ndim == 4 for weight in muon["params"]) and len(muon["params"]) == 6
    assert any(weight is model.head.weight for weight in rest["params"])
    every = [*muon["params"], *rest["params"]]
    assert len({id(w) for w in every}) == len(every) == len(list(model.parameters()))
    assert all(isinstance(w, torch.nn.Parameter) for w in every)


def test_recipes_come_back_from_json_and_bad_ones_are_refused():
    for recipe in RECIPES.values():
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    for bad in ({"steps": 0}, {"lr": -1.0}, {"average": 1.0}, {"label_smoothing": -0.1}, {"cells": -1.0}):
        with pytest.raises(ConfigError, match="expected"):
            Recipe(**bad)
