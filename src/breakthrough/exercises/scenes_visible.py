"""Module 2: how much of each body can be seen.

Shapes: K bodies, H × W pixels
"""

from __future__ import annotations

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_inputs import numpy_from
from breakthrough.exercises.scenes_otherwise import visible_pixel_by_pixel


def visible_fraction(depth_alone: np.ndarray) -> np.ndarray:
    """Say which share of each body's own pixels is seen when all bodies are in the picture.

    Why:    a bolt under the cap is in the scene but not in the picture; a label for it teaches a net to see
            what cannot be seen, and only this number tells which labels to drop
    Shapes: depth_alone (K, H, W), each body drawn alone, inf where it is not → (K,)
    Units:  a pixel shows the nearest of its bodies, the first of those equally near. Seen pixels divided by
            the body's own pixels, 0 to 1; 0 for a body without any
    """
    own = np.isfinite(depth_alone)  # (K, H, W)
    nearest = depth_alone.argmin(axis=0)  # (H, W): the first of equals; 0 where nothing is, so `own` counts too
    seen = own & (nearest == np.arange(len(depth_alone))[:, None, None])
    return seen.sum(axis=(1, 2)) / np.maximum(own.sum(axis=(1, 2)), 1)


def _body_by_body(depth_alone):
    fractions = np.zeros(len(depth_alone))
    for k, depth in enumerate(depth_alone):
        before = np.min(depth_alone[:k], axis=0, initial=np.inf)
        after = np.min(depth_alone[k + 1 :], axis=0, initial=np.inf)
        own = depth < np.inf
        if own.any():
            fractions[k] = np.mean((depth[own] < before[own]) & (depth[own] <= after[own]))
    return fractions


def _painted(depth_alone):
    canvas, owner = np.full(depth_alone.shape[1:], np.inf), np.full(depth_alone.shape[1:], -1)
    for k, depth in enumerate(depth_alone):
        nearer = depth < canvas
        canvas, owner = np.where(nearer, depth, canvas), np.where(nearer, k, owner)
    seen = np.bincount(owner[owner >= 0], minlength=len(depth_alone))
    own = (~np.isinf(depth_alone)).reshape(len(depth_alone), -1).sum(1)
    return np.divide(seen, own, out=np.zeros(len(own)), where=own > 0)


# mistakes: which pixels are seen, and what they are divided by


def _own(depth_alone):
    return np.isfinite(depth_alone)


def _seen(depth_alone):
    order = np.arange(len(depth_alone))[:, None, None]
    return _own(depth_alone) & (depth_alone.argmin(0) == order)


def _share(seen, whole):
    seen, whole = seen.sum((1, 2)), np.broadcast_to(whole, len(seen))
    return np.divide(seen, whole, out=np.zeros(len(seen)), where=whole > 0)


def _of_own(seen, depth_alone):
    return _share(seen, _own(depth_alone).sum((1, 2)))


def _of_the_image(depth_alone):
    return _share(_seen(depth_alone), depth_alone[0].size)


def _of_what_is_seen(depth_alone):
    return _share(_seen(depth_alone), _seen(depth_alone).sum())


def _of_the_box(depth_alone):
    own = _own(depth_alone)
    sides = [np.array([np.ptp(np.flatnonzero(row)) + 1 if row.any() else 0 for row in own.any(axis)]) for axis in (1, 2)]
    return _share(_seen(depth_alone), sides[0] * sides[1])


def _of_the_union(depth_alone):
    return _share(_seen(depth_alone), _own(depth_alone).any(0).sum())


def _pixels(depth_alone):
    return _seen(depth_alone).sum((1, 2)).astype(float)


def _hidden(depth_alone):
    return np.where(_own(depth_alone).any((1, 2)), 1 - visible_fraction(depth_alone), 0)


def _hidden_when_absent(depth_alone):
    return 1 - visible_fraction(depth_alone)


