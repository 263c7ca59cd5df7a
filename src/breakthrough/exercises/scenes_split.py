"""Module 2: a split that does not leak. Judged by what it does, not by the numbers it draws.

Shapes: N pictures of S scenes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Generator

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.scenes_inputs import numpy_from
from breakthrough.exercises.scenes_split_wrong import MISCONCEPTIONS

Fractions = tuple[float, float, float]
ENOUGH_SCENES = 20  # so many that two seeds practically never agree


def split(scene_ids: np.ndarray, fractions: Fractions, generator: np.random.Generator) -> np.ndarray:
    """Put every scene, with all its pictures, into one of three parts: 0 train, 1 validation, 2 test.

    Why:    pictures of one scene are nearly copies; with some in training and some in the test a net is
            praised for remembering, and the mistake shows only on the real line
    Shapes: scene_ids (N,) the scene of each picture → (N,) int8
    Units:  fractions of the scenes, not of the pictures, sum to 1; every part holds its fraction to within
            one scene. Which scenes is drawn from the generator alone; the order of the rows has no say
    """
    scenes, scene = np.unique(scene_ids, return_inverse=True)  # (S,) sorted, (N,): the rows' order is gone
    ends = np.round(np.cumsum(fractions) * len(scenes))  # rounded where the parts meet: no remainder is left
    part = np.empty(len(scenes), np.int8)
    part[generator.permutation(len(scenes))] = np.searchsorted(ends[:2], np.arange(len(scenes)), side="right")
    return part[scene]


def _with_a_dict(scene_ids, fractions, generator):
    scenes = sorted(set(scene_ids.tolist()))
    generator.shuffle(scenes)
    first, second = round(fractions[0] * len(scenes)), round((fractions[0] + fractions[1]) * len(scenes))
    part = {scene: 0 if i < first else 1 if i < second else 2 for i, scene in enumerate(scenes)}
    return np.array([part[scene] for scene in scene_ids.tolist()], dtype=np.int8)


def _with_isin(scene_ids, fractions, generator):
    scenes = np.unique(scene_ids)
    drawn = scenes[generator.random(len(scenes)).argsort()]
    first = int(fractions[0] * len(scenes))
    second = int((fractions[0] + fractions[1]) * len(scenes))
    parts = np.full(len(scene_ids), 2, dtype=np.int8)
    parts[np.isin(scene_ids, drawn[first:second])] = 1
    parts[np.isin(scene_ids, drawn[:first])] = 0
    return parts


def _by_choice(scene_ids, fractions, generator):
    scenes = np.unique(scene_ids)
    parts = np.zeros(len(scene_ids), np.int8)
    tested = generator.choice(scenes, round(fractions[2] * len(scenes)), replace=False)
    rest = np.setdiff1d(scenes, tested)
    checked = generator.choice(rest, min(round(fractions[1] * len(scenes)), len(rest)), replace=False)
    return parts + np.isin(scene_ids, checked) + 2 * np.isin(scene_ids, tested).astype(np.int8)


# judging


def outcome(answer: Any, case: Case) -> Outcome:
    """How a split does: what it does wrong first, the leak before all else.

    Raises: InputError for what is no split at all
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("scenes.split", split)'))
    scene_ids, fractions, seed = case.args
    given = scene_ids.copy()
    parts = _called(answer, given, fractions, seed)
    if not np.array_equal(given, scene_ids):
        return Outcome("input changed", "scene_ids are no longer as they were")

    def again(rows: np.ndarray = scene_ids, more: int = 0) -> np.ndarray:
        return _called(answer, rows.copy(), fractions, seed + more)

    found = _leak(scene_ids, parts) or _chance(scene_ids, fractions, parts, again)
    found = found or _sizes(scene_ids, fractions, [parts, again(more=1), again(more=2)])
    if not found and parts.dtype != np.int8:
        found = Outcome("another dtype", f"the parts are {parts.dtype}", "int8", str(parts.dtype))
    return found or Outcome()


def _called(answer: Callable, scene_ids: np.ndarray, fractions: Fractions, seed: int) -> np.ndarray:
    parts = answer(scene_ids, fractions, np.random.default_rng(seed))
    if not isinstance(parts, np.ndarray) or parts.shape != scene_ids.shape:
        got = f"one of shape {parts.shape}" if isinstance(parts, np.ndarray) else type_of(parts)
        raise InputError(expected(f"an array with one part for each of {len(scene_ids)} pictures", got))
    if parts.dtype.kind not in "iu" or not np.isin(parts, (0, 1, 2)).all():
        raise InputError(expected("whole numbers 0, 1 and 2", f"{parts.dtype} values like {parts[:3].tolist()}"))
    return parts


def _leak(scene_ids: np.ndarray, parts: np.ndarray) -> Outcome | None:
    scenes = np.unique(scene_ids)
    torn = len(np.unique(np.stack([scene_ids, parts]), axis=1).T) - len(scenes) if len(scenes) else 0
    text = f"scenes that have pictures in several parts: {torn} of {len(scenes)}"
    return Outcome("by picture", text, "0", str(torn)) if torn else None


