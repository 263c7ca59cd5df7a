"""Where in a model an operator stands: in which module, on which line, with which shapes.

torch.export writes the module and the lines of `forward` methods beside every operator. The line itself, which
may stand in a function that `forward` calls, comes from a second, stricter export: only made when it is needed.
"""

from __future__ import annotations

import linecache
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_stack
from types import TracebackType
from typing import Any

import torch
from torch import nn

WRAPPED = "model"  # the name of the model inside of the module that is exported
FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in')
TORCH = str(Path(torch.__file__).parent)
LOGGING = str(Path(logging.__file__).parent)
SHAPES, GUARD = "torch.fx.experimental.symbolic_shapes", "[guard added]"  # a logger, and what it writes
COMMENT = re.compile(r"\s+#\s.*$")
OWN = str(Path(__file__).parent)  # this room's own steps on the way to a model are no part of it


@dataclass(frozen=True)
class Place:
    """An operator of a model, and where it stands.

    `module` is the path of the module that calls it, "" for the model itself, `kind` that module's class, `origin`
    what was called there. `inputs` and `outputs` are dtypes and shapes. `times` counts those that differ in nothing.
    """

    op: str
    origin: str = ""
    module: str = ""
    kind: str = ""
    file: str = ""
    line: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    times: int = 1

    @property
    def code(self) -> str:
        """The line of source as it is written, less a comment."""
        return COMMENT.sub("", linecache.getline(self.file, self.line).strip()) if self.line else ""

    @property
    def where(self) -> str:
        """Module, file, line and code, as far as they are known."""
        inside = f"{self.module} ({self.kind})" if self.module else f"the model itself ({self.kind})" if self.kind else ""
        line = f"{short(self.file)}:{self.line}: `{self.code}`" if self.line else ""
        return ", ".join(part for part in (inside, line) if part) or "an unknown place"

    def __str__(self) -> str:
        called = f" (from {self.origin})" if self.origin and self.origin not in self.op else ""
        shapes = f", {', '.join(self.inputs) or 'nothing'} → {', '.join(self.outputs)}" if self.outputs else ""
        return f"{self.op}{called} in {self.where}{shapes}{f', {self.times} times' if self.times > 1 else ''}"


def short(file: str) -> str:
    """A path from the folder above its package, or from the working folder: what fits in a sentence."""
    path = Path(file)
    for base in (Path(__file__).parents[2], Path.cwd()):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def places(nodes: Iterable[Any], strict: Callable[[], Iterable[Any]] | None = None) -> tuple[Place, ...]:
    """The places of graph nodes; `strict` gives all nodes of the same graph from a strict export."""
    nodes = list(nodes)
    traces = _traces(nodes, strict) if nodes and strict else {}
    found = [place_of(node, traces.get(node)) for node in nodes]
    return tuple(Place(**vars(place) | {"times": times}) for place, times in Counter(found).items())


def place_of(node: Any, trace: str | None = None) -> Place:
    """The place of one graph node, from what torch.export wrote beside it."""
    file, line = line_of(trace or node.meta.get("stack_trace") or "")
    path, kind = _module_of(node)
    origin = node.meta.get("original_aten")
    tensors = [arg for arg in node.all_input_nodes if isinstance(arg.meta.get("val"), torch.Tensor)]
    return Place(
        node.target.__name__,
        origin.__name__.partition(".")[0] if hasattr(origin, "__name__") else "",
        path,
        kind,
        file,
        line,
        tuple(described(arg.meta["val"]) for arg in tensors),
        tuple(map(described, _values(node))),
    )


def place_of_error(error: BaseException, model: nn.Module) -> Place:
    """Where in a model an error came from: the innermost of its modules, and the last line that is not torch's."""
    return _innermost(_frames(error.__traceback__), model)


