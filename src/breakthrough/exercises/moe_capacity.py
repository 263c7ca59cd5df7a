"""Module 1: what happens when an expert is full.

Shapes: T tokens, E experts, k experts a token, C the assignments an expert accepts
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_speed import choices


def keep(experts: Tensor, n_experts: int, factor: float) -> Tensor:
    """Say which assignments fit: every expert accepts the first C of its own, in token order.

    Shapes: experts (T, k) → (T, k) bool
    Units:  C = ceil(factor · T · k / E); zero tokens give (0, k) bool
    """
    capacity = math.ceil(factor * experts.numel() / n_experts)
    flat = experts.flatten()  # token by token, first choice first
    mine = torch.nn.functional.one_hot(flat, n_experts)  # (T·k, E)
    rank = (mine.cumsum(0) * mine).sum(-1)  # 1 for an expert's first assignment
    return (rank <= capacity).view(experts.shape)


def _by_sorting(experts, n_experts, factor):
    capacity = math.ceil(factor * experts.numel() / n_experts)
    flat = experts.flatten()
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=n_experts)
    rank = torch.arange(len(flat), device=flat.device) - (counts.cumsum(0) - counts)[flat[order]]
    kept = torch.empty_like(flat, dtype=torch.bool)
    kept[order] = rank < capacity
    return kept.view_as(experts)


def _by_counting(experts, n_experts, factor):
    room = [math.ceil(factor * experts.numel() / n_experts)] * n_experts
    kept = torch.zeros(experts.shape, dtype=torch.bool, device=experts.device)
    for token, chosen in enumerate(experts.tolist()):
        for choice, expert in enumerate(chosen):
            kept[token, choice] = room[expert] > 0
            room[expert] -= 1
    return kept


def _by_pairs(experts, n_experts, factor):
    """How many of the same expert came before, from all pairs of assignments."""
    flat = experts.reshape(-1)
    before = torch.ones(len(flat), len(flat), dtype=torch.bool, device=flat.device).tril(-1)
    rank = ((flat[:, None] == flat[None, :]) & before).sum(1)
    return (rank < math.ceil(len(flat) * factor / n_experts)).reshape(experts.shape)


def _within(experts, n_experts, capacity):
    mine = torch.nn.functional.one_hot(experts.flatten(), n_experts)
    return ((mine.cumsum(0) * mine).sum(-1) <= capacity).view(experts.shape)


def _rounded_down(experts, n_experts, factor):
    return _within(experts, n_experts, int(factor * experts.numel() / n_experts))


def _without_k(experts, n_experts, factor):
    return _within(experts, n_experts, math.ceil(factor * len(experts) / n_experts))


def _one_too_many(experts, n_experts, factor):
    return _within(experts, n_experts, math.ceil(factor * experts.numel() / n_experts) + 1)


def _one_too_few(experts, n_experts, factor):
    return _within(experts, n_experts, math.ceil(factor * experts.numel() / n_experts) - 1)


def _choices_in_turn(experts, n_experts, factor):
    turned = keep(experts.t().reshape(1, -1), n_experts, factor)  # all first choices, then all second ones
    return turned.view(experts.shape[1], experts.shape[0]).t()


def _room_per_choice(experts, n_experts, factor):
    capacity = math.ceil(factor * experts.numel() / n_experts)
    mine = torch.nn.functional.one_hot(experts, n_experts)  # (T, k, E)
    return (mine.cumsum(0) * mine).sum(-1) <= capacity


def _last_ones(experts, n_experts, factor):
    return keep(experts.flip(0, 1), n_experts, factor).flip(0, 1)


def _whole_tokens(experts, n_experts, factor):
    return keep(experts, n_experts, factor).all(-1, keepdim=True).expand_as(experts)


def _dropped(experts, n_experts, factor):
    return ~keep(experts, n_experts, factor)


def _keep_cases(generator: Generator):
    # experts in powers of 2, so that every way to compute C rounds the same
    skewed = torch.tensor([[0, 1], [0, 1], [1, 0], [1, 2], [2, 0], [3, 1], [0, 2], [0, 3]])
    yield Case("8 tokens, 4 experts, k = 2, factor 1", (skewed[torch.randperm(8, generator=generator)], 4, 1.0))
    for factor in (0.5, 1.0, 1.25):
        yield Case(f"50 tokens, 8 experts, k = 3, factor {factor}", (choices(50, 8, 3, generator), 8, factor))
    # 15 assignments over 4 experts: C is not whole before rounding
    flat = torch.tensor([0] * 7 + [1] * 5 + [2] * 2 + [3])
    yield Case("15 tokens, k = 1", (flat[torch.randperm(15, generator=generator)].view(15, 1), 4, 1.0))
    yield Case("every token to expert 2", (torch.full((9, 1), 2), 4, 1.0))
    yield Case("not contiguous", (choices(9, 8, 2, generator).t().contiguous().t(), 8, 0.75))
    yield Case("k = E: everything fits", (choices(4, 4, 4, generator), 4, 1.0))
    yield Case("no tokens", (torch.zeros(0, 2, dtype=torch.int64), 4, 1.0))


EXERCISES = (
    Exercise(
        name="moe.capacity",
        title="Capacity and dropped tokens",
        points=6,
        minutes=35,
        difficulty=2,
        reference=keep,
        cases=_keep_cases,
        alternatives=(_by_sorting, _by_counting, _by_pairs),
        misconceptions=(
            Misconception(
                "rounded down",
                _rounded_down,
                "The capacity is rounded down, so an even load would already lose assignments: round up with math.ceil.",
            ),
            Misconception(
                "without k",
                _without_k,
                "The capacity counts tokens, but every token makes k assignments: C = ceil(factor · T · k / E).",
            ),
            Misconception(
                "one too many",
                _one_too_many,
                "Every expert accepts one assignment too many: with ranks from 0 keep rank < C, with ranks from 1 keep rank <= C.",
            ),
            Misconception(
                "one too few",
                _one_too_few,
                "Every expert accepts one assignment too few: a `cumsum` counts from 1, so keep rank <= C.",
            ),
            Misconception(
                "choices in turn",
                _choices_in_turn,
                "All first choices were served before any second one: a known rule, but here the tokens come in order, each with all its choices.",
            ),
            Misconception(
                "room per choice",
                _room_per_choice,
                "First and second choices were counted apart, so an expert may take C of each: its room is shared, so count over the flattened T·k assignments.",
            ),
            Misconception(
                "last ones",
                _last_ones,
                "The last assignments of a full expert were kept: the first come first, so count from the first token on.",
            ),
            Misconception(
                "whole tokens",
                _whole_tokens,
                "A token with one full expert lost its other experts too: decide for each assignment on its own.",
            ),
            Misconception(
                "upside down",
                _dropped,
                "True marks what was dropped here: return True for the assignments that are kept.",
            ),
        ),
        hints=(
            "A full expert turns assignments away. To know whether one fits, count how many assignments of the same expert stand before it.",
            "experts (T, k) → flatten (T·k,) → one-hot (T·k, E) → cumsum over dim 0 (T·k, E) → each assignment's own column (T·k,) → compare with C → view (T, k)",
            "C = ceil(factor · T · k / E)\nfor all assignments at once: rank = how many of the same expert up to here, itself included\nreturn rank <= C, in the shape of experts",
        ),
    ),
)
