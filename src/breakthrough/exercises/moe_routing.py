"""Module 1: choosing experts for tokens, and adding what they say back to the tokens.

Shapes: T tokens, E experts, k experts a token, d the width, R rows of expert output
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

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


def combine(rows: Tensor, tokens: Tensor, weights: Tensor, n_tokens: int) -> Tensor:
    """Add every expert output, times its weight, back to the token it came from.

    Shapes: rows (R, d), tokens (R,), weights (R,) → (n_tokens, d)
    Units:  a token without a row gets zeros
    """
    y = torch.zeros(n_tokens, rows.shape[1], dtype=rows.dtype, device=rows.device)
    return y.index_add(0, tokens, rows * weights[:, None])  # (R, 1) spreads over the width


def _through_matmul(rows, tokens, weights, n_tokens):
    mixing = rows.new_zeros(n_tokens, len(rows))  # (T, R)
    mixing[tokens, torch.arange(len(rows), device=rows.device)] = weights
    return mixing @ rows


def _through_scatter(rows, tokens, weights, n_tokens):
    index = tokens.unsqueeze(1).expand_as(rows)
    return rows.new_zeros(n_tokens, rows.shape[1]).scatter_add_(0, index, rows * weights.unsqueeze(1))


def _loop_over_tokens(rows, tokens, weights, n_tokens):
    y = rows.new_zeros(n_tokens, rows.shape[1])
    for token in range(n_tokens):
        mine = tokens == token
        y[token] = weights[mine] @ rows[mine]
    return y


def _no_weights(rows, tokens, weights, n_tokens):
    return rows.new_zeros(n_tokens, rows.shape[1]).index_add(0, tokens, rows)


def _last_row_wins(rows, tokens, weights, n_tokens):
    y = rows.new_zeros(n_tokens, rows.shape[1])
    for row, token, weight in zip(rows, tokens, weights):
        y[token] = row * weight
    return y


def _averaged(rows, tokens, weights, n_tokens):
    count = torch.bincount(tokens, minlength=n_tokens).clamp_min(1)
    return combine(rows, tokens, weights, n_tokens) / count[:, None]


def _in_row_order(rows, tokens, weights, n_tokens):
    return (rows * weights[:, None]).view(n_tokens, -1, rows.shape[1]).sum(1)


def _weights_by_token(rows, tokens, weights, n_tokens):
    return combine(rows, tokens, weights[tokens], n_tokens)


def _gathered(rows, tokens, weights, n_tokens):
    return (rows * weights[:, None])[tokens]


def _always_float32(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1])
    return y.index_add(0, tokens, rows * weights[:, None])


def _combine_cases(generator: Generator):
    def rows(n_tokens, k, d, kept=None, dtype=torch.float32):
        order = torch.randperm(n_tokens * k, generator=generator)[:kept]
        values = torch.randn(len(order), d, generator=generator, dtype=dtype)
        weights = torch.rand(n_tokens, k, generator=generator, dtype=dtype)
        weights = weights / weights.sum(-1, keepdim=True)
        return values, order // k, weights.flatten()[order], n_tokens

    yield Case("4 tokens, k = 2", rows(4, 2, 3))
    yield Case("30 tokens, k = 3", rows(30, 3, 8))
    yield Case("one token, k = 4", rows(1, 4, 5))
    yield Case("float64", rows(6, 2, 4, dtype=torch.float64))
    values, tokens, weights, n_tokens = rows(9, 2, 6)
    yield Case("rows not contiguous", (values.t().contiguous().t(), tokens, weights, n_tokens))
    yield Case("some rows were dropped", rows(8, 2, 4, kept=9))
    yield Case("no tokens", rows(0, 2, 4))


EXERCISES = (
    Exercise(
        name="moe.route",
        title="Top-k routing",
        points=6,
        minutes=30,
        difficulty=1,
        reference=route,
        cases=_route_cases,
        alternatives=(_renormalised, _by_sorting, _token_by_token),
        misconceptions=(
            Misconception(
                "not renormalised",
                _not_renormalised,
                "The weights are shares of all E experts, so a token's k weights sum to less than 1: divide them by their sum, or take the softmax over the chosen scores only.",
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
    Exercise(
        name="moe.combine",
        title="Weighted combination",
        points=5,
        minutes=25,
        difficulty=1,
        reference=combine,
        cases=_combine_cases,
        alternatives=(_through_matmul, _through_scatter, _loop_over_tokens),
        misconceptions=(
            Misconception(
                "no weights",
                _no_weights,
                "The rows are added without their weights: multiply each row by its own weight first (weights[:, None] spreads over the width).",
            ),
            Misconception(
                "last row wins",
                _last_row_wins,
                "A token with several rows kept only one of them: indexed assignment (also `y[tokens] += …`) overwrites where an index repeats, `index_add` adds.",
            ),
            Misconception(
                "averaged",
                _averaged,
                "The sum is divided by the number of rows as well: the weights already sum to 1, so adding is all there is to do.",
            ),
            Misconception(
                "in row order",
                _in_row_order,
                "The rows are taken in the order they stand, as if a token's rows were neighbours: they come sorted by expert, and `tokens` says whose each one is.",
            ),
            Misconception(
                "weights by token",
                _weights_by_token,
                "The weights are indexed by token, but they already belong to the rows: row i has weights[i].",
            ),
            Misconception(
                "gathered",
                _gathered,
                "`rows[tokens]` reads rows at those places; here rows have to be written to their tokens: the other direction, with `index_add`.",
            ),
            Misconception(
                "always float32",
                _always_float32,
                "torch.zeros makes float32 on the CPU unless told otherwise: give it dtype=rows.dtype and device=rows.device.",
            ),
        ),
        hints=(
            "Each row is one expert's opinion about one token. The token's output is the weighted sum of the opinions about it; tokens that nobody looked at stay zero.",
            "weights (R,) → (R, 1), times rows (R, d) → (R, d); zeros (n_tokens, d), index_add over dim 0 at tokens (R,) → (n_tokens, d)",
            "y = zeros of n_tokens × d, of the rows' dtype and device\nadd row i, times weight i, to y at place tokens[i], for all i at once\nreturn y",
        ),
    ),
)
