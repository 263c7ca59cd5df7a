"""What one process does for the other: call a thing that it owns, or give a part of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from breakthrough.errors import expected
from breakthrough.grading.frames import WireError

if TYPE_CHECKING:
    from breakthrough.grading.remote import Peer

SPECIAL = {"__getitem__", "__setitem__", "__len__", "__iter__", "__next__", "__contains__", "__enter__", "__exit__", "__float__", "__int__", "__call__"}


def answer(peer: Peer, what: str, data: list) -> Any:
    """Do what is asked.

    Raises: WireError for what may not be asked; what the call itself raises
    """
    if what in peer.extra:
        return peer.extra[what](*data)
    if what not in OPERATIONS:
        raise WireError(expected("a request that is known", repr(what)[:40]))
    return OPERATIONS[what](peer, *data)


def _permit(peer: Peer, target: Any, name: str) -> None:
    """Nothing, for a name that may be asked for.

    Raises: WireError for one that may not
    """
    if not permitted(peer, target, name):
        raise WireError(expected("the name of something that may be asked for", repr(name)[:40]))


def permitted(peer: Peer, target: Any, name: Any) -> bool:
    """Whether a name of a thing may be asked for."""
    _, names = peer.allowed(target)
    return type(name) is str and ("*" in names or name in names) and (not name.startswith("_") or name in SPECIAL)


def _call(peer: Peer, number: int, args: tuple, kwargs: dict, modes: dict) -> Any:
    target = peer.find(number)
    _permit(peer, target, "__call__")
    return _called(peer, target, args, kwargs, modes)


def _method(peer: Peer, number: int, name: str, args: tuple, kwargs: dict, modes: dict) -> Any:
    target = peer.find(number)
    _permit(peer, target, name)
    return _called(peer, getattr(target, name), args, kwargs, modes)


def _called(peer: Peer, target: Any, args: tuple, kwargs: dict, modes: dict) -> Any:
    import torch

    watched = not getattr(target, "changes_nothing", False)
    before = peer.frame([args, kwargs]) if watched else b""
    inputs = [tensor for tensor in tensors_in([args, kwargs]) if tensor.requires_grad]
    if peer.trusted:  # random numbers that nobody seeded are the same in every call
        torch.default_generator.manual_seed(0)
    with torch.set_grad_enabled(bool(modes.get("grad", True))):
        output = target(*args, **kwargs)
    changed = [args, kwargs] if watched and peer.frame([args, kwargs]) != before else None
    return {"value": output, "changed": changed, "graph": _keep(peer, inputs, output) if modes.get("graph") else 0}


def _keep(peer: Peer, inputs: list, output: Any) -> int:
    outputs = tensors_in(output)
    if not any(tensor.requires_grad for tensor in outputs):
        return 0
    number = next(peer.numbers)
    peer.graphs[number] = inputs, outputs
    return number


def _backward(peer: Peer, number: int, gradients: list) -> list:
    import torch

    if number not in peer.graphs:
        raise WireError(expected("a graph that was kept", number))
    inputs, outputs = peer.graphs[number]
    pairs = [(out, gradient) for out, gradient in zip(outputs, gradients) if gradient is not None and out.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    made = torch.autograd.grad([out for out, _ in pairs], inputs, [g for _, g in pairs], allow_unused=True, retain_graph=True)
    return list(made)


def _get(peer: Peer, number: int, name: str) -> Any:
    target = peer.find(number)
    _permit(peer, target, name)
    return getattr(target, name)


def _has(peer: Peer, number: int, name: str) -> bool:
    target = peer.find(number)
    return permitted(peer, target, name) and hasattr(target, name)


def _parts(peer: Peer, number: int, most: int) -> list:
    """The next parts of something that can be gone through, from the start when it is no iterator."""
    target = peer.find(number)
    _permit(peer, target, "__iter__")
    iterator = target if isinstance(target, Iterator) else iter(target)
    return list(itertools.islice(iterator, min(int(most), 100_000)))


def tensors_in(value: Any) -> list:
    """The tensors of a value, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for part in value.values() for tensor in tensors_in(part)]
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []


OPERATIONS: dict[str, Callable[..., Any]] = {"call": _call, "method": _method, "backward": _backward, "get": _get, "has": _has, "parts": _parts}
