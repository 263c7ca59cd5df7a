"""The same model trained and asked in different numbers of bits: what each takes, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from breakthrough.errors import unknown
from breakthrough.quant.affine import Affine
from breakthrough.quant.lora import LoraConfig, adapt
from breakthrough.quant.memory import PARTS, Bytes, measure
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.optimizer import AdamW8
from breakthrough.quant.quantized import Format
from breakthrough.seeds import torch_generator

INT8 = Affine(bits=8, axis=0)


@dataclass(frozen=True)
class Case:
    """A way to train a model, or to ask it.

    Units:  dtype is that of weights that are not quantized, of gradients and activations; format that of a frozen base,
            None for none; rank that of its adapters, 0 for none; optimizer a function of the weights that are trained,
            None when nothing is
    """

    dtype: torch.dtype = torch.float32
    format: Format | None = None
    rank: int = 0
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None

    def prepare(self, model: nn.Module) -> torch.optim.Optimizer | None:
        """Bring a model into this form, in place, and give its optimizer."""
        model.to(self.dtype)
        if self.format is not None or self.rank:
            adapt(model, LoraConfig(rank=self.rank, format=self.format), torch_generator(0, "adapters"))
        return self.optimizer and self.optimizer([weight for weight in model.parameters() if weight.requires_grad])


TRAINING: Mapping[str, Case] = {
    "fp32": Case(optimizer=torch.optim.AdamW),
    "bf16": Case(torch.bfloat16, optimizer=torch.optim.AdamW),
    "8-bit Adam": Case(optimizer=AdamW8),
    "LoRA": Case(rank=8, optimizer=torch.optim.AdamW),
    "QLoRA": Case(format=FourBit(), rank=8, optimizer=AdamW8),
}
ANSWERING: Mapping[str, Case] = {
    "fp32": Case(),
    "bf16": Case(torch.bfloat16),
    "int8": Case(format=INT8),
    "NF4": Case(format=FourBit()),
}
CASES: Mapping[str, Case] = {f"{verb} {name}": case for verb, cases in (("train", TRAINING), ("answer", ANSWERING))
                            for name, case in cases.items()}


def measure_cases(
    make: Callable[[], nn.Module], loss: Callable[[nn.Module], Tensor], names: Iterable[str] = tuple(CASES)
) -> dict[str, Bytes]:
    """Measure a model in every form by itself.

    Units:  make gives the same model anew each time; loss its loss, a scalar with a gradient, on a batch that is there
    Raises: UnknownNameError for a case that there is not
    """
    names = list(names)
    for name in names:
        if name not in CASES:
            raise unknown("case", name, CASES)
    return {name: _measured(CASES[name], make(), loss) for name in names}


def _measured(case: Case, model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> Bytes:
    optimizer = case.prepare(model)  # the model as it was is gone before anything is measured
    return measure(lambda: loss(model), model, optimizer)


def table(found: Mapping[str, Bytes]) -> str:
    """What was measured as a table, a row a case.

    Units:  megabytes of 10⁶ bytes; the last column is the peak by the operating system's count
    """
    lines = [f"{'':18}{''.join(f'{name:>12}' for name in (*PARTS, 'sum', 'peak', 'in', 'pages'))}"]
    for name, one in found.items():
        sizes = [*(getattr(one, part) for part in PARTS), one.parts, one.peak]
        pages = "" if one.rss is None else f"{one.rss / 1e6:.2f}"
        lines.append(f"{name:18}{''.join(f'{size / 1e6:12.2f}' for size in sizes)}{one.when:>12}{pages:>12}")
    return "\n".join(lines)
