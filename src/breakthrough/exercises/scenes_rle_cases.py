"""Module 2: the masks that run lengths are written of, and how boxes and counts are compared.

Shapes: H × W pixels
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import Difference, close
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.scenes_inputs import numpy_from

_exactly = close(rtol=0, atol=1e-6, parts=("box", "counts"))


def whole_numbers(want: Any, got: Any) -> Difference | None:
    """The box first. Run lengths of another number are wrong values, not another type."""
    found = _exactly(want, got)
    if not found or found.kind != "type" or not found.text.startswith("counts is not"):
        return found
    if isinstance(got[1], (list, tuple, np.ndarray)):
        text = f"there are {len(got[1])} counts, not {len(want[1])}"
        return Difference("shape", text, _begin(want[1]), _begin(got[1]))
    return found


def _begin(counts: Any) -> str:
    text = ", ".join(map(str, list(counts)[:8]))
    return f"[{text}, …]" if len(counts) > 8 else f"[{text}]"


def _blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A tilted ellipse with a hole, off the middle and free of the border."""
    y, x = np.mgrid[:height, :width] + 0.5
    x, y = (x - width * rng.uniform(0.5, 0.6)) / width, (y - height * rng.uniform(0.35, 0.45)) / height
    angle = rng.uniform(0.3, 1.2)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius = np.hypot(u / 0.3, v / 0.18)
    return (radius < 1) & (radius > 0.3)


def masks(generator: Generator) -> Iterator[Case]:
    """Masks with every way to begin, to end and to touch a border; by hand, empty and full."""
    rng = numpy_from(generator)
    small = np.zeros((3, 4), bool)
    small[1:, 1:3] = True
    small[2, 1] = False
    yield Case("3 × 4 pixels, by hand", (small,))
    yield Case("20 × 28 pixels", (_blob(rng, 20, 28),))
    yield Case("touches the top left corner", (np.pad(_blob(rng, 14, 9) | True, ((0, 5), (0, 9))),))
    scattered = rng.random((7, 10)) < 0.4
    scattered[0, 0], scattered[-1, -1] = True, False
    yield Case("scattered, the first pixel is True", (scattered,))
    yield Case("scattered, the last pixel is True", (~scattered,))
    one = np.zeros((6, 5), bool)
    one[rng.integers(1, 5), rng.integers(1, 4)] = True
    yield Case("a single pixel", (one,))
    yield Case("everything", (np.ones((4, 6), bool),))
    yield Case("not contiguous", (np.asfortranarray(_blob(rng, 16, 24))[::-1],))
    yield Case("empty", (np.zeros((5, 7), bool),))
