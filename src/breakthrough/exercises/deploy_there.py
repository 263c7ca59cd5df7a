"""Module 5: what stands in a student's process for memory and for a schedule that stay with the examiner."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import Any

import numpy as np

NUMBERS = "biufc"  # kinds of numpy's dtypes


class SlowThere:
    """Slow memory that is elsewhere: blocks are asked for, and how many of them are still kept is told with that."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
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
