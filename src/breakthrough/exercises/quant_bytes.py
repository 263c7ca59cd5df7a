"""Module 4: every byte of a training step, counted from the tensors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_bytes_trial import RECIPES, step_of
from breakthrough.exercises.quant_bytes_wrong import MISCONCEPTIONS


def count_bytes(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> dict[str, int]:
    """Take one training step, and count the bytes that it needs: all of them from tensors that are there.

    Why:    4-bit weights are an eighth of the bytes of the weights, and those may be an eighth of the step's;
            whoever counts by formula forgets the optimizer, or what is kept for the way back
    Shapes: x, y: a batch and its classes
    Units:  bytes, as ints. The step: gradients cleared, loss F.cross_entropy(model(x), y), backward, optimizer.step().
            A tensor counts with its storage, t.untyped_storage().nbytes(), and each storage counts once, however
            many tensors look at it (t.untyped_storage().data_ptr() tells which one it is).
            weights: parameters and buffers. gradients: .grad of the parameters that have one. state: every tensor in
            the values of optimizer.state after the step, counters and shared tables too. activations: all that
            autograd saves on the way from x to the loss (torch.autograd.graph.saved_tensors_hooks(pack, unpack)
            shows each), without the storages of parameters and buffers. x and y count where they are saved
    """

    def total(tensors: list[Tensor]) -> dict[int, int]:  # storage → its bytes, each once
        storages = [t.untyped_storage() for t in tensors]
        return {storage.data_ptr(): storage.nbytes() for storage in storages}

    saved: list[Tensor] = []  # kept in a list, so that no storage is given to another tensor meanwhile

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    optimizer.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    weights = total([*model.parameters(), *model.buffers()])
    return {
        "weights": sum(weights.values()),
        "gradients": sum(total([p.grad for p in model.parameters() if p.grad is not None]).values()),
        "state": sum(total([t for s in optimizer.state.values() for t in s.values() if isinstance(t, Tensor)]).values()),
        "activations": sum(size for place, size in total(saved).items() if place not in weights),
    }


def _as_they_come(model, optimizer, x, y):
    """Counted while the step goes on, by element size; state_dict for what the optimizer holds."""
    own, kept = {}, {}
    for t in (*model.parameters(), *model.buffers()):
        own[t.untyped_storage().data_ptr()] = len(t.untyped_storage())

    def pack(t):
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = len(storage)
        return t

    model.zero_grad(set_to_none=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = nn.CrossEntropyLoss()(model(x), y)
        counted = sum(kept.values())
    loss.backward()
    gradients = sum(p.grad.numel() * p.grad.element_size() for p in model.parameters() if p.grad is not None)
    optimizer.step()
    state: dict[int, int] = {}
    for values in optimizer.state_dict()["state"].values():
        state |= {t.data_ptr(): t.numel() * t.element_size() for t in values.values() if torch.is_tensor(t)}
    return {"activations": counted, "state": sum(state.values()), "gradients": gradients, "weights": sum(own.values())}


def _by_sets(model, optimizer, x, y):
    def places(tensors):
        return {(t.untyped_storage().data_ptr(), t.untyped_storage().nbytes()) for t in tensors}

    seen: list[Tensor] = []
    optimizer_bytes = set()

    def keep(t):
        seen.append(t)
        return len(seen) - 1

    for p in model.parameters():
        p.grad = None
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda i: seen[i]):
        loss = F.nll_loss(F.log_softmax(model(x), dim=-1), y)
        loss.backward()
    optimizer.step()
    for group in optimizer.param_groups:
        for p in group["params"]:
            optimizer_bytes |= places(v for v in optimizer.state.get(p, {}).values() if isinstance(v, Tensor))
    weights = places(model.parameters()) | places(model.buffers())
    gradients = places(p.grad for p in model.parameters() if p.grad is not None)
    sets = {"weights": weights, "gradients": gradients, "state": optimizer_bytes, "activations": places(seen) - weights}
    return {name: sum(size for _, size in found) for name, found in sets.items()}


def _in_one_book(model, optimizer, x, y):
    """A book by heading and storage, which holds on to the tensors, so that no storage is given away twice."""
    book: dict[str, dict[int, Tensor]] = {"weights": {}, "activations": {}, "gradients": {}, "state": {}}

    def enter(heading, *tensors):
        for t in filter(torch.is_tensor, tensors):
            book[heading].setdefault(t.untyped_storage().data_ptr(), t)

    def note(t):
        enter("activations", t)
        return t

    enter("weights", *model.state_dict(keep_vars=True).values(), *model.parameters(), *model.buffers())
    optimizer.zero_grad(set_to_none=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        loss = F.cross_entropy(model(x), y, reduction="mean")
    torch.autograd.backward(loss)
    enter("gradients", *(p.grad for p in model.parameters()))
    optimizer.step()
    for values in optimizer.state.values():
        enter("state", *values.values())
    for place in book["weights"].keys() & book["activations"].keys():
        del book["activations"][place]
    return {heading: sum(t.untyped_storage().nbytes() for t in held.values()) for heading, held in book.items()}


def _cases(generator: Generator) -> Iterator[Case]:
    for label in RECIPES:
        seed = int(torch.randint(2**31, (), generator=generator))
        batch, width = (int(torch.randint(low, high, (), generator=generator)) for low, high in ((3, 9), (5, 12)))
        yield Case(label, (label, seed, batch, 2 * width))


EXERCISES = (
    Exercise(
        name="quant.bytes",
        title="Every byte of a training step",
        points=5,
        minutes=30,
        difficulty=2,
        reference=count_bytes,
        cases=_cases,
        call=step_of,
        compare=close(rtol=0, atol=0),
        alternatives=(_as_they_come, _by_sets, _in_one_book),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Memory is a set of storages, and tensors are windows on them. So make four lists of windows, find the storage behind each, and add up every storage once. What the backward pass needs, autograd tells you itself as it puts it away.",
            "parameters, buffers, .grad, values of optimizer.state: tensors of any shape → untyped_storage() → data_ptr() (which one), nbytes() (how large); pack(tensor) is called for each saved tensor and returns what unpack gets; a dict from data_ptr to nbytes holds each storage once",
            "clear the gradients\nwith hooks whose pack puts each tensor into a list:\n    loss = cross-entropy of model(x) and y\nloss.backward(); optimizer.step()\nfor weights (parameters and buffers), gradients, state, saved: a dict storage → bytes\nsaved without the storages that are in weights\nreturn the four sums",
        ),
    ),
)
