"""What beginners write at first for module 2's draws, physics and budget: the mistake is named all the same."""

from __future__ import annotations

import random

import numpy as np
import pytest

from breakthrough.exercises import judge, load


def sample_with_random(ranges, generator):
    out = {}
    for name, r in ranges.items():
        if type(r[0]) is str:
            out[name] = random.choice(r)
        elif r[0] > r[1]:
            raise ValueError(name)
        else:
            out[name] = random.uniform(*r)
    return out


def sample_in_dict_order(ranges, generator):
    out = {}
    for name, r in ranges.items():
        if isinstance(r[0], str):
            out[name] = str(generator.choice(r))
        elif r[0] > r[1]:
            raise ValueError(f"bad range {name}")
        elif name.endswith("_factor"):
            out[name] = float(np.exp(generator.uniform(np.log(r[0]), np.log(r[1]))))
        else:
            out[name] = float(generator.uniform(r[0], r[1]))
    return out


def sample_without_factors(ranges, generator):
    out = {}
    for name in sorted(ranges):
        r = ranges[name]
        if isinstance(r[0], str):
            out[name] = str(generator.choice(r))
        elif r[0] > r[1]:
            raise ValueError(f"bad range {name}")
        else:
            out[name] = float(generator.uniform(r[0], r[1]))
    return out


def sample_unchecked(ranges, generator):
    out = {}
    for name in sorted(ranges):
        r = ranges[name]
        if isinstance(r[0], str):
            out[name] = r[generator.integers(len(r))]
        else:
            u = generator.random()
            out[name] = r[0] * (r[1] / r[0]) ** u if name.endswith("factor") else r[0] + u * (r[1] - r[0])
    return out


def rest_by_speed(position_m, dt_s, window_s=0.25, tolerance_m=5e-5):
    v = (position_m[-1] - position_m[-2]) / dt_s
    return np.abs(v).max() < 1e-3 if v.size else True


def rest_by_ends(position_m, dt_s, window_s=0.25, tolerance_m=5e-5):
    n = int(round(window_s / dt_s))
    if len(position_m) < n + 1:
        return False
    moved = np.linalg.norm(position_m[-1] - position_m[-n - 1], axis=-1)
    return bool(np.all(moved <= tolerance_m))


def rest_nan(position_m, dt_s, window_s=0.25, tolerance_m=5e-5):
    n = int(round(window_s / dt_s))
    if len(position_m) < n + 1:
        return False
    for body in range(position_m.shape[1]):
        track = position_m[-n - 1 :, body]
        if np.linalg.norm(track - track[0], axis=1).max() > tolerance_m:
            return False
    return True


def supported_neighbours(a, b, gap_m, n_bodies, tolerance_m=5e-4):
    supported = np.zeros(n_bodies, bool)
    supported[0] = True
    for i in range(len(a)):
        if gap_m[i] <= tolerance_m:
            if a[i] == 0:
                supported[b[i]] = True
            if b[i] == 0:
                supported[a[i]] = True
    return max([0.0] + [-g for g in gap_m]), supported


def as_many_moments_as_steps(position_m, dt_s, window_s=0.25, tolerance_m=5e-5):
    n = int(round(window_s / dt_s))
    if len(position_m) < n:
        return False
    last = position_m[-n:]
    return bool((last.max(axis=0) - last.min(axis=0) <= tolerance_m).all())


def steps_cut_off(position_m, dt_s, window_s=0.25, tolerance_m=5e-5):
    n = int(window_s / dt_s) + 1
    return len(position_m) >= n and bool((np.ptp(position_m[-n:], axis=0) <= tolerance_m).all())


def touching_by_size(a, b, gap_m, n_bodies, tolerance_m=5e-4):
    supported = np.zeros(n_bodies, bool)
    supported[0] = True
    near = np.abs(gap_m) <= tolerance_m
    for _ in range(n_bodies):
        for i, j in zip(a[near], b[near]):
            supported[i] = supported[j] = supported[i] or supported[j]
    return max(0.0, -gap_m.min(initial=0.0)), supported


