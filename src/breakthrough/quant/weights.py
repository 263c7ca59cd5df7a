"""A quantized weight in the place of a parameter.

Shapes: a weight of any shape is stored as a matrix (rows, columns), a row for each output, so that
        "one scale a row" means the same for a linear layer (out, in), a convolution (out, in, h, w),
        experts (E, out, in) and weights kept the other way round (in, out)

The parts are buffers of a small module beside the place of the weight: `ffn.down` becomes
`ffn.down_stored`. The module that owns the weight becomes a subclass of its class with a property of
the weight's name, so that its code runs as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from breakthrough.errors import DtypeError, expected
from breakthrough.quant.quantized import FLOATS, Quantized

SUFFIX = "_stored"
ARRANGED = "arranged_"  # how the buffers of a second copy in a kernel's order are called
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Layout:
    """How a weight's axes become a matrix with a row for each output.

    Units:  `outputs` is the number of leading axes that make rows; `swapped` says that the last two
            axes are (in, out)
    """

    shape: tuple[int, ...]
    outputs: int
    swapped: bool = False

    @classmethod
    def of(cls, owner: nn.Module, weight: Tensor) -> Layout:
        """The layout of a weight that belongs to a module."""
        if isinstance(owner, CONVOLUTIONS):
            return cls(tuple(weight.shape), 1)
        conv1d = any(base.__name__ == "Conv1D" for base in type(owner).__mro__)  # GPT-2's, kept (in, out)
        swapped = conv1d or (weight.ndim > 2 and getattr(owner, "is_transposed", False))
        return cls(tuple(weight.shape), weight.ndim - 1, swapped)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = prod(self.shape[: self.outputs]), prod(self.shape[self.outputs :])
        return (rows * columns // self.shape[-2], self.shape[-2]) if self.swapped else (rows, columns)

    def rows(self, weight: Tensor) -> Tensor:
        """A weight with its inputs last. Shapes: (…, in, out) or (…, out, in) → (…, out, in)."""
        return weight.transpose(-1, -2).contiguous() if self.swapped else weight.contiguous()

    def matrix(self, weight: Tensor) -> Tensor:
        """A weight as (rows, columns)."""
        return self.rows(weight).view(self.matrix_shape)

    def weight(self, matrix: Tensor) -> Tensor:
        """A matrix as the weight it came from; (in, out) ones as a view."""
        if self.swapped:
            *lead, rows, columns = self.shape
            return matrix.view(*lead, columns, rows).transpose(-1, -2)
        return matrix.view(self.shape)


class QuantWeight(nn.Module):
    """A weight stored in a format; calling it gives the weight, dequantized.

    Moving a model's dtype changes what it gives, never its parts: codes and scales keep theirs.

    Shapes: () → the weight's own shape
    """

    def __init__(self, stored: Quantized, layout: Layout) -> None:
        super().__init__()
        for name, part in stored.parts.items():
            self.register_buffer(name, part)
        self.format, self.layout = stored.format, layout
        self.stored_shape, self.dtype = tuple(stored.shape), stored.dtype
        self._holders = 0
        self._weight: Tensor | None = None
        self._arranged_from: list[tuple[Tensor, int]] = []

    @property
    def stored(self) -> Quantized:
        """The parts with their format, as they are now."""
        return Quantized(self.format, self._parts(), self.stored_shape, self.dtype)

    @property
    def nbytes(self) -> int:
        """The bytes of all parts."""
        return self.stored.nbytes

    def forward(self) -> Tensor:
        if not self._holders:
            return self._dequantize()
        if self._weight is None:
            self._weight = self._dequantize()
        return self._weight

    @property
    def is_held(self) -> bool:
        """Whether the dequantized weight is kept for now."""
        return self._holders > 0

    def hold(self) -> None:
        """Dequantize once from now on, until `release`; both may be nested."""
        self._holders += 1

    def release(self) -> None:
        """Forget the dequantized weight, when nobody else holds it."""
        self._holders -= 1
        if not self._holders:
            self._weight = None

    def arranged(self, arrange: Callable[[QuantWeight], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The parts in a kernel's own order, made once for as long as they stay as they are: a second copy.

        It is no part of what is stored: buffers that are counted with a model's bytes in memory, but neither
        saved nor copied nor moved.
        """
        parts = [(part, 0 if part.is_inference() else part._version) for part in self._parts().values()]
        before = self._arranged_from
        if len(before) != len(parts) or any(now is not was or version != of for (now, version), (was, of) in zip(parts, before)):
            self.forget_arranged()
            for name, tensor in arrange(self).items():
                self.register_buffer(ARRANGED + name, tensor, persistent=False)
            self._arranged_from = parts
        return {name.removeprefix(ARRANGED): x for name, x in self._tensors().items() if name.startswith(ARRANGED)}

    def forget_arranged(self) -> None:
        """Free the second copy; it is made again when a kernel wants it."""
        for name in [name for name in self._buffers if name.startswith(ARRANGED)]:
            delattr(self, name)
        self._arranged_from = []

    def _parts(self) -> dict[str, Tensor]:
        return {name: part for name, part in self._tensors().items() if not name.startswith(ARRANGED)}

    def _tensors(self) -> dict[str, Tensor]:
        return {name: x for name, x in self._buffers.items() if x is not None}

    def _dequantize(self) -> Tensor:
        return self.layout.weight(self.stored.dequantize())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QuantWeight:
        self.forget_arranged()
        device = next(iter(self._tensors().values())).device
        like = fn(torch.empty(0, dtype=self.dtype, device=device))
        if like.dtype not in FLOATS:
            raise DtypeError(expected("float32, bfloat16 or float16 for a quantized model", like.dtype))
        self.dtype, self._weight = like.dtype, None
        for name, part in self._tensors().items():
            moved = fn(part)
            self._buffers[name] = moved if moved.dtype == part.dtype else part.to(moved.device)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> QuantWeight:
        stored = self.stored.map(torch.clone)
        copy = type(self)(stored, self.layout).train(self.training)
        memo[id(self)] = copy
        return copy

    def extra_repr(self) -> str:
        return f"{self.format}, {self.layout.shape}, {self.stored.bits_per_weight:.3f} bits a weight"


