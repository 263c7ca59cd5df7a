"""Module 5: what stands in a student's process for memory and for a schedule that stay with the examiner."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import Any

import numpy as np

from breakthrough.elsewhere import Elsewhere, Stand

NUMBERS = "biufc"  # kinds of numpy's dtypes


class SlowThere(Stand):
    """Slow memory that is elsewhere: blocks are asked for, and how many of them are still kept is told with that."""

    def __init__(self, owner: Elsewhere) -> None:
        super().__init__(owner)
        self._blocks: list[weakref.ref[np.ndarray]] = []

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The array's shape, which costs nothing to ask for."""
        return self._owner.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: Any) -> Any:
        self._blocks = [ref for ref in self._blocks if ref() is not None]
        block = self._owner.load(where, len(self._blocks))
        if isinstance(block, np.ndarray):
            self._blocks.append(weakref.ref(block))
        return block

    def __setitem__(self, where: Any, block: Any) -> None:
        block = np.asarray(block)
        self._owner.store(where, block if block.dtype.kind in NUMBERS else block.astype(np.float32))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return self._owner.whole()  # which refuses

    def __iter__(self) -> Any:
        return self._owner.whole()

    def __matmul__(self, other: Any) -> Any:
        return self._owner.whole()

    __rmatmul__ = __mul__ = __rmul__ = __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __matmul__


class ThingThere(Stand):
    """A loop, a block or a variable of a schedule that is elsewhere."""

    @property
    def extent(self) -> int:
        """How often a loop runs."""
        return self._owner.extent

    def __add__(self, other: Any) -> Any:
        return self._owner.compute("add", other, False)

    def __radd__(self, other: Any) -> Any:
        return self._owner.compute("add", other, True)

    def __sub__(self, other: Any) -> Any:
        return self._owner.compute("sub", other, False)

    def __rsub__(self, other: Any) -> Any:
        return self._owner.compute("sub", other, True)

    def __mul__(self, other: Any) -> Any:
        return self._owner.compute("mul", other, False)

    def __rmul__(self, other: Any) -> Any:
        return self._owner.compute("mul", other, True)

    def __floordiv__(self, other: Any) -> Any:
        return self._owner.compute("floordiv", other, False)

    def __mod__(self, other: Any) -> Any:
        return self._owner.compute("mod", other, False)
