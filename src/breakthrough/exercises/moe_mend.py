"""Module 1: mending the article's layer.

The learner's class is built, given the course's weights, and watched while it works.

Shapes: T tokens, E experts, k experts a token, d the width
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises import moe_layers as layers
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_building import build, check_class
from breakthrough.exercises.moe_layers import Expert, Layer
from breakthrough.exercises.moe_otherwise import MaskedLayer


class MendedMoE(nn.Module):
    """A sparse layer.

    Shapes: x (T, d) → y (T, d), balance loss ()
    """

    def __init__(self, d_model: int, d_hidden: int, n_experts: int, top_k: int) -> None:
        super().__init__()
        self.router = nn.Linear(d_model, n_experts, bias=False)
        self.experts = nn.ModuleList(Expert(d_model, d_hidden) for _ in range(n_experts))
        self.top_k = top_k

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Route every token on its own, work, add up with weights."""
        scores = self.router(x)  # (T, E)
        best, experts = scores.topk(self.top_k, dim=-1)  # (T, k)
        weights = best.softmax(dim=-1)
        y = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            token, choice = (experts == e).nonzero(as_tuple=True)  # who chose this expert
            y = y.index_add(0, token, weights[token, choice, None] * expert(x[token]))
        share = torch.bincount(experts.flatten(), minlength=len(self.experts)) / max(experts.numel(), 1)
        mean = scores.softmax(dim=-1).sum(0) / max(len(x), 1)  # (E,)
        return y, len(self.experts) * (share * mean).sum()


def watch(answer: Any, case: Case) -> dict[str, Any]:
    """Build a learner's layer, give it the case's weights, and say all that it does.

    Raises: InputError when the layer has other parameters, or forward returns something else or changes x
    """
    sizes, weights, x, pull = case.args
    rows, before = [0] * sizes[2], x.clone()
    out, router = _called_there(answer, case, rows) if isinstance(answer, Elsewhere) else _called(answer, case, rows)
    if not (isinstance(out, tuple) and len(out) == 2 and all(isinstance(part, Tensor) for part in out)):
        raise InputError(expected("forward to return (y, balance loss), two tensors", _in_words(out)))
    if not torch.equal(before, x):
        raise InputError(expected("x left as it was", "a changed x", "new tensors instead of changes in place"))
    y, balance = out
    return {
        "y": y,
        "the balance loss": balance,
        "the rows seen by each expert": torch.tensor(rows) // sizes[0],
        "the router's gradient": _gradient(router, y, balance, pull),
    }


def _called(answer: Any, case: Case, rows: list[int]) -> tuple[Any, Tensor]:
    """What the layer gives, and the weights of its router; `rows` counts the numbers that each expert gets."""
    check_class(answer)
    sizes, weights, x, _ = case.args
    layer: Any = build(answer, sizes, weights)
    for e, expert in enumerate(layer.experts):
        expert.register_forward_pre_hook(lambda _, args, e=e: rows.__setitem__(e, rows[e] + args[0].numel()))
    return layer(x), layer.router.weight


def _called_there(answer: Elsewhere, case: Case, rows: list[int]) -> tuple[Any, Tensor]:
    """As `_called`, with a layer in another process and experts in this one."""
    sizes, weights, x, _ = case.args
    mine = MendedMoE(*sizes).requires_grad_(False)
    mine.load_state_dict(weights)
    router = weights["router.weight"].clone().requires_grad_()

    def expert(e: int) -> Callable[[Tensor], Tensor]:
        def ask(given: Tensor) -> Tensor:
            rows[e] += given.numel()
            return mine.experts[e](given)

        return ask

    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    run = answer.there("breakthrough.exercises.moe_there:run")
    return run(answer, sizes, shapes, router, [expert(e) for e in range(sizes[2])], x), router


def _in_words(out: Any) -> str:
    if isinstance(out, Tensor):
        return "y alone"
    return f"{len(out)} of them" if isinstance(out, tuple) else type_of(out)


def _gradient(router: Tensor, y: Tensor, balance: Tensor, pull: Tensor) -> Tensor:
    """What reaches the router from the output and the loss; zeros when nothing does."""
    total = (y * pull).sum() + balance if y.shape == pull.shape else balance.sum()
    if not total.requires_grad:
        return torch.zeros_like(router)
    (gradient,) = torch.autograd.grad(total, router, allow_unused=True)
    return torch.zeros_like(router) if gradient is None else gradient


class _Rewritten(layers.SortedLayer):
    """A right answer in other words: sorted slices."""


class _TokenByToken(MendedMoE):
    def forward(self, x):
        probs = self.router(x).softmax(-1)
        y, chosen = torch.zeros_like(x), torch.zeros_like(probs)
        for t in range(len(x)):
            weights, experts = probs[t].topk(self.top_k)
            weights = weights / weights.sum()
            parts = [w * self.experts[e](x[t : t + 1])[0] for w, e in zip(weights, experts.tolist())]
            y[t] = torch.stack(parts).sum(0)
            chosen[t, experts] = 1 / self.top_k
        n = max(len(x), 1)
        return y, probs.shape[1] * torch.dot(chosen.sum(0) / n, probs.sum(0) / n)


class _RawWeights(Layer):
    def weigh(self, scores, experts):
        return scores.gather(-1, experts)


class _Detached(Layer):
    def weigh(self, scores, experts):
        return super().weigh(scores, experts).detach()


