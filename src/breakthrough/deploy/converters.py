"""Operators that TVM's frontend for torch does not know, said in those of Relax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CONVERTERS: dict[str, Callable[[Any, Any], Any]] = {}


def converter(name: str) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]:
    """Register a function (node, importer) → Relax expression for an operator such as "amax.default"."""

    def keep(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        CONVERTERS[name] = function
        return function

    return keep


@converter("amax.default")
def amax(node: Any, importer: Any) -> Any:
    """The largest along some dimensions."""
    from tvm import relax

    given = dict(zip(("dim", "keepdim"), node.args[1:])) | dict(node.kwargs)
    dims = list(given.get("dim", ())) or None
    return importer.block_builder.emit(relax.op.max(importer.env[node.args[0]], dims, bool(given.get("keepdim", False))))
