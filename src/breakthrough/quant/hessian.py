"""What a model's weights are multiplied with: the second moments of the inputs of every weight.

A weight's rounding error matters as far as its inputs carry it on: a row w of a weight and its rounded
copy q differ in the output by (w − q)·x, in the mean over inputs by (w − q) H (w − q)ᵀ with H = mean x xᵀ.
That is the Hessian of the squared error of the output (up to a factor 2), so what is rounded well by it
is not what is nearest to the weight, but what is nearest in what the layer says.

Shape legend: K inputs of a weight, N outputs, G separate weights in one tensor (experts; groups of a
convolution; 1 for a plain matrix), n input rows.

The inputs are seen below autograd, where every product of a model is a call of `mm`, `bmm`,
`convolution` … on memory, and told by the memory that a weight lies in. So nothing has to be known
about a model: weights of nn.Linear, of raw parameters and of one expert in a tensor of many are all
found, and an expert's inputs are those that were sent to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from breakthrough.errors import InputError, ShapeError, expected, unknown

aten = torch.ops.aten
# products and where their two factors stand among the arguments
PRODUCTS = {aten.mm: (0, 1), aten.bmm: (0, 1), aten.mv: (0, 1), aten.addmm: (1, 2), aten.baddbmm: (1, 2)}
PICTURES = 16  # unfolded at once: bounds the memory, changes no result


@dataclass(frozen=True, eq=False)
class Hessian:
    """The inputs of one weight, summed up.

    Shapes: matrix (G, K, K) mean of x xᵀ, magnitude (G, K) mean of |x|, count (G,) inputs seen;
            axis is that of the weight along which its inputs run: −1, −2 for weights kept as (K, N), 1
            for convolutions (with all after it)
    """

    matrix: Tensor
    magnitude: Tensor
    count: Tensor
    axis: int = -1

    def rows(self, weight: Tensor) -> Tensor:
        """A weight with its inputs last.

        Shapes: (…) → (G, N, K)
        Raises: ShapeError when the weight is not one that these inputs fit
        """
        turned = weight.transpose(-1, -2) if self.axis == -2 else weight
        groups, inputs = self.magnitude.shape
        width = turned.shape[1:].numel() if self.axis == 1 else turned.shape[-1] if turned.ndim > 1 else 0
        if width != inputs or turned.numel() % (groups * inputs):
            raise ShapeError(expected(f"a weight of {inputs} inputs and a multiple of {groups} outputs", tuple(weight.shape)))
        return turned.reshape(groups, -1, inputs)

    def restore(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What `rows` took apart, put together. Shapes: (G, N, K) → shape."""
        if self.axis == -2:
            return rows.reshape(*shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)
        return rows.reshape(shape)

    def error(self, weight: Tensor, other: Tensor) -> float:
        """How far two weights' outputs are apart: tr((W − Q) H (W − Q)ᵀ).

        Shapes: (…), (…) → scalar
        Units:  squared length of the outputs' difference, its mean over the inputs seen
        """
        return float(self.row_errors(self.rows(weight.detach().float()) - self.rows(other.detach().float())).sum())

    def row_errors(self, difference: Tensor) -> Tensor:
        """The same for every output. Shapes: (G, N, K) → (G, N)."""
        return ((difference @ self.matrix) * difference).sum(-1)

    def for_matrix(self) -> Hessian:
        """The same for the weight laid out as a matrix (G · N, K), a row for each output."""
        return replace(self, axis=-1)

    def to(self, device: torch.device | str) -> Hessian:
        """The same on a device."""
        return Hessian(self.matrix.to(device), self.magnitude.to(device), self.count.to(device), self.axis)


def collect(
    model: nn.Module,
    batches: Iterable[Any],
    names: Collection[str] | None = None,
    call: Callable[[nn.Module, Any], Any] | None = None,
) -> dict[str, Hessian]:
    """The inputs of a model's weights on calibration data: one `Hessian` for each weight that is multiplied.

    A batch is what the model is called with: a tensor, a tuple of arguments or a mapping of keywords;
    `call` says otherwise. The model computes in evaluation mode, without gradients. A few thousand inputs a
    weight are enough: byte-level models were rounded no better for 64 times as many.

    Raises: UnknownNameError for a name that is no parameter; InputError when there is no batch, when a named
            weight meets no input at all, and for inputs that are not finite
    """
    watcher = _Watcher(_tracked(model, names))
    was_training, seen = model.training, 0
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                seen += 1
                with watcher:
                    (call or _call)(model, batch)
    finally:
        model.train(was_training)
    if not seen:
        raise InputError(expected("at least one batch of calibration data", "none"))
    missed = sorted(set(names or ()) - set(watcher.sums))
    if missed:
        raise InputError(expected("inputs for every named weight", f"none for {', '.join(missed)}", "float32 without autocast, and weights that the model multiplies with"))
    found = {name: sums.hessian() for name, sums in watcher.sums.items()}
    if broken := [name for name, one in found.items() if not torch.isfinite(one.matrix).all()]:
        raise InputError(expected("finite inputs of every weight", f"NaN or infinities at {broken[0]}", "finite batches, and weights in float32"))
    return found


