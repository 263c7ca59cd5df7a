"""Module 1: what a sparse layer costs, counted.

Units: T tokens, E experts, k experts a token, d the width, H hidden
"""

from __future__ import annotations

import torch
from torch import Generator, nn

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def cost(
    d_model: int, d_hidden: int, n_experts: int, top_k: int, n_shared: int, tokens: int
) -> tuple[int, int, int]:
    """Count a sparse layer: all its parameters, those one token uses, forward FLOPs of `tokens` tokens.

    Units:  a multiply-add is 2 FLOPs; only matrix products count
    """
    expert = 3 * d_model * d_hidden  # gate, up and down
    router = n_experts * d_model
    total = router + (n_experts + n_shared) * expert
    active = router + (top_k + n_shared) * expert
    return total, active, 2 * active * tokens  # a parameter in use is one multiply-add per token


def _by_building(d_model, d_hidden, n_experts, top_k, n_shared, tokens):
    def matrices(count):
        shapes = [(d_hidden, d_model), (d_hidden, d_model), (d_model, d_hidden)] * count
        return [nn.Linear(i, o, bias=False, device="meta") for o, i in [(n_experts, d_model), *shapes]]

    def size(layers):
        return sum(p.numel() for layer in layers for p in layer.parameters())

    active = matrices(top_k + n_shared)
    flops = sum(tokens * m.out_features * (2 * m.in_features) for m in active)
    return size(matrices(n_experts + n_shared)), size(active), flops


def _by_parts(d_model, d_hidden, n_experts, top_k, n_shared, tokens):
    idle = (n_experts - top_k) * (2 * d_model * d_hidden + d_hidden * d_model)
    active = d_model * (n_experts + 3 * d_hidden * (top_k + n_shared))
    flops = tokens * (2 * d_model * n_experts + (top_k + n_shared) * 6 * d_model * d_hidden)
    return active + idle, active, flops


def _expert_by_expert(d_model, d_hidden, n_experts, top_k, n_shared, tokens):
    total = active = sum(d_model for _ in range(n_experts))
    for expert in range(-n_shared, n_experts):  # shared ones first, then as if every token chose the first k
        size = 0
        for rows, columns in ((d_hidden, d_model), (d_hidden, d_model), (d_model, d_hidden)):
            size += rows * columns
        total += size
        if expert < top_k:
            active += size
    return total, active, tokens * (active + active)


def _without_router(d, h, n_experts, k, shared, tokens):
    total, active, flops = cost(d, h, n_experts, k, shared, tokens)
    return total - n_experts * d, active - n_experts * d, flops - 2 * tokens * n_experts * d


def _two_matrices(d, h, n_experts, k, shared, tokens):
    total, active = (n_experts * d + (n + shared) * 2 * d * h for n in (n_experts, k))
    return total, active, 2 * active * tokens


def _multiply_adds(d, h, n_experts, k, shared, tokens):
    total, active, flops = cost(d, h, n_experts, k, shared, tokens)
    return total, active, flops // 2


def _shared_forgotten(d, h, n_experts, k, shared, tokens):
    return cost(d, h, n_experts, k, 0, tokens)


def _shared_not_active(d, h, n_experts, k, shared, tokens):
    total, _, _ = cost(d, h, n_experts, k, shared, tokens)
    return total, *cost(d, h, n_experts, k, 0, tokens)[1:]


def _everything_works(d, h, n_experts, k, shared, tokens):
    total, active, _ = cost(d, h, n_experts, k, shared, tokens)
    return total, active, 2 * total * tokens


def _training(d, h, n_experts, k, shared, tokens):
    total, active, flops = cost(d, h, n_experts, k, shared, tokens)
    return total, active, 3 * flops


def _per_token(d, h, n_experts, k, shared, tokens):
    return cost(d, h, n_experts, k, shared, 1)


def _router_of_k(d, h, n_experts, k, shared, tokens):
    total, active, flops = cost(d, h, n_experts, k, shared, tokens)
    return total, active - (n_experts - k) * d, flops - 2 * tokens * (n_experts - k) * d


def _router_idle(d, h, n_experts, k, shared, tokens):
    total, active, _ = cost(d, h, n_experts, k, shared, tokens)
    return total, active - n_experts * d, 2 * (active - n_experts * d) * tokens


def _router_costs_nothing(d, h, n_experts, k, shared, tokens):
    total, active, _ = cost(d, h, n_experts, k, shared, tokens)
    return total, active, 2 * (active - n_experts * d) * tokens