def _farthest(depth_alone):
    depth = np.where(_own(depth_alone), depth_alone, -np.inf)
    order = np.arange(len(depth))[:, None, None]
    return _of_own(_own(depth_alone) & (depth.argmax(0) == order), depth_alone)


def _overlap_counts_for_both(depth_alone):
    return _of_own(_own(depth_alone), depth_alone)


def _overlap_counts_for_none(depth_alone):
    own = _own(depth_alone)
    return _of_own(own & (own.sum(0) == 1), depth_alone)


def _last_is_on_top(depth_alone):
    own = _own(depth_alone)
    covered = np.flip(np.flip(own, 0).cumsum(0), 0) - own  # by how many later ones
    return _of_own(own & (covered == 0), depth_alone)


def _first_is_on_top(depth_alone):
    own = _own(depth_alone)
    return _of_own(own & (own.cumsum(0) == 1), depth_alone)


def _ties_seen_twice(depth_alone):
    return _of_own(_own(depth_alone) & (depth_alone == depth_alone.min(0)), depth_alone)


def _ties_seen_never(depth_alone):
    own = _own(depth_alone)
    equal = (depth_alone == depth_alone.min(0)) & own
    return _of_own(equal & (equal.sum(0) == 1), depth_alone)


def _background_to_the_first(depth_alone):
    order = np.arange(len(depth_alone))[:, None, None]
    return _of_own(depth_alone.argmin(0) == order, depth_alone)


def _background_to_all(depth_alone):
    return _of_own(depth_alone == depth_alone.min(0), depth_alone)


def _absent(value):
    def absent(depth_alone):
        return np.where(_own(depth_alone).any((1, 2)), visible_fraction(depth_alone), value)

    return absent


def _whole_bodies(depth_alone):
    middle = np.array([np.median(depth[np.isfinite(depth)]) if np.isfinite(depth).any() else np.inf for depth in depth_alone])
    ranked = np.where(_own(depth_alone), middle[:, None, None], np.inf)
    return _of_own(_seen(ranked), depth_alone)


def _disc(height, width, x, y, radius, depth_m, slope=0.0):
    rows, columns = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(columns - x, rows - y) < radius
    return np.where(inside, depth_m + slope * (columns - x), np.inf)


def _heap(rng: np.random.Generator, n: int) -> np.ndarray:
    """Discs that overlap near the middle of 32 × 40 pixels, every one at another depth, slightly slanted."""
    depths = rng.permutation(np.linspace(0.3, 0.4, n))
    places = [(rng.uniform(15, 25), rng.uniform(12, 20), rng.uniform(5, 9)) for _ in range(n)]
    return np.stack([_disc(32, 40, *place, depth, rng.uniform(-1e-4, 1e-4)) for place, depth in zip(places, depths)])


def _crossing(rng: np.random.Generator) -> np.ndarray:
    """Two slanted discs that go through each other: each is in front on one side."""
    slope = rng.uniform(0.002, 0.004)
    return np.stack([_disc(24, 24, 12, 12, 9, 0.35, slope), _disc(24, 24, 11, 12, 8, 0.35, -slope)])


def _cases(generator: Generator):
    rng = numpy_from(generator)
    row = np.array([[[2, 2, 2, np.inf, np.inf]], [[np.inf, 1, 1, 1, np.inf]]])  # of three pixels one is seen, of three all
    yield Case("two bodies in a row of five pixels, by hand", (row,))
    yield Case("6 discs in a heap", (_heap(rng, 6),))
    nowhere = _heap(rng, 4)
    nowhere[rng.integers(1, 4)] = np.inf
    yield Case("one body out of view", (nowhere,))
    hidden = np.stack([_disc(20, 20, 10, 10, 4, 0.4), _disc(20, 20, 9, 10, 7, 0.3)])
    yield Case("one body wholly hidden", (hidden,))
    yield Case("two that go through each other", (_crossing(rng),))
    yield Case("bodies of one pixel", (np.array([[[1, np.inf, np.inf]], [[np.inf, 3, np.inf]], [[np.inf, 2, np.inf]]]),))
    flat = np.stack([_disc(20, 20, 8, 10, 6, 0.5), _disc(20, 20, 12, 10, 6, 0.5)])
    yield Case("two at the same depth", (flat,))
    yield Case("alone, float32", (_heap(rng, 1).astype(np.float32),))
    yield Case("nothing in view", (np.full((3, 4, 5), np.inf),))


