"""How things of optional packages cross, by value: Flower's messages and contexts, TenSEAL's contexts.

Flower's have a format of their own (protobuf, with arrays as .npy files), which is read with bounds in bytes and in
what the arrays say of themselves. A TenSEAL context goes to a student's process only: the examiner reads none.
"""

from __future__ import annotations

import ast
import importlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import expected
from breakthrough.grading.frames import WireError

if TYPE_CHECKING:
    from breakthrough.grading.wire import Node, Reader, Writer

MOST_BYTES = 64 << 20  # of one message
FLOWERS = {  # class of flwr.app, its name in flwr.common.serde, the module of its protobuf
    "FM": ("Message", "message", "message_pb2"),
    "FC": ("Context", "context", "message_pb2"),
    "FR": ("RecordDict", "recorddict", "recorddict_pb2"),
}
HEADER = (b"\x93NUMPY\x01\x00", 10, 8)  # how a .npy file of version 1.0 begins; where its text does, and its length stands


def node(writer: Writer, value: Any, depth: int) -> Node | None:
    """The node of a thing of a package that is imported; None for anything else."""
    app, tenseal = sys.modules.get("flwr.app"), sys.modules.get("tenseal")
    for tag, (kind, name, _) in FLOWERS.items() if app is not None else ():
        if isinstance(value, getattr(app, kind)):
            proto = getattr(importlib.import_module("flwr.common.serde"), f"{name}_to_proto")(value)
            return [tag, writer.blob(proto.SerializeToString(deterministic=True))]
    if tenseal is not None and isinstance(value, tenseal.Context):
        return None if writer.trusting else _tenseal_context(writer, value)
    return None


def _tenseal_context(writer: Writer, value: Any) -> Node:
    keys = {"save_secret_key": value.is_private(), "save_galois_keys": value.has_galois_keys(), "save_relin_keys": value.has_relin_keys()}
    return ["TC", writer.blob(value.serialize(**keys))]


def _read(reader: Reader, node: list, depth: int) -> Any:
    """A message, a context or records of Flower's."""
    if not reader.trusting and "flwr.app" not in sys.modules:  # then nobody here has asked for one
        raise WireError(expected("no message of Flower's", "one"))
    if type(node[1]) is int and node[1] > MOST_BYTES:
        raise WireError(expected(f"a message of up to {MOST_BYTES >> 20} MiB", f"{node[1]:,} bytes"))
    kind, name, module = FLOWERS[node[0]]
    proto = getattr(importlib.import_module(f"flwr.proto.{module}"), kind).FromString(bytes(reader.take(node[1])))
    value = getattr(importlib.import_module("flwr.common.serde"), f"{name}_from_proto")(proto)
    for array in _arrays(value):
        _check_array(array)
    return value


def _arrays(value: Any) -> Iterator[Any]:
    """The arrays of a message's content, or of a context's state."""
    content = getattr(value, "state", value)
    if hasattr(value, "has_content"):
        content = value.content if value.has_content() else {}
    for record in content.values():
        yield from (array for array in record.values() if hasattr(array, "stype"))


def _check_array(array: Any) -> None:
    """Nothing, for an array whose data is as long as its header says.

    numpy makes room for what a header says before it reads on.
    Raises: WireError for another
    """
    data, (magic, start, at) = bytes(array.data), HEADER
    stop = start + int.from_bytes(data[at:start], "little")
    if array.stype != "numpy.ndarray" or not data.startswith(magic) or len(data) < stop or stop > 10_000:
        raise WireError(expected("an array as numpy writes it", repr(data[:start])[:60]))
    told = ast.literal_eval(data[start:stop].decode("latin1"))
    dtype = np.dtype(told["descr"]) if type(told["descr"]) is str else np.dtype(object)
    numbers = dtype.kind in "biufc" and all(type(side) is int and side >= 0 for side in told["shape"])
    if not numbers or dtype.itemsize * math.prod(told["shape"]) != len(data) - stop:
        raise WireError(expected(f"numbers in {len(data) - stop:,} bytes", repr(told)[:80]))


def _read_tenseal(reader: Reader, node: list, depth: int) -> Any:
    if not reader.trusting:
        raise WireError(expected("no context of TenSEAL's", "one"))
    return importlib.import_module("tenseal").context_from(bytes(reader.take(node[1])))


def write_back(old: Any, new: Any) -> bool:
    """Make a message or context here what the other side made of its copy; False for anything else."""
    app = sys.modules.get("flwr.app")
    if app is None or type(old) is not type(new):
        return False
    if isinstance(old, app.Message) and old.has_content() and new.has_content():
        old.content = new.content
        return True
    if isinstance(old, app.Context):
        old.state, old.node_config, old.run_config = new.state, new.node_config, new.run_config
        return True
    return False


READERS: dict[str, Callable[[Reader, list, int], Any]] = {**dict.fromkeys(FLOWERS, _read), "TC": _read_tenseal}
