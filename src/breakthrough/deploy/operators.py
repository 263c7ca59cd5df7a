"""A net taken apart into the operators that torch really runs: the operations, the bytes and the time of each.

Bytes count every input and output once, as if nothing were kept from the operator before: that is what a framework
moves that runs one operator after the other. A compiler that fuses operators moves less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from breakthrough import devices
from breakthrough.deploy.roofline import MEMORY, Machine, Roof
from breakthrough.errors import InputError, expected

LEAST_S = 0.0005  # of one measurement: so many calls
NORMALIZE = 5  # operations an element: mean, variance, scale; nothing beside a product


@dataclass(frozen=True)
class Operator:
    """One call of an operator in a net.

    Units:  `where` is the module's path; flops with a multiply-add as 2; bytes read and written; the weights among
            them; seconds a call alone, 0 where it was not timed
    """

    name: str
    where: str
    shape: tuple[int, ...]
    flops: int
    bytes: int
    weight_bytes: int
    seconds: float = 0.0

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes if self.bytes else 0.0

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.flops / self.seconds if self.seconds else 0.0

    def least_s(self, roof: Roof, dtype: str = "float32", level: str = MEMORY) -> float:
        """What the roof allows."""
        return roof.least_s(self.flops, self.bytes, dtype, level)


@dataclass(frozen=True)
class Profile:
    """All operators of one forward pass.

    Units:  seconds of the whole pass, 0 where it was not timed
    """

    name: str
    threads: int
    operators: tuple[Operator, ...]
    seconds: float = 0.0

    @property
    def flops(self) -> int:
        """Of the whole pass."""
        return sum(one.flops for one in self.operators)

    @property
    def bytes(self) -> int:
        """Of the whole pass, operator by operator."""
        return sum(one.bytes for one in self.operators)

    def least_s(self, roof: Roof, dtype: str = "float32", level: str = MEMORY) -> float:
        """The bound of a net is the sum of its operators' bounds: they run one after the other."""
        return sum(one.least_s(roof, dtype, level) for one in self.operators)

    def by_kind(self) -> dict[str, tuple[int, int, int, float]]:
        """Calls, flops, bytes and seconds of every kind of operator, the longest first."""
        kinds: dict[str, list[Operator]] = {}
        for one in self.operators:
            kinds.setdefault(one.name, []).append(one)
        rows = {name: (len(of), sum(x.flops for x in of), sum(x.bytes for x in of), sum(x.seconds for x in of)) for name, of in kinds.items()}
        return dict(sorted(rows.items(), key=lambda row: (-row[1][3], -row[1][2])))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """The profile that `to_dict` wrote."""
        return cls(**{**data, "operators": tuple(Operator(**{**one, "shape": tuple(one["shape"])}) for one in data["operators"])})

    def nearest_s(self, roof: Roof, dtype: str = "float32", kind: str | None = None) -> float:
        """The same bound with every operator's bytes in the nearest cache that holds them, as when it runs alone."""
        return sum(one.least_s(roof, dtype, roof.holding(one.bytes).name) for one in self.operators if kind in (None, one.name))

    def table(self, machine: Machine, dtype: str = "float32", most: int = 10) -> str:
        """A row a kind of operator: how long it takes, and the least that the roof allows. Units: `most` rows, then the rest in one."""
        roof, kinds = machine.roof(self.threads), self.by_kind()
        rows: list[tuple[Any, ...]] = [(name, *kinds[name], self.nearest_s(roof, dtype, name)) for name in kinds]
        if len(rows) > most:
            rest = (sum(row[place] for row in rows[most:]) for place in range(1, 6))
            rows = [*rows[:most], (f"{len(rows) - most} other kinds", *rest)]
        total = sum(one.seconds for one in self.operators)
        rows.append(("all", len(self.operators), self.flops, self.bytes, total, self.nearest_s(roof, dtype)))
        width = max(26, *(len(row[0]) for row in rows))
        head = f"{'operator':{width}} {'calls':>5} {'MFLOP':>8} {'kB':>8} {'µs':>8} {'share':>6} {'roof, µs':>9} {'of roof':>8}"
        tail = [f"the pass as a whole takes {1e6 * self.seconds:.1f} µs"] if self.seconds else []
        return "\n".join([head, *(_line(row, width, total) for row in rows), *tail])


