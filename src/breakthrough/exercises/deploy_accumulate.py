"""Module 5: codes of weights with which no input can overflow the accumulator.

Shapes: O output channels, K products that are added up for each
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from breakthrough.exercises.deploy_accumulate_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_inputs import CODES, SCALES, coded, looked

GRID = 1009  # odd, so that no w · top / max|w| is halfway between two whole numbers, nor within 1 / 2018 of it


def fit_codes(w: Tensor, low: int, high: int, bits: int) -> tuple[Tensor, Tensor]:
    """Store a layer's weights as whole numbers as large as an accumulator allows whatever the input.

    Why:    an int8 kernel adds up products of codes in a register; a sum that does not fit wraps around (or
            sticks at the end), and a picture that happens to look like the weights gets nonsense for an answer
    Shapes: w (O, K) float32 → codes (O, K) int8, scales (O,), so that codes[o] · scales[o] is w[o], nearly
    Units:  the layer computes Σ over k of x[k] · codes[o, k], where each x[k] may be any whole number from low to high;
            low ≤ 0 < high. The sum has to fit −2^(bits − 1) … 2^(bits − 1) − 1 for every such input;
            its order does not matter, only the whole sum is looked at. Each channel o has a largest code of its own,
            top: the largest whole number from 127 down to 1 with which it fits, where the channel's
            scale is max|w[o]| / top and its codes are w[o] / scale, rounded to the nearest. top = 1 always
            fits, and no w / scale lies halfway between two whole numbers. Of a channel of zeros the codes
            are 0 and the scale is any finite number above 0
    """
    codes, scales = torch.zeros(w.shape, dtype=torch.int8), torch.ones(len(w))
    for o, row in enumerate(w):
        for top in range(127, 0, -1) if row.any() else ():
            scales[o] = row.abs().max() / top
            whole = torch.round(row / scales[o]).long()
            most = torch.maximum(whole * low, whole * high).sum()  # every x[k] at the end that makes its product largest
            least = torch.minimum(whole * low, whole * high).sum()
            codes[o] = whole
            if -(2 ** (bits - 1)) <= least and most <= 2 ** (bits - 1) - 1:
                break
    return codes, scales


def _all_tops_at_once(w, low, high, bits):
    top = torch.arange(1, 128, dtype=torch.float64)  # (127,)
    largest = w.double().abs().amax(1).clamp(min=1e-30)  # (O,)
    whole = (w.double()[:, None] / largest[:, None, None] * top[:, None]).round()  # (O, 127, K)
    above, below = whole.clamp(min=0).sum(2), whole.clamp(max=0).sum(2)  # (O, 127)
    fits = (above * high + below * low < 2.0 ** (bits - 1)) & (above * low + below * high >= -(2.0 ** (bits - 1)))
    best = (fits * top).argmax(1)  # (O,)
    return whole[torch.arange(len(w)), best].to(torch.int8), (largest / top[best]).float()


def _halving(w, low, high, bits):
    """The largest top by bisection: codes grow with it, and so do the sums."""
    limit, codes, scales = 2 ** (bits - 1), [], []
    for row in w.tolist():
        size, inside, beyond = max(map(abs, row)) or 1.0, 0, 128
        while beyond - inside > 1:
            top = (inside + beyond) // 2
            whole = [round(value * top / size) for value in row]
            most = sum(c * (high if c > 0 else low) for c in whole)
            least = sum(c * (low if c > 0 else high) for c in whole)
            inside, beyond = (top, beyond) if -limit <= least and most < limit else (inside, top)
        codes.append([round(value * inside / size) for value in row])
        scales.append(size / inside)
    return torch.tensor(codes, dtype=torch.int8), torch.tensor(scales)


def _against_the_worst_inputs(w, low, high, bits):
    """For every top the inputs that look most like the codes, and least, and the sums that they give."""
    rows = w.double().numpy()
    codes, scales = np.zeros(rows.shape, dtype=np.int8), np.ones(len(rows), dtype=np.float32)

    def fits(whole):
        alike = np.where(whole > 0, high, low)
        return whole @ alike < 1 << (bits - 1) and whole @ (low + high - alike) >= -(1 << (bits - 1))

    for o in np.flatnonzero(np.abs(rows).sum(axis=1)):
        unit = rows[o] / np.abs(rows[o]).max()
        top = next(t for t in range(127, 0, -1) if fits(np.rint(unit * t).astype(np.int64)))
        codes[o], scales[o] = np.rint(unit * top), np.abs(rows[o]).max() / top
    return torch.from_numpy(codes), torch.from_numpy(scales)


def _drawn(generator: Generator, rows: int, size: int, sparse: float = 0.0, lean: float = 0.0) -> Tensor:
    """Weights on an odd grid; `sparse` of a row are small, and signs lean to one side."""
    steps = torch.randint(GRID // 10, GRID, (rows, size), generator=generator).double()
    small = torch.rand(rows, size, generator=generator) < sparse * torch.linspace(0, 1, rows)[:, None]
    steps = torch.where(small, torch.randint(1, GRID // 20, (rows, size), generator=generator).double(), steps)
    steps *= 1.0 - 2.0 * (torch.rand(rows, size, generator=generator, dtype=torch.float64) < 0.5 - lean)
    steps[torch.arange(rows), torch.randint(size, (rows,), generator=generator)] = float(GRID)
    if not lean:
        steps[0] = steps[0].abs() * (-1.0) ** torch.arange(size)  # signs that nearly cancel
        steps[-1] *= -1.0  # the largest is below zero
    scale = 1e-3 * 30 ** torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    return (steps / GRID * scale).float()


def _with_zeros(w: Tensor, row: int) -> Tensor:
    w[row] = 0.0
    return w


def _cases(generator: Generator) -> Iterator[Case]:
    look = looked(CODES, SCALES)
    hand = torch.tensor([[10.0, -10.0], [6.3, 1.3]])
    yield Case("8 bits, inputs −1 … 1, by hand: top is 63, then 105", (hand, -1, 1, 8), look=look)
    yield Case("16 bits, int8 inputs", (_drawn(generator, 6, 24, sparse=0.9), -127, 127, 16), look=look)
    yield Case("16 bits, inputs from 0 on: what a ReLU lets through", (_drawn(generator, 6, 24, sparse=0.5), 0, 255, 16), look=look)
    yield Case("20 bits, mostly positive weights", (_drawn(generator, 5, 90, lean=0.3), -127, 127, 20), look=look)
    yield Case("18 bits, inputs −40 … 90", (_drawn(generator, 5, 50, sparse=0.6), -40, 90, 18), look=look)
    yield Case("8 bits, inputs 0 and 1, by hand: −128 fits and 128 does not, so top is 79, then 80", (torch.tensor([[5.0, 3.0], [-5.0, -3.0]]), 0, 1, 8), look=look)
    yield Case("8 bits, inputs 0 and 1, by hand: −129 does not fit, so top is 79", (torch.tensor([[-23.0, -14.0]]), 0, 1, 8), look=look)
    yield Case("18 bits, inputs from 0 on, mostly negative weights", (-_drawn(generator, 5, 60, lean=0.3), 0, 255, 18), look=look)
    few = torch.tensor([[8.0, 1.0, -1.9], [-6.0, 1.3, 0.5]])
    yield Case("8 bits, int8 inputs, by hand: 127 is all there is room for, so top is 1", (few, -127, 127, 8), look=look)
    yield Case("32 bits: plenty of room", (_drawn(generator, 3, 60), -127, 127, 32), look=look)
    yield Case("a channel of zeros", (_with_zeros(_drawn(generator, 3, 20), 1), -127, 127, 16), look=looked(CODES, SCALES, zeros=(1,)))
    yield Case("the codes' dtype", (_drawn(generator, 2, 20), -127, 127, 16), look=looked(CODES, SCALES, dtypes=True))


EXERCISES = (
    Exercise(
        name="deploy.accumulate",
        title="int8 codes, and an accumulator that does not overflow",
        points=6,
        minutes=35,
        difficulty=2,
        reference=fit_codes,
        cases=_cases,
        compare=coded(),
        alternatives=(_all_tops_at_once, _halving, _against_the_worst_inputs),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Be the attacker: you may choose every input. For a weight above zero you send the largest, for one below zero the smallest; nothing cancels then. If that sum fits, every sum does. And the smaller the codes, the smaller the sum.",
            "row w[o] (K,), top an int → scale = max|row| / top (); codes (K,) as whole numbers wider than int8 while you compute; the largest sum () = Σ max(code · low, code · high), the least () = Σ min(code · low, code · high)",
            "for each channel:\n    for top from 127 down to 1:\n        scale = max|row| / top\n        codes = row / scale, rounded, as int64\n        largest = sum of max(codes · low, codes · high)\n        least = sum of min(codes · low, codes · high)\n        if least ≥ −2^(bits − 1) and largest ≤ 2^(bits − 1) − 1: keep codes and scale; next channel\n(a channel of zeros: codes 0, scale 1)\nreturn codes as int8, scales",
        ),
    ),
)
