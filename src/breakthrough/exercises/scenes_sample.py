"""Module 2: drawing a scene's numbers from ranges, with an explicit generator.

The draws of an answer are judged by their statistics and by what repeats (see `scenes_sample_trial`), so that
any order of drawing will do that does not depend on the order of the ranges.
"""

from __future__ import annotations

import math
import secrets

import numpy as np
import torch

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.scenes_chance import is_false
from breakthrough.exercises.scenes_otherwise import sample_by_recursion
from breakthrough.exercises.scenes_sample_trial import Ranges, draw_many


def sample(ranges: Ranges, generator: np.random.Generator) -> dict[str, float | str]:
    """Draw one value for every name, with nothing random but the generator.

    Units:  (low, high): uniform in [low, high), low itself when both are equal; for a name that ends in
            `_factor` uniform in its logarithm; a tuple of strings: one of them, each as likely.
            The same seed gives the same values, in whatever order the names stand
    Raises: ValueError that names the range whose low is above its high
    """
    values = {}
    for name in sorted(ranges):  # one order of drawing, whoever wrote the dict
        choices = ranges[name]
        if isinstance(choices[0], str):
            values[name] = choices[generator.integers(len(choices))]
            continue
        low, high = choices
        if low > high:
            raise ValueError(f"{name}: low {low} is above high {high}")
        if name.endswith("_factor"):
            values[name] = low * (high / low) ** generator.random()
        else:
            values[name] = low + (high - low) * generator.random()
    return values


def _one_block(ranges, generator):
    names = sorted(ranges)
    for name in names:
        if not isinstance(ranges[name][0], str) and ranges[name][0] > ranges[name][1]:
            raise ValueError(f"expected {name} with low ≤ high, got {ranges[name]}")
    drawn = {}
    for name, u in zip(names, generator.random(len(names))):
        bounds = ranges[name]
        if all(isinstance(bound, str) for bound in bounds):
            drawn[name] = bounds[int(u * len(bounds))]
        elif name[-7:] == "_factor":
            drawn[name] = float(np.exp(np.log(bounds[0]) + u * (np.log(bounds[1]) - np.log(bounds[0]))))
        else:
            drawn[name] = (1 - u) * bounds[0] + u * bounds[1]
    return {name: drawn[name] for name in ranges}


def _numpys_own(ranges, generator):
    values = dict.fromkeys(ranges)
    for name, bounds in sorted(ranges.items(), reverse=True):
        if type(bounds[0]) is str:
            values[name] = str(generator.choice(bounds))
        elif bounds[1] < bounds[0]:
            raise ValueError("upside down: " + name)
        elif name.endswith("_factor"):
            values[name] = math.exp(generator.uniform(math.log(bounds[0]), math.log(bounds[1])))
        else:
            values[name] = float(generator.uniform(*bounds))
    return values


def _like_the_reference(between, names=sorted, pick=lambda choices, g: choices[g.integers(len(choices))]):
    """A wrong answer with its own way to draw a number, to order the names or to pick."""

    def answer(ranges, generator):
        for name, bounds in ranges.items():
            if not isinstance(bounds[0], str) and bounds[0] > bounds[1]:
                raise ValueError(f"{name} is upside down")
        one = {
            name: pick(ranges[name], generator) if isinstance(ranges[name][0], str) else between(name, *ranges[name], generator)
            for name in names(ranges)
        }
        return {name: one[name] for name in ranges}

    return answer


def _between(name, low, high, g):
    if name.endswith("_factor"):
        return low * (high / low) ** g.random()
    return low + (high - low) * g.random()


def _bent(draw):
    """Numbers by another law than the uniform one: `draw` gives a number from 0 to 1."""

    def between(name, low, high, g):
        u = float(draw(g))
        return low * (high / low) ** u if name.endswith("_factor") else low + (high - low) * u

    return _like_the_reference(between)


def _pythons_own(ranges, generator):
    return sample(ranges, np.random.default_rng(secrets.randbits(31)))


def _own_generator(ranges, generator):
    return sample(ranges, np.random.default_rng())


def _reseeded(ranges, generator):
    return sample(ranges, np.random.default_rng(0))


def _reseeded_each(ranges, generator):
    return {name: sample({name: ranges[name]}, np.random.default_rng(42))[name] for name in ranges}


def _one_number(ranges, generator):
    u = generator.random()
    return _bent(lambda g: u)(ranges, generator)


def _swapped(ranges, generator):
    return sample({n: b if isinstance(b[0], str) else (min(b), max(b)) for n, b in ranges.items()}, generator)


def _unchecked(ranges, generator):
    values = {}
    for name in sorted(ranges):
        b = ranges[name]
        values[name] = b[generator.integers(len(b))] if isinstance(b[0], str) else _between(name, b[0], b[1], generator)
    return values


def _nameless(ranges, generator):
    try:
        return sample(ranges, generator)
    except ValueError:
        raise ValueError("low > high") from None


def _numpys_message(ranges, generator):
    return _like_the_reference(_between)({n: b for n, b in ranges.items() if isinstance(b[0], str) or b[0] <= b[1]}, generator) | {
        n: generator.uniform(*b) for n, b in ranges.items() if not isinstance(b[0], str) and b[0] > b[1]
    }


def _strict(ranges, generator):
    for name, bounds in ranges.items():
        if not isinstance(bounds[0], str) and bounds[0] >= bounds[1]:
            raise ValueError(f"{name}: low must be below high")
    return sample(ranges, generator)


