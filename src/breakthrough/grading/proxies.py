"""Things of the other process as they look here: callable, with parts, and with gradients that flow back.

Truth and equality of a proxy raise: a student's `__eq__` that says yes to everything is never asked.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import InputError, expected, type_of
from breakthrough.grading.frames import safe_name
from breakthrough.grading.served import tensors_in
from breakthrough.grading.wire_arrays import write_back

if TYPE_CHECKING:
    from breakthrough.grading.remote import Peer

DRIVERS = "breakthrough.exercises."  # where functions for `there` may lie
MOST = 100_000  # parts of something that is gone through


class Proxy(Elsewhere):
    """A thing of the other process."""

    def __init__(self, peer: Peer, number: int) -> None:
        self.__dict__.update(_peer=peer, _number=number)

    def there(self, name: str) -> Callable[..., Any]:
        """A function `module:name` of the library, to be called in that process."""
        self._live()
        return self._peer.request("there", name)

    def renewed_by(self, again: Callable[[], Any]) -> None:
        """Let a function find this thing again when its process was started anew."""
        self.__dict__["_again"] = again

    def _live(self) -> None:
        again = self.__dict__.get("_again")
        dead = getattr(self._peer, "dead", "")
        if again is not None and dead:
            found = again()
            if isinstance(found, Proxy):
                self.__dict__.update(_peer=found._peer, _number=found._number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "REMOTE":
            raise AttributeError(name)
        if not self._peer.request("has", self._number, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._peer.request("get", self._number, name)

    def __getitem__(self, key: Any) -> Any:
        return invoke(self._peer, "method", (self._number, "__getitem__"), (key,), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        invoke(self._peer, "method", (self._number, "__setitem__"), (key, value), {})

    def __len__(self) -> int:
        return invoke(self._peer, "method", (self._number, "__len__"), (), {})

    def __iter__(self) -> Iterator[Any]:
        given = self._peer.request("parts", self._number, MOST)
        if len(given) >= MOST:
            raise InputError(expected(f"up to {MOST:,} parts", "more: does it end?"))
        return iter(given)

    def __bool__(self) -> bool:
        raise InputError(expected("a value", f"{type_of(self)}, whose truth is not asked"))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        raise InputError(expected("a value", f"{type_of(self)}, whose equality is not asked"))

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: dict) -> Proxy:
        return self

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(expected("an array", type_of(self)))


class CallableProxy(Proxy):
    """A function, class or other callable of the other process."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._live()
        return invoke(self._peer, "call", (self._number,), args, kwargs)


def make_proxy(peer: Peer, node: list) -> Any:
    """The proxy of a handle, in a class that has the name of the thing's class.

    For a thing of the examiner's that says so it is held by an object of a class of the library.
    """
    _, _, number, name, callable_, signature, there = node
    kind = CallableProxy if callable_ is True else Proxy
    made = type(safe_name(name, "object"), (kind,), {})(peer, int(number))
    if signature is not None and callable_ is True:
        made.__dict__["__signature__"] = _signature(signature)
    return driver(there)(made) if there and peer.trusted else made


def driver(name: str) -> Any:
    """A function or class `module:name` of the exercises' parts that work in a student's process.

    Raises: InputError for any other
    """
    module, _, function = name.partition(":")
    if not module.startswith(DRIVERS):
        raise InputError(expected(f"a function of {DRIVERS}*", name))
    return getattr(importlib.import_module(module), function)


def _signature(told: list) -> inspect.Signature:
    kinds = list(inspect._ParameterKind)
    given = [inspect.Parameter(str(name), kinds[int(kind)], default=None if default else inspect.Parameter.empty) for name, kind, default in told[:50]]
    return inspect.Signature(given)


def invoke(peer: Peer, what: str, target: tuple, args: tuple, kwargs: dict) -> Any:
    """Call a thing there, with gradients where an argument asks for them; arguments it changed are changed here."""
    import torch

    grad = torch.is_grad_enabled()
    inputs = [tensor for tensor in tensors_in([args, kwargs]) if tensor.requires_grad] if grad else []
    if not inputs:
        return _taken(peer.request(what, *target, args, kwargs, {"grad": grad, "graph": False}), args, kwargs)
    return _with_gradients(peer, what, target, args, kwargs, inputs)


def _taken(reply: Any, args: tuple, kwargs: dict) -> Any:
    if type(reply) is not dict or "value" not in reply:
        raise InputError(expected("the reply to a call", type(reply).__name__))
    changed = reply.get("changed")
    if type(changed) is list and len(changed) == 2:
        write_back(args, changed[0])
        write_back(kwargs, changed[1])
    return reply["value"]


def _with_gradients(peer: Peer, what: str, target: tuple, args: tuple, kwargs: dict, inputs: list) -> Any:
    import torch

    box: dict[str, Any] = {}

    class There(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            reply = peer.request(what, *target, args, kwargs, {"grad": True, "graph": True})
            box["value"] = _taken(reply, tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in args), kwargs)
            ctx.graph = reply.get("graph")
            outputs = tensors_in(box["value"])
            wants = [out.requires_grad for out in outputs]
            outputs = [out.detach() for out in outputs]
            ctx.mark_non_differentiable(*(out for out, wanted in zip(outputs, wants) if not wanted))
            ctx.set_materialize_grads(False)
            return tuple(outputs) if outputs else torch.zeros(())

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            made = peer.request("backward", ctx.graph, list(gradients)) if ctx.graph else []
            made = list(made) if isinstance(made, (list, tuple)) else []
            return tuple(_fitting(g, i) for g, i in zip(made + [None] * len(inputs), inputs))

    outputs = There.apply(*inputs)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    return replaced(box["value"], iter(outputs))


def _fitting(gradient: Any, like: Any) -> Any:
    import torch

    return gradient if isinstance(gradient, torch.Tensor) and gradient.shape == like.shape else None


def replaced(value: Any, tensors: Iterator[Any]) -> Any:
    """A value with its tensors, in order, replaced by others."""
    import torch

    if isinstance(value, torch.Tensor):
        return next(tensors)
    if isinstance(value, dict):
        return {name: replaced(part, tensors) for name, part in value.items()}
    return type(value)(replaced(part, tensors) for part in value) if type(value) in (list, tuple) else value
