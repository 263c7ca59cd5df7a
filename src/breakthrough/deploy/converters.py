"""Operators that TVM's frontend for torch does not know, or not well, said in those of Relax.

A converter is a function (node, importer) → Relax expression. `node` is torch's: `node.args` and `node.kwargs` are
what the operator was called with. `importer.env` has the Relax expression of every node before it, and
`importer.block_builder.emit` adds a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breakthrough.errors import InputError, expected

Converter = Callable[[Any, Any], Any]
CONVERTERS: dict[str, Converter] = {}


def converter(name: str) -> Callable[[Converter], Converter]:
    """Register a function (node, importer) → Relax expression for an operator such as "amax.default".

    It comes before TVM's own for the same name. A second one takes the first one's place.

    Raises: InputError for a name without an overload
    """
    if not isinstance(name, str) or "." not in name:
        raise InputError(expected('an operator with its overload, as "amax.default"', repr(name), f"{name}.default"))

    def keep(function: Converter) -> Converter:
        CONVERTERS[name] = function
        return function

    return keep


def known() -> frozenset[str]:
    """Every operator that can be imported: TVM's own and those with a converter."""
    from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

    return frozenset(ExportedProgramImporter().convert_map) | frozenset(CONVERTERS)


def arguments(node: Any, *names: str) -> dict[str, Any]:
    """What a node was called with after its first argument, by name; what was left out is not there."""
    return dict(zip(names, node.args[1:])) | dict(node.kwargs)


@converter("amax.default")
def amax(node: Any, importer: Any) -> Any:
    """The largest along some dimensions."""
    from tvm import relax

    return _reduced(relax.op.max, node, importer)


@converter("amin.default")
def amin(node: Any, importer: Any) -> Any:
    """The smallest along some dimensions."""
    from tvm import relax

    return _reduced(relax.op.min, node, importer)


@converter("embedding.default")
def embedding(node: Any, importer: Any) -> Any:
    """Rows of a table; TVM's own reads memory beside the table for an index that is not in it, this takes the nearest row."""
    from tvm import relax

    table, indices = (importer.env[arg] for arg in node.args[:2])
    return importer.block_builder.emit(relax.op.take(table, indices, axis=0, mode="clip"))


@converter("scatter_add.default")
def scatter_add(node: Any, importer: Any) -> Any:
    """Numbers added where indices say."""
    from tvm import relax

    x, index, source = (importer.env[node.args[i]] for i in (0, 2, 3))
    return importer.block_builder.emit(relax.op.scatter_elements(x, index, source, axis=node.args[1], reduction="add"))


def _reduced(op: Callable[..., Any], node: Any, importer: Any) -> Any:
    given = arguments(node, "dim", "keepdim")
    dims = list(given.get("dim", ())) or None
    return importer.block_builder.emit(op(importer.env[node.args[0]], dims, bool(given.get("keepdim", False))))