def _shared_not_in_total(d, h, n_experts, k, shared, tokens):
    total, _, _ = cost(d, h, n_experts, k, 0, tokens)
    return total, *cost(d, h, n_experts, k, shared, tokens)[1:]


def _active_times_tokens(d, h, n_experts, k, shared, tokens):
    total, active, flops = cost(d, h, n_experts, k, shared, tokens)
    return total, active * tokens, flops


def _cases(generator: Generator):
    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    yield Case("d = 4, H = 8, 4 experts, k = 2, 1 shared, 3 tokens", (4, 8, 4, 2, 1, 3))
    for _ in range(3):
        n_experts = draw(4, 64)
        sizes = draw(8, 512), draw(8, 2048), n_experts, draw(1, n_experts), draw(1, 4), draw(2, 5000)
        label = "d = {}, H = {}, {} experts, k = {}, {} shared, {} tokens".format(*sizes)
        yield Case(label, sizes)
    yield Case("Mixtral's sizes, no shared experts", (4096, 14336, 8, 2, 0, draw(1000, 5000)))
    yield Case("k = E: nothing is idle", (16, 32, 4, 4, 0, 10))
    yield Case("no tokens", (16, 32, 4, 2, 1, 0))


EXERCISES = (
    Exercise(
        name="moe.cost",
        title="Counting parameters and FLOPs",
        points=6,
        minutes=25,
        difficulty=2,
        reference=cost,
        cases=_cases,
        compare=close(rtol=0, atol=0.5, parts=("the total", "the active parameters", "the FLOPs")),
        alternatives=(_by_building, _by_parts, _expert_by_expert),
        misconceptions=(
            Misconception(
                "without the router",
                _without_router,
                "The router is missing: its matrix has E × d parameters, and every token goes through it.",
            ),
            Misconception(
                "router idle",
                _router_idle,
                "The router is in the total but not in what a token uses: every token is scored by it, so its E × d parameters are active.",
            ),
            Misconception(
                "router for nothing",
                _router_costs_nothing,
                "The parameters are right, the FLOPs lack the router: scoring a token takes E × d multiply-adds as well.",
            ),
            Misconception(
                "shared experts not in the total",
                _shared_not_in_total,
                "The shared experts are in what a token uses but not in the total: they have to be stored too.",
            ),
            Misconception(
                "active times tokens",
                _active_times_tokens,
                "The active parameters were multiplied by the tokens: they are what one token uses; only the FLOPs grow with the batch.",
            ),
            Misconception(
                "two matrices",
                _two_matrices,
                "An expert was counted with two matrices: a SwiGLU has three, gate, up and down, each d × H.",
            ),
            Misconception(
                "multiply-adds",
                _multiply_adds,
                "These are multiply-adds: each one is a multiplication and an addition, so 2 FLOPs.",
            ),
            Misconception(
                "shared experts forgotten",
                _shared_forgotten,
                "The shared experts are missing: they have parameters like any expert, and every token uses them.",
            ),
            Misconception(
                "shared experts idle",
                _shared_not_active,
                "The shared experts are in the total but not in what a token uses: they are not routed, every token passes through all of them.",
            ),
            Misconception(
                "everything works",
                _everything_works,
                "The FLOPs come from all parameters: only the active ones work on a token; that is the point of a sparse layer.",
            ),
            Misconception(
                "forward and backward",
                _training,
                "The FLOPs are three times too many: that is a training step, forward and backward; here only the forward pass counts.",
            ),
            Misconception(
                "one token",
                _per_token,
                "The FLOPs are those of a single token: multiply by the number of tokens.",
            ),
            Misconception(
                "router of k",
                _router_of_k,
                "Only the k chosen rows of the router were counted: it has to score all E experts before it can choose.",
            ),
        ),
        hints=(
            "Memory holds every expert, but a token meets only a few. Count one expert, then ask how many of them there are, and how many one token passes through.",
            "gate (H, d), up (H, d), down (d, H) → 3·d·H per expert; router (E, d) → E·d; total: E + shared experts; active: k + shared experts; a matrix with n parameters costs a token n multiply-adds",
            "expert = 3·d·H, router = E·d\ntotal = router + (E + shared) experts\nactive = router + (k + shared) experts\nreturn total, active, 2 · active · tokens",
        ),
    ),
)
