"""Module 2's exercises on masks and splits, beyond the gate: they agree with pycocotools and with the renderer."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from breakthrough.exercises import card, judge, load
from breakthrough.exercises.scenes_depth import metres
from breakthrough.exercises.scenes_inputs import draw_spheres, random_camera
from breakthrough.exercises.scenes_rle import encode
from breakthrough.exercises.scenes_split import ENOUGH_SCENES, split
from breakthrough.exercises.scenes_visible import visible_fraction
from breakthrough.seeds import numpy_generator, torch_generator


@pytest.fixture
def rng():
    return numpy_generator(3)


def cases(name, seed=0):
    return list(load(name).cases(torch_generator(seed, name)))


# run lengths


@pytest.mark.parametrize("seed", range(5))
def test_boxes_and_counts_are_pycocotools(seed):
    masks = [case.args[0] for case in cases("scenes.rle", seed)]
    rng = numpy_generator(seed)
    masks += [rng.random((rng.integers(1, 9), rng.integers(1, 9))) < rng.random() for _ in range(20)]
    for mask in masks:
        box, counts = encode(mask)
        written = {"size": list(mask.shape), "counts": counts}
        compressed = coco.frPyObjects(written, *mask.shape)
        assert compressed == coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        assert np.array_equal(coco.decode(compressed), mask)
        assert coco.toBbox(compressed).tolist() == list(box)
        assert coco.area(compressed) == mask.sum() == sum(counts[1::2])
        assert all(type(n) is int for n in (*box, *counts))


def test_every_box_and_every_count_would_be_noticed():
    exercise = load("scenes.rle")
    mask = next(case.args[0] for case in cases("scenes.rle") if case.label.startswith("20"))
    box, counts = encode(mask)
    for i in range(4):
        wrong = [n + (j == i) for j, n in enumerate(box)]
        assert exercise.compare((box, counts), (tuple(wrong), counts)).text.startswith("box")
    for i in range(len(counts)):
        wrong = [n + (j == i) for j, n in enumerate(counts)]
        assert exercise.compare((box, counts), (box, wrong)).text.startswith("counts")
    assert exercise.compare((box, counts), (box, counts[:-1])).text == f"there are {len(counts) - 1} counts, not {len(counts)}"
    assert exercise.compare((box, counts), (box, "abc")).kind == "type"
    assert exercise.compare((box, counts), (list(box), np.array(counts))) is None


def test_two_mistakes_are_named_one_after_the_other():
    def first(mask):  # corners, and row by row
        (x, y, w, h), _ = encode(mask)
        return ((x, y, x + w, y + h) if w else (0, 0, 0, 0)), encode(mask.T)[1]

    def second(mask):
        return encode(mask)[0], encode(mask.T)[1]

    assert judge(load("scenes.rle"), first, 0).diagnosis.name == "corners"
    assert judge(load("scenes.rle"), second, 0).diagnosis.name == "row by row"


# visible fractions


def test_visible_fractions_are_what_the_renderer_shows(rng):
    camera = random_camera(rng, 64, 64)
    centres_m = rng.uniform(-0.02, 0.02, (6, 3))
    centres_m[5, 0] = 1.0  # out of view
    together, _ = draw_spheres(camera, centres_m, 0.01)
    alone = []
    for centre_m in centres_m:
        segmentation, zbuffer = draw_spheres(camera, centre_m[None], 0.01)
        alone.append(np.where(segmentation == 0, metres(zbuffer, camera.near_m, camera.far_m), np.inf))
    own = np.isfinite(alone).sum((1, 2))
    seen = np.array([(together == i).sum() for i in range(6)])
    assert own[5] == 0 and (seen < own).any()
    np.testing.assert_allclose(visible_fraction(np.stack(alone)), seen / np.maximum(own, 1), atol=1e-12)


def test_visible_fractions_by_hand():
    assert visible_fraction(cases("scenes.visible")[0].args[0]).tolist() == [pytest.approx(1 / 3), 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_every_heap_hides_something_and_shows_something(seed):
    fractions = visible_fraction(cases("scenes.visible", seed)[1].args[0])
    assert (fractions < 1).any() and fractions.max() == 1


# the split


@pytest.mark.parametrize("n", [1, 2, 3, 7, 9, 10, 44, 309])
@pytest.mark.parametrize("fractions", [(0.7, 0.15, 0.15), (0.6, 0.2, 0.2), (1.0, 0.0, 0.0), (0.34, 0.33, 0.33)])
def test_the_split_keeps_scenes_whole_and_sizes_within_one(n, fractions, rng):
    scene_ids = rng.permutation(np.repeat(np.arange(n) * 3, rng.integers(1, 5, n)))
    parts = split(scene_ids, fractions, np.random.default_rng(0))
    assert parts.dtype == np.int8
    of_scene = [np.unique(parts[scene_ids == scene]) for scene in np.unique(scene_ids)]
    assert all(len(part) == 1 for part in of_scene)
    counts = np.bincount(np.concatenate(of_scene), minlength=3)
    assert np.abs(counts - np.array(fractions) * n).max() <= 1


def test_every_scene_may_land_in_every_part():
    scene_ids = np.arange(10)
    seen = np.stack([split(scene_ids, (0.6, 0.2, 0.2), np.random.default_rng(seed)) for seed in range(200)])
    shares = np.stack([(seen == part).mean(axis=0) for part in range(3)])
    assert np.abs(shares - [[0.6], [0.2], [0.2]]).max() < 0.12


def test_names_of_scenes_may_be_text():
    scene_ids = np.array(["000001", "000002", "000001", "000003"])
    parts = split(scene_ids, (0.34, 0.33, 0.33), np.random.default_rng(0))
    assert parts[0] == parts[2] and sorted(parts[[0, 1, 3]]) == [0, 1, 2]


@pytest.mark.parametrize(("answer", "says"), [
    (7, 'expected your function, got an int; try check("scenes.split", split)'),
    (lambda ids, fractions, generator: None, "expected an array with one part for each of"),
    (lambda ids, fractions, generator: np.zeros(3, np.int8), "one of shape (3,)"),
    (lambda ids, fractions, generator: np.full(len(ids), 3, np.int8), "expected whole numbers 0, 1 and 2"),
    (lambda ids, fractions, generator: np.full(len(ids), 0.5), "got float64 values like [0.5"),
])
def test_odd_splits_are_told_in_plain_words(answer, says):
    verdict = judge(load("scenes.split"), answer, 0)
    assert (verdict.status, verdict.traceback) == ("wrong", "")
    assert says in card.plain(verdict, 1)


def test_sizes_that_are_wrong_in_a_way_of_their_own_get_no_name():
    def halves(scene_ids, fractions, generator):
        return split(scene_ids, (0.5, 0.25, 0.25), generator)

    verdict = judge(load("scenes.split"), halves, 0)
    assert verdict.status == "wrong" and verdict.diagnosis is None
    assert "other sizes than the fractions say" in card.plain(verdict, 1)


def test_two_seeds_agree_by_chance_only_where_that_is_not_asked():
    scenes = [len(np.unique(case.args[0])) for case in cases("scenes.split")]
    assert max(scenes) > ENOUGH_SCENES > min(scenes)
    for case in cases("scenes.split"):
        scene_ids, fractions, seed = case.args
        if len(np.unique(scene_ids)) >= ENOUGH_SCENES:
            a, b = (split(scene_ids, fractions, np.random.default_rng(seed + i)) for i in range(2))
            assert not np.array_equal(a, b)