@contextmanager
def batch_fixed_at(model: nn.Module) -> Iterator[list[Place]]:
    """The places in a model that make its batch a number, in the order in which an export in the block meets them."""
    log, watch = logging.getLogger(SHAPES), _Guards(model)
    before = log.handlers, log.level, log.propagate, logging.root.manager.disable
    log.handlers, log.propagate = [watch], False
    log.setLevel(logging.INFO)
    logging.disable(logging.NOTSET)
    try:
        yield watch.places
    finally:
        log.handlers, log.propagate = before[0], before[2]
        log.setLevel(before[1])
        logging.disable(before[3])


def node_of_error(error: BaseException) -> Any:
    """The graph node that was being translated when an error came, or None."""
    found = [frame.f_locals.get("node") for frame, _ in _frames(error.__traceback__)]
    return next((node for node in reversed(found) if isinstance(node, torch.fx.Node)), None)


def line_of(trace: str) -> tuple[str, int]:
    """The innermost line of a stack trace that is not torch's."""
    frames = [(m["file"], int(m["line"])) for m in FRAME.finditer(trace) if not m["file"].startswith((TORCH, OWN))]
    return frames[-1] if frames else ("", 0)


def described(value: torch.Tensor) -> str:
    """A tensor's dtype and shape: batch where that decides the size, ? where values decide it."""
    named = (str(n) if isinstance(n, int) else "?" if str(n).startswith("u") else "batch" if str(n).isalnum() else str(n) for n in value.shape)
    sizes = ", ".join(named)
    return f"{str(value.dtype).removeprefix('torch.')} ({sizes})"


def _values(node: Any) -> list[torch.Tensor]:
    value = node.meta.get("val")
    values = value if isinstance(value, (tuple, list)) else (value,)
    return [x for x in values if isinstance(x, torch.Tensor)]


def _module_of(node: Any) -> tuple[str, str]:
    stack = [(path, kind) for path, kind in (node.meta.get("nn_module_stack") or {}).values()]
    if not stack:
        return "", ""
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else kind.__name__
    inner = path.removeprefix(WRAPPED).removeprefix(".") if path.partition(".")[0] == WRAPPED else path
    return inner, name.rpartition(".")[2]


def _traces(nodes: list[Any], strict: Callable[[], Iterable[Any]]) -> dict[Any, str]:
    """The full traces: the n-th use of an operator in one graph is its n-th in the other, where they are as many."""
    found: dict[str, list[str]] = {}
    try:
        for node in strict():
            if node.op == "call_function":
                found.setdefault(node.target.__name__, []).append(node.meta.get("stack_trace") or "")
    except Exception:  # noqa: BLE001 - a stricter export refuses more; then forward's own line has to do
        return {}
    mine: dict[str, list[Any]] = {}
    for node in nodes:
        mine.setdefault(node.target.__name__, []).append(node)
    pairs = [zip(group, found.get(op, [])) for op, group in mine.items() if len(group) == len(found.get(op, []))]
    return {node: trace for pair in pairs for node, trace in pair}


class _Guards(logging.Handler):
    """Torch says in its log when a dimension stops being free: while it says so, the model is on the stack."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.places: list[Place] = []

    def emit(self, record: logging.LogRecord) -> None:
        if GUARD in record.getMessage():
            stack = [(frame, number) for frame, number in walk_stack(None)]
            self.places.append(_innermost(reversed(stack), self.model))


def _innermost(frames: Iterable[tuple[Any, int]], model: nn.Module) -> Place:
    names = {id(module): name for name, module in model.named_modules()}
    path, kind, file, line = "", type(model).__name__, "", 0
    for frame, number in frames:
        owner = frame.f_locals.get(next(iter(frame.f_code.co_varnames), ""))  # self, whatever it is called
        if id(owner) in names:
            path, kind = names[id(owner)], type(owner).__name__
        source = frame.f_code.co_filename
        inside = not source.startswith((TORCH, OWN, LOGGING, "<"))
        if inside and (file or id(owner) in names):  # from the model's own first line on
            file, line = source, number
    return Place("", "", path, kind, file, line)


def _frames(trace: TracebackType | None) -> Iterable[tuple[Any, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
