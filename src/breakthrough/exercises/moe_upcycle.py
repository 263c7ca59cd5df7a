"""Module 1: a sparse layer that starts where a dense one stands.

What the layer does with a learner's weights is judged, not the router's numbers.

Shapes: T tokens, E experts, k experts a token, d the width, H hidden
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.exercise import Case, Exercise, Misconception

Weights = dict[str, Tensor]
LARGE = 2.0  # times 1/√d: the root mean square from which a router's first choices are no longer soft


def upcycle(dense: Weights, n_experts: int, generator: Generator) -> Weights:
    """Weights of a sparse layer that starts with the output of a dense SwiGLU.

    Shapes: gate_up (2H, d), down (d, H) → router (E, d), gate_up (E, 2H, d), down (E, d, H)
    Units:  all of the dtype and device of dense; the router is small random numbers from the generator
    """
    gate_up, down = dense["gate_up"], dense["down"]
    router = 0.02 * torch.randn(n_experts, gate_up.shape[1], generator=generator)
    return {
        "router": router.to(gate_up),
        "gate_up": gate_up.repeat(n_experts, 1, 1),  # equal experts, weights that sum to 1: the dense output
        "down": down.repeat(n_experts, 1, 1),
    }


def _stacked(dense, n_experts, generator):
    router = torch.empty(n_experts, dense["down"].shape[0], dtype=dense["down"].dtype)
    bound = router.shape[1] ** -0.5
    copies = {name: torch.stack([weight] * n_experts) for name, weight in dense.items()}
    return {"router": router.uniform_(-bound, bound, generator=generator), **copies}


def _cloned(dense, n_experts, generator):
    gate_up, down = (w.unsqueeze(0).expand(n_experts, -1, -1).clone() for w in (dense["gate_up"], dense["down"]))
    router = torch.randn(n_experts, gate_up.shape[2], generator=generator, dtype=gate_up.dtype)
    return {"gate_up": gate_up, "down": down, "router": router * 0.01}


def _expert_by_expert(dense, n_experts, generator):
    weights = {name: weight.new_empty((n_experts, *weight.shape)) for name, weight in dense.items()}
    for name, weight in dense.items():
        for expert in range(n_experts):
            weights[name][expert].copy_(weight)
    uniform = torch.rand(n_experts, dense["gate_up"].shape[-1], generator=generator)
    weights["router"] = ((uniform - 0.5) / 10).to(dense["gate_up"])
    return weights


def _shared_memory(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    return weights | {name: w.expand(n_experts, -1, -1) for name, w in dense.items()}


def _divided(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    return weights | {"down": weights["down"] / n_experts}


def _noisy(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    noise = torch.randn(weights["down"].shape, generator=generator).to(weights["down"])
    return weights | {"down": weights["down"] + 0.01 * noise}


def _one_copy(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    fresh = {n: torch.randn(weights[n][1:].shape, generator=generator).to(weights[n]) * 0.02 for n in dense}
    return weights | {n: torch.cat((weights[n][:1], fresh[n])) for n in dense}


def _zero_router(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    return weights | {"router": torch.zeros_like(weights["router"])}


def _halves_swapped(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    gate, up = weights["gate_up"].chunk(2, dim=1)
    return weights | {"gate_up": torch.cat((up, gate), dim=1)}


def _wrong_dtype(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    return weights | {"router": weights["router"].float()}


def _not_from_the_generator(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    with torch.random.fork_rng(devices=[]):
        return weights | {"router": 0.02 * torch.randn(weights["router"].shape).to(weights["router"])}


def _seeded_alike(dense, n_experts, generator):
    return upcycle(dense, n_experts, torch.Generator().manual_seed(0))


def _large_router(dense, n_experts, generator):
    weights = upcycle(dense, n_experts, generator)
    return weights | {"router": weights["router"] / 0.02}


def start_up(answer: Any, case: Case) -> dict[str, Any] | None:
    """Make the weights and say what a layer with them does.

    Raises: InputError for weights of other names, shapes or dtypes
    """
    dense, n_experts, x, seed = case.args
    before = {name: weight.clone() for name, weight in dense.items()}
    weights = _made(answer, case, seed, 0)
    if weights is None:
        return None
    _validate(weights, dense, n_experts)
    again, other = _made(answer, case, seed, 1)["router"], _made(answer, case, seed + 1, 1)["router"]
    router = weights["router"].clone()
    repeats = torch.equal(router, again)
    outputs = {f"y, k = {k}": _sparse(weights, x, k) for k in sorted({1, 2, n_experts})}
    probe = torch.randn(200, x.shape[1], generator=torch.Generator().manual_seed(seed)).to(x)
    busy = (probe @ weights["router"].T).topk(1).indices.unique().numel()
    return outputs | {
        "different tokens go to different experts": busy > 1,
        "the generator decides the router": repeats and (busy == 1 or not torch.equal(router, other)),
        "the router's numbers are small": busy == 1 or bool(router.square().mean().sqrt() <= LARGE * x.shape[1] ** -0.5),
        "every expert has memory of its own": _separate(weights, dense),
        "the dense weights are left as they were": all(torch.equal(before[n], dense[n]) for n in dense),
    }


def _is_false(fact: str) -> Callable[[Any, Any], bool]:
    """Recognises a misconception by one thing that does not hold, whatever else is wrong."""
    return lambda want, got: got[fact] is False


def _made(answer: Any, case: Case, seed: int, elsewhere: int) -> Any:
    """The weights that an answer makes with a generator; torch's own is seeded apart from it."""
    dense, n_experts, _, _ = case.args
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(elsewhere)
        return answer(dense, n_experts, torch.Generator().manual_seed(seed))


