"""Module 4: wrong steps of Adam on 8-bit state, for quant.adam8.

Shapes: n weights, b of them a block, 256 levels
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from breakthrough.exercises.exercise import Misconception


def _decode(codes, largest, table, block):
    return table[codes.long()] * largest.repeat_interleave(block)[: len(codes)]


def _largest(x, block):
    return F.pad(x, (0, -len(x) % block)).reshape(-1, block).abs().amax(dim=1)


def _nearest(unit, table):
    return (unit[:, None] - table).abs().argmin(dim=1)


def _encode(x, table, block, before, nearest=_nearest, largest=_largest):
    found = largest(x, block)
    each = found.repeat_interleave(block)[: len(x)]
    return nearest(x / torch.where(each == 0, 1, each), table).clamp(0, 255).to(torch.uint8), found


def _move(w, m, v, step, lr):
    return w - lr * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)


def _moments(m, v, gradient, step):
    return 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2


def _wrong(
    decode: Callable[..., Any] = _decode, encode: Callable[..., Any] = _encode, move: Callable[..., Any] = _move,
    moments: Callable[..., Any] = _moments, table_of: Callable[[str], str] = lambda name: name,
    keep: Callable[..., Any] = lambda m, v, step: (m, v), rounded_first: bool = False, before: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """A step that differs in what is given."""

    def answer(w, gradient, state, tables, step, lr, block):
        old = [decode(*state[name], tables[name], block) for name in ("m", "v")]
        m, v = moments(*old, gradient, step)
        stored = dict(zip(("m", "v"), keep(m, v, step)))
        new = {name: encode(x, tables[table_of(name)], block, state[name]) for name, x in stored.items()}
        if rounded_first:
            m, v = (_decode(codes, scales, tables[name], block) for name, (codes, scales) in new.items())
        return move(w, *(old if before else (m, v)), step, lr), new

    return answer


def _one_scale(x, block):
    return x.abs().max().expand(-(-len(x) // block)).clone()


def _mean_scale(x, block):
    return F.pad(x, (0, -len(x) % block)).reshape(-1, block).abs().mean(dim=1)


def _signed_scale(x, block):
    return F.pad(x, (0, -len(x) % block)).reshape(-1, block).amax(dim=1)


def _encoded(**kwargs):
    return _wrong(encode=lambda x, table, block, before: _encode(x, table, block, before, **kwargs))


def _below(unit, table):
    return torch.searchsorted(table, unit, right=True) - 1


def _above(unit, table):
    return torch.searchsorted(table, unit)


def _even_steps(unit, table):
    low, high = table.min(), table.max()
    return ((unit - low) / (high - low) * 255).round()


def _old_scale(x, table, block, before):
    largest = before[1]
    each = largest.repeat_interleave(block)[: len(x)]
    return _nearest(x / torch.where(each == 0, 1, each), table).to(torch.uint8), largest


def _in_place(w, gradient, state, tables, step, lr, block):
    new, state_after = _wrong()(w, gradient, state, tables, step, lr, block)
    w.copy_(new)
    for name in state:
        state[name][0].copy_(state_after[name][0]), state[name][1].copy_(state_after[name][1])
    return w, state


def _moments_corrected(m, v, gradient, step):
    m, v = _moments(m, v, gradient, step)
    return _corrected(m, v, step)


def _corrected(m, v, step):
    return m / (1 - 0.9**step), v / (1 - 0.999**step)


MISCONCEPTIONS = (
    Misconception(
        "moves with the rounded moments",
        _wrong(rounded_first=True),
        "The step was taken with moments that were rounded to 8 bits already: move w first, with the exact ones; rounding is only for storing them.",
    ),
    Misconception(
        "moves with the old moments",
        _wrong(before=True),
        "The step was taken with the moments as they were stored: mix in this gradient first.",
    ),
    Misconception(
        "without correction",
        _wrong(move=lambda w, m, v, step, lr: w - lr * m / (v.sqrt() + 1e-8)),
        "m and v begin at 0 and are too small in the first steps: divide them by 1 − 0.9^step and 1 − 0.999^step.",
        variants=(
            _wrong(move=lambda w, m, v, step, lr: w - lr * m / (1 - 0.9**step) / (v.sqrt() + 1e-8)),
            _wrong(move=lambda w, m, v, step, lr: w - lr * m / ((v / (1 - 0.999**step)).sqrt() + 1e-8)),
        ),
    ),
    Misconception(
        "a step too many",
        _wrong(move=lambda w, m, v, step, lr: _move(w, m, v, step + 1, lr)),
        "The correction counts a wrong number of steps: `step` is 1 for the first already, the powers are 0.9^step and 0.999^step.",
        variants=(_wrong(move=lambda w, m, v, step, lr: _move(w, m, v, step - 1, lr)),),
    ),
    Misconception(
        "corrected moments stored",
        _wrong(keep=_corrected),
        "m̂ and v̂ were stored: they are for this step alone; what is kept is m and v, without the correction.",
        variants=(
            _wrong(
                moments=_moments_corrected,
                move=lambda w, m, v, step, lr: w - lr * m / (v.sqrt() + 1e-8),
            ),
        ),
    ),
    Misconception(
        "gradient not squared",
        _wrong(moments=lambda m, v, gradient, step: (0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient.abs())),
        "v is a mean of squared gradients: square the gradient.",
        variants=(_wrong(moments=lambda m, v, gradient, step: (0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient)),),
    ),
    Misconception(
        "the root forgotten",
        _wrong(move=lambda w, m, v, step, lr: w - lr * (m / (1 - 0.9**step)) / (v / (1 - 0.999**step) + 1e-8)),
        "m̂ was divided by v̂ itself: take its square root, so that the units cancel.",
    ),
    Misconception(
        "the epsilon under the root",
        _wrong(move=lambda w, m, v, step, lr: w - lr * (m / (1 - 0.9**step)) / (v / (1 - 0.999**step) + 1e-8).sqrt()),
        "1e-8 was added to v̂ under the root: there it is as large as the square of a gradient of 1e-4, and such weights hardly move; add it to √v̂.",
    ),
    Misconception(
        "without the epsilon",
        _wrong(move=lambda w, m, v, step, lr: w - lr * (m / (1 - 0.9**step)) / (v / (1 - 0.999**step)).sqrt()),
        "Where no gradient ever came, m and v are 0, and 0 / 0 is no number: that is what the 1e-8 beside √v̂ is for.",
    ),
    Misconception(
        "the wrong way",
        _wrong(move=lambda w, m, v, step, lr: _move(w, m, v, step, -lr)),
        "The step was added: go down, w − lr · m̂ / (√v̂ + 1e-8).",
    ),
    Misconception(
        "codes taken for values",
        _wrong(decode=lambda codes, largest, table, block: codes.float()),
        "The codes were used as numbers: a code is a place in the table, table[codes.long()], and that times the largest of the block.",
        variants=(_wrong(decode=lambda codes, largest, table, block: codes.float() * largest.repeat_interleave(block)[: len(codes)]),),
    ),
    Misconception(
        "levels without their scale",
        _wrong(decode=lambda codes, largest, table, block: table[codes.long()]),
        "The levels were used as they stand in the table, within ±1: multiply them by the largest of their block.",
    ),
    Misconception(
        "one scale for all",
        _encoded(largest=_one_scale),
        "One largest value served all blocks, so that blocks of small numbers lose their levels: take it over each block of `block` numbers.",
    ),
    Misconception(
        "the old scale",
        _wrong(encode=_old_scale),
        "The new moments were coded with the largest values of the old ones: measure each block anew before it is coded.",
    ),
    Misconception(
        "another scale",
        _encoded(largest=_signed_scale),
        "A block's scale is its largest |value|: not the largest value, for m has negative ones, and not the mean.",
        variants=(_encoded(largest=_mean_scale),),
    ),
    Misconception(
        "the level below",
        _encoded(nearest=_below),
        "searchsorted finds the next level below or above, not the nearest: compare the distances to both neighbours.",
        variants=(_encoded(nearest=_above),),
    ),
    Misconception(
        "even steps",
        _encoded(nearest=_even_steps),
        "The code was computed as if the levels had even steps: look for the nearest one in the table.",
        variants=(_encoded(nearest=lambda unit, table: (unit * 127 + 128).round()), _encoded(nearest=lambda unit, table: (unit * 255).round().abs())),
    ),
    Misconception(
        "not scaled before coding",
        _wrong(encode=lambda x, table, block, before: (_nearest(x, table).to(torch.uint8), _largest(x, block))),
        "The moments were coded as they are: divide each by the largest |value| of its block first.",
    ),
    Misconception(
        "the signed table for v",
        _wrong(table_of=lambda name: "m"),
        "v was coded with m's table: v is never negative, so half of those levels are wasted; and it is decoded with its own.",
        variants=(_wrong(table_of=lambda name: "v"),),
    ),
    Misconception(
        "in place",
        _in_place,
        "w or the state that came in was changed: here the step gives a new w and a new state (no in-place methods).",
    ),
)
