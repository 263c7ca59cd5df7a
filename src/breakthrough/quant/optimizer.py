"""Adam whose two running means are kept in 8 bits: a quarter of the bytes, the same steps nearly.

Shape legend: N numbers in a weight, B = 256 in a block that shares an absmax

A step decodes the means, moves them, updates the weight in float32 and encodes them again, a stretch of the weight
at a time, so that no whole mean ever exists in float32. Small weights and embeddings keep means in 32 bits: an
embedding's rows have gradients of very different sizes, and most of them none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast, overload

import torch
from torch import Tensor, nn

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError, expected
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.bnb import kernels
from breakthrough.quant.quantized import FLOATS

BLOCK = 256  # numbers that share an absmax, as in bitsandbytes
STRETCH = 256 * BLOCK  # numbers in float32 at once on a CPU: as fast as all at once, in a fiftieth of the memory
LEAST = 4096  # a weight with fewer numbers keeps its means in 32 bits
LARGEST = 1e18  # a gradient whose square, and its mean, fits into float32
MEANS = ("mean", "square")
STATE = (*MEANS, "mean_absmax", "square_absmax")


class AdamW8(torch.optim.Optimizer):
    """AdamW with blockwise 8-bit state in the dynamic code: bitsandbytes' AdamW8bit, to the last bit on a CPU.

    A group may say `bits=32` for plain AdamW; `grouped(model)` makes such a group of the embeddings. The state of a
    weight is `mean`, `square` (uint8, of its shape), `mean_absmax`, `square_absmax` (⌈N / 256⌉,) float32, and `step`;
    with 32 bits `mean`, `square` float32, and `step`.

    Units:  min_size is the count of numbers from which a weight's state is kept in 8 bits; search is how a level is
            found (see Blockwise): "device", by bitsandbytes' kernel where it is installed; "table" and "nearest" by
            this room's own mathematics, "table" with the same result as the kernel on a CPU
    Raises: ConfigError for rates, betas and bits that there are not; at a step DtypeError for weights that are not
            floating point, InputError for gradients that are sparse, not finite or beyond 10¹⁸, and nothing is changed
    Source: Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization; Loshchilov and Hutter 2019
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        bits: int = 8,
        min_size: int = LEAST,
        search: str = "device",
    ) -> None:
        self._formats = [Blockwise(BLOCK, signed, search) for signed in (True, False)]
        self._fused = search == "device"
        rates = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**rates, "bits": bits, "min_size": min_size})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take more weights, with rates of their own.

        Raises: ConfigError
        """
        super().add_param_group(param_group)
        try:
            _check(self.param_groups[-1])
        except ConfigError:
            self.param_groups.pop()
            raise

    @overload
    def step(self, closure: None = None) -> None:
        """Move every weight that has a gradient."""

    @overload
    def step(self, closure: Callable[[], float]) -> float:
        """The same, and the loss that the closure computed before."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        check_gradients(weight for weight, _ in self._moved())
        for weight, group in self._moved():
            state = self.state[weight] or self._begin(weight, group)
            state["step"] += 1
            self._update(weight, state, group)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state that `state_dict` gave, of an optimizer over the same weights.

        Raises: ShapeError when the state is of other weights
        """
        # read first, and put back after torch, which would turn codes into the weights' own dtype
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        own = [weight for group in self.param_groups for weight in group["params"]]
        found = {weight: state_dict["state"][index] for index, weight in zip(saved, own) if index in state_dict["state"]}
        for weight, state in found.items():
            _check_state(weight, state)
        super().load_state_dict(state_dict)
        for weight, state in found.items():
            self.state[weight] = {name: _copy(value, name, weight) for name, value in state.items()}

    def _moved(self) -> Iterator[tuple[nn.Parameter, dict[str, Any]]]:
        return ((weight, group) for group in self.param_groups for weight in group["params"] if weight.grad is not None)

    def _begin(self, weight: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state[weight]
        in_8 = group["bits"] == 8 and weight.numel() >= group["min_size"]
        state["step"] = torch.zeros(())
        for name in MEANS:
            zeros = torch.zeros(weight.shape, dtype=torch.uint8 if in_8 else torch.float32, device=weight.device)
            state[name] = zeros
            if in_8:
                state[f"{name}_absmax"] = torch.zeros(-(-weight.numel() // BLOCK), device=weight.device)
        return state

    def _update(self, weight: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        flat, grad = weight.detach().contiguous().view(-1), _slope(weight).contiguous().view(-1)
        names = [name for name in STATE if name in state]
        for moved, slope, *parts in _stretches(flat, grad, *(state[name].view(-1) for name in names)):
            means = dict(zip(names, parts))
            if "mean_absmax" not in means:
                _adam(moved, slope, means["mean"], means["square"], int(state["step"]), group)
            elif fast := self._kernels(weight):
                self._fused_step(fast, moved, slope, means, int(state["step"]), group)
            else:
                self._own_step(moved, slope, means, int(state["step"]), group)
        if not weight.is_contiguous():
            weight.copy_(flat.view(weight.shape))

    def _kernels(self, weight: Tensor) -> Any | None:
        return kernels(weight.device) if self._fused else None

    def _own_step(self, weight: Tensor, grad: Tensor, means: dict[str, Tensor], step: int, group: dict[str, Any]) -> None:
        stored = [{"codes": means[name], "absmax": means[f"{name}_absmax"]} for name in MEANS]
        read = [form.dequantize(parts, tuple(weight.shape), torch.float32) for form, parts in zip(self._formats, stored)]
        mean, square = read
        _adam(weight, grad, mean, square, step, group, folded=False)
        for form, parts, moved in zip(self._formats, stored, read):
            for name, made in form.quantize(moved).parts.items():
                parts[name].copy_(made)

    def _fused_step(self, fast: Any, weight: Tensor, grad: Tensor, means: dict[str, Tensor], step: int, group: dict[str, Any]) -> None:
        codes, absmax = [form.code(weight.device) for form in self._formats], [means[f"{name}_absmax"] for name in MEANS]
        rates = *group["betas"], 0.0, 0.0, group["eps"], step, group["lr"]  # the zeros are other optimizers'
        fast.optimizer_update_8bit_blockwise(
            "adam", grad, weight, means["mean"], means["square"], *rates, *codes, *absmax, group["weight_decay"], 1.0, False)


class Adam8(AdamW8):
    """AdamW8 without decay unless it is asked for. The decay is AdamW's, as in bitsandbytes' Adam8bit."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, **options)