def install(owner: nn.Module, name: str, weight: QuantWeight) -> None:
    """Put a quantized weight in the place of a module's parameter."""
    if name in owner._parameters:
        del owner._parameters[name]
    owner._modules[name + SUFFIX] = weight
    quantized = tuple(sorted(key.removesuffix(SUFFIX) for key, child in owner._modules.items() if isinstance(child, QuantWeight)))
    owner.__class__ = _with_properties(_float_class(owner), quantized)  # type: ignore[arg-type]  # mypy takes a class's __hash__ for its instances'


def quantized_weights(model: nn.Module, every_place: bool = False) -> Iterator[tuple[str, QuantWeight]]:
    """Every quantized weight of a model with the name that it has there; one that is shared once, unless told otherwise."""
    for name, module in model.named_modules(remove_duplicate=not every_place):
        if isinstance(module, QuantWeight):
            yield name.removesuffix(SUFFIX), module


@contextmanager
def held(model: nn.Module) -> Iterator[None]:
    """Dequantize every weight once for the whole block: as fast as floats, and as large while it lasts."""
    with _holding([weight for _, weight in quantized_weights(model)]):
        yield


@contextmanager
def _holding(weights: Iterable[QuantWeight]) -> Iterator[None]:
    weights = list(weights)
    for weight in weights:
        weight.hold()
    try:
        yield
    finally:
        for weight in weights:
            weight.release()


class _Owner(nn.Module):
    """Mixed into the class of a module with quantized weights: each is dequantized once in a forward pass."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with _holding(child for child in self._modules.values() if isinstance(child, QuantWeight)):
            return super().forward(*args, **kwargs)


def _float_class(owner: nn.Module) -> type[nn.Module]:
    return next(cast(type[nn.Module], base) for base in type(owner).__mro__ if not issubclass(base, _Owner))


def _shown(key: str) -> property:
    return property(lambda owner: owner._modules[key]())


@cache
def _with_properties(base: type[nn.Module], names: tuple[str, ...]) -> type[nn.Module]:
    properties = {name: _shown(name + SUFFIX) for name in names}
    return type(f"Quantized{base.__name__}", (_Owner, base), {"__module__": base.__module__, **properties})