def shot_0_first(features, scene, cost_scene, cost_shot, budget):
    chosen, left, built = [0], budget - cost_scene - cost_shot, {scene[0]}
    away = np.linalg.norm(features - features[0], axis=1)
    while True:
        cost = np.array([cost_shot + (0 if s in built else cost_scene) for s in scene])
        gain = np.where(cost <= left, away / cost, 0)
        best = int(gain.argmax())
        if gain[best] <= 0:
            return chosen
        chosen.append(best)
        left -= cost[best]
        built.add(scene[best])
        away = np.minimum(away, np.linalg.norm(features - features[best], axis=1))


def depth_negative(a, b, gap_m, n_bodies, tolerance_m=5e-4):
    group = list(range(n_bodies))
    for i, j, g in zip(a, b, gap_m):
        if g <= tolerance_m:
            old, new = group[j], group[i]
            group = [new if x == old else x for x in group]
    return min([0.0, *gap_m]), np.array([x == group[0] for x in group])


def light_by_angles(generator, n, max_angle_rad):
    theta = generator.uniform(0, max_angle_rad, n)
    phi = generator.uniform(0, 2 * np.pi, n)
    d = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    c = generator.random((n, 3))
    return d, np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def light_gamma(generator, n, max_angle_rad):
    z = 1 - generator.random(n) * (1 - np.cos(max_angle_rad))
    phi = 2 * np.pi * generator.random(n)
    r = np.sqrt(1 - z * z)
    return np.c_[r * np.cos(phi), r * np.sin(phi), z], generator.random((n, 3)) ** 2.2


def light_angles_and_gamma(generator, n, max_angle_rad):
    return light_by_angles(generator, n, max_angle_rad)[0], generator.random((n, 3)) ** 2.2


def budget_farthest(features, scene, cost_scene, cost_shot, budget):
    chosen, paid = [], set()
    left = set(range(len(scene)))
    while left:
        def gain(i):
            return min((np.linalg.norm(features[i] - features[j]) for j in chosen), default=np.inf)

        def price(i):
            return cost_shot + (0 if scene[i] in paid else cost_scene)

        can = [i for i in sorted(left) if price(i) <= budget and gain(i) > 0]
        if not can:
            break
        best = max(can, key=gain)
        budget -= price(best)
        paid.add(scene[best])
        chosen.append(best)
        left.remove(best)
    return chosen


def budget_breaks(features, scene, cost_scene, cost_shot, budget):
    chosen, paid = [], set()
    while len(chosen) < len(scene):
        scores = []
        for i in range(len(scene)):
            d = min([np.linalg.norm(features[i] - features[j]) for j in chosen], default=np.inf)
            scores.append(d / (cost_shot + (0 if scene[i] in paid else cost_scene)))
        best = int(np.argmax(scores))
        price = cost_shot + (0 if scene[best] in paid else cost_scene)
        if price > budget or scores[best] == 0:
            break
        chosen.append(best)
        paid.add(scene[best])
        budget -= price
    return chosen


@pytest.mark.parametrize(("name", "answer", "diagnosis"), [
    ("scenes.sample", sample_with_random, "not from the generator"),
    ("scenes.sample", sample_in_dict_order, "order of the dict"),
    ("scenes.sample", sample_without_factors, "factor drawn linearly"),
    ("scenes.sample", sample_unchecked, "upside down accepted"),
    ("scenes.settle", rest_by_speed, "speed of this moment"),
    ("scenes.settle", rest_by_ends, "ends of the window"),
    ("scenes.settle", rest_nan, "NaN is rest"),
    ("scenes.settle", as_many_moments_as_steps, "a step too few"),
    ("scenes.settle", steps_cut_off, "steps cut off"),
    ("scenes.support", supported_neighbours, "one hop"),
    ("scenes.support", touching_by_size, "deep is not touching"),
    ("scenes.support", depth_negative, "sign"),
    ("scenes.light", light_by_angles, "uniform angle"),
    ("scenes.light", light_gamma, "power of 2.2"),
    ("scenes.light", light_angles_and_gamma, "uniform angle"),
    ("scenes.budget", budget_farthest, "cost ignored in the choice"),
    ("scenes.budget", budget_breaks, "stops too early"),
    ("scenes.budget", shot_0_first, "the first for nothing"),
])  # fmt: skip
def test_a_first_attempt_is_diagnosed(name, answer, diagnosis):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else verdict.difference and verdict.difference.text
        assert (verdict.status, found) == ("wrong", diagnosis), verdict.case
