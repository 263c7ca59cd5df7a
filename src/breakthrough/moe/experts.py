"""The experts' SwiGLU networks over rows in expert order, three ways with one answer.

Shapes: T tokens, E experts, k experts a token, d the width, H hidden, P rows in expert order,
        gate_up (E, 2H, d): the gate's H rows, then the up-projection's; down (E, d, H)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from breakthrough.errors import DtypeError, ShapeError, expected
from breakthrough.moe.dispatch import Combine, Gather, Plan, bag, row_weights
from breakthrough.moe.memory import empty

aten = torch.ops.aten

GROUPED_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def _silu_product(hidden: Tensor) -> Tensor:
    gate, up = hidden.chunk(2, dim=-1)
    return F.silu(gate) * up


def dense_experts(x: Tensor, weights: Tensor, plan: Plan, gate_up: Tensor, down: Tensor) -> Tensor:
    """Every expert on every token, then the weighted sum: the plain definition, E/k times the work.

    Shapes: x (T, d), weights (T, k) → (T, d)
    """
    kept = weights * (plan.rows < len(plan.tokens))
    n_experts = len(gate_up)
    experts = torch.arange(n_experts, device=x.device).repeat_interleave(plan.sizes)  # (P,)
    chosen = F.pad(experts, (0, 1))[plan.rows]  # (T, k); dropped ones have weight 0
    full = torch.zeros(len(x), n_experts, dtype=x.dtype, device=x.device)
    full = full.scatter_add(1, chosen, kept)  # (T, E)
    hidden = torch.matmul(x, gate_up.transpose(1, 2))  # (E, T, 2H)
    out = torch.matmul(_silu_product(hidden), down.transpose(1, 2))  # (E, T, d)
    return torch.einsum("etd,te->td", out, full)


def capacity_experts(
    x: Tensor, weights: Tensor, plan: Plan, gate_up: Tensor, down: Tensor
) -> Tensor:
    """Batched matmuls over experts padded to one size; the plan must come from `pad_to_max`.

    Shapes: x (T, d), weights (T, k) → (T, d)
    """
    rows = Gather.apply(x, plan).view(len(gate_up), -1, x.shape[1])  # (E, C, d)
    hidden = torch.bmm(rows, gate_up.transpose(1, 2))  # (E, C, 2H)
    out = torch.bmm(_silu_product(hidden), down.transpose(1, 2))  # (E, C, d)
    return Combine.apply(out.flatten(0, 1), weights, plan)


def grouped_fits(dtype: torch.dtype, down: Tensor) -> bool:
    """Whether torch's grouped matmul takes weights of this dtype and width."""
    return dtype in GROUPED_DTYPES and all(n * dtype.itemsize % 16 == 0 for n in down.shape[1:])


def grouped_experts(
    x: Tensor, weights: Tensor, plan: Plan, gate_up: Tensor, down: Tensor
) -> Tensor:
    """Two grouped matmuls; the sizes stay on the device, so a GPU never waits.

    Shapes: x (T, d), weights (T, k) → (T, d)
    Raises: DtypeError outside float32, bfloat16, float16; ShapeError when d or H does not fill
            whole 16 bytes, which torch's grouped matmul asks for
    """
    if x.dtype not in GROUPED_DTYPES:
        what = "float32, bfloat16 or float16 for dispatch='grouped'"
        raise DtypeError(expected(what, x.dtype, "dispatch='sorted'"))
    if not grouped_fits(x.dtype, down):
        what = f"d and H to be multiples of {16 // x.element_size()} for dispatch='grouped'"
        raise ShapeError(expected(what, tuple(down.shape[1:]), "dispatch='sorted'"))
    rows = Gather.apply(x, plan)
    hidden = F.grouped_mm(rows, gate_up.transpose(1, 2), offs=plan.offsets)  # (P, 2H)
    out = F.grouped_mm(_silu_product(hidden), down.transpose(1, 2), offs=plan.offsets)  # (P, d)
    return Combine.apply(out, weights, plan)