class _DividedByK(Layer):
    def mix(self, x, weights, experts):
        return super().mix(x, weights, experts) / self.top_k


class _OnlyOutput(Layer):
    def forward(self, x):
        return super().forward(x)[0]


class _BalanceDetached(Layer):
    def balance(self, scores, experts):
        return super().balance(scores, experts).detach()


class _WeightsInTokenOrder(Layer):
    def mix(self, x, weights, experts):
        flat = experts.flatten()
        order = flat.argsort(stable=True)
        slices = x[order // self.top_k].split(torch.bincount(flat, minlength=len(self.experts)).tolist())
        rows = torch.cat([expert(rows) for expert, rows in zip(self.experts, slices)])
        return torch.zeros_like(x).index_add(0, order // self.top_k, weights.flatten()[:, None] * rows)


class _BalanceOfScores(Layer):
    def balance(self, scores, experts):
        share = torch.bincount(experts.flatten(), minlength=scores.shape[1]) / max(experts.numel(), 1)
        return scores.shape[1] * (share * scores.sum(0) / max(len(scores), 1)).sum()


def _cases(generator: Generator):
    def case(label, n_tokens, d, hidden, n_experts, k):
        sizes = d, hidden, n_experts, k
        weights = {
            name: torch.randn(w.shape, generator=generator) * w.shape[-1] ** -0.5
            for name, w in MendedMoE(*sizes).named_parameters()
        }
        x = torch.randn(n_tokens, d, generator=generator)
        return Case(label, (sizes, weights, x, torch.randn(n_tokens, d, generator=generator)))

    with torch.random.fork_rng(devices=[]):
        yield case("6 tokens, d = 8, 4 experts, k = 2", 6, 8, 16, 4, 2)
        yield case("40 tokens, d = 12, 8 experts, k = 3", 40, 12, 10, 8, 3)
        yield case("one token", 1, 8, 8, 5, 2)
        yield case("one token, k = 1", 1, 6, 8, 3, 1)
        yield case("k = E", 5, 6, 8, 3, 3)
        yield case("no tokens", 0, 8, 8, 4, 2)


EXERCISES = (
    Exercise(
        name="moe.mend",
        title="Mending a broken layer",
        points=5,
        minutes=40,
        difficulty=2,
        reference=MendedMoE,
        cases=_cases,
        call=watch,
        alternatives=(_Rewritten, _TokenByToken, MaskedLayer),
        misconceptions=(
            Misconception(
                "router not used",
                layers.BROKEN["router"],
                "The scores do not come from self.router, so nothing can be learned about who gets what: scores = self.router(x).",
            ),
            Misconception(
                "one choice for the batch",
                layers.BROKEN["per_token"],
                "One set of experts serves the whole batch: take the top-k along the last dimension, so that every token has a row of its own.",
            ),
            Misconception(
                "even average",
                layers.BROKEN["weights"],
                "The chosen experts are averaged evenly, so the scores are lost and the router gets no gradient: weigh each output by softmax of the chosen scores.",
            ),
            Misconception(
                "not normalised",
                layers.BROKEN["normalised"],
                "The weights are shares of all experts and sum to less than 1: renormalise over the k chosen, as in moe.route.",
            ),
            Misconception(
                "raw scores as weights",
                _RawWeights,
                "The scores themselves are used as weights, so they may be negative and of any size: put the chosen ones through a softmax.",
            ),
            Misconception(
                "dense",
                layers.BROKEN["sparse"],
                "The output is right, but every expert works on every token and the rest is multiplied by zero: call an expert only with the rows that chose it.",
            ),
            Misconception(
                "no balance loss",
                layers.BROKEN["balance"],
                "The balance loss is zero, so nothing keeps the experts busy: return E · Σ f · P, as in moe.balance.",
            ),
            Misconception(
                "balance loss without gradient",
                _BalanceDetached,
                "The balance loss has the right value but sends no gradient to the router: keep `probs` attached (no detach, no .item(), no no_grad).",
            ),
            Misconception(
                "weights detached",
                _Detached,
                "The output is right, but the weights are cut from the router (detach, no_grad or .item()), so the task never teaches it.",
            ),
            Misconception(
                "weights in token order",
                _WeightsInTokenOrder,
                "The rows are sorted by expert, but their weights still stand in token order: sort them alike, weights.flatten()[order].",
            ),
            Misconception(
                "balance of the scores",
                _BalanceOfScores,
                "The balance loss takes the scores themselves for P: it is the mean probability, so put the scores through a softmax first.",
            ),
            Misconception(
                "divided by k",
                _DividedByK,
                "The output is divided by k as well: the weights sum to 1 already, so the weighted sum is the mean.",
            ),
            Misconception(
                "only the output",
                _OnlyOutput,
                "forward returns y alone: return two things, y and the balance loss.",
            ),
        ),
        hints=(
            "Go through the article's layer line by line and ask at each: who made this, for which token is it, and what happens to the scores? Every answer that surprises you is a defect.",
            "x (T, d) → router (T, E) → topk (T, k) values and indices → softmax (T, k); for expert e: the rows that chose it (n, d) → e's output (n, d) → times their weights (n, 1) → index_add into (T, d)",
            "scores = router(x); best, experts = topk; weights = softmax(best)\ny = zeros like x\nfor each expert: find (token, choice) where experts == e; add weight · expert(x[token]) to y at token\nreturn y, the loss of moe.balance",
        ),
    ),
)
