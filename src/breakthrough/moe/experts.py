"""The experts' SwiGLU networks over rows in expert order, three ways with one answer.

Shapes: T tokens, E experts, k experts a token, d the width, H hidden, P rows in expert order,
        gate_up (E, 2H, d): the gate's H rows, then the up-projection's; down (E, d, H)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from breakthrough.errors import DtypeError, expected
from breakthrough.moe.dispatch import Combine, Gather, Plan, bag, row_weights

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


def grouped_experts(x: Tensor, weights: Tensor, plan: Plan, gate_up: Tensor, down: Tensor) -> Tensor:
    """Two grouped matmuls; the sizes stay on the device, so a GPU never waits.

    Shapes: x (T, d), weights (T, k) → (T, d)
    Raises: DtypeError outside float32, bfloat16, float16
    """
    if x.dtype not in GROUPED_DTYPES:
        what = "float32, bfloat16 or float16 for dispatch='grouped'"
        raise DtypeError(expected(what, x.dtype, "dispatch='sorted'"))
    rows = Gather.apply(x, plan)
    hidden = F.grouped_mm(rows, gate_up.transpose(1, 2), offs=plan.offsets)  # (P, 2H)
    out = F.grouped_mm(_silu_product(hidden), down.transpose(1, 2), offs=plan.offsets)  # (P, d)
    return Combine.apply(out, weights, plan)


def sorted_experts(x: Tensor, weights: Tensor, plan: Plan, gate_up: Tensor, down: Tensor) -> Tensor:
    """Plain matmuls over each expert's slice of the sorted rows.

    Shapes: x (T, d), weights (T, k) → (T, d)
    """
    return SortedExperts.apply(x, weights, gate_up, down, plan)


class SortedExperts(torch.autograd.Function):
    """One function for gather, experts and combine: no copies of slices, no scatter-add.

    Kept for the backward pass: the hidden pre-activations and the experts' outputs; the input's
    rows and the activations are made again, an expert at a time, while they fit in the cache.
    """

    @staticmethod
    def forward(ctx, x, weights, gate_up, down, plan):
        width, rows = gate_up.shape[1], len(plan.tokens)
        hidden = x.new_empty(rows, width)
        out = x.new_empty(rows + 1, x.shape[1])
        out[rows] = 0
        for e, start, end in plan.segments:
            part = hidden[start:end]
            torch.mm(x.index_select(0, plan.tokens[start:end]), gate_up[e].t(), out=part)
            gate, up = part.chunk(2, dim=1)
            torch.mm(F.silu(gate).mul_(up), down[e].t(), out=out[start:end])
        ctx.save_for_backward(x, weights, gate_up, down, hidden, out)
        ctx.plan = plan
        return bag(out, plan.rows, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weights, gate_up, down, hidden, out = ctx.saved_tensors
        plan, rows = ctx.plan, len(ctx.plan.tokens)
        scale = row_weights(weights, plan)[:, None]  # (P, 1)
        dots = x.new_zeros(rows + 1)
        grad_rows = x.new_empty(rows + 1, x.shape[1])
        grad_rows[rows] = 0
        grad_gate_up, grad_down = torch.empty_like(gate_up), torch.empty_like(down)
        busy = {e for e, _, _ in plan.segments}
        for e in set(range(len(gate_up))) - busy:
            grad_gate_up[e] = 0
            grad_down[e] = 0
        for e, start, end in plan.segments:
            tokens = plan.tokens[start:end]
            grad_out = grad.index_select(0, tokens)  # (n, d)
            torch.sum(grad_out * out[start:end], -1, out=dots[start:end])
            grad_out *= scale[start:end]
            gate, up = hidden[start:end].chunk(2, dim=1)
            grad_act = torch.mm(grad_out, down[e])  # (n, H)
            silu = F.silu(gate)
            torch.mm(grad_out.t(), silu * up, out=grad_down[e])
            grad_hidden = torch.empty_like(hidden[start:end])
            torch.mul(grad_act, silu, out=grad_hidden[:, gate.shape[1] :])
            silu_grad = torch.ops.aten.silu_backward(grad_act.mul_(up), gate)
            grad_hidden[:, : gate.shape[1]] = silu_grad
            torch.mm(grad_hidden.t(), x.index_select(0, tokens), out=grad_gate_up[e])
            torch.mm(grad_hidden, gate_up[e], out=grad_rows[start:end])
        return bag(grad_rows, plan.rows), dots[plan.rows], grad_gate_up, grad_down, None