def sorted_experts(x: Tensor, weights: Tensor, plan: Plan, gate_up: Tensor, down: Tensor) -> Tensor:
    """Plain matmuls over each expert's slice of the sorted rows.

    Shapes: x (T, d), weights (T, k) → (T, d)
    """
    return SortedExperts.apply(x, weights, gate_up, down, plan, torch.is_grad_enabled())


class SortedExperts(torch.autograd.Function):
    """One function for gather, experts and combine: no copies of slices, no scatter-add.

    Kept for the backward pass: the hidden pre-activations and the experts' outputs. The input's
    rows and the activations are made again, an expert at a time, while they fit in the cache.
    Without gradients (keep=False) only one expert's hidden rows exist at a time.
    """

    @staticmethod
    def forward(ctx, x, weights, gate_up, down, plan, keep):
        n_rows, width = len(plan.tokens), down.shape[2]
        hidden = empty(n_rows if keep else plan.longest, 2 * width, like=x)
        hidden_parts = plan.split(hidden) if keep else [hidden[:n] for n in plan.lengths]
        out = empty(n_rows + 1, x.shape[1], like=x)
        out[n_rows] = 0  # the row of dropped assignments
        work = empty(plan.longest, width, like=x)
        rows = x.index_select(0, plan.tokens)
        parts = plan.split(rows), hidden_parts, plan.split(out[:n_rows])
        for row, both, y, w_in, w_out in zip(*parts, gate_up, down, strict=True):
            if not len(row):
                continue
            torch.mm(row, w_in.t(), out=both)
            gate, up = both.split(width, 1)
            act = aten.silu(gate, out=work[: len(row)])
            torch.mm(act.mul_(up), w_out.t(), out=y)
        ctx.save_for_backward(x, weights, gate_up, down, hidden, out)
        ctx.plan = plan
        return bag(out, plan.rows, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weights, gate_up, down, hidden, out = ctx.saved_tensors
        plan, n_rows = ctx.plan, len(ctx.plan.tokens)
        grad_rows = grad.index_select(0, plan.tokens)  # (P, d)
        dots = F.pad((grad_rows * out[:n_rows]).sum(-1), (0, 1))  # (P + 1,)
        grad_rows *= row_weights(weights, plan)[:, None]
        grad_x = empty(n_rows + 1, x.shape[1], like=x)
        grad_x[n_rows] = 0
        grads = empty(*gate_up.shape, like=gate_up), empty(*down.shape, like=down)
        rows = x.index_select(0, plan.tokens)
        work = _Work(plan.longest, down.shape[2], like=x)
        parts = (plan.split(t) for t in (rows, hidden, grad_rows, grad_x[:n_rows]))
        for part in zip(*parts, gate_up, down, *grads, strict=True):  # an expert at a time
            work.expert_backward(*part)
        return bag(grad_x, plan.rows), dots[plan.rows], *grads, None, None


class _Work:
    """Buffers for one expert's backward pass, used again by the next."""

    def __init__(self, longest: int, width: int, like: Tensor):
        self.width = width
        self.buffers = [empty(longest, n * width, like=like) for n in (1, 1, 1, 2)]

    def expert_backward(self, row, both, grad_y, grad_row, w_in, w_out, grad_in, grad_out):
        """Fill grad_row (n, d), grad_in (2H, d), grad_out (d, H) from the rest."""
        if not len(row):
            grad_in.zero_()
            grad_out.zero_()
            return
        silu, act, grad_act, grad_both = (buffer[: len(row)] for buffer in self.buffers)
        gate, up = both.split(self.width, 1)
        grad_gate, grad_up = grad_both.split(self.width, 1)
        aten.silu(gate, out=silu)
        torch.mul(silu, up, out=act)
        torch.mm(grad_y.t(), act, out=grad_out)
        torch.mm(grad_y, w_out, out=grad_act)
        torch.mul(grad_act, silu, out=grad_up)
        aten.silu_backward(grad_act.mul_(up), gate, grad_input=grad_gate)
        torch.mm(grad_both.t(), row, out=grad_in)
        torch.mm(grad_both, w_in, out=grad_row)
