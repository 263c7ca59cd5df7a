"""Module 3: what makes a mean of updates private: a limit to each client's say, and noise.

Shapes: K clients
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.federated_otherwise import private_mean_by_renorm
from breakthrough.exercises.scenes_inputs import numpy_from

Update = Mapping[str, np.ndarray]


def private_mean(
    results: list[tuple[Update, int]], limit: float, multiplier: float, normal: Update
) -> dict[str, np.ndarray]:
    """Clip every client's update, average, and add noise that hides any one client.

    Why:    noise hides a client only if it is large against what one client can change; clipping sets that
            bound, for whatever a client sends, and equal weights keep it at limit / K. One factor wrong here
            and the ε that is reported was never true, though the model learns as well as before
    Shapes: K pairs (update, samples); an update is a dict of arrays, normal a dict of the same shapes → such a dict
    Units:  an update whose L2 norm over all its arrays together exceeds limit is scaled down to that norm;
            smaller ones stay as they are. Every client counts the same, whatever its samples. The noise of
            the mean has the standard deviation multiplier · limit / K; `normal` are its draws from N(0, 1)
    """
    mean = {name: np.zeros_like(draws, dtype=float) for name, draws in normal.items()}
    for update, _ in results:
        norm = math.sqrt(sum(float((part**2).sum()) for part in update.values()))
        scale = limit / norm if norm > limit else 1.0
        for name, part in update.items():
            mean[name] += scale * part / len(results)
    std = multiplier * limit / len(results)
    return {name: mean[name] + std * normal[name] for name in mean}


def _flat(results, limit, multiplier, normal):
    rows = np.stack([np.concatenate([update[name].ravel() for name in normal]) for update, _ in results])  # (K, D)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.maximum(1, norms / limit)
    noise = np.concatenate([draws.ravel() for draws in normal.values()])
    flat = (rows.sum(axis=0) + multiplier * limit * noise) / len(rows)  # (D,)
    ends = np.cumsum([draws.size for draws in normal.values()])
    return {name: part.reshape(normal[name].shape) for name, part in zip(normal, np.split(flat, ends[:-1]))}


def _with_an_epsilon(results, limit, multiplier, normal):
    def norm(update):
        return np.sqrt(sum(np.linalg.norm(part) ** 2 for part in update.values()))

    scales = [min(1.0, limit / (norm(update) + 1e-12)) for update, _ in results]
    out = {}
    for name, draws in normal.items():
        clipped = [scale * update[name] for scale, (update, _) in zip(scales, results)]
        out[name] = np.mean(clipped, axis=0) + draws * (limit / len(results)) * multiplier
    return out


def _norm(update):
    return math.sqrt(sum(float((part.astype(float) ** 2).sum()) for part in update.values()))


def _by(size: Callable[[Update], float]) -> Callable[[Update, float], dict]:
    """Clipping by another measure of an update's size."""

    def clip(update, limit):
        scale = limit / size(update) if size(update) > limit else 1.0
        return {name: scale * part for name, part in update.items()}

    return clip


_clip = _by(_norm)


def _each_array(update, limit):
    return {name: _clip({name: part}, limit)[name] for name, part in update.items()}


def _each_number(update, limit):
    return {name: part.clip(-limit, limit) for name, part in update.items()}


def _always(update, limit):
    norm = _norm(update)
    return {name: part * (limit / norm) if norm else part for name, part in update.items()}


def _dropped(update, limit):
    return {name: part * (_norm(update) <= limit) for name, part in update.items()}


def _zero_by_zero(update, limit):
    norm = np.float64(_norm(update))
    return {name: part / norm * min(norm, limit) for name, part in update.items()}


def _divides_by_zero(update, limit):
    scale = min(1.0, limit / _norm(update))
    return {name: scale * part for name, part in update.items()}


def _down_by_the_norm(update, limit):
    norm = _norm(update)
    return {name: part / norm if norm > limit else part for name, part in update.items()}


def _mean(updates, weights=None):
    return {name: np.average([update[name] for update in updates], axis=0, weights=weights) for name in updates[0]}


