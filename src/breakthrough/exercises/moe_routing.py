"""Module 1: choosing experts for tokens.

Shapes: T tokens, E experts, k experts a token
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def route(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Choose the k experts with the highest score for every token.

    Shapes: logits (T, E) → weights (T, k), experts (T, k)
    Units:  weights sum to 1 per token; best expert first
    """
    best, experts = logits.topk(k, dim=-1)  # (T, k)
    # the softmax of the chosen scores is the softmax of all, renormalised over the chosen
    return best.softmax(dim=-1), experts


def _renormalised(logits, k):
    weights, experts = logits.softmax(-1).topk(k)
    return weights / weights.sum(-1, keepdim=True), experts


def _by_sorting(logits, k):
    experts = logits.argsort(-1, descending=True)[:, :k]
    chosen = torch.full_like(logits, -torch.inf).scatter(1, experts, logits.gather(1, experts))
    return chosen.softmax(-1).gather(1, experts), experts


def _token_by_token(logits, k):
    weights, experts = logits.new_zeros(len(logits), k), logits.new_zeros(len(logits), k).long()
    for token, scores in enumerate(logits):
        experts[token] = torch.sort(scores, descending=True).indices[:k]
        weights[token] = torch.softmax(scores[experts[token]], 0)
    return weights, experts


def _not_renormalised(logits, k):
    return logits.softmax(-1).topk(k)


def _softmax_twice(logits, k):
    probs, experts = logits.softmax(-1).topk(k)
    return probs.softmax(-1), experts


def _over_tokens(logits, k):
    best, experts = logits.topk(k)
    return best.softmax(0), experts


def _raw_scores(logits, k):
    return logits.topk(k)


def _divided_scores(logits, k):
    best, experts = logits.topk(k)
    return best / best.sum(-1, keepdim=True), experts


def _swapped(logits, k):
    weights, experts = route(logits, k)
    return experts, weights


def _worst(logits, k):
    experts = logits.argsort(-1)[:, :k]
    return logits.gather(1, experts).softmax(-1), experts


def _best_last(logits, k):
    weights, experts = route(logits, k)
    return weights.flip(-1), experts.flip(-1)


def _sigmoid(logits, k):
    best, experts = logits.topk(k)
    return best.sigmoid(), experts


def _normalised_sigmoid(logits, k):
    weights, experts = logits.sigmoid().topk(k)
    return weights / weights.sum(-1, keepdim=True), experts


def _lowest_are_chosen(want, got) -> bool:
    """Whether none of the chosen experts is one of the best; with k = E, whether the worst comes first."""
    mine, theirs = got[1], want[1]
    if mine.shape != theirs.shape:
        return False
    return torch.equal(mine.flip(-1), theirs) or not bool((mine[..., None] == theirs[..., None, :]).any())


def _in_expert_order(logits, k):
    experts = logits.topk(k).indices.sort(-1).values
    return logits.gather(1, experts).softmax(-1), experts


def _one_choice_for_all(logits, k):
    experts = logits.sum(0).topk(k).indices.expand(len(logits), k)
    return logits.gather(1, experts).softmax(-1), experts


def _route_cases(generator: Generator):
    def scores(tokens, experts, dtype=torch.float32):
        return torch.randn(tokens, experts, generator=generator, dtype=dtype)

    yield Case("4 tokens, 6 experts, k = 2", (scores(4, 6), 2))
    yield Case("20 tokens, 8 experts, k = 3", (scores(20, 8), 3))
    yield Case("k = E", (scores(5, 4), 4))
    yield Case("one token, k = 1", (scores(1, 5), 1))
    yield Case("float64, not contiguous", (scores(7, 9, torch.float64).t(), 2))
    yield Case("scores around 1,000", (1000 + scores(6, 8), 2))
    yield Case("no tokens", (scores(0, 4), 2))


EXERCISES = (
    Exercise(
        name="moe.route",
        title="Top-k routing",
        points=6,
        minutes=20,
        difficulty=1,
        reference=route,
        cases=_route_cases,
        compare=close(parts=("weights", "experts"), order=(1, 0)),
        alternatives=(_renormalised, _by_sorting, _token_by_token),
        misconceptions=(
            Misconception(
                "not renormalised",
                _not_renormalised,
                "The weights are shares of all E experts, so a token's k weights sum to less than 1: divide them by their sum, or take the softmax over the chosen scores only.",
            ),
            Misconception(
                "softmax twice",
                _softmax_twice,
                "The softmax was taken twice, of the scores and again of the chosen probabilities, which pulls the weights together: take it once, of the chosen scores.",
            ),
            Misconception(
                "softmax over tokens",
                _over_tokens,
                "The softmax runs over the tokens (dim 0): a token's weights must sum to 1 over its own k experts, the last dimension.",
            ),
            Misconception(
                "raw scores",
                _raw_scores,
                "These are the scores themselves, not weights: put the k chosen scores of each token through a softmax.",
            ),
            Misconception(
                "divided scores",
                _divided_scores,
                "Scores divided by their sum can be negative or huge, because scores have any sign: take the exponential first, as softmax does.",
            ),
            Misconception(
                "swapped",
                _swapped,
                "The two outputs are swapped: `topk` gives values first and indices second, and so should you: weights, then experts.",
            ),
            Misconception(
                "worst experts",
                _worst,
                "These are the experts with the lowest scores: sorting goes upwards unless you say descending=True.",
                seen=_lowest_are_chosen,
            ),
            Misconception(
                "best last",
                _best_last,
                "The right experts with the best one last: sorting goes upwards, so take them with descending=True, or use `topk`.",
            ),
            Misconception(
                "sigmoid",
                _sigmoid,
                "A sigmoid scores every expert on its own: take the softmax over each token's k chosen scores, so that they share out 1.",
                variants=(_normalised_sigmoid,),
            ),
            Misconception(
                "in expert order",
                _in_expert_order,
                "The right experts, but ordered by their number: put the expert with the highest weight first, as `topk` does.",
            ),
            Misconception(
                "one choice for all",
                _one_choice_for_all,
                "Every token got the same experts, chosen by the scores of the whole batch: choose along the last dimension, for each token on its own.",
            ),
        ),
        hints=(
            "A router scores every expert for every token. Only the k best scores matter after that: they become weights that sum to 1, so that the token's output keeps its size whatever k is.",
            "logits (T, E) → topk over dim -1 gives values (T, k) and indices (T, k) → softmax over dim -1 of the values (T, k)",
            "best, experts = the k largest scores of each row, and where they stand\nweights = softmax of best, each row on its own\nreturn weights, experts",
        ),
    ),
)
