"""How torch's own modules cross: the constructor's arguments and the state, for kinds that are listed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from breakthrough.errors import expected
from breakthrough.grading.frames import WireError

if TYPE_CHECKING:
    from torch import nn

    from breakthrough.grading.wire import Node, Reader, Writer

CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode")
NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
MADE_FROM = {  # kind of torch.nn → the arguments it is made from, read from attributes of the same name
    "Linear": ("in_features", "out_features", "bias"),
    "Embedding": ("num_embeddings", "embedding_dim"),
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "Conv1d": CONV,
    "Conv2d": CONV,
    "BatchNorm1d": NORM,
    "BatchNorm2d": NORM,
    **dict.fromkeys(("ReLU", "Tanh", "GELU", "SiLU", "Sigmoid", "Flatten", "Identity"), ()),
}
HOLDERS = ("Sequential", "ModuleList")
MOST = 1 << 26  # numbers of one module


def node(writer: Writer, value: Any, depth: int) -> Node | None:
    """The node of a module of torch's own or a data set of tensors; None for anything else."""
    import torch
    from torch.utils.data import TensorDataset

    if type(value) is TensorDataset:
        return ["DS", [writer.node(tensor, depth + 1) for tensor in value.tensors]]
    if not isinstance(value, torch.nn.Module):
        return None
    shape = _shape_of(value)
    if shape is None:
        return None
    state = {name: tensor.detach() for name, tensor in value.state_dict().items()}
    wants = {name: weight.requires_grad for name, weight in value.named_parameters()}
    modes = [module.training for module in value.modules()]
    gradients = {name: weight.grad for name, weight in value.named_parameters() if weight.grad is not None}
    return ["M", *(writer.node(part, depth + 1) for part in (shape, state, wants, modes, gradients))]


def _shape_of(module: nn.Module) -> Any:
    """Kind and arguments, or kind and children, all the way down; None when a kind is not listed."""
    kind = type(module).__name__
    if type(module).__module__.partition(".")[0] != "torch":
        return None
    if kind in HOLDERS:
        inside = [_shape_of(child) for child in cast("Iterable[nn.Module]", module)]
        return None if None in inside else [kind, inside]
    if kind not in MADE_FROM:
        return None
    given = {name: getattr(module, name) for name in MADE_FROM[kind]}
    if "bias" in given:
        given["bias"] = given["bias"] is not None
    return [kind, given]


def _made(shape: list, depth: int = 0) -> nn.Module:
    from torch import nn

    kind, given = shape
    if depth > 12:
        raise WireError(expected("a module less deep", "more than 12 levels"))
    if kind in HOLDERS:
        inside = [_made(child, depth + 1) for child in given]
        return nn.Sequential(*inside) if kind == "Sequential" else nn.ModuleList(inside)
    if kind not in MADE_FROM or set(given) != set(MADE_FROM[kind]):
        raise WireError(expected("a module of a known kind", repr(kind)[:40]))
    return getattr(nn, kind)(**given)


def _read(reader: Reader, node: list, depth: int) -> nn.Module:
    import torch

    shape, state, wants, modes, gradients = (reader.read(part, depth + 1) for part in node[1:6])
    if sum(tensor.numel() for tensor in state.values()) > MOST:
        raise WireError(expected(f"a module of up to {MOST:,} numbers", "more"))
    with torch.device("meta"):  # its own initial weights would be drawn from the global generator
        made = _made(shape)
    made.load_state_dict(state, assign=True)
    for name, weight in made.named_parameters():
        weight.requires_grad_(bool(wants.get(name)))
        weight.grad = gradients.get(name)
    for module, mode in zip(made.modules(), modes):
        module.training = bool(mode)
    return made


def _read_data(reader: Reader, node: list, depth: int) -> Any:
    from torch.utils.data import TensorDataset

    return TensorDataset(*(reader.read(part, depth + 1) for part in node[1]))


def write_back(old: nn.Module, new: nn.Module) -> None:
    """Give a module here the state that its copy has there."""
    import torch

    with torch.no_grad():
        state = new.state_dict()
        for name, tensor in old.state_dict().items():
            if name in state and state[name].shape == tensor.shape:
                tensor.copy_(state[name])
    theirs = dict(new.named_parameters())
    for name, weight in old.named_parameters():
        if name in theirs:
            weight.grad = theirs[name].grad
    for one, other in zip(old.modules(), new.modules()):
        one.training = other.training


READERS: dict[str, Callable[[Reader, list, int], Any]] = {"M": _read, "DS": _read_data}