def _chance(scene_ids: np.ndarray, fractions: Fractions, parts: np.ndarray, again: Callable) -> Outcome | None:
    """Whether the generator, the whole generator and nothing but the generator decides."""
    if not np.array_equal(parts, again()):
        return Outcome("global random", "the same generator gave two different splits")
    scenes, first = np.unique(scene_ids, return_index=True)
    if len(scenes) >= ENOUGH_SCENES and np.array_equal(parts, again(more=1)):
        text = "another generator gave the same split"
        if (np.diff(parts[first].astype(int)) >= 0).all():
            return Outcome("in order", f"{text}, and the parts follow the scenes' numbers")
        some = np.isin(scene_ids, scenes[len(scenes) // 3 :])  # a rule says the same of a scene in any company
        return Outcome("a fixed rule" if np.array_equal(again(scene_ids[some]), parts[some]) else "own seed", text)
    mixer = np.random.default_rng(len(parts))
    rows = mixer.permutation(len(parts))
    moved = int((again(scene_ids[rows]) != parts[rows]).sum())
    text = f"with the rows in another order {moved} of {len(parts)} pictures changed their part"
    return Outcome("order of the rows", text, "0", str(moved)) if moved else None


def _sizes(scene_ids: np.ndarray, fractions: Fractions, splits: list[np.ndarray]) -> Outcome | None:
    worst = [_worst(scene_ids, fractions, parts) for parts in splits]
    if max(worst) <= 1 + 1e-9:
        return None
    counts = [_counts(scene_ids, parts).tolist() for parts in splits]
    want = np.array(fractions) * len(np.unique(scene_ids))
    got = counts[int(np.argmax(worst))]
    largest = np.unique(scene_ids, return_counts=True)[1].max()
    pictures = [np.bincount(parts, minlength=3) - np.array(fractions) * len(scene_ids) for parts in splits]
    if any(other != counts[0] for other in counts):  # of scenes; cut by pictures, they vary too
        fault = "counted in pictures" if all(np.abs(off).max() <= largest for off in pictures) else "scene by scene"
    elif np.abs(np.sort(counts[0]) - np.sort(want)).max() <= 1:
        fault = "parts in another order"
    else:
        fault = "remainders" if max(worst) < 2.5 else "sizes"
    wanted = ", ".join(f"{n:.1f}" for n in want)
    return Outcome(fault, "the parts have other sizes than the fractions say", f"{wanted} scenes, each to within 1", str(got))


def _counts(scene_ids: np.ndarray, parts: np.ndarray) -> np.ndarray:
    _, first = np.unique(scene_ids, return_index=True)
    return np.bincount(parts[first], minlength=3)


def _worst(scene_ids: np.ndarray, fractions: Fractions, parts: np.ndarray) -> float:
    """By how many scenes a part is too large or too small, at the most."""
    counts = _counts(scene_ids, parts)
    return float(np.abs(counts - np.array(fractions) * counts.sum()).max())


def _pictures(rng: np.random.Generator, scenes: int, most: int) -> np.ndarray:
    """Scene numbers in the order of their time, with gaps, 1 to `most` pictures each."""
    numbers = np.cumsum(rng.integers(1, 4, scenes)) + 1000
    return np.repeat(numbers, rng.integers(1, most + 1, scenes))


def _cases(generator: Generator):
    rng = numpy_from(generator)
    seed = int(rng.integers(2**31))
    yield Case("309 scenes, 1 to 12 pictures each", (_pictures(rng, 309, 12), (0.6, 0.3, 0.1), seed))
    ten = np.repeat(np.arange(10), 2)
    yield Case("10 scenes with 2 pictures each: 6, 2 and 2 scenes", (ten, (0.6, 0.2, 0.2), seed))
    yield Case("rows in any order", (rng.permutation(_pictures(rng, 44, 4)), (0.7, 0.15, 0.15), seed))
    yield Case("9 scenes: 5.4, 1.8 and 1.8", (rng.permutation(_pictures(rng, 9, 3)), (0.6, 0.2, 0.2), seed))
    yield Case("no test part", (_pictures(rng, 30, 1), (0.8, 0.2, 0.0), seed))
    yield Case("one scene", (np.full(5, 77), (0.8, 0.1, 0.1), seed))
    yield Case("no pictures", (np.zeros(0, np.int64), (0.8, 0.1, 0.1), seed))


EXERCISES = (
    Exercise(
        name="scenes.split",
        title="A split without leaks",
        points=5,
        minutes=25,
        difficulty=1,
        reference=split,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_with_a_dict, _with_isin, _by_choice),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "What a net must not have seen before the test is the scene, not the picture. So draw lots for scenes, and let every picture follow its scene.",
            "scene_ids (N,) → `np.unique` with return_inverse: scenes (S,) sorted, and the place of each picture's scene (N,) → a permutation of S from the generator → a part for each scene (S,) int8 → indexed by the places: (N,) int8",
            "scenes, place = unique scene ids, and where each picture's scene stands among them\norder = a random order of the scenes, from the generator\nfirst = round(f0 · S), second = round((f0 + f1) · S)\npart of a scene = 0 for the first `first` in order, 1 up to `second`, 2 after that\nreturn the part of each picture's scene, as int8",
        ),
    ),
)
