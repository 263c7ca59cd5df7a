"""A byte-level language model: a small decoder with dense or Mixture-of-Experts blocks.

Shape legend: B sequences, T bytes in each, d model width, H heads, L blocks with a router,
E experts, k experts per token, 256 symbols.

Every byte is a token, so the loss is in nats per byte and needs no tokenizer: two models are
compared by it whatever their blocks are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough import devices
from breakthrough.errors import ConfigError, ShapeError, expected
from breakthrough.moe import MoEConfig, RoutingStats, SparseMoE, SwiGLU
from breakthrough.train import two_files
from breakthrough.train.corpus import VOCABULARY

if TYPE_CHECKING:
    from collections.abc import Mapping

ROPE_BASE = 10_000.0


@dataclass(frozen=True)
class LanguageConfig:
    """The shape of a byte-level model.

    Units:  ffn is the hidden width of a dense SwiGLU, or the configuration of a sparse layer
    Raises: ConfigError when the parts do not fit together
    """

    d_model: int = 64
    n_layers: int = 2
    n_heads: int = 4
    context: int = 128
    ffn: int | MoEConfig = 170
    tied: bool = True

    def __post_init__(self) -> None:
        """Refuse a shape that no model can have."""
        sizes = {"n_layers": self.n_layers, "n_heads": self.n_heads, "context": self.context}
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(expected(f"{name} of at least 1", value))
        if self.d_model % (2 * self.n_heads):
            what = f"d_model to be a multiple of 2 · n_heads = {2 * self.n_heads}"
            raise ConfigError(expected(what, self.d_model))
        if isinstance(self.ffn, MoEConfig) and self.ffn.d_model != self.d_model:
            raise ConfigError(expected(f"ffn.d_model = d_model = {self.d_model}", self.ffn.d_model))
        if isinstance(self.ffn, int) and self.ffn < 1:
            raise ConfigError(expected("a hidden width of at least 1", self.ffn))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LanguageConfig:
        """The configuration that `to_dict` wrote."""
        ffn = data["ffn"]
        return cls(**{**data, "ffn": ffn if isinstance(ffn, int) else MoEConfig(**ffn)})


class Attention(nn.Module):
    """Causal self-attention with rotary positions.

    Shapes: (B, T, d) → (B, T, d)
    Source: Vaswani et al. 2017; Su et al. 2021 for the positions
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LanguageConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        d = config.d_model
        self.n_heads = config.n_heads
        self.qkv = _linear(d, 3 * d, d**-0.5, generator)
        self.out = _linear(d, d, (2 * config.n_layers * d) ** -0.5, generator)
        half = d // config.n_heads // 2
        rates = ROPE_BASE ** (-torch.arange(half, dtype=torch.float32) / half)
        angles = torch.outer(torch.arange(config.context, dtype=torch.float32), rates)
        self.register_buffer("cos", angles.cos(), persistent=False)  # (context, d / 2H)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix every position with those before it."""
        shape = x.shape
        qkv = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).transpose(1, 3)  # (B, H, 3, T, d/H)
        q, k, v = qkv.unbind(2)  # (B, H, T, d/H)
        y = F.scaled_dot_product_attention(self._rotate(q), self._rotate(k), v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(shape))

    def _rotate(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


class Block(nn.Module):
    """Attention, then a feed-forward layer, each on a normalised copy of the stream.

    Shapes: (B, T, d) → (B, T, d), and the routing of the sparse layer, or None
    """

    def __init__(self, config: LanguageConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.attention = Attention(config, generator)
        self.ffn_norm = nn.RMSNorm(config.d_model, eps=1e-6)
        self.ffn: SparseMoE | SwiGLU
        if isinstance(config.ffn, MoEConfig):
            self.ffn = SparseMoE(config.ffn, generator=generator)
        else:
            self.ffn = SwiGLU(config.d_model, config.ffn, generator=generator)

    def forward(self, x: Tensor) -> tuple[Tensor, RoutingStats | None]:
        """The stream after this block."""
        x = x + self.attention(self.attention_norm(x))
        y, stats = self.ffn(self.ffn_norm(x)), None
        if isinstance(self.ffn, SparseMoE):
            y, stats = y
        return x + y, stats


class ByteLM(nn.Module):
    """A decoder over bytes.

    Shapes: tokens (B, T), T ≤ context → logits (B, T, 256), one RoutingStats per sparse block
    """

    def __init__(self, config: LanguageConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        d = config.d_model
        self.embedding = nn.Embedding(VOCABULARY, d)
        nn.init.normal_(self.embedding.weight, std=d**-0.5, generator=generator)
        self.blocks = nn.ModuleList(Block(config, generator) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(d, eps=1e-6)
        self.head = None if config.tied else _linear(d, VOCABULARY, d**-0.5, generator)

    def forward(self, tokens: Tensor) -> tuple[Tensor, list[RoutingStats]]:
        """Scores for the byte after each position.

        Raises: ShapeError when tokens is not (B, T) with T ≤ context; InputError when it lies on another device
        """
        if tokens.ndim != 2 or tokens.shape[1] > self.config.context:
            what = f"tokens of shape (B, T) with T ≤ {self.config.context}"
            raise ShapeError(expected(what, tuple(tokens.shape)))
        devices.check_same("the model is", devices.of(self), tokens=tokens)
        x, routed = self.embedding(tokens), []  # (B, T, d)
        for block in self.blocks:
            x, stats = block(x)
            if stats is not None:
                routed.append(stats)
        head = self.embedding.weight if self.head is None else self.head.weight
        return F.linear(self.norm(x), head), routed

    def loss(self, tokens: Tensor) -> tuple[Tensor, list[RoutingStats]]:
        """How badly each byte is foretold from those before it.

        Shapes: tokens (B, T + 1) → scalar
        Units:  nats per byte
        """
        logits, routed = self(tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()), routed

    @torch.no_grad()
    def generate(
        self, prompt: bytes, n: int, generator: torch.Generator, temperature: float = 1.0
    ) -> bytes:
        """Continue a prompt by n bytes, seeing at most `context` bytes back.

        Units:  temperature 0 takes the likeliest byte every time
        Raises: ConfigError for an empty prompt or a negative temperature
        """
        if not prompt or temperature < 0:
            got = f"{prompt!r} and {temperature}"
            raise ConfigError(expected("a prompt of at least 1 byte and temperature ≥ 0", got))
        tokens = self.encode(prompt)
        for _ in range(n):
            logits = self(tokens[:, -self.config.context :])[0][0, -1].cpu()  # (256,)
            tokens = torch.cat((tokens, _draw(logits, temperature, generator).to(tokens)), dim=1)
        return bytes(tokens[0, -n:].tolist()) if n else b""

    @torch.no_grad()
    def experts_of(self, text: bytes) -> Tensor:
        """Which experts every byte of a text went to: the picture of the routing.

        Shapes: T bytes → (L, T, k), int64, on the CPU; L = 0 for a dense model
        """
        routed = self(self.encode(text))[1]
        if not routed:
            return torch.zeros(0, len(text), 0, dtype=torch.int64)
        return torch.stack([s.routing.experts.view(len(text), -1) for s in routed]).cpu()

    def encode(self, text: bytes) -> Tensor:
        """A text as tokens on the model's device. Shapes: T bytes → (1, T)."""
        return torch.tensor([list(text)], dtype=torch.int64, device=self.embedding.weight.device)

    def sparse_layers(self) -> list[SparseMoE]:
        """The sparse layer of every block that has one, in order."""
        return [block.ffn for block in self.blocks if isinstance(block.ffn, SparseMoE)]

    def to_files(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The configuration as plain data and the weights: all that `from_files` needs."""
        return self.config.to_dict(), two_files.weights_of(self)

    @classmethod
    def from_files(
        cls, config: str | Path | Mapping[str, Any], tensors: str | Path | Mapping[str, Tensor]
    ) -> ByteLM:
        """Rebuild a model from a JSON file and a safetensors file, or from what is in them.

        Raises: ArtifactError when the weights are not those of the configuration
        """
        data, weights = two_files.read(config, tensors)
        return two_files.filled(cls(LanguageConfig.from_dict(data)), weights)


def _linear(
    d_in: int, d_out: int, std: float, generator: torch.Generator | None = None
) -> nn.Linear:
    layer = nn.Linear(d_in, d_out, bias=False)
    nn.init.normal_(layer.weight, std=std, generator=generator)
    return layer


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax().view(1, 1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[None]
