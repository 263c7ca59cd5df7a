"""Module 4: one step of Adam whose two moments are kept in 8 bits.

Shapes: n weights, b of them a block, 256 levels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_adam8_wrong import MISCONCEPTIONS
from breakthrough.exercises.quant_inputs import Aside, coded

State = dict[str, tuple[Tensor, Tensor]]


def adam8_step(
    w: Tensor, gradient: Tensor, state: State, tables: dict[str, Tensor], step: int, lr: float, block: int
) -> tuple[Tensor, State]:
    """Take one step of Adam whose moments are kept in 8 bits, a largest value for each block.

    Why:    Adam keeps two numbers for every weight, 8 bytes in float32, twice the weights themselves; in 8 bits
            they are 2 bytes, and the net learns as before
    Shapes: w, gradient (n,) float32; state has m and v, each (codes (n,) uint8, largest (⌈n/b⌉,) float32);
            tables has m and v, each 256 levels, ascending, 0 among them → the new w (n,), the new state
    Units:  blocks are `block` numbers in a row, the last may be shorter. Value i = table[codes[i]] · largest of its
            block. m ← 0.9·m + 0.1·gradient; v ← 0.999·v + 0.001·gradient²; w ← w − lr · m̂ / (√v̂ + 1e-8), where
            m̂ = m / (1 − 0.9^step), v̂ = v / (1 − 0.999^step), `step` is 1 for the first. The step is taken with m
            and v before they are coded again: largest = the block's largest |value|, code = the index of the level
            nearest to value / largest. A block of zeros has the largest 0 and the code of level 0. All is new: w
            and state stay as they were
    Source: Dettmers et al. 2021, arXiv:2110.02861
    """

    def decoded(name: str) -> Tensor:  # → (n,)
        codes, largest = state[name]
        return tables[name][codes.long()] * largest.repeat_interleave(block)[: len(codes)]

    def coded(name: str, x: Tensor) -> tuple[Tensor, Tensor]:  # (n,) → (n,) uint8, (⌈n/b⌉,)
        blocks = F.pad(x, (0, -len(x) % block)).reshape(-1, block)  # zeros never are the largest
        largest = blocks.abs().amax(dim=1)
        unit = blocks / torch.where(largest == 0, 1, largest)[:, None]
        codes = (unit[:, :, None] - tables[name]).abs().argmin(dim=2)
        return codes.flatten()[: len(x)].to(torch.uint8), largest

    m = 0.9 * decoded("m") + 0.1 * gradient
    v = 0.999 * decoded("v") + 0.001 * gradient**2
    w = w - lr * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return w, {"m": coded("m", m), "v": coded("v", v)}


def _block_by_block(w, gradient, state, tables, step, lr, block):
    new = torch.empty_like(w)
    out: dict[str, tuple[list[Tensor], list[Tensor]]] = {"m": ([], []), "v": ([], [])}
    for k, start in enumerate(range(0, len(w), block)):
        part = slice(start, start + block)
        moment = {name: tables[name][state[name][0][part].long()] * state[name][1][k] for name in ("m", "v")}
        moment["m"] = moment["m"] + (1 - 0.9) * (gradient[part] - moment["m"])
        moment["v"] = torch.lerp(moment["v"], gradient[part] * gradient[part], 0.001)
        scale = (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
        new[part] = w[part] - lr * scale * moment["m"] / (moment["v"].sqrt() + 1e-8 * (1 - 0.999**step) ** 0.5)
        for name, x in moment.items():
            largest = x.abs().max()
            middles = (tables[name][1:] + tables[name][:-1]) / 2
            out[name][0].append(torch.bucketize(x / largest if largest else x, middles).byte())
            out[name][1].append(largest)
    return new, {name: (torch.cat(codes), torch.stack(largest)) for name, (codes, largest) in out.items()}


def _searched(w, gradient, state, tables, step, lr, block):
    at = torch.arange(len(w), device=w.device) // block

    def code(x, table):
        largest = torch.zeros(int(at[-1]) + 1, device=x.device).index_reduce_(0, at, x.abs(), "amax")
        unit = (x / largest[at]).nan_to_num(0.0)
        right = torch.searchsorted(table, unit).clamp(1, len(table) - 1)
        codes = torch.where(table[right] - unit < unit - table[right - 1], right, right - 1)
        return codes.to(torch.uint8), largest

    m, v = (tables[name][state[name][0].int()] * state[name][1][at] for name in ("m", "v"))
    m, v = m * 0.9 + gradient * 0.1, v * 0.999 + gradient.square() * 0.001
    update = m / (1 - 0.9**step) / (torch.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return torch.add(w, update, alpha=-lr), {"m": code(m, tables["m"]), "v": code(v, tables["v"])}


def _in_numpy(w, gradient, state, tables, step, lr, block):
    """Starts of blocks and `reduceat`, wide in between; `searchsorted` among the middles of levels."""
    n, starts, g = len(w), np.arange(0, len(w), block), gradient.double().cpu().numpy()
    moments, new = [], {}
    for name, beta, seen in (("m", 0.9, g), ("v", 0.999, g * g)):
        table = tables[name].double().cpu().numpy()
        codes, largest = (part.cpu().numpy() for part in state[name])
        x = beta * table[codes] * np.repeat(largest.astype(float), block)[:n] + (1 - beta) * seen
        top = np.maximum.reduceat(np.abs(x), starts)
        unit = x / np.repeat(np.where(top > 0, top, 1), block)[:n]
        found = np.searchsorted((table[:-1] + table[1:]) / 2, unit).astype(np.uint8)
        new[name] = torch.from_numpy(found).to(w.device), torch.from_numpy(top).to(w)
        moments.append(x / (1 - beta**step))
    return w - lr * torch.from_numpy(moments[0] / (np.sqrt(moments[1]) + 1e-8)).to(w), new


def dynamic_levels(signed: bool) -> Tensor:
    """The 256 levels of a dynamic code: seven decades, each with twice as many as the one below. Shapes: → (256,)"""
    levels = [torch.tensor([0.0, 1.0])]
    for i in range(7):
        ends = torch.linspace(0.1, 1, 2 ** (i + (not signed)) + 1)
        levels.append(10.0 ** (i - 6) * (ends[1:] + ends[:-1]) / 2)
        if signed:
            levels.append(-levels[-1])
    return torch.cat(levels).sort().values


def _seen(output: Any, tables: dict[str, Tensor], block: int) -> dict[str, Any] | Aside | None:
    """What an answer gives, its state decoded; a wrong code of zeros says nothing about the rest.

    Raises: InputError for what is no pair of w and a state of codes
    """
    if output is None:
        return None
    if not (isinstance(output, tuple) and len(output) == 2 and isinstance(output[1], dict) and set(output[1]) == {"m", "v"}):
        raise InputError(expected("w and a state with m and v: return w, {…}", type_of(output)))
    seen: dict[str, Any] = {"w": output[0]}
    for name, pair in output[1].items():
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, Tensor) for part in pair)):
            raise InputError(expected(f"(codes, largest) under {name}", type_of(pair)))
        codes, largest = pair
        if codes.dtype != torch.uint8:
            raise InputError(expected(f"the codes of {name} as uint8", codes.dtype, "codes.to(torch.uint8)"))
        if codes.ndim != 1 or largest.shape != (-(-len(codes) // block),):
            got = f"{tuple(codes.shape)} and {tuple(largest.shape)}"
            raise InputError(expected(f"codes (n,) and one largest a block for {name}", got, "dropping what was padded"))
        levels, each = tables[name][codes.long()], largest.repeat_interleave(block)[: len(codes)]
        seen[f"{name}, decoded"] = levels * each
        if (levels[each == 0] != 0).any():
            return Aside(f"a block of zeros in {name}, whose largest is 0, has codes of other levels than 0: mind 0 / 0, which is no number")
        seen[f"the largest of {name}'s blocks"] = largest
    return seen


def _clear(gradient: Tensor, draw: Callable[[int], Tensor], m: Tensor, v: Tensor, tables: dict[str, Tensor], block: int) -> Tensor:
    """The gradient, drawn again where a new moment lies near the middle between two levels. Shapes: → (n,)"""
    for _ in range(50):
        bad = torch.zeros(len(gradient), dtype=torch.bool)
        for name, x in (("m", 0.9 * m + 0.1 * gradient.double()), ("v", 0.999 * v + 0.001 * gradient.double() ** 2)):
            largest = F.pad(x, (0, -len(x) % block)).reshape(-1, block).abs().amax(1).repeat_interleave(block)[: len(x)]
            unit = x / torch.where(largest == 0, 1, largest)
            middles = (tables[name][1:] + tables[name][:-1]).double() / 2
            near = (unit[:, None] - middles).abs().amin(1) < 1e-6 + 2e-5 * unit.abs()
            bad |= near & (x != 0)
        if not bad.any():
            break
        gradient = torch.where(bad, draw(len(gradient)), gradient)
    return gradient


def _cases(generator: Generator) -> Iterator[Case]:
    dynamic = {"m": dynamic_levels(True), "v": dynamic_levels(False)}

    def levels(signed):
        drawn = (0.2 + torch.rand(255, generator=generator)).cumsum(0)
        drawn = torch.cat([torch.zeros(1), drawn / drawn[-1]])
        return torch.cat([-drawn[2::2].flip(0), drawn[:1], drawn[1::2]]) if signed else drawn

    def case(label, n, block, step, lr=0.1, tables=dynamic, fresh=False, zeros=0, slope=1.0):
        def draw(count):
            return torch.randn(count, generator=generator)

        def steep(count):
            return slope * draw(count)

        shape = torch.tensor(10.0) ** torch.randint(-2, 2, (-(-n // block),), generator=generator)  # blocks differ
        state = {}
        for name, size in (("m", shape), ("v", shape**2)):
            codes = torch.randint(256, (n,), generator=generator).to(torch.uint8)
            largest = size * (0.5 + torch.rand(len(size), generator=generator))
            none = int(tables[name].abs().argmin())
            state[name] = (torch.full_like(codes, none), 0 * largest) if fresh else (codes, largest)
            if zeros:
                state[name][0][:zeros] = none
        m, v = ((tables[x][c.long()] * s.repeat_interleave(block)[:n]).double() for x, (c, s) in state.items())
        gradient = _clear(steep(n), steep, m, v, tables, block)
        gradient[:zeros] = 0.0
        return Case(label, (draw(n), gradient, state, tables, step, lr, block), look=partial(_seen, tables=tables, block=block))

    yield case("40 weights, blocks of 16: a tail of 8", 40, 16, 5)
    yield case("the first step: each weight moves by lr", 24, 8, 1, lr=0.01, fresh=True)
    yield case("a block of zeros, no gradient there", 32, 8, 3, zeros=8)
    yield case("other levels", 50, 16, 20, tables={"m": levels(True), "v": levels(False)})
    yield case("one block, longer than the weights", 12, 64, 1000, lr=1.0)
    yield case("300 weights", 300, 64, 2)
    yield case("gradients around 1e-4, as real nets have them", 24, 8, 1, fresh=True, slope=1e-4)  # 1e-8 is their square


EXERCISES = (
    Exercise(
        name="quant.adam8",
        title="Adam's state in 8 bits",
        points=6,
        minutes=40,
        difficulty=3,
        reference=adam8_step,
        cases=_cases,
        compare=coded(rtol=1e-4, atol=1e-7),
        alternatives=(_block_by_block, _searched, _in_numpy),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Between two steps the moments sleep in 8 bits, and wake up for one: decode, do what Adam does in float32, encode. Encoding finds the nearest mark on a ruler of 256 marks that is stretched to the largest number of each block.",
            "codes (n,) → table[codes] (n,) times the largest of each block, repeated and cut to (n,) → m, v (n,) → new w (n,); m (n,) → padded with zeros, (⌈n/b⌉, b) → largest (⌈n/b⌉,) → divided (⌈n/b⌉, b) → distance to each level (⌈n/b⌉, b, 256) → argmin → flattened, cut to (n,), uint8",
            "m = 0.9 · decode(m) + 0.1 · gradient\nv = 0.999 · decode(v) + 0.001 · gradient squared\nw = w − lr · (m / (1 − 0.9^step)) / (√(v / (1 − 0.999^step)) + 1e-8)\nreturn w and, for m with m's table and for v with v's, encode:\n    pad with zeros to whole blocks\n    largest = the largest |value| of each block\n    code = index of the level nearest to value / largest (zeros where largest is 0)\n    cut to n, as uint8",
        ),
    ),
)
