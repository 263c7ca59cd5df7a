"""First attempts at module 2's exercises as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import math
import random
from itertools import groupby

import numpy as np
import pytest

from breakthrough.exercises import card, judge, load

# projection: most forget the points behind the camera as well


def loop(points_m, K, world_to_camera):
    pixels, depth = [], []
    for p in points_m:
        x, y, z, _ = world_to_camera @ np.append(p, 1)
        pixels.append([K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]])
        depth.append(z)
    return np.array(pixels).reshape(-1, 2), np.array(depth)


def inverted(points_m, K, world_to_camera):
    camera = np.linalg.inv(world_to_camera)
    h = np.c_[points_m, np.ones(len(points_m))] @ camera.T
    uv = h[:, :3] @ K.T
    return uv[:, :2] / uv[:, 2:], h[:, 2]


def no_transpose(points_m, K, world_to_camera):
    local = points_m @ world_to_camera[:3, :3] + world_to_camera[:3, 3]
    uv = (K @ local.T).T
    return uv[:, :2] / uv[:, 2:], local[:, 2]


def upside_down(points_m, K, world_to_camera):
    local = points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    z = local[:, 2]
    return np.stack([K[0, 0] * local[:, 0] / z + K[0, 2], K[1, 2] - K[1, 1] * local[:, 1] / z], axis=1), z


def distance(points_m, K, world_to_camera):
    local = points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    depth = np.linalg.norm(local, axis=1)
    uv = local @ K.T
    return uv[:, :2] / uv[:, 2:], depth


def rounded(points_m, K, world_to_camera):
    local = points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    uv = local @ K.T
    return np.round(uv[:, :2] / uv[:, 2:]), local[:, 2]


def centred_focal(points_m, K, world_to_camera):
    local = points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    uv = K[0, 0] * local[:, :2] / local[:, 2:]
    uv[local[:, 2] <= 0] = np.nan
    return uv + K[:2, 2], local[:, 2]


def whole_third_row(points_m, K, world_to_camera):
    local = points_m @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    uv = local @ K.T / local[:, 2:]
    return uv, local[:, 2]


# depth


def straight(zbuffer, near_m, far_m):
    return zbuffer * (far_m - near_m) + near_m


def opengl(zbuffer, near_m, far_m):
    return 2.0 * near_m * far_m / (far_m + near_m - zbuffer * (far_m - near_m))


def turned(zbuffer, near_m, far_m):
    return near_m * far_m / (near_m + zbuffer * (far_m - near_m))


# pose


def matrix_of(w, x, y, z):
    return np.array([
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ])  # fmt: skip


def wikipedias_order(position_m, quaternion, world_to_camera):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = matrix_of(*quaternion), position_m
    return world_to_camera @ pose


def other_way_round(position_m, quaternion, world_to_camera):
    x, y, z, w = quaternion
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = matrix_of(w, x, y, z), position_m
    return pose @ world_to_camera


def added(position_m, quaternion, world_to_camera):
    x, y, z, w = quaternion
    pose = np.eye(4)
    pose[:3, :3] = world_to_camera[:3, :3] @ matrix_of(w, x, y, z)
    pose[:3, 3] = position_m + world_to_camera[:3, 3]
    return pose


def angle_of_w(position_m, quaternion, world_to_camera):
    axis, angle = quaternion[:3], math.acos(quaternion[3])
    if np.linalg.norm(axis) > 0:
        axis = axis / np.linalg.norm(axis)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k
    pose[:3, 3] = position_m
    return world_to_camera @ pose


# run lengths: most fail on an empty mask


def by_rows(mask):
    counts = [len(list(run)) for _, run in groupby(mask.flatten())]
    if mask[0, 0]:
        counts = [0, *counts]
    ys, xs = np.where(mask)
    return (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1), counts


def without_one(mask):
    counts = [len(list(run)) for _, run in groupby(mask.T.flatten())]
    if mask[0, 0]:
        counts = [0, *counts]
    ys, xs = np.where(mask)
    if len(xs) == 0:
        return (0, 0, 0, 0), counts
    return (xs.min(), ys.min(), xs.max() - xs.min(), ys.max() - ys.min()), counts


def everything_at_once(mask):
    counts = [len(list(run)) for _, run in groupby(mask.flatten())]
    ys, xs = np.where(mask)
    return (xs.min(), ys.min(), xs.max(), ys.max()), counts


def plain_runs(mask):
    ys, xs = np.where(mask)
    counts = [len(list(run)) for _, run in groupby(mask.T.flatten())]
    return (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1), counts


def crashes_when_empty(mask):
    ys, xs = np.where(mask)
    counts = [len(list(run)) for _, run in groupby(mask.T.flatten())]
    if mask[0, 0]:
        counts.insert(0, 0)
    return (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1), counts


# visible fractions: most divide 0 by 0


def argmin_only(depth_alone):
    winner = np.argmin(depth_alone, axis=0)
    return np.array([(winner == k).sum() / np.isfinite(depth_alone[k]).sum() for k in range(len(depth_alone))])


def equal_to_the_nearest(depth_alone):
    nearest = depth_alone.min(axis=0)
    own = depth_alone < np.inf
    return ((depth_alone == nearest) & own).sum((1, 2)) / own.sum((1, 2))


def of_the_picture(depth_alone):
    winner, own = np.argmin(depth_alone, axis=0), depth_alone < np.inf
    return np.array([((winner == k) & own[k]).mean() for k in range(len(depth_alone))])


def largest_depth(depth_alone):
    own = depth_alone < np.inf
    winner = np.where(own, depth_alone, -1).argmax(axis=0)
    return np.array([((winner == k) & own[k]).sum() / own[k].sum() for k in range(len(depth_alone))])


def painted_over(depth_alone):
    canvas = np.full(depth_alone.shape[1:], -1)
    for k, depth in enumerate(depth_alone):
        canvas[depth < np.inf] = k
    return np.array([(canvas == k).sum() / max(1, (depth_alone[k] < np.inf).sum()) for k in range(len(depth_alone))])


# the split: most return int64


def shuffled_pictures(scene_ids, fractions, generator):
    order = generator.permutation(len(scene_ids))
    parts = np.zeros(len(scene_ids), dtype=int)
    first, second = int(fractions[0] * len(order)), int((fractions[0] + fractions[1]) * len(order))
    parts[order[first:second]], parts[order[second:]] = 1, 2
    return parts


def slices(scene_ids, fractions, generator):
    scenes = np.unique(scene_ids)
    first, second = int(fractions[0] * len(scenes)), int((fractions[0] + fractions[1]) * len(scenes))
    parts = np.zeros(len(scene_ids), dtype=int)
    parts[np.isin(scene_ids, scenes[first:second])] = 1
    parts[np.isin(scene_ids, scenes[second:])] = 2
    return parts


def set_order(scene_ids, fractions, generator):
    scenes = list(set(scene_ids.tolist()))
    random.shuffle(scenes)
    first, second = int(fractions[0] * len(scenes)), int((fractions[0] + fractions[1]) * len(scenes))
    part = {scene: 0 if i < first else 1 if i < second else 2 for i, scene in enumerate(scenes)}
    return np.array([part[scene] for scene in scene_ids.tolist()], dtype=int)


def each_fraction_cut(scene_ids, fractions, generator):
    scenes = generator.permutation(np.unique(scene_ids))
    train, valid = int(fractions[0] * len(scenes)), int(fractions[1] * len(scenes))
    parts = np.full(len(scene_ids), 2)
    parts[np.isin(scene_ids, scenes[:train])] = 0
    parts[np.isin(scene_ids, scenes[train : train + valid])] = 1
    return parts


def lots(scene_ids, fractions, generator):
    part = {scene: generator.choice(3, p=fractions) for scene in np.unique(scene_ids)}
    return np.array([part[scene] for scene in scene_ids], dtype=int)


ATTEMPTS = [
    ("scenes.project", loop, "behind is drawn"),
    ("scenes.project", inverted, "camera to world"),
    ("scenes.project", no_transpose, "rotation transposed"),
    ("scenes.project", upside_down, "y up"),
    ("scenes.project", distance, "distance as depth"),
    ("scenes.project", rounded, "whole pixels"),
    ("scenes.project", centred_focal, "one focal length"),
    ("scenes.project", whole_third_row, "a third column"),
    ("scenes.depth", straight, "linear"),
    ("scenes.depth", opengl, "range −1 to 1"),
    ("scenes.depth", turned, "near and far swapped"),
    ("scenes.pose", wikipedias_order, "w first"),
    ("scenes.pose", other_way_round, "order reversed"),
    ("scenes.pose", added, "moved but not turned"),
    ("scenes.pose", angle_of_w, "half the angle"),
    ("scenes.rle", by_rows, "row by row"),
    ("scenes.rle", without_one, "one short"),
    ("scenes.rle", everything_at_once, "corners"),
    ("scenes.rle", plain_runs, "no leading zero"),
    ("scenes.rle", crashes_when_empty, "empty forgotten"),
    ("scenes.visible", argmin_only, "background counted"),
    ("scenes.visible", equal_to_the_nearest, "ties seen twice"),
    ("scenes.visible", of_the_picture, "share of the image"),
    ("scenes.visible", largest_depth, "farthest wins"),
    ("scenes.visible", painted_over, "the last is on top"),
    ("scenes.split", shuffled_pictures, "by picture"),
    ("scenes.split", slices, "in order"),
    ("scenes.split", set_order, "global random"),
    ("scenes.split", each_fraction_cut, "remainders"),
    ("scenes.split", lots, "scene by scene"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_scenes_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


NUMBERS = ["scenes.project", "scenes.depth", "scenes.pose", "scenes.visible"]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_right_answer_made_wrong_by_a_number_gets_no_name(name):
    exercise = load(name)

    def stretched(*args):
        out = exercise.reference(*args)
        return 1.37 * out if isinstance(out, np.ndarray) else (1.37 * out[0], *out[1:])

    for seed in range(3):
        verdict = judge(exercise, stretched, seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)


UNRELATED = {
    "scenes.project": lambda points_m, K, pose: (points_m[:, :2] * 100, points_m[:, 2]),
    "scenes.depth": lambda zbuffer, near_m, far_m: np.sqrt(zbuffer) + near_m,
    "scenes.pose": lambda position_m, quaternion, pose: pose * 2,
    "scenes.rle": lambda mask: ((0, 0, *mask.shape), [1] * mask.size),
    "scenes.visible": lambda depth_alone: np.full(len(depth_alone), 0.37),
}


@pytest.mark.parametrize("name", UNRELATED)
def test_an_answer_that_shares_no_misconception_gets_no_name(name):
    for seed in range(3):
        verdict = judge(load(name), UNRELATED[name], seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)