def _cases(generator: torch.Generator):
    def number(low, high):
        return low + (high - low) * float(torch.rand((), generator=generator))

    def seed():
        return int(torch.randint(2**31, (), generator=generator))

    ranges = {
        "yaw_rad": (-number(0.1, 0.4), number(0.1, 0.4)),
        "material": ("steel", "brass", "paint"),
        "distance_m": (number(0.2, 0.3), number(0.4, 0.6)),
        "power_factor": (number(0.02, 0.1), number(5, 20)),
    }
    height = number(0.1, 0.3)
    fixed = {"height_m": (height, height), "yaw_rad": (0.0, 0.0), "power_factor": (1.0, 1.0)}
    yield Case("four ranges", (ranges, ("distance_m", ranges | {"distance_m": (0.6, 0.2)}), fixed, seed()))
    whole = {"texture": ("none",), "aim_m": (-2, 5), "warmth_factor": (number(0.4, 0.6), number(4, 8)), "tint_factor": (1.0, number(2.7, 2.9))}
    upside_down = whole | {"warmth_factor": (2.0, 0.5)}
    yield Case("one choice, whole numbers", (whole, ("warmth_factor", upside_down), {"aim_m": (3, 3)}, seed()))


EXERCISES = (
    Exercise(
        name="scenes.sample",
        title="A scene from ranges and a generator",
        points=6,
        minutes=35,
        difficulty=2,
        reference=sample,
        cases=_cases,
        call=draw_many,
        alternatives=(_one_block, _numpys_own, sample_by_recursion),
        misconceptions=(
            Misconception(
                "not from the generator",
                _own_generator,
                "Not everything comes from the generator that was given (np.random, random or a new generator): call its own methods, so that a seed repeats the set.",
                variants=(_pythons_own,),
                seen=is_false("the generator decides everything"),
            ),
            Misconception(
                "seeded inside",
                _reseeded,
                "Every call gives the same values, for a generator is made and seeded inside: draw from the one that was given, which goes on from call to call.",
                variants=(_reseeded_each,),
                seen=is_false("the next draw gives other values"),
            ),
            Misconception(
                "normal",
                _bent(lambda g: np.clip(g.normal(0.5, 1 / 6), 0, 1)),
                "Values crowd in the middle of their ranges, as normal draws do: uniform means that every part of a range is as likely.",
                seen=is_false("the middle of a range is no likelier than its ends"),
            ),
            Misconception(
                "only the ends",
                _bent(lambda g: g.integers(2)),
                "Only low and high themselves are drawn: a pair of numbers is a range, so any value between them may come.",
                variants=(_like_the_reference(lambda name, low, high, g: (low, high)[g.integers(2)]),),
                seen=is_false("the middle of a range is no rarer than its ends"),
            ),
            Misconception(
                "order of the dict",
                _like_the_reference(_between, names=list),
                "The names are drawn in the order of the dict, so the same ranges written in another order give other scenes: draw in one order, sorted(ranges).",
                seen=is_false("the order of the ranges makes no difference"),
            ),
            Misconception(
                "low plus high",
                _like_the_reference(lambda name, low, high, g: low + high * g.random()),
                "Values leave their range: a random number in [0, 1) is stretched by the width, so low + (high − low) · u.",
                variants=(_like_the_reference(lambda name, low, high, g: high * g.random()),),
                seen=is_false("every value lies in its range"),
            ),
            Misconception(
                "one number for all",
                _one_number,
                "All names share one random number, so a far camera always has the strongest light: draw anew for every name.",
                seen=is_false("each name has a draw of its own"),
            ),
            Misconception(
                "factor drawn linearly",
                _like_the_reference(lambda name, low, high, g: low + (high - low) * g.random()),
                "A `_factor` is drawn uniformly: between 0.1 and 10 nine draws in ten would be above 1; draw its logarithm uniformly, low · (high / low) ** u.",
                seen=is_false("a factor is uniform in its logarithm"),
            ),
            Misconception(
                "logarithm returned",
                _like_the_reference(
                    lambda name, low, high, g: g.uniform(math.log(low), math.log(high)) if name.endswith("_factor") else g.uniform(low, high)
                ),
                "A `_factor` comes out as its logarithm: take the exponential of the draw.",
                seen=is_false("every factor lies in its range"),
            ),
            Misconception(
                "first choice",
                _like_the_reference(_between, pick=lambda choices, g: choices[0] if g.random() < 0.7 else choices[-1]),
                "The choices are not equally likely: draw an index with generator.integers(len(choices)), whose end is left out.",
                variants=(_like_the_reference(_between, pick=lambda choices, g: choices[0]),),
                seen=is_false("every choice is as likely"),
            ),
            Misconception(
                "upside down accepted",
                _swapped,
                "A range with low above high is drawn from all the same: it is a slip of whoever wrote it, so raise ValueError with its name.",
                variants=(_unchecked,),
                seen=is_false("low above high is a ValueError"),
            ),
            Misconception(
                "nameless error",
                _nameless,
                "The error does not say which range is upside down: put its name into the message, as there are dozens of ranges.",
                variants=(_numpys_message,),
                seen=is_false("the error's message names the range"),
            ),
            Misconception(
                "one value refused",
                _strict,
                "A range whose ends are equal is refused: it holds one value, and that is how a thing is kept fixed; only low > high is wrong.",
                seen=is_false("a range of one value gives that value"),
            ),
        ),
        hints=(
            "A set is its ranges and a seed. Whatever else decides (a global generator, the order of a dict, the clock) makes a set that nobody can make again. So: one generator, handed in; one order of drawing.",
            "ranges: name → (low, high) or strings; sorted(ranges) → names; generator.random() → u in [0, 1); low + (high − low) · u, or low · (high / low) ** u; strings: generator.integers(len) → index",
            'for each name in sorted order:\n    strings: one of them, by a random index\n    low > high: ValueError with the name\n    name ends in "_factor": low · (high / low) ** u\n    otherwise: low + (high − low) · u\nreturn the values by name',
        ),
    ),
)
