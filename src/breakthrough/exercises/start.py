"""The warm-up of the start page: softmax, the first step of every router."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception

# T tokens, E experts


def softmax(logits: Tensor) -> Tensor:
    """Turn the scores of each token into probabilities.

    Shapes: logits (T, E) → probabilities (T, E)
    Units:  each row sums to 1
    """
    # the largest score is subtracted first, or exp overflows; the ratio stays the same
    exp = (logits - logits.max(dim=-1, keepdim=True).values).exp()
    return exp / exp.sum(dim=-1, keepdim=True)


def _library(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=-1)


def _through_logsumexp(logits: Tensor) -> Tensor:
    return (logits - logits.logsumexp(dim=-1, keepdim=True)).exp()


def _number_by_number(logits: Tensor) -> Tensor:
    rows = []
    for scores in logits.tolist():
        powers = [math.exp(score - max(scores)) for score in scores]
        rows.append([power / sum(powers) for power in powers])
    return torch.tensor(rows, dtype=logits.dtype, device=logits.device)


def _over_tokens(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=0)


def _over_everything(logits: Tensor) -> Tensor:
    return torch.softmax(logits.flatten(), dim=0).view_as(logits)


def _largest_of_all(logits: Tensor) -> Tensor:
    exp = (logits - logits.max()).exp()
    return exp / exp.sum(dim=-1, keepdim=True)


def _overflows(logits: Tensor) -> Tensor:
    return logits.exp() / logits.exp().sum(dim=-1, keepdim=True)


def _logarithm(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=-1)


def _independent(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits)


def _cases(generator: Generator):
    yield Case("5 tokens, 4 experts", (torch.randn(5, 4, generator=generator),))
    yield Case("one token", (torch.randn(1, 8, generator=generator),))
    yield Case("scores around 1,000", (1000 + 100 * torch.randn(3, 4, generator=generator),))
    spread = torch.tensor([[400.0], [0.0], [-400.0]])
    yield Case("rows far apart", (spread + torch.randn(3, 4, generator=generator),))


EXERCISES = (
    Exercise(
        name="start.softmax",
        title="Softmax over the experts",
        points=1,
        minutes=5,
        difficulty=1,
        lesson=True,
        reference=softmax,
        cases=_cases,
        alternatives=(_library, _through_logsumexp, _number_by_number),
        misconceptions=(
            Misconception(
                "over tokens",
                _over_tokens,
                "The sum runs over the tokens: a token's probabilities must sum to 1 over its experts, the last dimension.",
            ),
            Misconception(
                "over everything",
                _over_everything,
                "The sum runs over the whole tensor: each token has its own distribution, so sum over the last dimension only.",
            ),
            Misconception(
                "overflow",
                _overflows,
                "exp of a large score is infinite, and inf / inf is NaN: subtract each row's largest score first.",
            ),
            Misconception(
                "largest of all",
                _largest_of_all,
                "The largest score of the whole batch was subtracted, so rows far below it vanish into 0 / 0: subtract each row's own largest score.",
            ),
            Misconception(
                "logarithm",
                _logarithm,
                "These are logarithms of probabilities (all negative): take the exponential once more.",
            ),
            Misconception(
                "sigmoid",
                _independent,
                "A sigmoid scores every expert on its own, so a row does not sum to 1: divide by the row's sum of exponentials.",
            ),
        ),
        hints=(
            "A probability is a share: each expert's exp(score) divided by the sum of all experts' exp(score), for each token on its own.",
            "logits (T, E) → max over dim -1 with keepdim (T, 1) → exp (T, E) → sum over dim -1 with keepdim (T, 1) → quotient (T, E)",
            "m = largest score of each row\ne = exp(scores - m)\nreturn e / (sum of e in each row)",
        ),
    ),
)
