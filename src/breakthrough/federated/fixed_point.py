"""Real numbers as whole ones, so that they can be masked: the sum of all parties' codes never wraps.

Shape legend: D entries of an update.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError, expected, type_of

ROUNDING = 0.5 + 2**-20  # of a step: to the nearest code, and what float64 loses on the way there and back
LEAST_LIMIT = 1e-100  # far from where float64 has no numbers left


@dataclass(frozen=True)
class Codec:
    """Numbers in ±limit as codes 0…2·levels of which `parties` can be added in `bits` bits.

    Units:  levels = ⌊(2^bits − 1) / (2 · parties)⌋; a step is limit / levels
    Raises: ConfigError for a limit beyond 1e-100…1e100, no parties, bits beyond 8…32, or no level left
    Source: 31 of 32 bits by default: a total that was unmasked wrongly is uniform over 32 bits, so that
            half of its entries lie outside what codes can add up to, and `decode` refuses it
    """

    limit: float
    parties: int
    bits: int = 31

    def __post_init__(self) -> None:
        if not LEAST_LIMIT <= self.limit <= 1 / LEAST_LIMIT:
            raise ConfigError(expected(f"a limit between {LEAST_LIMIT} and {1 / LEAST_LIMIT}", self.limit))
        if self.parties < 1:
            raise ConfigError(expected("at least 1 party", self.parties))
        if not 8 <= self.bits <= 32:
            raise ConfigError(expected("8 to 32 bits", self.bits))
        if self.levels < 1:
            most = (2**self.bits - 1) // 2
            raise ConfigError(expected(f"at most {most} parties for {self.bits} bits", self.parties, "more bits"))

    @cached_property
    def levels(self) -> int:
        """How many codes lie on each side of zero."""
        return (2**self.bits - 1) // (2 * self.parties)

    @property
    def step(self) -> float:
        """The distance of two neighbouring codes, in the unit of the numbers."""
        return self.limit / self.levels

    def encode(self, x: np.ndarray) -> np.ndarray:
        """The nearest code of every number; what lies beyond ±limit is clipped.

        Shapes: x (D,) float → (D,) uint32
        Raises: ShapeError, DtypeError; InputError for NaN or an infinity
        """
        scaled = np.array(_vector(x), np.float64)  # (D,) float64 first: ±limit may be no float32
        np.clip(scaled, -self.limit, self.limit, out=scaled)
        scaled /= self.step
        np.rint(scaled, out=scaled)
        scaled += self.levels
        return scaled.astype(np.uint32)

    def decode(self, total: np.ndarray, count: int) -> np.ndarray:
        """The sum of numbers from the sum of their codes.

        Shapes: total (D,) uint32 → (D,) float64
        Raises: ShapeError, DtypeError; InputError when `total` cannot be the sum of `count` codes
        """
        self._check_count(count)
        if not (isinstance(total, np.ndarray) and total.dtype == np.uint32):
            raise DtypeError(expected("a total as uint32", getattr(total, "dtype", type_of(total))))
        if total.ndim != 1:
            raise ShapeError(expected("a total (D,)", total.shape))
        most = 2 * self.levels * count
        if total.size and (high := int(total.max())) > most:
            raise InputError(expected(f"sums of {count} codes, at most {most}", high, "the masked vectors of one round, all of the roster's"))
        return (total.astype(np.int64) - count * self.levels) * self.step

    def error(self, count: int) -> float:
        """The most by which an entry of the decoded sum differs from the true one, if nothing was clipped.

        Units: half a step a party, and a 2^20th part of a step for float64's own rounding
        """
        self._check_count(count)
        return count * self.step * ROUNDING

    def clipped(self, x: np.ndarray) -> float:
        """The share of numbers that lie beyond ±limit, 0 to 1.

        Shapes: x (D,)
        Raises: ShapeError, DtypeError; InputError for NaN or an infinity
        """
        x = _vector(x).astype(np.float64)
        return float(np.mean(np.abs(x) > self.limit)) if x.size else 0.0

    def _check_count(self, count: int) -> None:
        if not 1 <= count <= self.parties:
            raise InputError(expected(f"1 to {self.parties} codes in a sum", count))


def _vector(x: np.ndarray) -> np.ndarray:
    if not (isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating)):
        raise DtypeError(expected("an array of floats", getattr(x, "dtype", type_of(x))))
    if x.ndim != 1:
        raise ShapeError(expected("an update (D,)", x.shape, "np.concatenate of the raveled arrays"))
    if not (finite := np.isfinite(x)).all():
        first = int(np.argmin(finite))
        raise InputError(expected("finite numbers", f"{x[first]} at index {first}"))
    return x
