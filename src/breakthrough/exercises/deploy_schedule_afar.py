"""Module 5: a schedule of this process, as an answer in another one may use it: its steps by name, and nothing else.

Loops and blocks stay here, and cross as things to be handed back. What could bring code of its own into the module
(tensorize, most annotations) is left out.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import InputError, expected
from breakthrough.exercises.deploy_schedule_loops import COPIES

STEPS = (
    "get_sblock", "get_loops", "get_child_blocks", "get_producers", "get_consumers", "get_output_blocks", "get", "split", "loop_partition", "fuse",
    "reorder", "reorder_block_iter_var", "add_unit_loop", "parallel", "vectorize", "unroll", "bind", "decompose_reduction", "rfactor", "blockize",
    "cache_read", "cache_write", "cache_inplace", "cache_index", "read_at", "write_at", "reindex", "compute_at", "reverse_compute_at", "compute_inline",
    "reverse_compute_inline", "storage_align", "set_scope", "transform_layout", "transform_block_layout", "pad_einsum", "decompose_padding", "merge", "same_as",
)  # fmt: skip
ANNOTATIONS = ("pragma_auto_unroll_max_step", "pragma_unroll_explicit")
ARITHMETIC = {name: getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod")}


class Thing:
    """A loop, a block or a variable: to be handed back, and counted with where it is a number."""

    REMOTE = ("compute", "extent")
    THERE = "breakthrough.exercises.deploy_there:ThingThere"

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property
    def extent(self) -> int:
        """How often a loop runs."""
        return int(self.inner.extent)

    def compute(self, name: str, other: Any, turned: bool) -> Any:
        """This and another number, added or multiplied, as an expression."""
        if name not in ARITHMETIC:
            raise InputError(expected(f"one of {', '.join(ARITHMETIC)}", repr(name)[:40]))
        pair = (_inside(other), self.inner) if turned else (self.inner, _inside(other))
        return _handed(ARITHMETIC[name](*pair))


class Text:
    """A module or a trace, which can be printed."""

    REMOTE = ("script", "show")

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def script(self, *args: Any, **kwargs: Any) -> str:
        """The loops as text."""
        return str(self.inner)

    def show(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: what an answer prints is not looked at."""


class Schedule:
    """A tvm.s_tir.Schedule with its steps."""

    REMOTE = (*STEPS, "annotate", "copy", "mod", "trace", "show")

    def __init__(self, sch: Any) -> None:
        self._sch = sch

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in STEPS:
            raise AttributeError(f"'Schedule' object has no attribute {name!r}")
        step = getattr(self._sch, name)

        def take(*args: Any, **kwargs: Any) -> Any:
            return _handed(step(*map(_inside, args), **{key: _inside(value) for key, value in kwargs.items()}))

        return take

    @property
    def mod(self) -> Text:
        """The module as it is now."""
        return Text(self._sch.mod)

    @property
    def trace(self) -> Text:
        """The steps that were taken."""
        return Text(self._sch.trace)

    def show(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: what an answer prints is not looked at."""

    def copy(self) -> Schedule:
        """Another schedule of the same loops."""
        return Schedule(self._sch.copy())

    def annotate(self, block_or_loop: Any, ann_key: str, ann_val: Any) -> None:
        """Tell TVM how far to unroll; other annotations are refused.

        Raises: InputError for another one
        """
        if ann_key not in ANNOTATIONS or not isinstance(ann_val, int) or ann_val > COPIES:
            raise InputError(expected(f"{' or '.join(ANNOTATIONS)}, up to {COPIES}", repr((ann_key, ann_val))[:80]))
        self._sch.annotate(_inside(block_or_loop), ann_key, int(ann_val))


def _inside(value: Any) -> Any:
    """What TVM gets for what the other process gave."""
    if isinstance(value, Thing):
        return value.inner
    if isinstance(value, (list, tuple)):
        return type(value)(_inside(part) for part in value)
    if isinstance(value, Elsewhere) and callable(value):

        def index(*axes: Any) -> Any:
            return _inside(value(*map(Thing, axes)))

        shown: Any = index
        shown.__signature__ = inspect.signature(value)
        return shown
    return value


def _handed(value: Any) -> Any:
    """What the other process gets for what TVM gave."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value).__name__ in ("Array", "list", "tuple"):
        return [_handed(part) for part in value]
    return Thing(value)
