"""How tensors, arrays, generators and modules cross: by value, as numbers with a shape."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import expected
from breakthrough.grading import wire_modules, wire_packages
from breakthrough.grading.frames import TENSORS, WireError

if TYPE_CHECKING:
    import torch

    from breakthrough.grading.wire import Node, Reader, Writer


MOST = 1 << 28  # values of a tensor


def node(writer: Writer, value: Any, depth: int) -> Node | None:
    """The node of a value that is an array or made of them; None for anything else."""
    import torch

    if isinstance(value, torch.Tensor):
        return _tensor(writer, value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return _array(writer, value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        data = np.asarray(value).tobytes()
        return ["n", value.dtype.str, writer.blob(data)]
    if isinstance(value, torch.Generator):
        state = value.get_state().numpy().tobytes()
        return ["G", writer.blob(state)]
    if isinstance(value, np.random.Generator):
        return ["R", writer.node(_plain(value.bit_generator.state), depth + 1)]
    if isinstance(value, random.Random):
        return ["r", writer.node(value.getstate(), depth + 1)]
    simple = _simple(writer, value, depth)
    return simple if simple is not None else wire_modules.node(writer, value, depth)


def _simple(writer: Writer, value: Any, depth: int) -> Node | None:
    import torch

    if isinstance(value, torch.dtype):
        return ["y", str(value).removeprefix("torch.")]
    if isinstance(value, torch.device):
        return ["v", str(value)]
    if isinstance(value, torch.Size):
        return ["t", [int(size) for size in value]]
    if isinstance(value, np.dtype) and value.kind in "biufc":
        return ["Y", value.str]
    if isinstance(value, slice):
        return ["sl", *(writer.node(part, depth + 1) for part in (value.start, value.stop, value.step))]
    return ["el"] if value is Ellipsis else None


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {str(name): _plain(part) for name, part in state.items()}
    return int(state) if isinstance(state, (int, np.integer)) else state


def _tensor(writer: Writer, value: torch.Tensor) -> Node:
    import torch

    plain = value.detach()
    dtype = str(plain.dtype).removeprefix("torch.")
    if dtype not in TENSORS or plain.layout != torch.strided:
        return ["o", f"Tensor_of_{dtype}"]
    where, shape = plain.device.type, list(plain.shape)
    spread = [axis for axis, (step, size) in enumerate(zip(plain.stride(), shape)) if step == 0 and size > 1]
    for axis in spread:  # expanded: one memory for many values, and so it stays
        plain = plain.narrow(axis, 0, 1)
    order = _order(plain.stride(), lambda axes: plain.permute(axes).is_contiguous())
    data = (plain.permute(order) if order else plain).cpu().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    blob = writer.blob((data.view(torch.int16) if dtype == "bfloat16" else data).numpy().tobytes())
    return ["T", dtype, list(data.shape), blob, value.requires_grad, order, where, [[axis, shape[axis]] for axis in spread]]


def _array(writer: Writer, value: np.ndarray) -> Node:
    plain = np.asarray(value)
    order = _order(plain.strides, lambda axes: plain.transpose(axes).flags.c_contiguous)
    data = plain.transpose(order) if order else plain
    return ["N", plain.dtype.str, list(data.shape), writer.blob(data.tobytes()), order, bool(plain.flags.writeable)]


def _order(strides: Sequence[int], in_line: Callable[[list[int]], bool]) -> list[int] | None:
    """The axes in the order in which the numbers stand in memory, where they stand without gaps; else None."""
    as_it_is = list(range(len(strides)))
    order = sorted(as_it_is, key=lambda axis: -strides[axis])
    return next((axes for axes in (as_it_is, order) if in_line(axes)), None)


def _back(order: Any, rank: int) -> list[int] | None:
    """Where each axis stands in an array whose axes were put in an order."""
    if order is None:
        return None
    if type(order) is not list or sorted(order) != list(range(rank)):
        raise WireError(expected(f"an order of {rank} axes", repr(order)[:40]))
    return sorted(range(rank), key=lambda at: order[at])


def _shape(given: Any, size: int, width: int) -> tuple[int, ...]:
    shape = tuple(given)
    if len(shape) > 32 or any(type(side) is not int or not 0 <= side <= 1 << 40 for side in shape):
        raise WireError(expected("up to 32 sizes of 0 or more", repr(shape[:8])[:80]))
    if width * math.prod(shape) != size:
        raise WireError(expected(f"an array of {size} bytes", f"shape {shape[:8]} of {width} bytes each"))
    return shape


def _read_tensor(reader: Reader, node: list, depth: int) -> torch.Tensor:
    import torch

    _, name, given, size, wants, order, where, spread = node
    if name not in TENSORS:
        raise WireError(expected("a known dtype", name))
    dtype = getattr(torch, name)
    shape = _shape(given, size, dtype.itemsize)
    data = torch.frombuffer(bytearray(reader.take(size)), dtype=dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)
    back = _back(order, len(shape))
    data = data.permute(back) if back is not None else torch.stack([data, data], dim=-1)[..., 0]  # with gaps, as it had
    data = _expanded(data, spread)
    if where != "cpu" and torch.cuda.is_available():
        data = data.to("cuda")
    return data.requires_grad_(bool(wants) and (dtype.is_floating_point or dtype.is_complex))


def _expanded(data: torch.Tensor, spread: list) -> torch.Tensor:
    shape = list(data.shape)
    for axis, size in spread:
        if type(axis) is not int or type(size) is not int or not 0 <= axis < len(shape) or shape[axis] != 1 or size < 1:
            raise WireError(expected("an axis of one value to expand", (axis, size)))
        shape[axis] = size
    if math.prod(shape) > MOST:
        raise WireError(expected(f"up to {MOST:,} values", math.prod(shape)))
    return data.expand(shape) if spread else data


def _dtype(name: Any) -> np.dtype:
    dtype = np.dtype(name) if type(name) is str and len(name) <= 4 else None
    if dtype is None or dtype.kind not in "biufc":
        raise WireError(expected("a dtype of numbers", repr(name)[:40]))
    return dtype


def _read_array(reader: Reader, node: list, depth: int) -> np.ndarray:
    _, name, given, size, order, writable = node
    dtype = _dtype(name)
    shape = _shape(given, size, dtype.itemsize)
    data = np.frombuffer(bytes(reader.take(size)), dtype=dtype).reshape(shape).copy()
    back = _back(order, len(shape))
    data = data.transpose(back) if back is not None else np.stack([data, data], axis=-1)[..., 0]
    data.flags.writeable = bool(writable)
    return data


def _read_number(reader: Reader, node: list, depth: int) -> np.generic:
    dtype = _dtype(node[1])
    return np.frombuffer(bytes(reader.take(node[2])), dtype=dtype, count=1)[0]


def _read_generator(reader: Reader, node: list, depth: int) -> torch.Generator:
    import torch

    made = torch.Generator()
    made.set_state(torch.frombuffer(bytearray(reader.take(node[1])), dtype=torch.uint8).clone())
    return made


def _read_numpy_generator(reader: Reader, node: list, depth: int) -> np.random.Generator:
    state = reader.read(node[1], depth + 1)
    if state.get("bit_generator") != "PCG64":
        raise WireError(expected("a generator of numpy's default kind", repr(state.get("bit_generator"))[:40]))
    made = np.random.default_rng(0)
    made.bit_generator.state = state
    return made


def _read_random(reader: Reader, node: list, depth: int) -> random.Random:
    made = random.Random()
    made.setstate(reader.read(node[1], depth + 1))
    return made


def _read_dtype(reader: Reader, node: list, depth: int) -> torch.dtype:
    import torch

    if node[1] not in TENSORS:
        raise WireError(expected("a known dtype", repr(node[1])[:40]))
    return getattr(torch, node[1])


def _read_device(reader: Reader, node: list, depth: int) -> torch.device:
    import torch

    return torch.device("cuda" if str(node[1]).startswith("cuda") and torch.cuda.is_available() else "cpu")


READERS: dict[str, Callable[[Reader, list, int], Any]] = {
    "T": _read_tensor,
    "N": _read_array,
    "n": _read_number,
    "G": _read_generator,
    "R": _read_numpy_generator,
    "r": _read_random,
    "y": _read_dtype,
    "Y": lambda reader, node, depth: _dtype(node[1]),
    "v": _read_device,
    "sl": lambda reader, node, depth: slice(*(reader.read(part, depth + 1) for part in node[1:4])),
    "el": lambda reader, node, depth: Ellipsis,
    **wire_modules.READERS,
}


def write_back(old: Any, new: Any) -> None:
    """Make a value here what the other side made of its copy: contents of arrays and containers, states of generators."""
    import torch

    if wire_packages.write_back(old, new):
        return
    if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        old.data = new.detach().to(old.device)
    elif isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        if old.shape == new.shape and old.flags.writeable:
            old[...] = new
    elif isinstance(old, torch.Generator) and isinstance(new, torch.Generator):
        old.set_state(new.get_state())
    elif isinstance(old, np.random.Generator) and isinstance(new, np.random.Generator):
        old.bit_generator.state = new.bit_generator.state
    elif isinstance(old, random.Random) and isinstance(new, random.Random):
        old.setstate(new.getstate())
    elif isinstance(old, torch.nn.Module) and isinstance(new, torch.nn.Module):
        wire_modules.write_back(old, new)
    elif type(old) is type(new):
        _write_back_parts(old, new)


def _write_back_parts(old: Any, new: Any) -> None:
    if isinstance(old, list):
        for one, other in zip(old, new):
            write_back(one, other)
        old[:] = [one if _kept(one, other) else other for one, other in zip(old, new)] + new[len(old) :]
    elif isinstance(old, dict):
        kept = {name: old[name] if name in old and _kept(old[name], part) else part for name, part in new.items()}
        for name in old.keys() & new.keys():
            write_back(old[name], new[name])
        old.clear()
        old.update(kept)
    elif isinstance(old, tuple):
        for one, other in zip(old, new):
            write_back(one, other)
    elif isinstance(old, set):
        old.clear()
        old.update(new)


def _kept(old: Any, new: Any) -> bool:
    """Whether an old part stays, its contents written anew, or the new one takes its place."""
    return type(old) is type(new) and not isinstance(old, (int, float, str, bytes, bool, type(None), frozenset, np.generic))