def operators(model: nn.Module, example: Tensor, *, name: str = "", threads: int = 1, repeats: int = 5, timed: bool = True) -> Profile:
    """Run a net once and take down every operator; then time each alone, on the inputs that it had.

    An operator alone finds its inputs in the cache, and is called from Python: µs of the call are in its time. Views
    and what moves no bytes are left out.

    Units:  seconds are the best of the repeats, as those of the roof are
    Raises: InputError for fewer than 1 repeat
    """
    if repeats < 1:
        raise InputError(expected("1 repeat or more", repeats))
    recorder = _Recorder({_place(x) for x in (*model.parameters(), *model.buffers())})
    with devices.threads(threads), torch.no_grad(), _places(model, recorder), recorder:
        model(example)  # not in inference mode: there a convolution or a linear layer is not taken apart
    found, known = [], {}
    with devices.threads(threads), torch.inference_mode():
        for call in recorder.calls:
            if timed and call.key not in known:
                known[call.key] = _seconds(call.run, repeats)
            found.append(Operator(call.name, call.where, call.shape, call.flops, call.bytes, call.weight_bytes, known.get(call.key, 0.0)))
        whole = _seconds(lambda: model(example), repeats) if timed else 0.0
    return Profile(name or type(model).__name__, threads, tuple(found), whole)


def _line(row: tuple[str, int, int, int, float, float], width: int, total_s: float) -> str:
    name, calls, flops, nbytes, seconds, least = row
    timed = f"{100 * seconds / total_s:5.0f}% {1e6 * least:9.1f} {100 * least / seconds:7.0f}%" if seconds else f"{'–':>6} {1e6 * least:9.1f} {'–':>8}"
    return f"{name:{width}} {calls:5} {flops / 1e6:8.3f} {nbytes / 1e3:8.1f} {1e6 * seconds:8.1f} {timed}"


@dataclass(frozen=True)
class _Call:
    name: str
    where: str
    shape: tuple[int, ...]
    flops: int
    bytes: int
    weight_bytes: int
    run: Callable[[], object]
    key: tuple[object, ...]


class _Recorder(TorchDispatchMode):
    """Sees every operator below torch's modules and functions."""

    def __init__(self, weights: set[int]) -> None:
        super().__init__()
        self.weights, self.where = weights, [""]
        self.calls: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        outputs = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        if not outputs or not inputs or _is_view(func, inputs, outputs):
            return out
        name = func.overloadpacket.__name__
        weights = [x for x in inputs if _place(x) in self.weights]
        run = lambda: func(*args, **kwargs)  # noqa: E731
        moved = sum(map(_bytes, inputs)) + sum(map(_bytes, outputs))
        key = (name, tuple(tuple(x.shape) for x in inputs), tuple(x.stride() for x in inputs))
        flops = _flops(func, args, kwargs, out) or _elementwise(name, inputs, outputs)
        self.calls.append(_Call(name, self.where[-1], tuple(outputs[0].shape), flops, moved, sum(map(_bytes, weights)), run, key))
        return out


@contextmanager
def _places(model: nn.Module, recorder: _Recorder) -> Iterator[None]:
    """The recorder knows which module runs."""
    handles = []
    for path, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, path=path: recorder.where.append(path)))
        handles.append(module.register_forward_hook(lambda *_: recorder.where.pop() and None, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_view(func: Any, inputs: list[Tensor], outputs: list[Tensor]) -> bool:
    """Whether nothing is written: the output is another look at an input."""
    return func.is_view or (not func._schema.is_mutable and outputs[0].data_ptr() in {x.data_ptr() for x in inputs})


def _flops(func: Any, args: tuple, kwargs: dict, out: Any) -> int:
    """What torch's own counter says of a product, and that of attention on a CPU, which it does not know; else 0."""
    if func.overloadpacket.__name__ == "_scaled_dot_product_flash_attention_for_cpu":
        return 4 * args[0].numel() * args[1].shape[-2]  # q·k and ·v, all of it: a causal one may do half
    count = FlopCounterMode(display=False).flop_registry.get(func.overloadpacket)
    return int(count(*args, **kwargs, out_val=out)) if count else 0


def _elementwise(name: str, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """An operation for every element, of the larger side in a sum; none where numbers are only moved."""
    if any(part in name for part in ("copy", "cat", "clone", "index", "gather", "scatter", "embedding", "pad", "empty", "zeros", "fill")):
        return 0
    most = max(x.numel() for x in (*inputs, *outputs))
    return most * (NORMALIZE if "norm" in name or "softmax" in name else 1)


def _place(x: Tensor) -> int:
    """Where a tensor's numbers lie: a transposed weight is the same weight."""
    return x.untyped_storage().data_ptr()


def _bytes(x: Tensor) -> int:
    """Bytes that a tensor has in memory: an expanded one has those of what it was expanded from."""
    held = 1
    for size, stride in zip(x.shape, x.stride()):
        held *= size if stride else 1
    return held * x.element_size() if x.numel() else 0


def _seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    begin = time.perf_counter()
    run()
    calls = max(1, round(LEAST_S / max(time.perf_counter() - begin, 1e-7)))
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        taken.append((time.perf_counter() - begin) / calls)
    return min(taken)
