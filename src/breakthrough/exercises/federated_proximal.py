"""Module 3: FedProx, local training that is held back by a spring to the weights it received.

Shapes: B samples a batch, D inputs, C classes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception

Batches = list[tuple[Tensor, Tensor]]


def local_steps(model: nn.Module, batches: Batches, lr: float, mu: float) -> list[float]:
    """Train a model in place, one SGD step a batch, and keep it near the weights that it came with.

    Why:    on skewed data each client runs towards its own optimum, and the mean of the places they reach is
            a good model for none; the term pulls every client back to where all of them started
    Shapes: batches of x (B, D) and y (B,) int64 → one term per batch
    Units:  the loss of a batch is cross-entropy + μ/2 · ‖w − w₀‖², the squares summed over all of
            model.parameters(), w₀ as they were at the call; plain SGD, w ← w − lr · gradient. The terms are
            floats, μ/2 included, each as it was before its step. The model is in training mode
    Source: Li et al. 2020, arXiv:1812.06127
    """
    received = [w.detach().clone() for w in model.parameters()]  # without clone it would follow the training
    terms = []
    for x, y in batches:
        term = mu / 2 * sum((w - start).square().sum() for w, start in zip(model.parameters(), received))
        model.zero_grad()
        (F.cross_entropy(model(x), y) + term).backward()
        with torch.no_grad():
            for w in model.parameters():
                w -= lr * w.grad  # type: ignore[misc, operator]  # after backward() each has one
        terms.append(float(term))
    return terms


def _by_hand(model, batches, lr, mu):
    """The term's gradient written out: μ · (w − w₀)."""
    start = {name: w.detach().clone() for name, w in model.named_parameters()}
    terms = []
    for x, y in batches:
        names, weights = zip(*model.named_parameters())
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), weights)
        terms.append(mu / 2 * sum((w.detach() - start[n]).norm().item() ** 2 for n, w in zip(names, weights)))
        with torch.no_grad():
            for name, w, gradient in zip(names, weights, gradients):
                w.sub_(lr * (gradient + mu * (w - start[name])))
    return terms


def _with_optimizer(model, batches, lr, mu):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    flat = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    terms = []
    for x, y in batches:
        away = torch.nn.utils.parameters_to_vector(model.parameters()) - flat
        term = 0.5 * mu * away @ away
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y) + term
        loss.backward()
        optimizer.step()
        terms.append(term.item())
    return terms


def _by_hooks(model, batches, lr, mu):
    """The term is never built: a hook adds its gradient to each weight's own."""
    weights = list(model.parameters())
    start = [w.data.clone() for w in weights]
    hooks = [w.register_hook(lambda g, w=w, w0=w0: g + mu * (w.data - w0)) for w, w0 in zip(weights, start)]
    terms = []
    for x, y in batches:
        terms.append(sum(mu / 2 * F.mse_loss(w.data, w0, reduction="sum").item() for w, w0 in zip(weights, start)))
        for w in weights:
            w.grad = None
        (-F.log_softmax(model(x), dim=1).gather(1, y[:, None]).mean()).backward()
        for w in weights:
            w.data = w.data - lr * w.grad
    for hook in hooks:
        hook.remove()
    return terms


def _squared(model: nn.Module, received: list[Tensor]) -> Any:
    return sum((w - start).square().sum() for w, start in zip(model.parameters(), received))


def _copies(model: nn.Module) -> list[Tensor]:
    return [w.detach().clone() for w in model.parameters()]


def _steps(
    distance: Callable[[nn.Module, list[Tensor]], Tensor] = _squared,
    copy: Callable[[nn.Module], list[Tensor]] = _copies,
    factor: float = 0.5,
    sign: float = 1.0,
    into_loss: Callable[[Any], Any] = lambda term: term,
    again: bool = False,
    clear: bool = True,
    late: bool = False,
) -> Callable[..., list[float]]:
    """Local training that differs in one respect."""

    def answer(model, batches, lr, mu):
        received, terms = copy(model), []
        for x, y in batches:
            received = copy(model) if again else received
            term = mu * factor * distance(model, received)
            if clear:
                model.zero_grad()
            (F.cross_entropy(model(x), y) + sign * into_loss(term)).backward()
            with torch.no_grad():
                for w in model.parameters():
                    w -= lr * w.grad
                terms.append(float(mu * factor * distance(model, received) if late else term))
        return terms

    return answer


def _with_buffers(model: nn.Module, received: list[Tensor]) -> Any:
    now = [w for w in model.parameters()] + [b for b in model.buffers()]
    return sum((w - start).float().square().sum() for w, start in zip(now, received))


def _weights_only(model: nn.Module, received: list[Tensor]) -> Any:
    pairs = zip(model.parameters(), received)
    return sum((w - start).square().sum() for w, start in pairs if w.ndim > 1)


def _last_only(model: nn.Module, received: list[Tensor]) -> Tensor:
    for w, start in zip(model.parameters(), received):
        distance = (w - start).square().sum()
    return distance


def _sum(of: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, list[Tensor]], Any]:
    return lambda model, received: sum(of(w - start) for w, start in zip(model.parameters(), received))


def trained(answer: Any, case: Case) -> dict[str, Any]:
    """What an answer reports, and the model that it leaves behind."""
    model, *rest = case.args
    terms = answer(model, *rest)
    if terms is None:
        return {"terms": None}
    values = [t.item() if isinstance(t, Tensor) and t.numel() == 1 else t for t in terms] if isinstance(terms, (list, tuple)) else terms
    return {"terms": values, "weights": {name: w.detach().clone() for name, w in model.named_parameters()}}


