"""Module 1: keeping the experts busy without a loss, by a bias on the choice.

Shapes: T tokens, E experts, k experts a token
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def route_with_bias(logits: Tensor, bias: Tensor, k: int, rate: float) -> tuple[Tensor, Tensor, Tensor]:
    """Route with a bias that only moves the choice, then move the bias against the load.

    Shapes: logits (T, E), bias (E,) → weights (T, k), experts (T, k), new bias (E,)
    Units:  weights sum to 1 per token; the bias moves by `rate` or not at all
    """
    probs = logits.softmax(dim=-1)  # (T, E)
    experts = (probs + bias).topk(k, dim=-1).indices  # (T, k): the bias counts here only
    weights = probs.gather(-1, experts)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    load = torch.bincount(experts.flatten(), minlength=len(bias)).to(bias.dtype)  # (E,)
    return weights, experts, bias + rate * (load.mean() - load).sign()


def _in_two_steps(logits, bias, k, rate):
    experts = (logits.softmax(-1) + bias).argsort(-1, descending=True)[:, :k]
    weights = logits.gather(1, experts).softmax(-1)  # renormalised over the chosen
    load = torch.nn.functional.one_hot(experts, len(bias)).sum((0, 1))  # (E,)
    even = experts.numel()
    # compared in whole numbers: load · E against T · k
    step = torch.where(load * len(bias) < even, rate, 0.0) - torch.where(load * len(bias) > even, rate, 0.0)
    return weights, experts, (bias + step).to(bias.dtype)


def _expert_by_expert(logits, bias, k, rate):
    probs = torch.exp(logits - logits.logsumexp(-1, keepdim=True))
    experts = torch.topk(probs + bias[None], k).indices
    weights = torch.take_along_dim(probs, experts, 1)
    new = bias.clone()
    for e in range(len(bias)):
        over = int((experts == e).sum()) * len(bias) - experts.numel()
        new[e] += rate if over < 0 else -rate if over > 0 else 0.0
    return weights / weights.sum(1, keepdim=True), experts, new


def _in_numpy(logits, bias, k, rate):
    scores, offset = logits.double().cpu().numpy(), bias.double().cpu().numpy()
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    experts = np.argsort(-(shares + offset), axis=1)[:, :k]
    picked = np.take_along_axis(shares, experts, axis=1)
    load = np.array([(experts == e).sum() for e in range(len(offset))])
    new = offset + rate * np.sign(experts.size - len(offset) * load)  # T·k against E · load: whole numbers
    weights = torch.from_numpy(picked / picked.sum(axis=1, keepdims=True)).to(logits)
    return weights, torch.from_numpy(experts).to(logits.device), torch.from_numpy(new).to(bias)


def _load(experts, bias):
    return torch.bincount(experts.flatten(), minlength=len(bias)).to(bias.dtype)


def _bias_in_weights(logits, bias, k, rate):
    weights, experts = (logits.softmax(-1) + bias).topk(k)
    load = _load(experts, bias)
    return weights / weights.sum(-1, keepdim=True), experts, bias + rate * (load.mean() - load).sign()


def _wrong_way(logits, bias, k, rate):
    weights, experts, new = route_with_bias(logits, bias, k, rate)
    return weights, experts, 2 * bias - new


def _in_proportion(logits, bias, k, rate):
    weights, experts, _ = route_with_bias(logits, bias, k, rate)
    load = _load(experts, bias)
    return weights, experts, bias + rate * (load.mean() - load)


def _choice_without_bias(logits, bias, k, rate):
    weights, experts, new = route_with_bias(logits, torch.zeros_like(bias), k, rate)
    return weights, experts, bias + new


def _not_renormalised(logits, bias, k, rate):
    _, experts, new = route_with_bias(logits, bias, k, rate)
    return logits.softmax(-1).gather(1, experts), experts, new


def _softmax_twice(logits, bias, k, rate):
    _, experts, new = route_with_bias(logits, bias, k, rate)
    return logits.softmax(-1).gather(1, experts).softmax(-1), experts, new


def _bias_on_scores(logits, bias, k, rate):
    experts = (logits + bias).topk(k).indices
    load = _load(experts, bias)
    return logits.gather(1, experts).softmax(-1), experts, bias + rate * (load.mean() - load).sign()


def _always_moves(logits, bias, k, rate):
    weights, experts, _ = route_with_bias(logits, bias, k, rate)
    load = _load(experts, bias)
    return weights, experts, bias + torch.where(load < load.mean(), rate, -rate)


def _always_up_or_down(logits, bias, k, rate):
    weights, experts, _ = route_with_bias(logits, bias, k, rate)
    load = _load(experts, bias)
    return weights, experts, bias + torch.where(load <= load.mean(), rate, -rate)


def _against_the_tokens(logits, bias, k, rate):
    weights, experts, _ = route_with_bias(logits, bias, k, rate)
    return weights, experts, bias + rate * (len(logits) / len(bias) - _load(experts, bias)).sign()


def _idle_forgotten(logits, bias, k, rate):
    weights, experts, _ = route_with_bias(logits, bias, k, rate)
    load = torch.bincount(experts.flatten()).to(bias.dtype)
    return weights, experts, bias + rate * (load.mean() - load).sign()


def _load_of_the_unbiased(logits, bias, k, rate):
    weights, experts, _ = route_with_bias(logits, bias, k, rate)
    load = _load(logits.topk(k).indices, bias)
    return weights, experts, bias + rate * (load.mean() - load).sign()


def _in_place(logits, bias, k, rate):
    weights, experts, new = route_with_bias(logits, bias, k, rate)
    bias += new - bias
    return weights, experts, bias


def _only_the_step(logits, bias, k, rate):
    weights, experts, new = route_with_bias(logits, bias, k, rate)
    return weights, experts, new - bias


def _cases(generator: Generator):
    def case(label, n_tokens, n_experts, k, dtype=torch.float32, rate=0.05):
        logits = torch.randn(n_tokens, n_experts, generator=generator, dtype=dtype)
        bias = 0.5 * torch.randn(n_experts, generator=generator, dtype=dtype)
        return Case(label, (logits, bias, k, rate))

    yield case("6 tokens, 4 experts, k = 2", 6, 4, 2)
    yield case("40 tokens, 8 experts, k = 3", 40, 8, 3, rate=0.01)
    yield case("float64, k = 1", 25, 5, 1, torch.float64)
    yield case("k = E: the load is even, nothing moves", 3, 4, 4)
    logits = torch.randn(30, 4, generator=generator) + torch.tensor([6.0, 0.0, 0.0, 0.0])
    yield Case("one favourite, no bias yet", (logits, torch.zeros(4), 1, 0.001))
    yield case("one token", 1, 6, 2)
    logits = torch.randn(5, 20, generator=generator).t()
    yield Case("not contiguous", (logits, torch.rand(5, generator=generator), 2, 0.1))
    yield case("no tokens", 0, 4, 2)


EXERCISES = (
    Exercise(
        name="moe.bias",
        title="Balance without a loss",
        points=5,
        minutes=30,
        difficulty=2,
        reference=route_with_bias,
        cases=_cases,
        compare=close(parts=("weights", "experts", "the new bias"), order=(1, 0, 2)),
        alternatives=(_in_two_steps, _expert_by_expert, _in_numpy),
        misconceptions=(
            Misconception(
                "bias in the weights",
                _bias_in_weights,
                "The bias got into the weights and so into the output: it moves the choice only; gather the weights from the probabilities without it.",
            ),
            Misconception(
                "wrong way",
                _wrong_way,
                "The bias moves with the load, so the busiest expert becomes busier: raise it for experts below the mean load, lower it above.",
            ),
            Misconception(
                "in proportion",
                _in_proportion,
                "The step grows with the load here: the rule takes only its sign, so every expert moves by `rate` or not at all.",
            ),
            Misconception(
                "choice without bias",
                _choice_without_bias,
                "The experts were chosen without the bias, so it never changes anything: take the k highest of softmax(logits) + bias.",
            ),
            Misconception(
                "not renormalised",
                _not_renormalised,
                "The weights are shares of all E experts: divide each token's k weights by their sum.",
            ),
            Misconception(
                "softmax twice",
                _softmax_twice,
                "The chosen probabilities went through a second softmax, which pulls them together: they are positive already, so divide them by their sum.",
            ),
            Misconception(
                "bias on scores",
                _bias_on_scores,
                "The bias was added to the scores before the softmax: here it is added to the probabilities, so that one step means the same for every token.",
            ),
            Misconception(
                "always moves",
                _always_moves,
                "An expert with exactly the mean load was moved too: sign(mean − load) is 0 there, so its bias stays.",
                variants=(_always_up_or_down,),
            ),
            Misconception(
                "mean of the tokens",
                _against_the_tokens,
                "The mean load was taken as T / E: every token makes k assignments, so it is T · k / E, which `load.mean()` gives.",
            ),
            Misconception(
                "idle experts forgotten",
                _idle_forgotten,
                "The load stops at the last expert that was chosen, so it is too short: count with minlength=E, for idle experts need a push the most.",
            ),
            Misconception(
                "load of the unbiased choice",
                _load_of_the_unbiased,
                "The load was counted from a choice without the bias: count the experts that were really chosen, with it.",
            ),
            Misconception(
                "in place",
                _in_place,
                "The bias you were given was changed (`+=`): return a new tensor, bias + step, and leave the caller's alone.",
            ),
            Misconception(
                "only the step",
                _only_the_step,
                "The third output is the step alone: return the new bias, the old one plus the step.",
            ),
        ),
        hints=(
            "A balance loss pulls on the weights that also serve the task. A bias does not: it tips the choice towards idle experts, while the output keeps the honest weights. After each batch it moves one small step.",
            "logits (T, E) → softmax (T, E) → + bias (E,) → topk indices (T, k); weights: gather from the softmax (T, k), / row sums; load: bincount (E,); mean − load (E,) → sign → · rate",
            "p = softmax of each row\nexperts = places of the k largest of p + bias\nweights = p at experts, divided by their sum\nload = how often each expert was chosen\nreturn weights, experts, bias + rate · sign(mean load − load)",
        ),
    ),
)
