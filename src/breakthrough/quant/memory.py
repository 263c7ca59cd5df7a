"""The bytes of a training step: weights, gradients, optimizer state, activations, and the most at once.

Nothing here is a formula. Weights, gradients and state are walked, tensor by tensor; activations are what
autograd says that it keeps; the peak is the allocator's own record, and beside it stands what the operating
system counted.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from breakthrough.errors import InputError, expected, type_of
from breakthrough.quant.allocations import Allocations, Resident
from breakthrough.quant.quantized import Quantized

PARTS = ("weights", "gradients", "state", "activations")


@dataclass(frozen=True)
class Bytes:
    """What one step holds. The parts are not all there at the same time: their sum need not be the peak.

    `when` is the part of the step in which the most was held: forward, backward or step.

    Units:  bytes; `rss` is the peak by the operating system's count of pages, None where there is none
    """

    weights: int
    gradients: int
    state: int
    activations: int
    peak: int
    rss: int | None = None
    when: str = "forward"

    @property
    def parts(self) -> int:
        """The sum of weights, gradients, state and activations."""
        return sum(getattr(self, name) for name in PARTS)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def measure(loss: Callable[[], Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Bytes:
    """Take two steps of training, or give two answers when there is no optimizer, and measure the second.

    The first makes the optimizer's state and whatever else is made once. The peak counts the model, the
    optimizer's state and all that is allocated during the step; not the batch, if it was there before.
    Gradients from before are dropped.

    Units:  loss gives a scalar to go down on, or any tensor when there is no optimizer
    Raises: InputError when the loss has no gradient for the optimizer, or the model has no tensors
    """
    step = _Step(loss, model, optimizer)
    gc.collect()  # what is freed during a step should be the step's own
    step.clear()
    for _, run in step.phases:
        with Allocations(step.device):  # so that what is made here and replaced in the next step is known
            run()
    step.clear()
    fixed = step.counts()["weights"] + step.counts()["state"]
    counts: dict[str, int] = {}
    live, peak, when = 0, 0, "forward"
    with Resident() as resident:
        for name, run in step.phases:
            with Allocations(step.device) as allocated:
                run()
            if live + allocated.peak > peak:
                peak, when = live + allocated.peak, name
            live += allocated.kept
            counts = {part: max(n, counts.get(part, 0)) for part, n in step.counts().items()}
    growth = resident.growth if step.device.type == "cpu" else None
    return Bytes(**counts, peak=fixed + peak, rss=None if growth is None else fixed + growth, when=when)


class _Step:
    """A step of training, or an answer, in its phases."""

    def __init__(self, loss: Callable[[], Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
        first = next(tensors_of(model), None)
        if first is None:
            raise InputError(expected("a model with weights", f"{type_of(model)} without any tensor"))
        self.loss, self.model, self.optimizer, self.device = loss, model, optimizer, first.device
        self.saved = Saved(model)
        self.output: Tensor | None = None
        self.phases = [("forward", self.forward)]
        if optimizer is not None:
            self.phases += [("backward", self.backward), ("step", optimizer.step)]

    def forward(self) -> None:
        with torch.set_grad_enabled(self.optimizer is not None), self.saved:
            self.output = self.loss()

    def backward(self) -> None:
        loss = cast(Tensor, self.output)  # forward came before
        if not loss.requires_grad or loss.numel() != 1:
            raise InputError(expected("a loss: one number with a gradient", f"shape {tuple(loss.shape)}"))
        loss.backward()
        self.output = None

    def clear(self) -> None:
        self.output = None
        self.saved.kept.clear()
        self.model.zero_grad()
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        gc.collect(1)  # the young generations: a full collection takes longer than the step

    def counts(self) -> dict[str, int]:
        found = [weight_bytes(self.model), gradient_bytes(self.model), 0, self.saved.nbytes]
        if self.optimizer is not None:
            found[2] = state_bytes(self.optimizer)
        return dict(zip(PARTS, found))


class Saved(saved_tensors_hooks):
    """What autograd keeps for the backward pass of the graphs made in a block, without the model's own tensors.

    Every storage counts once, however many views of it are kept, and no longer than it lives. What a
    function keeps by other means than `save_for_backward` is not seen.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        self.model = model
        self.kept: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._own: set[int] = set()
        super().__init__(self._pack, lambda tensor: tensor)

    def __enter__(self) -> Saved:  # type: ignore[override]  # torch's gives None, which nobody needs
        own = () if self.model is None else tensors_of(self.model)
        self._own = {tensor.untyped_storage()._cdata for tensor in own}
        super().__enter__()
        return self

    @property
    def nbytes(self) -> int:
        """The bytes of the storages that are still kept."""
        found = (storage() for storage in self.kept.values())
        return sum(storage.nbytes() for storage in found if storage is not None)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._own:
            self.kept[storage._cdata] = weakref.ref(storage)
        return tensor.detach()  # the same storage; the tensor itself, when it is an output, would hold its own graph


def held(tensors: Iterable[Tensor]) -> int:
    """The bytes of tensors' storages, each once: a view or a tied weight costs nothing more."""
    return sum({storage._cdata: storage.nbytes() for storage in (tensor.untyped_storage() for tensor in tensors)}.values())


def weight_bytes(model: nn.Module) -> int:
    """The bytes of a model's parameters and buffers, scales of quantized weights included."""
    return held(tensors_of(model))


def gradient_bytes(model: nn.Module) -> int:
    """The bytes of the gradients that a model's parameters hold now."""
    return held(weight.grad for weight in model.parameters() if weight.grad is not None)


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """The bytes of an optimizer's state, whatever it is nested in."""
    return held(_inside(optimizer.state))


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """A model's parameters and buffers, and the parts of quantized tensors that its modules hold."""
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        yield from _inside([value for value in vars(module).values() if isinstance(value, Quantized)])


def _inside(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Quantized):
        yield from value.parts.values()
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _inside(inner)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from _inside(inner)
