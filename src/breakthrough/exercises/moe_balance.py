"""Module 1: the loss that keeps every expert busy. Value and gradient are judged.

Shapes: T tokens, E experts, k experts a token
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_speed import choices


def loss_and_gradient(answer: Any, case: Case) -> dict[str, Any] | None:
    """What a loss says about its first argument, and the gradient it sends there.

    A loss without a gradient counts as one whose gradient is zero everywhere.
    """
    scores, *others = case.args
    before, scores = scores, scores.clone().requires_grad_()
    loss = answer(scores, *others)
    if loss is None:
        return None
    gradient = None
    if isinstance(loss, Tensor) and loss.requires_grad:
        (gradient,) = torch.autograd.grad(loss.sum(), scores, allow_unused=True)
    gradient = torch.zeros_like(before) if gradient is None else gradient
    return {"the loss": loss, "the gradient": gradient}


def balance(probs: Tensor, experts: Tensor) -> Tensor:
    """The load-balance loss E · Σₑ fₑ · Pₑ: near 1 when the work is even, larger the more one expert takes.

    Shapes: probs (T, E), experts (T, k) → ()
    Units:  f is the share of the T·k assignments, P the mean probability; 0 for zero tokens. Choices are
            distinct, so f is 1/k at most: only with k = 1 can one expert take all, and the loss reach E
    """
    n_experts = probs.shape[1]
    counts = torch.bincount(experts.flatten(), minlength=n_experts)  # (E,)
    share = counts.to(probs.dtype) / max(experts.numel(), 1)
    mean = probs.sum(0) / max(len(probs), 1)  # (E,): the gradient flows here
    return n_experts * (share * mean).sum()


def _one_hot_balance(probs, experts):
    if not len(probs):
        return probs.sum()
    chosen = torch.nn.functional.one_hot(experts, probs.shape[1]).to(probs.dtype)  # (T, k, E)
    return probs.shape[1] * torch.dot(chosen.mean((0, 1)), probs.mean(0))


def _summed_by_assignment(probs, experts):
    # Σₑ fₑ Pₑ is the mean over assignments of the mean probability of their expert
    if not len(probs):
        return probs.sum()
    return probs.shape[1] * probs.mean(0)[experts].mean()


def _by_einsum(probs, experts):
    # Σₑ countₑ · Σₜ probability, in float64, divided at the end
    chosen = (experts[:, :, None] == torch.arange(probs.shape[1], device=probs.device)).double()  # (T, k, E)
    pairs = torch.einsum("tke,se->", chosen, probs.double())
    return (pairs * probs.shape[1] / (max(len(probs), 1) * max(experts.numel(), 1))).to(probs.dtype)


def _shares(probs, experts):
    counts = torch.bincount(experts.flatten(), minlength=probs.shape[1])
    return counts.to(probs.dtype) / max(experts.numel(), 1)


def _mean(probs):
    return probs.sum(0) / max(len(probs), 1)


def _without_factor(probs, experts):
    return (_shares(probs, experts) * _mean(probs)).sum()


def _k_times_too_large(probs, experts):
    return experts.shape[1] * balance(probs, experts)


def _counts(probs, experts):
    counts = torch.bincount(experts.flatten(), minlength=probs.shape[1])
    return probs.shape[1] * (counts * _mean(probs)).sum()


def _not_averaged(probs, experts):
    return probs.shape[1] * (_shares(probs, experts) * probs.sum(0)).sum()


def _probabilities_only(probs, experts):
    return probs.shape[1] * _mean(probs).square().sum()


def _counts_only(probs, experts):
    return probs.shape[1] * _shares(probs, experts).square().sum()


def _detached(probs, experts):
    return balance(probs.detach(), experts)


def _first_choices(probs, experts):
    return balance(probs, experts[:, :1])


def _as_a_number(probs, experts):
    return balance(probs, experts).item()


def _own_tokens_only(probs, experts):
    mine = torch.zeros_like(probs).scatter(1, experts, 1.0)  # (T, E)
    mean = (probs * mine).sum(0) / mine.sum(0).clamp_min(1)
    return probs.shape[1] * (_shares(probs, experts) * mean).sum()


def _chosen_probability_only(probs, experts):
    mine = torch.zeros_like(probs).scatter(1, experts, 1.0)
    return probs.shape[1] * (_shares(probs, experts) * _mean(probs * mine)).sum()


def _averaged_over_experts(probs, experts):
    return balance(probs, experts) / probs.shape[1] ** 2


def _nan_for_none(probs, experts):
    share = torch.bincount(experts.flatten(), minlength=probs.shape[1]) / experts.numel()
    return probs.shape[1] * (share.to(probs.dtype) * probs.mean(0)).sum() if len(probs) else probs.mean()


def _balance_cases(generator: Generator):
    def case(label, n_tokens, n_experts, k, dtype=torch.float32):
        logits = torch.randn(n_tokens, n_experts, generator=generator, dtype=dtype)
        return Case(label, (logits.softmax(-1), logits.topk(k).indices))

    yield case("4 tokens, 3 experts, k = 2", 4, 3, 2)
    yield case("50 tokens, 8 experts, k = 2", 50, 8, 2)
    yield case("k = 1", 12, 4, 1)
    probs = (4 * torch.eye(5)[0] + torch.rand(9, 5, generator=generator)).softmax(-1)
    yield Case("every token to expert 0 of 5", (probs, torch.zeros(9, 1, dtype=torch.int64)))
    yield Case("perfect balance", (torch.full((8, 4), 0.25), torch.arange(16).view(8, 2) % 4))
    yield case("float64, one token, k = E", 1, 6, 6, torch.float64)
    probs = torch.randn(7, 10, generator=generator).softmax(0).t()
    yield Case("not contiguous", (probs, choices(10, 7, 3, generator).t().contiguous().t()))
    yield case("one token, k = 1: a single assignment", 1, 5, 1)
    yield case("no tokens", 0, 4, 2)


EXERCISES = (
    Exercise(
        name="moe.balance",
        title="The load-balance loss",
        points=6,
        minutes=35,
        difficulty=2,
        reference=balance,
        cases=_balance_cases,
        call=loss_and_gradient,
        alternatives=(_one_hot_balance, _summed_by_assignment, _by_einsum),
        misconceptions=(
            Misconception(
                "without the factor E",
                _without_factor,
                "The factor E is missing, so perfect balance gives 1/E instead of 1: multiply the sum by the number of experts.",
            ),
            Misconception(
                "k times too large",
                _k_times_too_large,
                "f has to be shares of all T·k assignments, so that they sum to 1: dividing by the T tokens alone gives k times too much.",
            ),
            Misconception(
                "counts",
                _counts,
                "These are counts, so the loss grows with the batch: divide them by the number of assignments, T·k, to get shares.",
            ),
            Misconception(
                "probabilities added up",
                _not_averaged,
                "P is the sum of the probabilities over the tokens, so the loss grows with the batch: divide by T to get their mean.",
            ),
            Misconception(
                "probabilities only",
                _probabilities_only,
                "This multiplies the mean probabilities with themselves: f is what was really chosen, counted from `experts`.",
            ),
            Misconception(
                "counts only",
                _counts_only,
                "This multiplies the shares with themselves, and counting has no gradient, so nothing learns from it: one factor must be the mean probability.",
            ),
            Misconception(
                "no gradient",
                _detached,
                "The value is right, but no gradient reaches the probabilities (detach, no_grad, .item() or a new tensor cuts it off): compute P from `probs` itself.",
                variants=(_as_a_number,),
            ),
            Misconception(
                "first choices only",
                _first_choices,
                "Only first choices were counted: every one of the T·k assignments is work for an expert.",
            ),
            Misconception(
                "own tokens only",
                _own_tokens_only,
                "P was averaged over the tokens that chose the expert: take its mean probability over all T tokens, or nobody's probability is pushed elsewhere.",
                variants=(_chosen_probability_only,),
            ),
            Misconception(
                "averaged over experts",
                _averaged_over_experts,
                "A mean over the experts divides by E where the loss multiplies by E: take the sum of f · P, times E.",
            ),
            Misconception(
                "NaN for no tokens",
                _nan_for_none,
                "The mean of no tokens is 0/0 = NaN, which would spoil the whole loss: divide by max(T, 1), and by max(T·k, 1).",
            ),
        ),
        hints=(
            "Count how the work is shared (f), and average how the probabilities are shared (P). Their product is large where both are; pushing P down there, through the gradient, moves tokens elsewhere.",
            "experts (T, k) → flatten, bincount with minlength (E,) → / (T·k) = f (E,); probs (T, E) → mean over dim 0 = P (E,); (f · P) summed () → times E",
            "f = how often each expert occurs in experts, divided by T·k (at least 1)\nP = sum of probs over the tokens, divided by T (at least 1)\nreturn E times the sum of f · P",
        ),
    ),
)
