"""What a model's weights take: every tensor with its bytes, its format, and why it stayed what it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from breakthrough.errors import InputError, expected
from breakthrough.quant.affine import is_int8_by_row
from breakthrough.quant.apply import RECORD
from breakthrough.quant.weights import SUFFIX, QuantWeight, quantized_weights


@dataclass(frozen=True)
class Weight:
    """One stored tensor of a model.

    Units:  `format` is a scheme's name where it is `quantized`, in codes, else a dtype; `bytes` with all
            scales; `reason` says why a tensor of a quantized model is in floating point
    """

    name: str
    shape: tuple[int, ...]
    format: str
    bytes: int
    quantized: bool
    reason: str = ""

    @property
    def count(self) -> int:
        """The number of weights."""
        return torch.Size(self.shape).numel()

    @property
    def bits(self) -> float:
        """Bits for a weight, scales included."""
        return 8 * self.bytes / self.count


@dataclass(frozen=True)
class Sizes:
    """The bytes of a model: those weights that are in codes, and what stays in floating point.

    Units:  `codes_*` are of the quantized weights, `rest_*` of the others
    """

    codes_count: int
    codes_bytes: int
    rest_count: int
    rest_bytes: int

    @property
    def bytes(self) -> int:
        """The whole model's."""
        return self.codes_bytes + self.rest_bytes

    @property
    def count(self) -> int:
        """The whole model's weights."""
        return self.codes_count + self.rest_count

    def saved(self, of_bytes: int = 4) -> float:
        """How much smaller the quantized weights are than in floats of 4 bytes, or 2: a share."""
        return 1 - self.codes_bytes / (of_bytes * self.codes_count) if self.codes_count else 0.0

    def saved_whole(self, of_bytes: int = 4) -> float:
        """The same of the whole model, with what stays as it is."""
        return 1 - self.bytes / (of_bytes * self.count)


def weights_of(model: nn.Module) -> list[Weight]:
    """Every tensor that a model stores, in order; a tensor in several places once."""
    record = getattr(model, RECORD, None)
    kept = record.kept if record else {}
    rows, seen = [], set()
    for prefix, module in model.named_modules(remove_duplicate=True):
        if isinstance(module, QuantWeight):
            name = record.scheme.name if record else module.format.kind
            rows.append(Weight(prefix.removesuffix(SUFFIX), module.layout.shape, name, module.nbytes, True))
            continue
        for name, tensor in _own(module):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                rows.append(_float_row(f"{prefix}.{name}" if prefix else name, tensor, kept, bool(record)))
    return rows


def sizes_of(model: nn.Module) -> Sizes:
    """The bytes of a model's weights as they are stored, those in codes and the rest.

    What a kernel keeps beside them in its own order is in `memory.weight_bytes`.
    """
    rows = weights_of(model)
    codes, rest = ([row for row in rows if row.quantized is kind] for kind in (True, False))
    return Sizes(*(sum(getattr(row, field) for row in side) for side in (codes, rest) for field in ("count", "bytes")))


def codes_and_scales(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """The int8 codes of every quantized weight, and the scale of each of its outputs: what a compiler takes.

    weight = codes · scales, the scales along the outputs: (out,) for a linear layer and a convolution,
    (E, out) for experts.

    Shapes: name → codes int8, the weight's own shape; scales float32
    Raises: InputError for a model in another scheme
    """
    found = {}
    for name, weight in quantized_weights(model):
        form = weight.format
        if not is_int8_by_row(form) or weight.layout.swapped:
            got = f"{form} in {name}"
            raise InputError(expected("int8 weights (out, in) with a scale for each output", got, 'quantize(model, "int8")'))
        parts, layout = weight.stored.parts, weight.layout
        found[name] = layout.weight(parts["codes"]), parts["scale"].view(layout.shape[: layout.outputs])
    if not found:
        raise InputError(expected("a model with int8 weights", "none", 'quantize(model, "int8")'))
    return found


def _own(module: nn.Module) -> list[tuple[str, Tensor]]:
    """A module's own tensors that belong in a file."""
    buffers = [(name, x) for name, x in module._buffers.items() if name not in module._non_persistent_buffers_set]
    return [(name, x) for name, x in (*module._parameters.items(), *buffers) if x is not None]


def _float_row(name: str, tensor: Tensor, kept: dict[str, str], recorded: bool) -> Weight:
    reason = kept.get(name, "no weight but a buffer" if recorded else "")
    size = tensor.numel() * tensor.element_size()
    return Weight(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), size, False, reason)
