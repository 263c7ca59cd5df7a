import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from inspection_toys import CLASSES, toy_pictures

from breakthrough.errors import ArtifactError, ConfigError, InputError
from breakthrough.seeds import torch_generator
from breakthrough.train.inspection import Score, evaluate, fit, logits
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.pictures import Augmentation
from breakthrough.train.recipe import Recipe

SMALL = InspectorConfig(CLASSES, sound=(), widths=(8, 16), blocks=(0, 1))
QUICK = Recipe(steps=60, batch_size=16, save_every=20, augmentation=Augmentation.none())


def new(config=SMALL):
    return Inspector(config, torch_generator(0))


def weights(model):
    return torch.cat([x.flatten() for x in model.state_dict().values()])


def test_it_learns_what_there_is_to_learn():
    model, test = new(), toy_pictures(120, 1)
    before = evaluate(model, test).accuracy
    found = fit(model, toy_pictures(120, 0), QUICK, 0)
    assert evaluate(model, test).accuracy > 0.9 > before
    assert found.steps == 60 and len(found.losses) == 3 and found.losses[-1] < 0.5 * found.losses[0]
    assert found.train_s > 0


def test_it_learns_without_places_too_and_places_change_it():
    pictures, models = toy_pictures(120, 0), [new(), new(), new()]
    fit(models[0], pictures, QUICK, 0)
    fit(models[1], replace(pictures, parts=None), QUICK, 0)
    fit(models[2], pictures, replace(QUICK, cells=0.0), 0)
    assert not torch.allclose(weights(models[0]), weights(models[1]))
    assert torch.equal(weights(models[1]), weights(models[2]))


def test_a_stopped_run_goes_on_to_the_same_result(tmp_path):
    pictures, recipe = toy_pictures(60, 0), replace(QUICK, augmentation=Augmentation())

    class Stop(Exception):
        pass

    def stop(step):
        if step == 47:
            raise Stop

    whole, parts, path = new(), new(), tmp_path / "run.safetensors"
    expected = fit(whole, pictures, recipe, 3)
    with pytest.raises(Stop):
        fit(parts, pictures, recipe, 3, stop, checkpoint=path)
    steps, again = [], new()
    found = fit(again, pictures, recipe, 3, steps.append, checkpoint=path)
    assert steps == list(range(41, 61))
    assert found.losses == expected.losses and torch.equal(weights(again), weights(whole))
    for other in (replace(recipe, lr=0.1), replace(recipe, augmentation=Augmentation.none())):
        with pytest.raises(ArtifactError, match="recipe"):
            fit(new(), pictures, other, 3, checkpoint=path)
    with pytest.raises(ArtifactError, match="pictures"):
        fit(new(), toy_pictures(60, 9), recipe, 3, checkpoint=path)


def test_seeds_differ_and_repeat():
    pictures, found = toy_pictures(60, 0), []
    for seed in (1, 1, 2):
        model = new()
        fit(model, pictures, replace(QUICK, steps=5), seed)
        found.append(weights(model))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_every_epoch_shows_every_picture_once(monkeypatch):
    pictures, seen = toy_pictures(48, 0), []
    from breakthrough.train.pictures import Augmenter

    original = Augmenter.__call__

    def watch(self, images, parts, generator):
        seen.append({x.numpy().tobytes() for x in images})
        return original(self, images, parts, generator)

    monkeypatch.setattr(Augmenter, "__call__", watch)
    fit(new(), pictures, replace(QUICK, steps=6), 0)
    everything = {x.tobytes() for x in pictures.images}
    assert set.union(*seen[:3]) == set.union(*seen[3:]) == everything and seen[0] != seen[3]


def test_the_mean_of_the_weights_is_what_remains():
    pictures, models = toy_pictures(48, 0), [new(), new()]
    for model, average in zip(models, (0.0, 0.9)):
        fit(model, pictures, replace(QUICK, steps=12, average=average), 0)
    assert not torch.allclose(weights(models[0]), weights(models[1]))


def test_batch_statistics_are_averaged_too():
    model = new(replace(SMALL, norm="batch"))
    fit(model, toy_pictures(120, 0), QUICK, 0)
    assert evaluate(model, toy_pictures(60, 1)).accuracy > 0.8


def test_a_score_counts_right():
    model, pictures = new(), toy_pictures(70, 2)
    said = logits(model, pictures.images).argmax(1).numpy()
    score = evaluate(model, pictures)
    assert score.accuracy == pytest.approx(np.mean(said == pictures.labels))
    assert np.sum(score.confusion, axis=1).tolist() == np.bincount(pictures.labels).tolist()
    table = Score(((3, 1, 0), (0, 0, 0), (2, 0, 4)))
    assert table.accuracy == 0.7
    assert table.recall[0] == 0.75 and math.isnan(table.recall[1]) and table.recall[2] == pytest.approx(2 / 3)


def test_what_cannot_be_trained_is_refused():
    pictures = toy_pictures(12, 0)
    with pytest.raises(ConfigError, match="classes"):
        fit(Inspector(InspectorConfig()), pictures, QUICK, 0)
    with pytest.raises(ConfigError, match="classes"):
        evaluate(Inspector(InspectorConfig()), pictures)
    with pytest.raises(InputError, match="smaller lr"):
        fit(new(), pictures, replace(QUICK, lr=1e30, lr_rest=1e30), 0)


def test_more_in_a_batch_than_there_are_is_all_there_are():
    assert fit(new(), toy_pictures(6, 0), replace(QUICK, steps=3), 0).steps == 3
