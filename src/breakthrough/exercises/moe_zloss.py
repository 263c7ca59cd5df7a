"""Module 1: the loss that keeps the router's scores small. Value and gradient are judged.

Shapes: T tokens, E experts
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_balance import loss_and_gradient


def zloss(logits: Tensor) -> Tensor:
    """The mean over tokens of logsumexp(logits)²: it keeps the router's scores small.

    Shapes: logits (T, E) → ()
    Units:  0 for zero tokens; finite for scores of 1,000 too
    """
    z = logits.logsumexp(dim=-1)  # (T,): takes the largest score out first, so scores of 1,000 stay finite
    return z.square().sum() / max(len(logits), 1)


def _through_largest(logits):
    if not len(logits):
        return logits.sum()
    top = logits.max(-1, keepdim=True).values
    z = top + (logits - top).exp().sum(-1, keepdim=True).log()
    return (z**2).mean()


def _through_log_softmax(logits):
    z = (logits - torch.log_softmax(logits, -1))[:, 0]  # a score less its log-probability is z
    return z @ z / max(len(z), 1)


def _score_by_score(logits):
    total = 0 * logits.sum()  # for no tokens: a zero that has a gradient
    for scores in logits:
        z = scores[0]
        for score in scores[1:]:
            z = torch.logaddexp(z, score)
        total = total + z * z
    return total / max(logits.shape[0], 1)


def _not_squared(logits):
    return logits.logsumexp(-1).sum() / max(len(logits), 1)


def _scores_squared(logits):
    return logits.square().sum() / max(logits.numel(), 1)


def _squared_inside(logits):
    return logits.square().logsumexp(-1).sum() / max(len(logits), 1)


def _squared_last(logits):
    return (logits.logsumexp(-1).sum() / max(len(logits), 1)).square()


def _summed(logits):
    return logits.logsumexp(-1).square().sum()


def _over_tokens(logits):
    return logits.logsumexp(0).square().mean() if len(logits) else logits.sum()


def _largest_score(logits):
    return logits.amax(-1).square().sum() / max(len(logits), 1)


def _as_a_number(logits):
    return zloss(logits).item()


def _over_no_tokens(logits):
    return logits.logsumexp(0).square().mean()


def _overflows(logits):
    return logits.exp().sum(-1).log().square().sum() / max(len(logits), 1)


def _detached_z(logits):
    return zloss(logits.detach())


def _nan_for_no_tokens(logits):
    return logits.logsumexp(-1).square().mean()


def _zloss_cases(generator: Generator):
    yield Case("4 tokens, 3 experts", (torch.randn(4, 3, generator=generator),))
    yield Case("40 tokens, 8 experts", (3 * torch.randn(40, 8, generator=generator),))
    yield Case("one token", (torch.randn(1, 5, generator=generator) - 4,))
    yield Case("float64, not contiguous", (torch.randn(6, 9, generator=generator, dtype=torch.float64).t(),))
    yield Case("scores around 1,000", (1000 + torch.randn(3, 4, generator=generator),))
    yield Case("no tokens", (torch.zeros(0, 4),))


EXERCISES = (
    Exercise(
        name="moe.zloss",
        title="The z-loss",
        points=4,
        minutes=20,
        difficulty=1,
        reference=zloss,
        cases=_zloss_cases,
        call=loss_and_gradient,
        alternatives=(_through_largest, _through_log_softmax, _score_by_score),
        misconceptions=(
            Misconception(
                "not squared",
                _not_squared,
                "The square is missing, so very negative scores would be rewarded: square each token's logsumexp before the mean.",
            ),
            Misconception(
                "scores squared",
                _scores_squared,
                "This is the mean square of the scores: the z-loss squares one number per token, the logsumexp of its scores.",
            ),
            Misconception(
                "squared inside",
                _squared_inside,
                "The square sits on the scores, inside the logsumexp: take the logsumexp first, then square it.",
            ),
            Misconception(
                "squared last",
                _squared_last,
                "The mean was taken before the square, so tokens above and below zero cancel: square first, then average.",
            ),
            Misconception(
                "summed",
                _summed,
                "This is the sum over tokens, which grows with the batch: divide by the number of tokens.",
            ),
            Misconception(
                "over tokens",
                _over_tokens,
                "The logsumexp runs over the tokens (dim 0): it belongs over a token's experts, the last dimension.",
                variants=(_over_no_tokens,),
            ),
            Misconception(
                "largest score",
                _largest_score,
                "This squares each token's largest score, and only that expert gets a gradient: take the logsumexp over all of its scores.",
            ),
            Misconception(
                "overflow",
                _overflows,
                "exp of a large score is infinite: torch.logsumexp takes the largest score out first and stays finite.",
            ),
            Misconception(
                "no gradient",
                _detached_z,
                "The value is right, but no gradient reaches the scores (detach, no_grad, .item() or a new tensor cuts it off): compute from `logits` itself.",
                variants=(_as_a_number,),
            ),
            Misconception(
                "NaN for no tokens",
                _nan_for_no_tokens,
                "The mean of no tokens is 0/0 = NaN: take the sum and divide by max(T, 1).",
            ),
        ),
        hints=(
            "logsumexp is the logarithm of softmax's denominator: it is large when the scores are. Its square pulls it to zero from both sides; softmax does not change when all scores move together, so nothing is lost.",
            "logits (T, E) → logsumexp over dim -1 (T,) → square (T,) → sum () → / max(T, 1); finite for scores of 1,000 too",
            "z = logsumexp of each row\nreturn the sum of z², divided by the number of tokens (at least 1)",
        ),
    ),
)
