"""Module 1: right answers to moe.prove that go other ways than the reference."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from breakthrough.exercises.moe_trial import Test
from breakthrough.seeds import torch_generator


def inputs(layer: Any, n: int = 16) -> Tensor:
    """Random tokens of the layer's own width. Shapes: → (n, d)."""
    return torch.randn(n, layer.router.weight.shape[1], generator=torch_generator(1))


def by_oracle() -> dict[str, Test]:
    """Every test compares with the layer computed anew from its own router and experts."""

    def whole(layer):
        x = inputs(layer, 20)
        scores = x @ layer.router.weight.T
        probs = scores.softmax(-1)
        best, experts = probs.topk(layer.top_k)
        best = best / best.sum(-1, keepdim=True)
        said = torch.stack([expert(x) for expert in layer.experts], 1)  # (T, E, d)
        picked = said.gather(1, experts[..., None].expand(-1, -1, x.shape[1]))
        share = torch.bincount(experts.flatten(), minlength=len(layer.experts)) / experts.numel()
        calls = []
        for expert in layer.experts:
            expert.register_forward_hook(lambda module, args, out: calls.extend(args[0]))
        y, loss = layer(x)
        assert len(calls) == experts.numel()
        assert (y - (best[..., None] * picked).sum(1)).abs().max() < 1e-4
        assert abs(loss - len(layer.experts) * (share * probs.mean(0)).sum()) < 1e-4

    return dict.fromkeys(("router", "per_token", "weights", "normalised", "sparse", "balance"), whole)


def by_other_ways() -> dict[str, Test]:
    """Every test asks the layer another question than the reference does."""

    def run(layer, n=40):
        return layer(inputs(layer, n))

    def router(layer):
        y, loss = run(layer)
        (gradient,) = torch.autograd.grad(y.square().sum() + loss, layer.router.weight, allow_unused=True)
        assert gradient is not None and gradient.abs().sum() > 0

    def per_token(layer):
        x = inputs(layer)
        doubled = torch.cat((x, -3 * x))  # neighbours who want the opposite
        if not torch.allclose(layer(x)[0], layer(doubled)[0][:16], atol=1e-4):
            raise AssertionError("a token's output depends on its neighbours")

    def weights(layer):
        x = inputs(layer, 40)
        y, _ = layer(x)
        layer.router.weight.data *= 2  # the same choice, other weights
        assert (layer(x)[0] - y).abs().max() > 1e-4

    def normalised(layer):
        x = inputs(layer, 8)
        layer.router.weight.data.zero_()
        for expert in layer.experts:
            for mine, first in zip(expert.parameters(), layer.experts[0].parameters()):
                mine.data = first.data.clone()
        assert torch.allclose(layer(x)[0], layer.experts[0](x), atol=1e-4)

    def sparse(layer):
        count = torch.zeros(())
        for expert in layer.experts:
            expert.gate.register_forward_hook(lambda m, args, out: count.add_(args[0].shape[0]))
        run(layer, 50)
        assert count.item() < 50 * len(layer.experts)

    def balance(layer):
        layer.router.weight.data.zero_()
        loss = run(layer)[1]
        torch.testing.assert_close(loss, torch.ones_like(loss))

    return {f.__name__: f for f in (router, per_token, weights, normalised, sparse, balance)}
