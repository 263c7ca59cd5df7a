"""Module 1: adding what the experts say back to the tokens.

Shapes: R rows of expert output, k experts a token, d the width
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception


def combine(rows: Tensor, tokens: Tensor, weights: Tensor, n_tokens: int) -> Tensor:
    """Add every expert output, times its weight, back to the token it came from.

    Shapes: rows (R, d), tokens (R,), weights (R,) → (n_tokens, d)
    Units:  a token without a row gets zeros; the result has the dtype and device of rows
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


def _added_in_place(rows, tokens, weights, n_tokens):
    y = rows.new_zeros(n_tokens, rows.shape[1])
    y[tokens] += rows * weights[:, None]
    return y


def _averaged(rows, tokens, weights, n_tokens):
    count = torch.bincount(tokens, minlength=n_tokens).clamp_min(1)
    return combine(rows, tokens, weights, n_tokens) / count[:, None]


def _mean_of_rows(rows, tokens, weights, n_tokens):
    count = torch.bincount(tokens, minlength=n_tokens).clamp_min(1)
    return _no_weights(rows, tokens, weights, n_tokens) / count[:, None]


def _in_row_order(rows, tokens, weights, n_tokens):
    return (rows * weights[:, None]).view(n_tokens, -1, rows.shape[1]).sum(1)


def _weights_by_token(rows, tokens, weights, n_tokens):
    return combine(rows, tokens, weights[tokens], n_tokens)


def _thrown_away(rows, tokens, weights, n_tokens):
    y = rows.new_zeros(n_tokens, rows.shape[1])
    y.index_add(0, tokens, rows * weights[:, None])
    return y


def _along_the_width(rows, tokens, weights, n_tokens):
    return combine(rows * weights, tokens, torch.ones_like(weights), n_tokens)


def _along_the_width_first(rows, tokens, weights, n_tokens):
    return combine(weights * rows, tokens, torch.ones_like(weights), n_tokens)


def _gathered(rows, tokens, weights, n_tokens):
    return (rows * weights[:, None])[tokens]


def _always_float32(rows, tokens, weights, n_tokens):
    y = torch.zeros(n_tokens, rows.shape[1])
    return y.index_add(0, tokens, rows * weights[:, None])


def _cast_to_float32(rows, tokens, weights, n_tokens):
    return combine(rows, tokens, weights, n_tokens).float()


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
                variants=(_added_in_place,),
            ),
            Misconception(
                "averaged",
                _averaged,
                "The sum is divided by the number of rows as well: the weights already sum to 1, so adding is all there is to do.",
            ),
            Misconception(
                "mean of the rows",
                _mean_of_rows,
                "A token's rows are averaged and their weights left out: multiply each row by its own weight, and add.",
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
                "sum thrown away",
                _thrown_away,
                "Everything is zero, because `index_add` gives a new tensor and leaves y as it is: return its result, or call `index_add_`, which changes y.",
            ),
            Misconception(
                "along the width",
                _along_the_width,
                "`rows * weights` lays the R weights along the width d: make them a column first, weights[:, None] with shape (R, 1), so that each row gets its own.",
                variants=(_along_the_width_first,),
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
                variants=(_cast_to_float32,),
            ),
        ),
        hints=(
            "Each row is one expert's opinion about one token. The token's output is the weighted sum of the opinions about it; tokens that nobody looked at stay zero.",
            "weights (R,) → (R, 1), times rows (R, d) → (R, d); zeros (n_tokens, d), index_add over dim 0 at tokens (R,) → (n_tokens, d)",
            "y = zeros of n_tokens × d, of the rows' dtype and device\nadd row i, times weight i, to y at place tokens[i], for all i at once\nreturn y",
        ),
    ),
)
