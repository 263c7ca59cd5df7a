"""Module 4: wrong ways with what is left over behind the last full block, for quant.block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def tail_taken(right: Callable, largest_of_tail: Callable, scale_of_tail: bool, kept: bool) -> Any:
    """Full blocks are right; the tail takes another scale, or none, and may be left at zero."""

    def answer(x, block):
        codes, scales, back = right(x, block)
        full = x.numel() // block * block
        if full == x.numel():
            return codes, scales, back
        flat, step = x.flatten()[full:], largest_of_tail(x.flatten(), full, block)
        levels = torch.round(flat / step).clamp(-127, 127) if kept else torch.zeros_like(flat)
        codes, back = codes.flatten(), back.flatten()
        codes[full:], back[full:] = levels.to(torch.int8), levels * step
        scales = torch.cat([scales[:-1], step.reshape(1)]) if scale_of_tail else scales[:-1]
        return codes.reshape(x.shape), scales, back.reshape(x.shape)

    return answer


def of_the_block_before(flat: Tensor, full: int, block: int) -> Tensor:
    """The step of the last full block."""
    before = flat[max(full - block, 0) : full] if full else flat
    top = before.abs().max() / 127
    return torch.where(top == 0, torch.ones_like(top), top)


def of_all(flat: Tensor, full: int, block: int) -> Tensor:
    """The step of the whole tensor."""
    return flat.abs().max() / 127


def one(flat: Tensor, full: int, block: int) -> Tensor:
    """No scale at all."""
    return torch.ones((), device=flat.device)


def folded(fold: Callable) -> Any:
    """Folded into rows as it is, without padding: it raises where there is a tail."""

    def answer(x, block):
        rows = fold(x, block)
        scales = rows.abs().amax(1, keepdim=True) / 127
        codes = torch.round(rows / scales)
        return codes.reshape(x.shape).to(torch.int8), scales.flatten(), (codes * scales).reshape(x.shape)

    return answer


FOLDS = (
    lambda x, block: x.reshape(-1, block),
    lambda x, block: x.view(-1, block),
    lambda x, block: x.flatten().view(-1, block),
    lambda x, block: x.reshape(x.numel() // block, block),
    lambda x, block: x.flatten().view(x.numel() // block, block),
    lambda x, block: x.flatten().unflatten(0, (-1, block)),
)


def padded(extra: Callable, keep: bool = False, line: Callable = lambda x: x.flatten(), empty: float = 1.0, flat: bool = False) -> Any:
    """Padded by so many zeros. `empty` is the scale of zeros; `keep` leaves them in, `flat` leaves all in one line."""

    def answer(x, block):
        numbers = line(x)
        rows = F.pad(numbers, (0, extra(x.numel(), block))).reshape(-1, block)
        scales = rows.abs().amax(1, keepdim=True) / 127
        scales = torch.where(scales > 0, scales, torch.full_like(scales, empty))
        codes = torch.round(rows / (scales if empty else scales.clamp(min=1e-30)))
        parts: Iterable[Tensor] = (codes.to(torch.int8).flatten(), (codes * scales).flatten())
        if not keep:
            parts = (part[: x.numel()] for part in parts)
        if not (keep or flat):
            parts = (part.reshape(x.shape) for part in parts)
        codes, back = parts
        return codes, scales.flatten(), back

    return answer


def fill(size: int, block: int) -> int:
    """What is missing to a multiple of block."""
    return -size % block


def fill_always(size: int, block: int) -> int:
    """The same, but a whole block where nothing is missing."""
    return block - size % block