def _validate(weights: Any, dense: Weights, n_experts: int) -> None:
    width, d = dense["gate_up"].shape
    shapes = {"router": (n_experts, d), "gate_up": (n_experts, width, d), "down": (n_experts, d, width // 2)}
    if not isinstance(weights, dict) or set(weights) != set(shapes):
        got = ", ".join(sorted(map(str, weights))) if isinstance(weights, dict) else type_of(weights)
        raise InputError(expected("a dict with router, gate_up and down", got))
    for name, shape in shapes.items():
        weight, dtype = weights[name], dense["down"].dtype
        if not isinstance(weight, Tensor):
            raise InputError(expected(f"a tensor for {name}", type_of(weight)))
        if weight.shape != shape:
            raise InputError(expected(f"{name} of shape {shape}", tuple(weight.shape)))
        if weight.dtype != dtype:
            raise InputError(expected(f"{name} of {dtype}, as the dense weights are", weight.dtype))


def _sparse(weights: Weights, x: Tensor, k: int) -> Tensor:
    """The layer by its definition: Σ wᵢ · expertᵢ(x), slow and plain."""
    best, experts = (x @ weights["router"].T).topk(k)
    hidden = torch.einsum("ehd,td->teh", weights["gate_up"], x)
    gate, up = hidden.chunk(2, dim=-1)
    said = torch.einsum("edh,teh->ted", weights["down"], F.silu(gate) * up)  # (T, E, d)
    chosen = said.gather(1, experts[..., None].expand(-1, -1, x.shape[1]))
    return (best.softmax(-1)[..., None] * chosen).sum(1)


def _separate(weights: Weights, dense: Weights) -> bool:
    """Whether a change to one expert leaves the other experts and the dense layer alone."""
    for name, original in dense.items():
        others = weights[name][1:].clone(), original.clone()
        changed = weights[name][0].detach()
        changed.add_(1)
        same = torch.equal(others[0], weights[name][1:]) and torch.equal(others[1], original)
        changed.sub_(1)
        if not same:
            return False
    return True


def _cases(generator: Generator):
    def case(label, n_tokens, d, hidden, n_experts, dtype=torch.float32):
        dense = {
            "gate_up": torch.randn(2 * hidden, d, generator=generator, dtype=dtype) * d**-0.5,
            "down": torch.randn(d, hidden, generator=generator, dtype=dtype) * hidden**-0.5,
        }
        x = torch.randn(n_tokens, d, generator=generator, dtype=dtype)
        return Case(label, (dense, n_experts, x, int(torch.randint(2**31, (), generator=generator))))

    yield case("5 tokens, d = 4, H = 6, 3 experts", 5, 4, 6, 3)
    yield case("30 tokens, d = 16, H = 24, 8 experts", 30, 16, 24, 8)
    yield case("10 tokens, d = 64, H = 4, 64 experts", 10, 64, 4, 64)
    yield case("float64", 7, 8, 8, 4, torch.float64)


EXERCISES = (
    Exercise(
        name="moe.upcycle",
        title="Upcycling",
        points=5,
        minutes=25,
        difficulty=2,
        reference=upcycle,
        cases=_cases,
        call=start_up,
        alternatives=(_stacked, _cloned, _expert_by_expert),
        misconceptions=(
            Misconception(
                "shared memory",
                _shared_memory,
                "The experts are views of the same memory (`expand` copies nothing), so training one changes all: make copies with `repeat` or `clone`.",
                seen=_is_false("every expert has memory of its own"),
            ),
            Misconception(
                "divided by E",
                _divided,
                "The experts' outputs are made smaller: a token's weights sum to 1 already, so equal experts give the dense output unchanged.",
            ),
            Misconception(
                "noise on the experts",
                _noisy,
                "The experts differ from the dense layer from the start: copy it exactly; the router sends them different tokens, and that makes them differ.",
            ),
            Misconception(
                "one copy only",
                _one_copy,
                "Only the first expert is the dense layer, the others are new: tokens sent to them lose what was learned, so copy it into all.",
            ),
            Misconception(
                "router of zeros",
                _zero_router,
                "With equal rows in the router every token goes to the same experts, for ties have no better answer: draw small random numbers.",
                seen=_is_false("different tokens go to different experts"),
            ),
            Misconception(
                "not from the generator",
                _not_from_the_generator,
                "The router does not come from the generator that was given: pass generator=generator to torch.randn, so that a run can be repeated.",
                variants=(_seeded_alike,),
                seen=_is_false("the generator decides the router"),
            ),
            Misconception(
                "large router",
                _large_router,
                "The router's numbers are large, so it has strong favourites before it has learned anything: make them small, 0.02 times torch.randn, say.",
                seen=_is_false("the router's numbers are small"),
            ),
            Misconception(
                "halves swapped",
                _halves_swapped,
                "Gate and up have changed places, and silu acts on the gate only: keep the order of gate_up.",
            ),
            Misconception(
                "always float32",
                _wrong_dtype,
                "The router is float32 whatever the layer is: give it the dtype of the dense weights.",
            ),
        ),
        hints=(
            "If all experts say the same, it does not matter who is asked, as long as the weights sum to 1. So every expert starts as the dense layer; the router only has to make their ways part.",
            "gate_up (2H, d) → (E, 2H, d) and down (d, H) → (E, d, H) by copying along a new first dimension; router (E, d), small random numbers",
            "router = small random numbers E × d from the generator, in the dense dtype\ngate_up = E copies of the dense one; down = E copies\nreturn the three by name",
        ),
    ),
)
