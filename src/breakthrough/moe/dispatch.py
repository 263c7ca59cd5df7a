"""From a choice of experts to rows in expert order, and back.

Shapes: T tokens, E experts, k experts a token, d the width,
        P rows: every kept assignment once, in expert order, and padding rows
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Plan:
    """Where every assignment goes. Rows of one expert are neighbours, tokens in their order.

    Shapes: tokens (P,) the token a row reads; slots (P,) its assignment t·k + j;
            valid (P,) false for padding rows, or None when there are none;
            rows (T, k) the row of an assignment, P when it was dropped;
            sizes (E,) rows per expert, padding included; load (E,) assignments kept; dropped ()
    """

    tokens: Tensor
    slots: Tensor
    valid: Tensor | None
    rows: Tensor
    sizes: Tensor
    load: Tensor
    dropped: Tensor

    @cached_property
    def lengths(self) -> list[int]:
        """`sizes` as numbers. Waits for the device."""
        return self.sizes.tolist()

    @property
    def longest(self) -> int:
        """The most rows of any expert."""
        return max(self.lengths)

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Views of each expert's rows.

        Shapes: rows (P, …) → E times (rows of the expert, …)
        """
        return rows.split(self.lengths)

    @cached_property
    def offsets(self) -> Tensor:
        """End row of every expert, int32, on the device: what grouped matmuls want."""
        return self.sizes.cumsum(0).to(torch.int32)


def make_plan(
    experts: Tensor,
    n_experts: int,
    capacity: int | None = None,
    pad: int = 1,
    pad_to_max: bool = False,
) -> Plan:
    """Sort assignments by expert, drop those over capacity, pad each expert's rows.

    An expert over capacity keeps its first assignments in token order: later tokens are dropped.
    Rows are padded to a multiple of `pad`, or with `pad_to_max` to one size for every expert
    (the capacity, or the highest load without one).

    Shapes: experts (T, k) → Plan
    """
    k = experts.shape[1]
    flat = experts.flatten()
    order = torch.argsort(flat, stable=True)  # (T·k,) expert by expert, token order inside
    # not bincount, which waits for the device
    counts = flat.new_zeros(n_experts).scatter_add_(0, flat, torch.ones_like(flat))
    load = counts if capacity is None else counts.clamp_max(capacity)
    sizes = _sizes(load, capacity, pad, pad_to_max)
    if sizes is counts:  # nothing dropped, nothing padded: no sizes needed on the host
        n_rows, slots, valid = flat.numel(), order, None
    else:
        n_rows = int(sizes.sum())
        slots, valid = _pick(order, counts, load, sizes, n_rows)
    rows = torch.full_like(flat, n_rows)
    position = torch.arange(n_rows, device=flat.device)
    if valid is None:
        rows[slots] = position
    else:
        rows[slots[valid]] = position[valid]
    tokens = slots if k == 1 else slots // k
    dropped = (counts - load).sum()
    return Plan(tokens, slots, valid, rows.view_as(experts), sizes, load, dropped)


def _sizes(load: Tensor, capacity: int | None, pad: int, pad_to_max: bool) -> Tensor:
    if pad_to_max:
        size = load.max() if capacity is None else load.new_tensor(capacity)
        return size.expand_as(load)
    return load if pad == 1 else (load + pad - 1) // pad * pad


def _pick(
    order: Tensor, counts: Tensor, load: Tensor, sizes: Tensor, n_rows: int
) -> tuple[Tensor, Tensor]:
    """The assignment of every row. Padding repeats a real one, so that it holds finite numbers."""
    if not len(order):
        return order.new_zeros(n_rows), torch.zeros(n_rows, dtype=torch.bool, device=order.device)
    experts = torch.arange(len(counts), device=order.device)
    expert = torch.repeat_interleave(experts, sizes, output_size=n_rows)  # (P,)
    rank = torch.arange(n_rows, device=order.device) - (sizes.cumsum(0) - sizes)[expert]
    valid = rank < load[expert]
    rank = torch.minimum(rank, (load[expert] - 1).clamp_min(0))
    source = (counts.cumsum(0) - counts)[expert] + rank
    return order[source.clamp_max(len(order) - 1)], valid


def bag(rows: Tensor, index: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted sums of k rows each; index P means no row. One fused pass, no scatter-add.

    Shapes: rows (P + 1, d) whose last row is zero, index (T, k), weights (T, k) → (T, d)
    """
    if index.shape[1] == 1 and weights is None:
        return rows.index_select(0, index[:, 0])
    return F.embedding_bag(index, rows, mode="sum", per_sample_weights=weights)


def row_weights(weights: Tensor, plan: Plan) -> Tensor:
    """The weight of every row, 0 for padding.

    Shapes: weights (T, k) → (P,)
    """
    picked = weights.flatten()[plan.slots]
    return picked if plan.valid is None else picked * plan.valid


def _with_zero_row(rows: Tensor) -> Tensor:
    return F.pad(rows, (0, 0, 0, 1))


class Gather(torch.autograd.Function):
    """Rows in expert order from tokens; backwards a gather too, because the plan knows both ways.

    Shapes: x (T, d) → (P, d)
    """

    @staticmethod
    def forward(ctx, x: Tensor, plan: Plan) -> Tensor:
        ctx.plan = plan
        return x.index_select(0, plan.tokens)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return bag(_with_zero_row(grad), ctx.plan.rows), None


class Combine(torch.autograd.Function):
    """Tokens from rows in expert order: the weighted sum of a token's k rows.

    Shapes: rows (P, d), weights (T, k) → (T, d)
    """

    @staticmethod
    def forward(ctx, rows: Tensor, weights: Tensor, plan: Plan) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.plan = plan
        return bag(_with_zero_row(rows), plan.rows, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        rows, weights = ctx.saved_tensors
        plan = ctx.plan
        grad_rows = grad.index_select(0, plan.tokens)  # (P, d)
        dots = F.pad((grad_rows * rows).sum(-1), (0, 1))  # (P + 1,)
        grad_rows *= row_weights(weights, plan)[:, None]
        return grad_rows, dots[plan.rows], None
