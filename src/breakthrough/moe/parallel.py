"""Experts spread over processes: every process holds E/W of them, tokens travel to theirs.

Start two processes on this machine:  torchrun --nproc-per-node 2 -m breakthrough.moe.parallel

Shapes: T tokens of this process, E experts, W processes, k experts a token, d the width,
        R rows this process receives
"""

from __future__ import annotations

import copy

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from breakthrough.errors import ConfigError, expected
from breakthrough.moe.config import MoEConfig
from breakthrough.moe.dispatch import Combine, Gather, Plan, make_plan
from breakthrough.moe.layer import SparseMoE
from breakthrough.moe.routing import Routing
from breakthrough.seeds import torch_generator


def _exchange(rows: Tensor, send: list[int], receive: list[int], group) -> Tensor:
    out = rows.new_empty(sum(receive), *rows.shape[1:])
    dist.all_to_all_single(out, rows.contiguous(), receive, send, group=group)
    return out


class AllToAll(torch.autograd.Function):
    """Send `send[p]` rows to process p and receive `receive[p]` from it; then back."""

    @staticmethod
    def forward(ctx, rows, send, receive, group):
        ctx.way_back = receive, send, group
        return _exchange(rows, send, receive, group)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return _exchange(grad, *ctx.way_back), None, None, None


class ExpertParallelMoE(SparseMoE):
    """A `SparseMoE` whose experts are spread over the processes of a group.

    Router and shared experts are whole on every process: call `sync_gradients` after backward().
    Gradients are those of the sum of the processes' losses. A capacity is per process.

    Shapes: (…, d) → (…, d), RoutingStats of this process's tokens
    Raises: ConfigError when the processes do not divide the experts, or torch.distributed is off
    Source: GShard, Lepikhin et al. 2020
    """

    def __init__(self, layer: SparseMoE, group: dist.ProcessGroup | None = None):
        """Take this process's share of `layer`, which must be the same on every process."""
        nn.Module.__init__(self)
        if not dist.is_initialized():
            raise ConfigError(expected("torch.distributed initialised", "not yet", "torchrun"))
        self.config, self.group = layer.config, group
        size, n_experts = dist.get_world_size(group), layer.config.n_experts
        if n_experts % size:
            raise ConfigError(expected(f"n_experts divisible by {size} processes", n_experts))
        self.owned = n_experts // size
        first = dist.get_rank(group) * self.owned
        self.router = nn.Parameter(layer.router.detach().clone())
        for name in ("gate_up", "down"):
            mine = getattr(layer, name).detach()[first : first + self.owned]
            setattr(self, name, nn.Parameter(mine.clone()))
        self.shared = copy.deepcopy(layer.shared)
        self.register_buffer("routing_bias", layer.routing_bias.clone())

    def sync_gradients(self) -> None:
        """Sum the gradients of what every process holds; those of the experts are whole already."""
        shared = [] if self.shared is None else list(self.shared.parameters())
        for weight in (self.router, *shared):
            if weight.grad is None:  # every process must take part
                weight.grad = torch.zeros_like(weight)
            dist.all_reduce(weight.grad, group=self.group)

    def _mix(self, tokens: Tensor, routing: Routing) -> tuple[Tensor, Plan]:
        plan = make_plan(
            routing.experts, self.config.n_experts, self.config.capacity(len(tokens))
        )
        sizes, incoming = plan.sizes.contiguous(), torch.empty_like(plan.sizes)
        dist.all_to_all_single(incoming, sizes, group=self.group)  # (W · E/W,) by sender
        send = sizes.view(-1, self.owned).sum(1).tolist()
        receive = incoming.view(-1, self.owned).sum(1).tolist()
        rows = AllToAll.apply(Gather.apply(tokens, plan), send, receive, self.group)  # (R, d)
        rows = self._serve(rows, incoming)
        rows = AllToAll.apply(rows, receive, send, self.group)  # (P, d)
        return Combine.apply(rows, routing.weights.to(rows.dtype), plan), plan

    def _serve(self, rows: Tensor, incoming: Tensor) -> Tensor:
        """This process's experts on the rows it received, in the order they came."""
        own = torch.arange(self.owned, device=rows.device).repeat(len(incoming) // self.owned)
        experts = own.repeat_interleave(incoming, output_size=len(rows))[:, None]  # (R, 1)
        ones = rows.new_ones(len(rows), 1)
        return self._run(rows, ones, self._plan(experts, self.owned, None, rows))


def main() -> None:
    """Compare with the single-process layer, on CUDA with nccl or on the CPU with gloo."""
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", rank % torch.cuda.device_count()) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    config = MoEConfig(d_model=64, d_hidden=128, n_experts=4 * size, top_k=2)
    whole = SparseMoE(config, torch_generator(0)).to(device)
    x = torch.randn(256 * size, 64, generator=torch_generator(1)).to(device)
    y, stats = ExpertParallelMoE(whole)(x.chunk(size)[rank])
    error = (y - whole(x)[0].chunk(size)[rank]).abs().max().item()
    print(f"process {rank} of {size} on {device}: load {stats.load.tolist()}, error {error:.1e}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
