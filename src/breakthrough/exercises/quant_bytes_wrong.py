"""Module 4: wrong counts of a training step's bytes, for quant.bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.exercises.exercise import Misconception

Counts = dict[str, int]


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}


def _once(tensors: Iterable[Tensor]) -> int:
    return sum(_storages(tensors).values())


def _each(tensors: Iterable[Tensor]) -> int:
    """Every tensor, whether its storage was counted or not."""
    return sum(t.numel() * t.element_size() for t in tensors)


def _all_storages(tensors: Iterable[Tensor]) -> int:
    """The storage behind every tensor, however often it was counted."""
    return sum(t.untyped_storage().nbytes() for t in tensors)


def _elements(tensors: Iterable[Tensor]) -> int:
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() // t.element_size() for t in tensors}
    return sum(storages.values())


def _four_each(tensors: Iterable[Tensor]) -> int:
    return 4 * _elements(tensors)


def _windows(tensors: Iterable[Tensor]) -> int:
    """Every view once, with its own numbers only."""
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())


def _by_own_pointer(tensors: Iterable[Tensor]) -> int:
    """Storages told apart by where the view begins, which is not where the storage does."""
    return sum({t.data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def _held(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _kept(saved: list[Tensor], model: nn.Module, x: Tensor, y: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    own = _storages(_held(model))
    return [t for t in saved if t.untyped_storage().data_ptr() not in own]


def _gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad for p in model.parameters() if p.grad is not None]


def _state(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [t for values in optimizer.state.values() for t in values.values() if isinstance(t, Tensor)]


def _wrong(
    held: Callable[[nn.Module], list[Tensor]] = _held, kept: Callable[..., list[Tensor]] = _kept, gradients: Callable[..., list[Tensor]] = _gradients,
    state: Callable[..., list[Tensor]] = _state, size: Callable[[Iterable[Tensor]], int] = _once, saved_size: Any = None, state_size: Any = None,
    with_loss: bool = True, early: bool = False, steps: int = 1,
) -> Callable[..., Counts]:  # fmt: skip
    """A count that differs in what is given."""

    def answer(model, optimizer, x, y):
        saved, outputs, before = [], [], (state_size or size)(state(optimizer))
        hooks = [m.register_forward_hook(lambda m, i, out: outputs.append(out)) for m in model.modules() if not list(m.children())]

        def pack(tensor):
            saved.append(tensor)
            return tensor

        optimizer.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = model(x)
            loss = F.cross_entropy(out, y) if with_loss else None
        loss = F.cross_entropy(out, y) if loss is None else loss
        for hook in hooks:
            hook.remove()
        activations = (saved_size or size)(kept(saved, model, x, y, outputs))
        loss.backward()
        for _ in range(steps):
            optimizer.step()
        return {
            "weights": size(held(model)),
            "gradients": size(gradients(model)),
            "state": before if early else (state_size or size)(state(optimizer)),
            "activations": activations,
        }

    return answer


def _all_saved(saved, model, x, y, outputs):
    return saved


def _not_the_same_object(saved, model, x, y, outputs):
    return [t for t in saved if not any(t is p for p in _held(model))]


def _not_parameters(saved, model, x, y, outputs):
    own = _storages(model.parameters())
    return [t for t in saved if t.untyped_storage().data_ptr() not in own]


def _without_batch(saved, model, x, y, outputs):
    batch = _storages((x, y))
    return [t for t in _kept(saved, model, x, y, outputs) if t.untyped_storage().data_ptr() not in batch]


def _outputs(saved, model, x, y, outputs):
    return outputs


def _by_name(model: nn.Module) -> list[Tensor]:
    return [value for value in model.state_dict().values()]


def _per_parameter(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [t for t in _state(optimizer) if t.numel() > 1]


def _two_each(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [torch.zeros(p.shape) for group in optimizer.param_groups for p in group["params"] for _ in range(2)]


def _uncleared(answer: Callable[..., Counts]) -> Callable[..., Counts]:
    """The same on top of an earlier step's gradients, which a first attempt often forgets beside its main mistake."""

    def count(model, optimizer, x, y):
        optimizer.zero_grad = lambda set_to_none=True: None
        return answer(model, optimizer, x, y)

    return count