EXERCISES = (
    Exercise(
        name="scenes.visible",
        title="How much of a body can be seen",
        points=6,
        minutes=35,
        difficulty=2,
        reference=visible_fraction,
        cases=_cases,
        compare=close(rtol=1e-5, atol=1e-6, dtype=False),
        alternatives=(_body_by_body, _painted, visible_pixel_by_pixel),
        misconceptions=(
            Misconception(
                "share of the image",
                _of_the_image,
                "The seen pixels were divided by those of the picture: divide by the body's own pixels, those it covers when drawn alone.",
            ),
            Misconception(
                "share of what is seen",
                _of_what_is_seen,
                "The seen pixels were divided by those of all bodies together: each body's are divided by its own, those it covers when drawn alone.",
                variants=(_of_the_union,),
            ),
            Misconception(
                "share of the box",
                _of_the_box,
                "The seen pixels were divided by the area of the body's box: a body does not fill its box, so count its own pixels.",
            ),
            Misconception(
                "pixels",
                _pixels,
                "These are numbers of pixels: divide each by the number of pixels the body covers when drawn alone.",
            ),
            Misconception(
                "the hidden part",
                _hidden,
                "This is the hidden share: return the seen one, 1 for a body with nothing in front of it.",
                variants=(_hidden_when_absent,),
            ),
            Misconception(
                "farthest wins",
                _farthest,
                "The farthest body won each pixel: depth grows away from the camera, so the smallest is in front.",
            ),
            Misconception(
                "overlap counts for both",
                _overlap_counts_for_both,
                "Nothing hides anything here: where two bodies share a pixel, only the nearer one is seen.",
            ),
            Misconception(
                "overlap counts for none",
                _overlap_counts_for_none,
                "A pixel that two bodies share was taken from both: the nearer one is still seen there.",
            ),
            Misconception(
                "the last is on top",
                _last_is_on_top,
                "The order of the list decides who is in front, as when painting one over the other: compare the depths at each pixel.",
                variants=(_first_is_on_top,),
            ),
            Misconception(
                "whole bodies compared",
                _whole_bodies,
                "One depth was taken for each whole body: bodies slant and cross, so compare the depths pixel by pixel.",
            ),
            Misconception(
                "ties seen twice",
                _ties_seen_twice,
                "Two bodies at the same depth were both seen in one pixel: a pixel shows one body, the first of those equally near.",
                variants=(_ties_seen_never,),
            ),
            Misconception(
                "background counted",
                _background_to_the_first,
                "Pixels where nothing is were counted: of nothing but inf `argmin` says 0, and inf equals inf, so ask too whether the body's own depth is finite.",
                variants=(_background_to_all,),
            ),
            Misconception(
                "absent bodies",
                _absent(np.nan),
                "A body without a pixel divides 0 by 0: nothing of it is seen, so give 0.",
                variants=(_absent(1.0),),
            ),
        ),
        hints=(
            "Each body was drawn alone, so its own pixels are known, hidden or not. Put all drawings on top of each other: at every pixel the nearest one wins. What a body won, divided by what it has, is what is seen of it.",
            "depth_alone (K, H, W) → finite or not (K, H, W): own pixels → argmin over dim 0 (H, W): the winner → winner equals k and own (K, H, W) → sums over H and W (K,) → quotient (K,)",
            "own = where depth is finite\nwinner = number of the smallest depth at each pixel\nfor each body k: seen = own pixels of k where the winner is k\nreturn count of seen / count of own; 0 where own is 0",
        ),
    ),
)
