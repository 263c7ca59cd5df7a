"""Module 3: real numbers as whole ones that can be added without overflow.

Shapes: K parties, D entries of an update
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.federated_fixed_wrong import MISCONCEPTIONS
from breakthrough.exercises.scenes_inputs import numpy_from


class Codec:
    """Numbers in ±limit as codes 0 … 2n, of which `parties` can be added in `bits` bits.

    Why:    masks live in whole numbers that wrap. A sum that wraps by itself looks like any other number, so
            an update explodes and no error is raised; and steps coarser than they need be cost accuracy
    Units:  n is the largest whole number for which the sum of any `parties` codes is below 2^bits. The code of
            −limit is 0, that of zero n, that of limit 2n, in even steps; everybody uses the same
    """

    def __init__(self, limit: float, parties: int, bits: int) -> None:
        self.n = (2**bits - 1) // (2 * parties)
        self.step = limit / self.n

    def encode(self, x: np.ndarray) -> np.ndarray:
        """The nearest code of every number; beyond ±limit that of the limit.

        Shapes: x (D,) float → (D,) uint32
        """
        levels = np.rint(x.astype(np.float64) / self.step)  # float32 has not digits enough
        return (np.clip(levels, -self.n, self.n) + self.n).astype(np.uint32)

    def decode(self, total: np.ndarray, count: int) -> np.ndarray:
        """The sum of the numbers of `count` parties, from the sum of their codes.

        Shapes: total (D,) uint32 → (D,) float64
        """
        return (total.astype(np.int64) - count * self.n) * self.step


class _ClippedFirst:
    def __init__(self, limit, parties, bits):
        self.limit, self.most = limit, (2**bits - 1) // parties // 2 * 2

    def encode(self, x):
        inside = np.minimum(np.maximum(np.asarray(x, dtype=float), -self.limit), self.limit)
        return np.floor((inside + self.limit) / (2 * self.limit) * self.most + 0.5).astype("uint32")

    def decode(self, total, count):
        return np.array(total, dtype=float) / self.most * (2 * self.limit) - count * self.limit


class _NumberByNumber:
    def __init__(self, limit, parties, bits):
        self.limit, self.n = limit, 0
        self.n = math.floor((2**bits - 1) / (2 * parties))

    def encode(self, x):
        return np.array([self._code(float(value)) for value in x], dtype=np.uint32)

    def _code(self, value):
        value = max(-self.limit, min(self.limit, value))
        return self.n + round(value * self.n / self.limit)

    def decode(self, total, count):
        return np.array([(int(code) - count * self.n) * self.limit / self.n for code in total])


class _InTorch:
    def __init__(self, limit, parties, bits):
        self.limit, self.half = limit, ((1 << bits) - 1) // parties >> 1

    def encode(self, x):
        codes = torch.as_tensor(x, dtype=torch.float64).mul(self.half / self.limit).round() + self.half
        return codes.clamp(0, 2 * self.half).long().numpy().astype(np.uint32)

    def decode(self, total, count):
        return self.limit * (total / self.half - count)


def _sum(answer: Any, case: Case) -> Any:
    """Everybody's codes, their sum as the server has it, and what is decoded from that.

    Raises: InputError for an answer that is no class with both methods, or codes that are no whole numbers
    """
    if not callable(answer):
        raise InputError(expected("the class itself", type_of(answer), "passing it without calling it"))
    limit, parties, bits, updates = case.args
    codec = answer(limit, parties, bits)
    if codec is None or not all(hasattr(codec, name) for name in ("encode", "decode")):
        raise InputError(expected("a class with the methods encode and decode", type_of(codec)))
    before = [x.copy() for x in updates]
    codes = [codec.encode(x) for x in updates]
    if any(code is None for code in codes):
        return None
    for code, x in zip(codes, updates):
        if not isinstance(code, np.ndarray) or code.shape != x.shape or code.dtype.kind not in "iu":
            got = f"{code.dtype} {code.shape}" if isinstance(code, np.ndarray) else type_of(code)
            raise InputError(expected(f"codes as uint32 {x.shape} from encode", got))
    # the sum is taken as masks leave it: modulo 2^bits
    total = (np.sum([code.astype(np.int64) for code in codes], axis=0) % 2**bits).astype(np.uint32)
    return {
        "decoded sum": codec.decode(total, len(updates)),
        "codes": codes,
        "the updates are left as they were": all(map(np.array_equal, before, updates)),
    }


def _drawn(rng: np.random.Generator, limit: float, parties: int, bits: int, count: int, size: int = 8) -> list[np.ndarray]:
    """Updates whose numbers lie clearly nearer to one code than to the next; some lie beyond the limit."""
    n = (2**bits - 1) // (2 * parties)
    levels = rng.integers(-n, n + 1, (count, size)) + rng.uniform(-0.4, 0.4, (count, size))
    levels[:, 0] = rng.uniform(-0.4, 0.4, count)
    levels[0, 1], levels[-1, 2] = 1.7 * n, -2.6 * n
    return list(levels * (limit / n))


def _cases(generator: Generator):
    rng = numpy_from(generator)
    limit = float(rng.uniform(0.1, 4))
    by_hand = [np.array([0.0, 0.12, -6.28, 9.0]), np.array([0.09, 0.28, 0.52, -0.17])]
    yield Case("two parties, 8 bits, by hand", (6.3, 2, 8, by_hand))
    yield Case("ten parties, 32 bits", (limit, 10, 32, _drawn(rng, limit, 10, 32, 10)))
    yield Case("five parties, three of them came", (limit, 5, 16, _drawn(rng, limit, 5, 16, 3)))
    ends = [limit * np.array([1.001, -1.001, 2, -3])] * 4
    yield Case("four parties, 8 bits, everyone at the limit", (limit, 4, 8, ends))
    small = limit / 1000
    singles = [x.astype(np.float32) for x in _drawn(rng, small, 3, 16, 3)]
    yield Case("float32, 16 bits", (small, 3, 16, singles))
    # float32 numbers whose codes in 32 bits are exact in float64 only
    exact = [(rng.integers(-50, 51, 6) / 128).astype(np.float32) for _ in range(2)]
    yield Case("float32, 32 bits", (1.0, 2, 32, exact))
    yield Case("one party, 32 bits", (limit, 1, 32, _drawn(rng, limit, 1, 32, 1)))


EXERCISES = (
    Exercise(
        name="federated.fixed",
        title="Fixed point without overflow",
        points=6,
        minutes=35,
        difficulty=2,
        reference=Codec,
        cases=_cases,
        compare=close(rtol=0, atol=1e-7),  # codes are whole numbers: they have to be equal
        call=_sum,
        alternatives=(_ClippedFirst, _NumberByNumber, _InTorch),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Think of a ruler with 2n + 1 marks from −limit to limit. Everyone reports the nearest mark, counted from the left end. Added up, the counts must fit: with everyone at the right end they are parties · 2n. Going back, each report was counted from the left end, n marks too far.",
            "n = (2^bits − 1) // (2 · parties), step = limit / n; encode: x (D,) float → float64, x / step → nearest whole number → clipped to ±n → plus n → uint32; decode: total (D,) uint32 → int64, minus count · n → times step (D,) float64",
            "encode: levels = x as float64 / step, rounded to the nearest\n        levels held within −n and n\n        return levels + n, as uint32\ndecode: levels = total as int64 − count · n\n        return levels · step",
        ),
    ),
)