def _made(clip: Any = _clip, std=lambda limit, multiplier, k: multiplier * limit / k, weigh=False, total=False) -> Any:
    """A wrong answer: the right one but for what is given."""

    def answer(results, limit, multiplier, normal):
        k = len(results)
        mean = _mean([clip(update, limit) for update, _ in results], [n for _, n in results] if weigh else None)
        return {name: part * (k if total else 1) + std(limit, multiplier, k) * normal[name] for name, part in mean.items()}

    return answer


def _by_samples_throughout(results, limit, multiplier, normal):
    samples = [n for _, n in results]
    mean = _mean([_clip(update, limit) for update, _ in results], samples)
    return {name: part + multiplier * limit / sum(samples) * normal[name] for name, part in mean.items()}


def _after_the_mean(results, limit, multiplier, normal):
    clipped = _clip(_mean([update for update, _ in results]), limit)
    return {name: part + multiplier * limit / len(results) * normal[name] for name, part in clipped.items()}


def _after_the_noise(results, limit, multiplier, normal):
    noise = {name: multiplier * limit * draws for name, draws in normal.items()}
    return _mean([_clip({name: update[name] + noise[name] for name in update}, limit) for update, _ in results])


def _mean_clipped_again(results, limit, multiplier, normal):
    noisy = _made()(results, limit, multiplier, normal)
    return _clip(noisy, limit)


def _round(rng: np.random.Generator, norms: list[float], dtype: type = float) -> tuple[list, Update]:
    """Updates of given norms, with samples, and draws for the noise."""
    shapes = {"conv.weight": (3, 2, 2), "conv.bias": (3,), "head.weight": (2, 3)}
    results = []
    for norm in norms:
        update = {name: rng.normal(size=shape) * rng.uniform(0.5, 2) for name, shape in shapes.items()}
        scale = norm / _norm(update)
        results.append(({name: (scale * part).astype(dtype) for name, part in update.items()}, int(rng.integers(10, 500))))
    return results, {name: rng.normal(size=shape) for name, shape in shapes.items()}


def _cases(generator: Generator):
    rng = numpy_from(generator)
    far = {"w": np.array([3.0, 0.0]), "b": np.array([4.0])}
    near = {"w": np.array([0.6, 0.0]), "b": np.array([-0.8])}
    draws = {"w": np.array([1.0, -2.0]), "b": np.array([0.5])}
    yield Case("two clients, by hand", ([(far, 30), (near, 10)], 2.5, 0.4, draws))
    results, normal = _round(rng, [0.3, 4.0, 1.1, 9.0])
    yield Case("four clients, two beyond the limit", (results, 1.5, 0.7, normal))
    yield Case("the same without noise", (results, 1.5, 0.0, normal))
    results, normal = _round(rng, [0.2, 0.5, 0.4])
    yield Case("nobody beyond the limit", (results, 2.0, 1.1, normal))
    results, normal = _round(rng, [6.0])
    yield Case("one client", (results, 0.8, 0.5, normal))
    results, normal = _round(rng, [1.0, 0.0, 5.0], np.float32)
    yield Case("float32, and a client that changed nothing", (results, 1.5, 0.3, normal))


