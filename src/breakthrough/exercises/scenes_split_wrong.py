"""Module 2: how a split leaks, or is not what it says.

Shapes: N pictures of S scenes
"""

from __future__ import annotations

import hashlib

import numpy as np

from breakthrough.exercises.exercise import Misconception


def _places(fractions, n):
    """The part of each of n things in a row."""
    ends = np.round(np.cumsum(fractions) * n)
    return np.searchsorted(ends[:2], np.arange(n), side="right").astype(np.int8)


def _permuted(scene_ids, fractions, generator):
    scenes, scene = np.unique(scene_ids, return_inverse=True)
    part = np.empty(len(scenes), np.int8)
    part[generator.permutation(len(scenes))] = _places(fractions, len(scenes))
    return part[scene]


def _by_picture(scene_ids, fractions, generator):
    parts = np.empty(len(scene_ids), np.int8)
    parts[generator.permutation(len(scene_ids))] = _places(fractions, len(scene_ids))
    return parts


def _picture_by_picture(scene_ids, fractions, generator):
    return generator.choice(3, len(scene_ids), p=fractions).astype(np.int8)


def _first_pictures(scene_ids, fractions, generator):
    return _places(fractions, len(scene_ids))


def _in_order(scene_ids, fractions, generator):
    scenes, scene = np.unique(scene_ids, return_inverse=True)
    return _places(fractions, len(scenes))[scene]


def _hashed(scene_ids, fractions, generator):
    share = np.array([int(hashlib.sha256(str(i).encode()).hexdigest()[:8], 16) / 2**32 for i in scene_ids.tolist()])
    return np.searchsorted(np.cumsum(fractions)[:2], share, side="right").astype(np.int8)


def _pythons_hash(scene_ids, fractions, generator):
    share = np.array([hash(f"scene {i}") % 1000 / 1000 for i in scene_ids.tolist()])
    return np.searchsorted(np.cumsum(fractions)[:2], share, side="right").astype(np.int8)


def _modulo(scene_ids, fractions, generator):
    return np.searchsorted(np.cumsum(fractions)[:2], scene_ids % 10 / 10, side="right").astype(np.int8)


def _own_seed(scene_ids, fractions, generator):
    return _permuted(scene_ids, fractions, np.random.default_rng(0))


def _unrepeatable(scene_ids, fractions, generator):
    return _permuted(scene_ids, fractions, np.random.default_rng())


def _order_of_the_rows(scene_ids, fractions, generator):
    scenes = list(dict.fromkeys(scene_ids.tolist()))
    part = dict(zip((scenes[i] for i in generator.permutation(len(scenes))), _places(fractions, len(scenes))))
    return np.array([part[scene] for scene in scene_ids.tolist()], np.int8)


def _in_place(scene_ids, fractions, generator):
    generator.shuffle(scene_ids)
    return _in_order(scene_ids, fractions, generator)


def _sorted_in_place(scene_ids, fractions, generator):
    scene_ids[:] = np.sort(scene_ids)[::-1]
    return _permuted(scene_ids, fractions, generator)


def _scene_by_scene(scene_ids, fractions, generator):
    scenes, scene = np.unique(scene_ids, return_inverse=True)
    return generator.choice(3, len(scenes), p=fractions).astype(np.int8)[scene]


def _counted_in_pictures(scene_ids, fractions, generator):
    scenes, scene, pictures = np.unique(scene_ids, return_inverse=True, return_counts=True)
    order = generator.permutation(len(scenes))
    before = np.cumsum(pictures[order]) - pictures[order]
    part = np.empty(len(scenes), np.int8)
    part[order] = np.searchsorted(np.cumsum(fractions)[:2] * len(scene_ids), before, side="right")
    return part[scene]


def _remainders(scene_ids, fractions, generator):
    scenes, scene = np.unique(scene_ids, return_inverse=True)
    first, second = (int(f * len(scenes)) for f in fractions[:2])
    part = np.full(len(scenes), 2, np.int8)
    order = generator.permutation(len(scenes))
    part[order[:first]], part[order[first : first + second]] = 0, 1
    return part[scene]


def _remainders_to_training(scene_ids, fractions, generator):
    scenes, scene = np.unique(scene_ids, return_inverse=True)
    second, third = (int(f * len(scenes)) for f in fractions[1:])
    part = np.zeros(len(scenes), np.int8)
    order = generator.permutation(len(scenes))
    part[order[:second]], part[order[second : second + third]] = 1, 2
    return part[scene]


def _other_order(scene_ids, fractions, generator):
    return (2 - _permuted(scene_ids, fractions, generator)).astype(np.int8)


def _int64(scene_ids, fractions, generator):
    return _permuted(scene_ids, fractions, generator).astype(np.int64)


MISCONCEPTIONS = (
    Misconception(
        "by picture",
        _by_picture,
        "The pictures were split, not the scenes, so near copies of training pictures stand in the test: draw lots for `np.unique(scene_ids)` and let each picture follow its scene.",
        variants=(_picture_by_picture, _first_pictures),
    ),
    Misconception(
        "in order",
        _in_order,
        "The first scenes went to training and the last to the test: numbers follow time, so the parts differ in more than chance; put the scenes into a random order first.",
    ),
    Misconception(
        "a fixed rule",
        _hashed,
        "The scene's number decides (a hash or a remainder), not the generator, so the sizes are only roughly right and no seed gives another split: draw a permutation.",
        variants=(_pythons_hash, _modulo),
    ),
    Misconception(
        "own seed",
        _own_seed,
        "The generator that came in was not used, so every seed gives the same split: draw from `generator`, and make none of your own.",
    ),
    Misconception(
        "global random",
        _unrepeatable,
        "The lots come from numpy's global state, or from a new generator without a seed, so nobody can repeat the split: draw from the `generator` that came in.",
    ),
    Misconception(
        "order of the rows",
        _order_of_the_rows,
        "The order of the rows decides too: sort the scenes first, as `np.unique` does, or a list that was loaded in another order gives another split.",
    ),
    Misconception(
        "input changed",
        _in_place,
        "`scene_ids` itself was changed: `shuffle` and slices that are assigned to work in place, and the rows no longer match their pictures; use `permutation`, or copy.",
        variants=(_sorted_in_place,),
    ),
    Misconception(
        "scene by scene",
        _scene_by_scene,
        "Lots were drawn for each scene on its own, so the sizes are only right on average: put the scenes into a random order and cut it where the fractions say.",
    ),
    Misconception(
        "counted in pictures",
        _counted_in_pictures,
        "The parts hold their fractions of the pictures: count scenes, because pictures of one scene are nearly copies and tell little more than one.",
    ),
    Misconception(
        "remainders",
        _remainders,
        "Each size was rounded down on its own, so one part got all the remainders, more than a scene too many: round where the parts meet, f0·S and (f0 + f1)·S.",
        variants=(_remainders_to_training,),
    ),
    Misconception(
        "parts in another order",
        _other_order,
        "The sizes are right but for other parts: 0 is training (the first fraction), 1 validation, 2 the test.",
    ),
    Misconception(
        "another dtype",
        _int64,
        "The split is right, its dtype is not: three parts fit into int8, which is what the next step reads, so end with `.astype(np.int8)`.",
    ),
)
