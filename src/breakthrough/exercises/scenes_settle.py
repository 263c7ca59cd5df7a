"""Module 2: whether the bodies of a scene have come to rest.

Shapes: T moments, N bodies
Units:  metres, seconds
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product, starmap

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_motion import STEP_S, apex, drifting, fenceposts, jitter, rest, rocking, slide, stacked
from breakthrough.exercises.scenes_otherwise import at_rest_body_by_body, at_rest_from_the_last_place, at_rest_moment_by_moment
from breakthrough.seeds import numpy_generator

WINDOW_S, TOLERANCE_M = 0.25, 5e-5
SPEEDS_M_S = (1e-5, 2e-4, 5.5e-4, 9e-4, 1e-3, 1e-2)  # limits that part the recordings in different ways


def at_rest(position_m: np.ndarray, dt_s: float, window_s: float = WINDOW_S, tolerance_m: float = TOLERANCE_M) -> bool:
    """Whether every body kept still over the last `window_s` of a recording.

    Shapes: position_m (T, N, 3), one moment every dt_s
    Units:  still: along each axis, the largest position in the window minus the smallest is at most
            tolerance_m. A recording shorter than the window, or a NaN in it, is no rest
    """
    steps = round(window_s / dt_s)
    if len(position_m) <= steps:
        return False
    window = position_m[len(position_m) - 1 - steps :]  # (steps + 1, N, 3)
    spread = window.max(axis=0) - window.min(axis=0)  # (N, 3)
    return bool((spread <= tolerance_m).all())  # so that NaN, which is not ≤ anything, counts as motion


def _window(position_m, dt_s, window_s):
    steps = round(window_s / dt_s)
    return position_m[-steps - 1 :] if len(position_m) > steps else None


def _still(window, tolerance_m):
    return bool((window.max(axis=0) - window.min(axis=0) <= tolerance_m).all())


def _speed_now(limit_m_s: float, enough: bool = True, by_axis: bool = False):
    """The speed of the last step, against a limit; `enough`: of a recording that is long enough; `by_axis`: along each axis."""

    def answer(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
        if enough and _window(position_m, dt_s, window_s) is None:
            return False
        step_m = position_m[-1] - position_m[-2]
        return bool(((np.abs(step_m) if by_axis else np.linalg.norm(step_m, axis=-1)) / dt_s <= limit_m_s).all())

    return answer


def _every_speed(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    if window is None:
        return False
    speed = np.linalg.norm(np.diff(window, axis=0), axis=-1) / dt_s
    return bool((speed <= tolerance_m / window_s).all())


def _step_by_step(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    return window is not None and bool((np.abs(np.diff(window, axis=0)) <= tolerance_m).all())


def _mean_of_bodies(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    if window is None:
        return False
    spread = (window.max(axis=0) - window.min(axis=0)).max(axis=-1)  # (N,)
    return bool(spread.mean() <= tolerance_m) if len(spread) else True


def _only_height(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return at_rest(position_m[:, :, 2:], dt_s, window_s, tolerance_m)


def _ends_of_the_window(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    return window is not None and bool((np.abs(window[-1] - window[0]) <= tolerance_m).all())


def _mean_velocity(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    if window is None:
        return False
    velocity = (np.diff(window, axis=0) / dt_s).mean(axis=0)
    return bool((np.abs(velocity) <= tolerance_m / window_s).all())


def _whole_recording(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return _window(position_m, dt_s, window_s) is not None and _still(position_m, tolerance_m)


def _ends_of_the_recording(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    moved = np.abs(position_m[-1] - position_m[0])
    return _window(position_m, dt_s, window_s) is not None and bool((moved <= tolerance_m).all())


def _first_window(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    steps = round(window_s / dt_s)
    return len(position_m) > steps and _still(position_m[: steps + 1], tolerance_m)


def _sixty_frames(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return at_rest(position_m, window_s / 60, window_s, tolerance_m)


def _a_step_too_few(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    steps = round(window_s / dt_s)
    return len(position_m) > steps and _still(position_m[-steps:], tolerance_m)


def _as_many_moments_as_steps(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return _a_step_too_few(np.concatenate((position_m[:1], position_m)), dt_s, window_s, tolerance_m)


def _cut_off(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    steps = int(window_s / dt_s)  # 0.3 / 0.1 is 2.9999999999999996
    return len(position_m) > steps and _still(position_m[-steps - 1 :], tolerance_m)


def _any_body(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    if window is None:
        return False
    still = (window.max(axis=0) - window.min(axis=0) <= tolerance_m).all(axis=-1)
    return bool(still.any()) if len(still) else True


def _short_is_rest(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return _still(position_m[-round(window_s / dt_s) - 1 :], tolerance_m)


def _nan_passes(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    window = _window(position_m, dt_s, window_s)
    return window is not None and not bool((window.max(axis=0) - window.min(axis=0) > tolerance_m).any())


def _upside_down(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return not at_rest(position_m, dt_s, window_s, tolerance_m)


def _built_in_constants(position_m, dt_s, window_s=WINDOW_S, tolerance_m=TOLERANCE_M):
    return at_rest(position_m, dt_s)


@lru_cache(maxsize=4)
def _recordings(seed: int) -> tuple[Case, ...]:
    draw = numpy_generator(seed, "recordings")
    moving, coarse_s, fine_s = slide(draw, 3, 1.0), 1 / 60, 1 / 1000
    arrived = np.concatenate((moving, np.repeat(moving[-1:], 100, axis=0)))
    leaving = np.concatenate((np.repeat(moving[:1], 100, axis=0), moving))
    landed = slide(draw, 1, 0.5, coarse_s, speed_m_s=0.05)
    blown_up = rest(draw, 2, 1.0)
    blown_up[-40:, 1] = np.nan
    inside, before = fenceposts(draw)
    cases = [
        Case("two bodies that do not move at all", (rest(draw, 2, 0.5), STEP_S)),
        Case("a slide of 0.5 mm/s, 125 µm in the window", (moving, STEP_S)),
        Case("a resting stack, simulated", (stacked(draw), STEP_S)),
        Case("a slow slide, simulated", (drifting(draw), STEP_S)),
        Case("rest, with a solver's jitter of microns", (jitter(rest(draw, 6, 1.0), draw), STEP_S)),
        Case("the apex of a throw", (apex(draw), STEP_S)),
        Case("a slow rocking, just back where it was", (rocking(draw), STEP_S)),
        Case("twelve bodies, of which one slides", (slide(draw, 12, 1.0), STEP_S)),
        Case("a roll over the tray, 50 mm/s", (slide(draw, 2, 0.5, speed_m_s=0.05), STEP_S)),
        Case("a slide, then rest", (arrived, STEP_S)),
        Case("rest, then a slide", (leaving, STEP_S)),
        Case("1,000 moments a second, a slide", (slide(draw, 1, 0.5, fine_s), fine_s)),
        Case("60 moments a second, a fast slide, then rest", (np.concatenate((landed, np.repeat(landed[-1:], 24, axis=0))), coarse_s)),
        Case("a slide within a wider tolerance", (slide(draw, 2, 2.0), STEP_S, 1.0, 2e-3)),
        Case("a recording shorter than the window", (rest(draw, 2, 0.1), STEP_S)),
        Case("a simulation that blew up, with NaN", (blown_up, STEP_S)),
        Case("a jump in the window's first step", (inside, 0.1, 0.3)),
        Case("the same jump, eight moments a second", (inside, 0.125, 0.375)),
        Case("a jump just before the window", (before, 0.1, 0.3)),
        Case("one moment too few", (before[-3:], 0.1, 0.3)),
        Case("as far as the tolerance allows", (np.array([[[0.0, 0.0, 0.0]], [[0.0, 0.25, 0.0]]]), 0.5, 0.5, 0.25)),
        Case("no bodies", (np.zeros((100, 0, 3)), STEP_S)),
    ]
    return (*cases[:2], *(cases[i] for i in 2 + draw.permutation(len(cases) - 2)))  # no order to learn by heart


def _cases(generator: Generator):
    yield from _recordings(int(torch.randint(2**31, (), generator=generator)))


EXERCISES = (
    Exercise(
        name="scenes.settle",
        title="Has it come to rest?",
        points=6,
        minutes=35,
        difficulty=3,
        reference=at_rest,
        cases=_cases,
        alternatives=(at_rest_from_the_last_place, at_rest_body_by_body, at_rest_moment_by_moment),
        misconceptions=(
            Misconception(
                "speed of this moment",
                _speed_now(TOLERANCE_M / WINDOW_S),
                "Only the last step's speed is looked at: at the apex of a bounce it is zero, and a solver's jitter makes it large in a resting stack; look at a whole window.",
                variants=tuple(starmap(_speed_now, product(SPEEDS_M_S, (True, False), (False, True)))),
            ),
            Misconception(
                "speed of every step",
                _every_speed,
                "The speed of each step is judged: 3 µm of jitter in 1/240 s are 0.7 mm/s, more than the slide you must catch; ask how far a body got in the window, not how fast.",
            ),
            Misconception(
                "step by step",
                _step_by_step,
                "Each step is held against the tolerance: a slow slide makes tiny steps that add up, so take the largest minus the smallest position in the window.",
            ),
            Misconception(
                "mean of the bodies",
                _mean_of_bodies,
                "The spread was averaged over the bodies: one that slides hides among many that rest, so every body has to be still.",
            ),
            Misconception(
                "any body",
                _any_body,
                "One body at rest is enough for this answer: all of them have to be (`all`, not `any`).",
            ),
            Misconception(
                "only the height",
                _only_height,
                "Only z is looked at: a body that slides over the tray keeps its height, so check all three axes.",
            ),
            Misconception(
                "ends of the window",
                _ends_of_the_window,
                "The window's first and last place are compared: a body that rocks is back where it was; take the largest minus the smallest position between them.",
                variants=(_mean_velocity,),
            ),
            Misconception(
                "whole recording",
                _whole_recording,
                "The whole recording is judged: every body fell before it came to rest, so look at the last window_s only.",
                variants=(_ends_of_the_recording,),
            ),
            Misconception(
                "first window",
                _first_window,
                "The window is at the start of the recording: rest is asked for at its end, `position_m[-steps - 1:]`.",
            ),
            Misconception(
                "a step too few",
                _a_step_too_few,
                "The window is a step short: between n + 1 moments lie n steps, so window_s takes round(window_s / dt_s) + 1 moments.",
                variants=(_as_many_moments_as_steps,),
            ),
            Misconception(
                "steps cut off",
                _cut_off,
                "The number of steps was cut off, not rounded: 0.3 / 0.1 is 2.9999999999999996 in floats, and int or // makes 2 of it; use round(window_s / dt_s).",
            ),
            Misconception(
                "a window in steps",
                _sixty_frames,
                "The window has the same number of steps whatever dt_s is: it is given in seconds, so it is window_s / dt_s steps.",
            ),
            Misconception(
                "constants built in",
                _built_in_constants,
                "The window and the tolerance that were passed make no difference: use window_s and tolerance_m, not the numbers of their defaults.",
            ),
            Misconception(
                "too short is rest",
                _short_is_rest,
                "A recording shorter than the window counts as rest: a slice takes what there is; without window_s of evidence the answer is False.",
            ),
            Misconception(
                "NaN is rest",
                _nan_passes,
                "A simulation that blew up counts as rest: every comparison with NaN is False, so ask whether all is `<=` the tolerance, not whether anything is `>`.",
            ),
            Misconception(
                "upside down",
                _upside_down,
                "True and False have changed places: True means that every body is at rest.",
            ),
        ),
        hints=(
            "Rest is not a speed, it is staying: over a stretch of time no body gets away from where it is. Jitter comes back within microns, a slide adds up, and at the apex of a bounce only one moment is still.",
            "position_m (T, N, 3) → the last round(window_s / dt_s) + 1 moments → max − min over time (N, 3) → ≤ tolerance_m (N, 3) bool → all () bool",
            "steps = round(window_s / dt_s)\nif there are not more than `steps` moments: not at rest\nwindow = the last steps + 1 moments\nspread = largest − smallest position over time, for each body and axis\nreturn whether every spread is at most tolerance_m",
        ),
    ),
)