def _cases(generator: Generator) -> Iterator[Case]:
    def case(label, layers, steps, lr, mu, d=5, classes=3, dtype=torch.float32):
        with torch.random.fork_rng(devices=[]):
            model = nn.Sequential(*layers()).to(dtype)
        with torch.no_grad():
            for w in model.parameters():
                w.copy_((w.ndim == 1) + 0.4 * torch.randn(w.shape, generator=generator, dtype=dtype))
        batches = [
            (2 * torch.randn(12, d, generator=generator, dtype=dtype), torch.randint(classes, (12,), generator=generator))
            for _ in range(steps)
        ]
        return Case(label, (model, batches, lr, mu))

    yield case("a linear layer, 4 batches, μ = 1", lambda: [nn.Linear(5, 3)], 4, 0.5, 1.0)
    yield case("two layers with BatchNorm, 5 batches", lambda: [nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)], 5, 0.4, 0.7)
    yield case("μ = 0 is plain SGD", lambda: [nn.Linear(5, 3)], 3, 0.5, 0.0)
    yield case("one batch: the term is 0 still", lambda: [nn.Linear(5, 3)], 1, 0.5, 2.0)
    yield case("float64, μ = 3", lambda: [nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)], 4, 0.2, 3.0, dtype=torch.float64)


EXERCISES = (
    Exercise(
        name="federated.proximal",
        title="The FedProx term",
        points=5,
        minutes=25,
        difficulty=1,
        reference=local_steps,
        cases=_cases,
        call=trained,
        compare=close(rtol=1e-3, atol=1e-5, dtype=False),
        alternatives=(_by_hand, _with_optimizer, _by_hooks),
        misconceptions=(
            Misconception(
                "the copy follows",
                _steps(copy=lambda model: [w.detach() for w in model.parameters()]),
                "The term stays 0: what you kept is the model itself, or a copy renewed in the loop. state_dict() and detach() share memory, so clone() the weights once, before the loop.",
                variants=(_steps(again=True), _steps(copy=lambda model: list(model.parameters()))),
            ),
            Misconception(
                "without the half",
                _steps(factor=1.0),
                "The term is μ/2 times the squared distance: with the half its gradient is μ · (w − w₀).",
            ),
            Misconception(
                "not squared",
                _steps(_sum(lambda away: away.norm())),
                "A norm is not its square: it pulls with the same force however near the weights are; square it, or sum the squares.",
                variants=(
                    _steps(lambda model, received: _squared(model, received).sqrt()),
                    _steps(lambda model, received: torch.cat([(w - s).flatten() for w, s in zip(model.parameters(), received)]).norm()),
                    _steps(_sum(lambda away: away.abs().sum())),
                ),
            ),
            Misconception(
                "a mean",
                _steps(_sum(lambda away: away.square().mean())),
                "The squares of a tensor were averaged, so a large layer is hardly held at all: sum them.",
                variants=(_steps(lambda model, received: _squared(model, received) / sum(r.numel() for r in received)),),
            ),
            Misconception(
                "no gradient",
                _steps(into_loss=lambda term: float(term)),
                "The term is counted and does not pull: .item(), detach() or no_grad cut its gradient, and a clone() of w₀ without detach() cancels it; keep it a tensor of w, with w₀ detached.",
                variants=(_steps(_with_buffers, lambda model: _copies(model) + [b.clone() for b in model.buffers()], into_loss=float), _steps(copy=lambda model: [w.clone() for w in model.parameters()])),
            ),
            Misconception(
                "pulled to zero",
                _steps(copy=lambda model: [torch.zeros_like(w) for w in model.parameters()]),
                "That is weight decay, μ/2 · ‖w‖²: measure the distance from the weights that were received, not from 0.",
            ),
            Misconception(
                "buffers counted",
                _steps(_with_buffers, lambda model: _copies(model) + [b.clone() for b in model.buffers()]),
                "BatchNorm's buffers are in the sum: they are measured and not trained, so no gradient pulls them; go through parameters() only.",
            ),
            Misconception(
                "weights without biases",
                _steps(_weights_only),
                "Biases and BatchNorm's scales run free: the sum goes over all of parameters().",
            ),
            Misconception(
                "the last tensor only",
                _steps(_last_only),
                "Only the last tensor is held: the loop overwrites the distance instead of adding to it.",
            ),
            Misconception(
                "pushed away",
                _steps(sign=-1.0),
                "The term was subtracted from the loss, which pushes the weights away: add it.",
            ),
            Misconception(
                "gradients pile up",
                _steps(clear=False),
                "Gradients of earlier batches are still in there: call zero_grad() before each backward().",
            ),
            Misconception(
                "measured after the step",
                _steps(late=True),
                "The terms are those after each step: report the one that was in the loss; the first is 0, for no weight has moved yet.",
            ),
        ),
        hints=(
            "The received weights are where a rubber band is fixed. So they must stay where they were while the model moves: a copy, made once. The longer the band, the harder the pull: that is a square.",
            "parameters() → w₀: as many tensors, `.detach().clone()`; per batch: (w − w₀).square().sum() of each tensor → (), added up, × μ/2 → term (), a tensor with a gradient; loss () + term () → backward → w.grad of w's shape",
            "received = detached copies of all parameters\nfor each batch:\n    term = mu / 2 · sum over parameters of the sum of squares of (w − its copy)\n    clear the gradients\n    (cross-entropy + term).backward()\n    without gradients: w −= lr · w.grad for each\n    terms get float(term)\nreturn terms",
        ),
    ),
)
