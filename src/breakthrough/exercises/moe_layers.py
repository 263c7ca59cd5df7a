"""Module 1: the article's layer, healthy layers in several styles, and layers with one defect each.

Shapes: T tokens, E experts, k experts a token, d the width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import unknown
from breakthrough.seeds import torch_generator


class Expert(nn.Module):
    """One expert: a SwiGLU without biases.

    Shapes: (…, d) → (…, d)
    """

    def __init__(self, d_model: int, d_hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(d_model, d_hidden, bias=False)
        self.up = nn.Linear(d_model, d_hidden, bias=False)
        self.down = nn.Linear(d_hidden, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """What this expert says about each row."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class ArticleMoE(nn.Module):
    """A sparse layer with the defects of the one that the article prints.

    Shapes: (T, d) → (T, d)
    """

    router: nn.Linear  # which nobody makes

    def __init__(self, d_model: int, d_hidden: int, n_experts: int, top_k: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Expert(d_model, d_hidden) for _ in range(n_experts))
        self.top_k = top_k

    def forward(self, x: Tensor) -> Tensor:
        """Send the tokens through the chosen experts."""
        scores = self.router(x)  # (T, E)
        _, chosen = scores.topk(self.top_k, dim=-1)  # (T, k)
        outputs = [self.experts[e](x) for e in chosen.unique().tolist()]
        return torch.stack(outputs).mean(0)


class Layer(nn.Module):
    """A healthy sparse layer in parts, so that one part at a time can be replaced.

    Shapes: x (T, d) → y (T, d), balance loss ()
    """

    def __init__(self, d_model: int, d_hidden: int, n_experts: int, top_k: int) -> None:
        super().__init__()
        self.router = nn.Linear(d_model, n_experts, bias=False)
        self.experts = nn.ModuleList(self.expert(d_model, d_hidden) for _ in range(n_experts))
        self.top_k = top_k

    expert = Expert

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Route, work, combine."""
        scores = self.score(x)  # (T, E)
        experts = self.choose(scores)  # (T, k)
        y = self.mix(x, self.weigh(scores, experts), experts)
        return y, self.balance(scores, experts)

    def score(self, x: Tensor) -> Tensor:
        """How well each expert fits each token. Shapes: (T, d) → (T, E)."""
        return self.router(x)

    def choose(self, scores: Tensor) -> Tensor:
        """The k best experts of each token. Shapes: (T, E) → (T, k)."""
        return scores.topk(self.top_k, dim=-1).indices

    def weigh(self, scores: Tensor, experts: Tensor) -> Tensor:
        """Weights that sum to 1 per token. Shapes: (T, E), (T, k) → (T, k)."""
        return scores.gather(-1, experts).softmax(-1)

    def mix(self, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        """The weighted sum of what a token's experts say. Shapes: → (T, d)."""
        y = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            token, choice = (experts == e).nonzero(as_tuple=True)
            y = y.index_add(0, token, weights[token, choice, None] * expert(x[token]))
        return y

    def balance(self, scores: Tensor, experts: Tensor) -> Tensor:
        """The load-balance loss. Shapes: (T, E), (T, k) → ()."""
        n_tokens, n_experts = scores.shape
        share = torch.bincount(experts.flatten(), minlength=n_experts) / max(experts.numel(), 1)
        return n_experts * (share * scores.softmax(-1).sum(0) / max(n_tokens, 1)).sum()


class SortedLayer(Layer):
    """Healthy: rows in expert order, one slice per expert."""

    def mix(self, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        """As `Layer.mix`, by sorting."""
        flat = experts.flatten()
        order = flat.argsort(stable=True)
        slices = x[order // self.top_k].split(torch.bincount(flat, minlength=len(self.experts)).tolist())
        rows = torch.cat([expert(rows) for expert, rows in zip(self.experts, slices)])
        back = torch.empty_like(rows).index_copy(0, order, rows).view(*experts.shape, x.shape[1])  # (T, k, d)
        return (weights[..., None] * back).sum(1)


class TokenLayer(Layer):
    """Healthy, if slow: token after token."""

    def mix(self, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        """As `Layer.mix`, token by token."""
        rows = zip(x[:, None], weights, experts.tolist())
        parts = [sum(w * self.experts[e](row) for w, e in zip(ws, es)) for row, ws, es in rows]
        return torch.cat([x[:0], *parts])


class _BlockwiseExpert(Expert):
    def forward(self, x: Tensor) -> Tensor:
        hidden = F.silu(self.gate(x)) * self.up(x)
        blocks = hidden.tensor_split(1 + len(x) % 4, dim=-1)
        downs = self.down.weight.tensor_split(1 + len(x) % 4, dim=-1)
        parts = [F.linear(part, down) for part, down in zip(blocks, downs)]
        return sum(parts[1:], parts[0])


class BlockwiseLayer(Layer):
    """Healthy: the hidden units are added in another order, which the number of rows decides."""

    expert = _BlockwiseExpert


class _NoRouter(Layer):
    def score(self, x: Tensor) -> Tensor:
        return x[:, : len(self.experts)]


class _OneChoice(Layer):
    def choose(self, scores: Tensor) -> Tensor:
        return super().choose(scores.sum(0, keepdim=True)).expand(len(scores), -1)


class _EvenWeights(Layer):
    def weigh(self, scores: Tensor, experts: Tensor) -> Tensor:
        return torch.full_like(experts, 1 / self.top_k, dtype=scores.dtype)


class _NotNormalised(Layer):
    def weigh(self, scores: Tensor, experts: Tensor) -> Tensor:
        return scores.softmax(-1).gather(-1, experts)


class _Dense(Layer):
    def mix(self, x: Tensor, weights: Tensor, experts: Tensor) -> Tensor:
        shares = x.new_zeros(len(x), len(self.experts)).scatter(1, experts, weights)  # (T, E)
        return sum(shares[:, e, None] * expert(x) for e, expert in enumerate(self.experts))


class _NoBalance(Layer):
    def balance(self, scores: Tensor, experts: Tensor) -> Tensor:
        return scores.new_zeros(())


HEALTHY = (Layer, SortedLayer, TokenLayer, BlockwiseLayer)
BROKEN = {  # in the order of the lab's table
    "router": _NoRouter,
    "per_token": _OneChoice,
    "weights": _EvenWeights,
    "normalised": _NotNormalised,
    "sparse": _Dense,
    "balance": _NoBalance,
}


def make_layer(
    defect: str | None = None,
    d_model: int = 16,
    d_hidden: int = 32,
    n_experts: int = 4,
    top_k: int = 2,
    seed: int = 0,
    style: type[Layer] = Layer,
) -> Layer:
    """A healthy layer, or one with a single defect.

    Raises: UnknownNameError for a defect that there is not
    """
    if defect is not None and defect not in BROKEN:
        raise unknown("defect", defect, BROKEN)
    with torch.random.fork_rng(devices=[]):  # torch's own initial weights leave no trace
        layer = (BROKEN[defect] if defect else style)(d_model, d_hidden, n_experts, top_k)
    generator = torch_generator(seed, "layer")
    for weight in layer.parameters():
        bound = weight.shape[-1] ** -0.5
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    return layer