COUNTS = (
    Misconception(
        "saved twice, counted twice",
        _wrong(saved_size=_each),
        "The same numbers are saved by several operations (a layer's result is the next one's input): a storage counts once, so key it by untyped_storage().data_ptr().",
        variants=(_wrong(saved_size=_all_storages), _wrong(saved_size=_by_own_pointer), _wrong(size=_each), _wrong(size=_all_storages)),
    ),
    Misconception(
        "a view for a storage",
        _wrong(saved_size=_windows),
        "A view was counted with its own numbers: what it looks at stays in memory whole, so count its untyped_storage().",
    ),
    Misconception(
        "parameters among the activations",
        _wrong(kept=_all_saved),
        "Autograd saves the weights too, for the gradient of the input: they are counted as weights already, so leave out their storages.",
        variants=(_wrong(kept=_all_saved, saved_size=_each),),
    ),
    Misconception(
        "recognised as the same object",
        _wrong(kept=_not_the_same_object),
        "Linear layers save their weight transposed: another tensor on the same storage, so `is` and id() miss it; compare untyped_storage().data_ptr().",
    ),
    Misconception(
        "buffers among the activations",
        _wrong(kept=_not_parameters),
        "BatchNorm's running statistics are buffers, saved but not made by this batch: leave out their storages as those of the parameters.",
    ),
    Misconception(
        "weights without buffers",
        _wrong(held=lambda model: list(model.parameters())),
        "Buffers are missing from the weights: count model.buffers() with the parameters.",
        variants=(_wrong(held=lambda model: list(model.parameters()), kept=_not_parameters),),
    ),
    Misconception(
        "a shared weight twice",
        _wrong(held=_by_name, size=_each, saved_size=_once, state_size=_once),
        "A weight that two layers share was counted under both its names: state_dict() lists names, storages count once.",
    ),
    Misconception(
        "numbers, not bytes",
        _wrong(size=_elements),
        "These are numbers of elements: bytes are numel() · element_size(), or the storage's nbytes().",
        variants=(_wrong(size=lambda tensors: sum(t.numel() for t in tensors)),),
    ),
    Misconception(
        "four bytes each",
        _wrong(size=_four_each),
        "Every number was taken for four bytes: bfloat16 has two, uint8 one, int64 eight; ask element_size() or nbytes().",
        variants=(_wrong(size=lambda tensors: 4 * sum(t.numel() for t in tensors)),),
    ),
    Misconception(
        "outputs of the layers",
        _wrong(kept=_outputs),
        "The outputs of the modules were counted: not all of them are kept for the way back, and what is kept inside has no module; use saved_tensors_hooks.",
    ),
    Misconception(
        "without the loss",
        _wrong(with_loss=False),
        "What the loss saves is missing: the cross-entropy belongs into the `with` block too.",
    ),
    Misconception(
        "without the batch",
        _wrong(kept=_without_batch),
        "x and y were left out: the first layer saves its input for the weight's gradient, so they count where they are saved.",
    ),
    Misconception(
        "gradients of all",
        _wrong(gradients=lambda model: list(model.parameters())),
        "The gradients were taken to be as large as the weights: frozen parameters have none; look at p.grad after backward().",
    ),
    Misconception(
        "state before the step",
        _wrong(early=True),
        "The optimizer's state was counted before the step, when it is empty still: it is made in the first step().",
        variants=(_wrong(steps=0),),
    ),
    Misconception(
        "by formula",
        _wrong(state=_two_each),
        "The state was computed as two numbers of four bytes for each parameter: that is Adam in float32; look at the tensors in optimizer.state.",
    ),
    Misconception(
        "counters left out",
        _wrong(state=_per_parameter),
        "Small tensors are missing from the state: Adam's step counters and the scales of codes are tensors too.",
    ),
    Misconception(
        "a shared table many times",
        _wrong(state_size=_each),
        "A table that all parameters share was counted once for each of them: storages count once, here too.",
    ),
    Misconception(
        "two steps",
        _wrong(steps=2),
        "The optimizer stepped more than once: one training step is wanted.",
    ),
)
MISCONCEPTIONS = (
    *(replace(m, variants=(*m.variants, *map(_uncleared, (m.answer, *m.variants)))) for m in COUNTS),
    Misconception(
        "gradients not cleared",
        _uncleared(_wrong()),
        "An earlier step's gradients were still there, and this step's were added to them: clear them first, optimizer.zero_grad().",
    ),
)