def grouped(model: nn.Module) -> list[dict[str, Any]]:
    """A model's weights in two groups: those whose state goes into 8 bits, and embeddings, which keep 32.

    Shapes: a weight tied to an embedding is one
    """
    embeddings = {weight for module in model.modules() if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
                  for weight in module.parameters(recurse=False)}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    parts = [{"params": [weight for weight in trained if (weight in embeddings) is kept], "bits": 32 if kept else 8}
             for kept in (False, True)]
    return [part for part in parts if part["params"]]


def check_gradients(weights: Iterable[Tensor]) -> None:
    """Refuse gradients that would leave nonsense in the state.

    Raises: DtypeError, InputError
    """
    sizes = []
    for weight in weights:
        if weight.dtype not in FLOATS:
            raise DtypeError(expected("weights in float32, bfloat16 or float16", weight.dtype))
        if _slope(weight).is_sparse:
            raise InputError(expected("dense gradients", "sparse ones", "nn.Embedding(…, sparse=False)"))
        if weight.numel():
            sizes.append(torch.linalg.vector_norm(_slope(weight).detach(), math.inf, dtype=torch.float32))
    if sizes and not (largest := torch.stack([size.to(sizes[0].device) for size in sizes]).max()) < LARGEST:
        raise InputError(expected(f"finite gradients below {LARGEST:.0e}", float(largest), "a smaller learning rate, or skipping the step"))


def _slope(weight: Tensor) -> Tensor:
    return cast(Tensor, weight.grad)  # weights without a gradient are not moved


def _adam(
    weight: Tensor, grad: Tensor, mean: Tensor, square: Tensor, step: int, group: dict[str, Any], folded: bool = True
) -> None:
    """One step of AdamW in float32, in place; `folded` moves the corrections of the means into the rate.

    The same step on paper. The order of operations is bitsandbytes', which folds for 32 bits and not for 8.

    Shapes: all (n,)
    """
    first, second = group["betas"]
    grad, moved = grad.float(), weight.float()  # the same tensor when it is in float32
    mean.mul_(first).add_(grad, alpha=1 - first)
    square.mul_(second).addcmul_(grad, grad, value=1 - second)
    rate, correction = group["lr"] / (1 - first**step), math.sqrt(1 - second**step)  # both means began at 0
    if group["weight_decay"]:
        moved.mul_(1 - group["lr"] * group["weight_decay"])
    if folded:
        moved.add_(mean / (square.sqrt() + group["eps"] * correction), alpha=-group["lr"] * correction / (1 - first**step))
    else:
        moved.addcdiv_(mean, (square.sqrt() / correction).add_(group["eps"]), value=-rate)
    if moved is not weight:
        weight.copy_(moved)


def _stretches(flat: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Stretches of flat tensors side by side, those with a number a block in step with the rest."""
    size = STRETCH if flat.device.type == "cpu" else max(1, len(flat))
    for start in range(0, len(flat), size):
        yield tuple(
            tensor[start : start + size] if len(tensor) == len(flat) else tensor[start // BLOCK : -(-(start + size) // BLOCK)]
            for tensor in (flat, *others)
        )


def _check(group: dict[str, Any]) -> None:
    for name in ("lr", "eps", "weight_decay"):
        if not 0 <= float(group[name]) < math.inf:
            raise ConfigError(expected(f"{name} of at least 0", group[name]))
    if len(group["betas"]) != 2 or not all(0 <= beta < 1 for beta in group["betas"]):
        raise ConfigError(expected("two betas from 0 to less than 1", group["betas"]))
    if group["bits"] not in (8, 32):
        raise ConfigError(expected("bits of 8 or 32", group["bits"]))
    if group["min_size"] < 0:
        raise ConfigError(expected("min_size of at least 0", group["min_size"]))


def _check_state(weight: Tensor, state: dict[str, Any]) -> None:
    sizes = {name: tuple(weight.shape) for name in MEANS}
    if state["mean"].dtype == torch.uint8:
        sizes |= {f"{name}_absmax": (-(-weight.numel() // BLOCK),) for name in MEANS}
    got = {name: tuple(tensor.shape) for name, tensor in state.items() if name != "step"}
    if got != sizes:
        raise ShapeError(expected(f"the state of a weight of shape {tuple(weight.shape)}: {sizes}", got, "the optimizer of the same model"))


def _copy(value: Any, name: str, weight: Tensor) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().clone() if name == "step" else value.detach().to(weight.device, copy=True)