def _call(model: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


def _tracked(model: nn.Module, names: Collection[str] | None) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters())
    for name in names or ():
        if name not in parameters:
            raise unknown("parameter", name, parameters)
    chosen = parameters if names is None else {name: parameters[name] for name in names}
    return {name: weight for name, weight in chosen.items() if weight.ndim >= 2}


class _Sums:
    """Running sums over the inputs of one weight. Shapes: gram (G, K, K), magnitude (G, K), count (G,)."""

    def __init__(self, groups: int, inputs: int, axis: int, device: torch.device) -> None:
        self.axis = axis
        self.gram = torch.zeros(groups, inputs, inputs, device=device)
        self.magnitude = torch.zeros(groups, inputs, device=device)
        self.count = torch.zeros(groups, device=device)

    def add(self, group: slice, x: Tensor) -> None:
        """Inputs (g, n, K) of g neighbouring groups, or (1, n, K) that all of them got."""
        x = x.float()
        self.gram[group] += x.transpose(-1, -2) @ x
        self.magnitude[group] += x.abs().sum(-2)
        self.count[group] += x.shape[-2]

    def hessian(self) -> Hessian:
        n = self.count.clamp_min(1)
        return Hessian(self.gram / n[:, None, None], self.magnitude / n[:, None], self.count, self.axis)


class _Watcher(TorchDispatchMode):
    """Sees every product under a model, and adds up the inputs of those with a tracked weight."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.sums: dict[str, _Sums] = {}
        self.places: dict[int, list[tuple[str, Tensor]]] = {}
        for name, weight in weights.items():
            self.places.setdefault(weight.untyped_storage().data_ptr(), []).append((name, weight))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet = func.overloadpacket
        if packet in PRODUCTS:
            first, second = (args[i] for i in PRODUCTS[packet])
            self._product(first, second)
            turned = second[None] if second.ndim == 1 else second.transpose(-1, -2)
            self._product(turned, first.transpose(-1, -2))  # (w @ x) is (xᵀ @ wᵀ)ᵀ
        elif packet is aten._grouped_mm:
            self._grouped(*args, **(kwargs or {}))
        elif packet is aten.convolution:
            self._convolution(*args)
        return func(*args, **(kwargs or {}))

    def _find(self, factor: Tensor) -> tuple[str, Tensor] | None:
        """The tracked weight that a factor is a part of."""
        for name, weight in self.places.get(factor.untyped_storage().data_ptr(), ()):
            start = factor.storage_offset() - weight.storage_offset()
            if 0 <= start < weight.numel() and factor.dtype == weight.dtype:
                return name, weight
        return None

    def _product(self, x: Tensor, factor: Tensor) -> None:
        """Inputs x (…, n, K) times a factor (…, K, N)."""
        if factor.ndim < 2 or not x.numel() or (found := self._find(factor)) is None:
            return
        name, weight = found
        if weight.ndim > 3:
            return  # a convolution's weight, used otherwise
        last = factor.shape[-2] == weight.shape[-1] and factor.stride(-2) == weight.stride(-1)
        axis = -1 if last else -2
        groups = len(weight) if weight.ndim == 3 else 1
        sums = self._sums(name, groups, weight.shape[axis], axis, weight.device)
        sums.add(_groups(factor, weight), x.reshape(-1, *x.shape[-2:]))

    def _grouped(self, x: Tensor, factor: Tensor, offs: Tensor, *_: Any, **__: Any) -> None:
        """Rows x (P, K) in the order of experts, whose weights are the factor (E, K, N)."""
        ends = offs.tolist()
        for group, (start, end) in enumerate(zip([0, *ends], ends)):
            self._product(x[start:end], factor[group])

    def _convolution(self, x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, _: Any, groups: int) -> None:
        if (found := self._find(weight)) is None or transposed or weight.ndim > 4:
            return
        if weight.ndim == 3:  # one axis: a picture one pixel high
            x, weight = x[:, :, None], weight[:, :, None]
            stride, padding, dilation = [1, *stride], [0, *padding], [1, *dilation]
        sums = self._sums(found[0], groups, weight[0].numel(), 1, weight.device)
        for part in x.split(PICTURES):
            columns = F.unfold(part, weight.shape[-2:], dilation, padding, stride)  # (B, G · K, places)
            columns = columns.unflatten(1, (groups, -1)).permute(1, 0, 3, 2)  # (G, B, places, K)
            sums.add(slice(None), columns.flatten(1, 2))

    def _sums(self, name: str, groups: int, inputs: int, axis: int, device: torch.device) -> _Sums:
        if name not in self.sums:
            self.sums[name] = _Sums(groups, inputs, axis, device)
        return self.sums[name]


def _groups(factor: Tensor, weight: Tensor) -> slice:
    """Which of the weight's matrices a factor (…, K, N) holds: one, some or all of them."""
    if weight.ndim == 2:
        return slice(0, 1)
    first = (factor.storage_offset() - weight.storage_offset()) // weight.stride(0)
    last = first + sum((size - 1) * step for size, step in zip(factor.shape, factor.stride())) // weight.stride(0)
    return slice(first, last + 1)
