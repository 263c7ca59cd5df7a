"""Module 2: right answers that go other ways than their reference, where its own file has no room for them."""

from __future__ import annotations

import math
import re
from itertools import groupby
from typing import Any

import numpy as np

WINDOW_S, TOLERANCE_M = 0.25, 5e-5  # scenes.settle's


def sample_by_recursion(ranges, generator):
    """scenes.sample: the last name's value, drawn after those of all names before it."""
    if not ranges:
        return {}
    *before, last = sorted(ranges)
    values, bounds = sample_by_recursion({name: ranges[name] for name in before}, generator), ranges[last]
    if isinstance(bounds[0], str):
        return values | {last: bounds[generator.permutation(len(bounds))[0]]}
    low, high = (float(bound) for bound in bounds)
    if high < low:
        raise ValueError(f"{last} runs from {low} down to {high}")
    if last.endswith("_factor"):
        return values | {last: float(2.0 ** generator.uniform(math.log2(low), math.log2(high)))}
    return values | {last: high - (high - low) * (1 - generator.random())}


def at_rest_body_by_body(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    """scenes.settle: each body along each axis, in plain numbers."""
    if (len(position_m) - 1) * dt_s < window_s - dt_s / 2:
        return False
    first = len(position_m) - 1 - math.ceil(window_s / dt_s - 0.5)
    for body in range(position_m.shape[1]):
        for axis in range(3):
            track = position_m[first:, body, axis].tolist()
            if any(math.isnan(p) for p in track) or max(track) - min(track) > tolerance_m:
                return False
    return True


def at_rest_from_the_last_place(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    """scenes.settle: how far every body was from where it is now."""
    back = int(window_s / dt_s + 0.5)
    if position_m.shape[0] < back + 1:
        return False
    away = np.linalg.norm(position_m[-back - 1 :] - position_m[-1], axis=-1)
    return not (~(away <= tolerance_m)).any()


def at_rest_moment_by_moment(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    """scenes.settle: the ends of where each body has been, widened with each moment, backwards."""
    left = round(window_s / dt_s) + 1
    low: Any = None
    high: Any = None
    for moment in reversed(list(position_m)):
        low, high = (moment, moment) if low is None else (np.minimum(low, moment), np.maximum(high, moment))
        left -= 1
        if not np.all(np.isfinite(high - low)) or np.any(high - low > tolerance_m):
            return False
        if left == 0:
            return True
    return False


def encode_with_groupby(mask):
    """scenes.rle: itertools knows what a run is."""
    runs = [(bool(value), len(list(run))) for value, run in groupby(mask.ravel(order="F"))]
    counts = [length for _, length in runs]
    if runs[0][0]:
        counts.insert(0, 0)
    if not mask.any():
        return (0, 0, 0, 0), counts
    ys, xs = np.nonzero(mask)
    return (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1), counts


def encode_as_text(mask):
    """scenes.rle: the columns as one string of noughts and crosses, cut into its runs."""
    text = "".join("o" if pixel else "." for column in zip(*mask.tolist()) for pixel in column)
    counts = [len(run) for run in re.findall(r"o+|\.+", text)]
    across, down = mask.any(0), mask.any(1)
    x, y = int(across.argmax()), int(down.argmax())
    width, height = (int(seen.size - seen[::-1].argmax()) if seen.any() else 0 for seen in (across, down))
    return (x, y, width - x, height - y), [0, *counts] if text[0] == "o" else counts


def visible_pixel_by_pixel(depth_alone):
    """scenes.visible: for each pixel, who is there and who is nearest, in plain numbers."""
    seen, own = [0] * len(depth_alone), [0] * len(depth_alone)
    for depths in zip(*(depth.ravel().tolist() for depth in depth_alone)):
        for body, depth in enumerate(depths):
            own[body] += depth < math.inf
        if min(depths) < math.inf:
            seen[depths.index(min(depths))] += 1
    return np.array([a / b if b else 0.0 for a, b in zip(seen, own)])