EXERCISES = (
    Exercise(
        name="federated.clip",
        title="Clipping and noise",
        points=6,
        minutes=35,
        difficulty=2,
        reference=private_mean,
        cases=_cases,
        compare=close(rtol=1e-5, atol=1e-7, dtype=False),
        alternatives=(_flat, _with_an_epsilon, private_mean_by_renorm),
        misconceptions=(
            Misconception(
                "each array on its own",
                _made(_each_array),
                "Every array was clipped on its own: with n arrays the whole update can still have a norm of √n times the limit; take one norm over all of them.",
            ),
            Misconception(
                "each number on its own",
                _made(_each_number),
                "Every number was cut at ±limit: with D numbers the norm can still be √D times the limit, and the direction changes; scale the whole update by one factor.",
            ),
            Misconception(
                "scaled up",
                _made(_always),
                "Small updates were scaled up to the limit: clipping only ever makes smaller, so the factor is min(1, limit / norm).",
            ),
            Misconception(
                "dropped",
                _made(_dropped),
                "Updates beyond the limit were thrown away: scale them down to it, so that those clients keep their say.",
            ),
            Misconception(
                "length one",
                _made(_down_by_the_norm),
                "Updates beyond the limit were divided by their norm, which leaves a norm of 1: multiply by the limit as well.",
            ),
            Misconception(
                "zero divided by zero",
                _made(_zero_by_zero),
                "A client that changed nothing has a norm of 0, and dividing by it gives NaN for everybody: divide only where the norm exceeds the limit.",
                variants=(_made(_divides_by_zero),),
            ),
            Misconception(
                "another norm",
                _made(_by(lambda update: _norm(update) ** 2)),
                "That is not the L2 norm: square every number, add them all up, over all arrays, and take the root.",
                variants=(
                    _made(_by(lambda update: sum(float(np.abs(part).sum()) for part in update.values()))),
                    _made(_by(lambda update: max(float(np.abs(part).max()) for part in update.values()))),
                    _made(_by(lambda update: sum(float(np.linalg.norm(part)) for part in update.values()))),
                ),
            ),
            Misconception(
                "weighted by samples",
                _made(weigh=True),
                "The clients were weighted by their samples: a client with most of them changes the mean by more than limit / K, and the noise no longer hides it; count everyone the same.",
                variants=(_by_samples_throughout,),
            ),
            Misconception(
                "clipped after the mean",
                _after_the_mean,
                "The mean was clipped, not the updates: one client with a huge update then decides the whole direction; clip each before they are added.",
            ),
            Misconception(
                "noise before clipping",
                _after_the_noise,
                "The noise was added before the clipping, which cuts it off again: clip, average, then add the noise.",
                variants=(_mean_clipped_again,),
            ),
            Misconception(
                "noise not divided",
                _made(std=lambda limit, multiplier, k: multiplier * limit),
                "The noise is K times too large: multiplier · limit is the noise of the sum, and the mean divides sum and noise by K.",
            ),
            Misconception(
                "noise of every client",
                _made(std=lambda limit, multiplier, k: multiplier * limit / math.sqrt(k)),
                "This noise is √K times too large, as if each client had added the whole of it: added once to the sum and divided by K it is multiplier · limit / K.",
            ),
            Misconception(
                "noise without the limit",
                _made(std=lambda limit, multiplier, k: multiplier / k),
                "The limit is missing in the noise: the multiplier says how large the noise is against what one client can change, and that is the limit.",
                variants=(_made(std=lambda limit, multiplier, k: multiplier),),
            ),
            Misconception(
                "variance for deviation",
                _made(std=lambda limit, multiplier, k: (multiplier * limit / k) ** 2),
                "The draws were multiplied by the variance: N(0, 1) times the standard deviation, not its square, gives noise of that deviation.",
            ),
            Misconception(
                "a sum",
                _made(total=True),
                "This is the sum of the updates with the noise of a mean: divide the sum by K.",
                variants=(_made(total=True, std=lambda limit, multiplier, k: multiplier * limit),),
            ),
            Misconception(
                "no noise",
                _made(std=lambda limit, multiplier, k: 0.0),
                "There is no noise: clipping bounds what a client can change, but only noise hides whether it did.",
            ),
        ),
        hints=(
            "Privacy here is a ratio: how much noise there is against how much one client can move the result. Clipping makes the second a known number, limit / K; the multiplier is the ratio.",
            "each update: arrays → one norm () over all of them → one factor min(1, limit / norm) for all its arrays; sum over the K clients / K, array by array; plus multiplier · limit / K · normal, array by array",
            "for each update:\n    norm = root of the sum of all squares, over all arrays\n    if norm > limit: multiply every array by limit / norm\nmean = sum of the updates / K, for each name\nreturn mean + multiplier · limit / K · normal, for each name",
        ),
    ),
)
