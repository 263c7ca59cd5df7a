"""How well a language model foretells a text, on windows that are always the same ones.

Shapes: tokens (W, T + 1): W windows; every token but a window's first is foretold from those before it
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import InputError, ShapeError, expected
from breakthrough.quant.weights import held
from breakthrough.train import corpus
from breakthrough.train.language import ByteLM

CHUNK = 64  # windows evaluated at once: bounds the memory, changes no result
WINDOWS = 256


@dataclass(frozen=True)
class Perplexity:
    """What a model says about a text.

    Units:  `nats` per token, which for a byte model is a byte; `value` is e to the nats: the number of
            equally likely tokens that the model hesitates between
    """

    nats: float
    tokens: int

    @property
    def value(self) -> float:
        """The perplexity."""
        return math.exp(self.nats) if self.nats < 700 else math.inf

    def rise(self, before: Perplexity) -> float:
        """How much larger the perplexity is than another's. Units: a share, 0.01 is 1%."""
        return math.expm1(self.nats - before.nats)


@torch.no_grad()
def perplexity(model: nn.Module, windows: Tensor, chunk: int = CHUNK) -> Perplexity:
    """The perplexity of a language model, the course's or one of Hugging Face's, on windows of tokens.

    Quantized weights are dequantized once for all windows.

    Shapes: windows (W, T + 1), integers
    Raises: ShapeError when windows are not such; InputError when the model's answer is not finite
    """
    if windows.ndim != 2 or windows.shape[1] < 2 or not len(windows):
        raise ShapeError(expected("windows of shape (W, T + 1)", tuple(windows.shape)))
    was, device = model.training, next(iter(model.state_dict().values())).device
    model.eval()
    try:
        with held(model):
            total = sum(float(_nats(model, part.to(device))) for part in windows.split(chunk))
    finally:
        model.train(was)
    count = windows[:, 1:].numel()
    if not math.isfinite(total):
        raise InputError(expected("finite scores of the model", f"{total / count} nats a token", "a scheme with more bits, or rest='bfloat16'"))
    return Perplexity(total / count, count)


def byte_windows(model: ByteLM, text: bytes | None = None, count: int = WINDOWS) -> Tensor:
    """Windows of a byte model's context, spread over a text: by default the validation files of the standard library.

    Shapes: → (count, context + 1), int64
    Raises: ShapeError when the text is shorter than a window
    """
    data = torch.tensor(list(text), dtype=torch.uint8) if text is not None else corpus.to_tensor(corpus.load().valid)
    return corpus.fixed_windows(data, count, model.config.context + 1)


def token_windows(ids: Tensor, length: int, count: int = WINDOWS) -> Tensor:
    """Windows of `length` + 1 token ids, spread evenly over a text; as many as it has, at most `count`.

    Shapes: ids (N,) → (W, length + 1)
    Raises: ShapeError when the text is shorter than a window
    """
    whole = max(1, min(count, len(ids) // (length + 1)))
    return corpus.fixed_windows(ids, whole, length + 1)


def _nats(model: nn.Module, tokens: Tensor) -> Tensor:
    answer = model(tokens[:, :-1])
    logits = answer.logits if hasattr(answer, "logits") else answer[0]
    return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum").double()
