"""Module 5: slow memory that counts what is read from it and written to it, a block at a time."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from breakthrough.elsewhere import changes_nothing
from breakthrough.errors import BreakthroughError, InputError, expected

Box = tuple[slice, ...]


class Refused(BreakthroughError):
    """A read or a write that the memory does not do; `fault` names the mistake."""

    def __init__(self, fault: str, text: str, want: str = "", got: str = "") -> None:
        super().__init__(text)
        self.fault, self.want, self.got = fault, want, got


class Slow:
    """An array in slow memory: x[rows, columns] loads a block, x[rows, columns] = block stores one.

    Both take slices, cost what they move, and reach no further than the array does: unlike numpy's, a slice
    that runs past the end is refused, as real memory has something else there. A block has `most` numbers or
    fewer. What was never written is NaN.

    Units: `loaded` and `stored` are numbers, `largest` those of the largest block, `alive` the most blocks
           loaded earlier that still existed when another one was loaded
    """

    REMOTE = ("shape", "load", "store", "whole")
    THERE = "breakthrough.exercises.deploy_there:SlowThere"

    def __init__(self, array: np.ndarray, most: int, name: str = "x") -> None:
        self._array, self._most, self._name = array.copy(), most, name
        self._blocks: list[weakref.ref[np.ndarray]] = []
        self.loaded = self.stored = self.largest = self.alive = 0
        self.order: list[Box] = []  # of what was stored

    @classmethod
    def empty(cls, shape: tuple[int, ...], most: int, name: str = "x") -> Slow:
        """Memory that nothing was written to yet."""
        return cls(np.full(shape, np.nan, dtype=np.float32), most, name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape, which costs nothing to ask for."""
        return self._array.shape

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, where: Any) -> Any:
        self._blocks = [ref for ref in self._blocks if ref() is not None]
        out = self.load(where, len(self._blocks))
        if isinstance(out, np.ndarray):
            self._blocks.append(weakref.ref(out))
        return out

    @changes_nothing
    def load(self, where: Any, alive: int) -> Any:
        """A block, for whoever has so many of those loaded earlier."""
        block = self._array[self._box(where)]
        out = block.reshape(self._kept(where, block)).copy()
        self.loaded += block.size
        self.largest = max(self.largest, block.size)
        self.alive = max(self.alive, int(alive))
        return out if out.ndim else out[()]

    def __setitem__(self, where: Any, block: Any) -> None:
        self.store(where, block)

    def store(self, where: Any, block: Any) -> None:
        """Write a block."""
        box = self._box(where)
        room = self._array[box]
        block, kept = np.asarray(block), self._kept(where, room)
        if block.shape != kept:
            text = f"a block of shape {block.shape} does not fit into {self._text(box)}, which is {kept}"
            raise Refused("another shape", text, str(kept), str(block.shape))
        self._array[box] = block.reshape(room.shape)
        self.stored += room.size
        self.order.append(box)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return self.whole()

    def __iter__(self) -> Any:
        return self.whole()

    def __matmul__(self, other: Any) -> Any:
        return self.whole()

    __rmatmul__ = __mul__ = __rmul__ = __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __matmul__

    def peek(self) -> np.ndarray:
        """A copy of all that is there, for whoever judges it; nothing is counted."""
        return self._array.copy()

    def whole(self) -> Any:
        """Nothing: the whole array is too large for fast memory.

        Raises: Refused, always
        """
        text = f"{self._name} was used as if it were an array: it lies in slow memory; load a block of it with {self._name}[...]"
        raise Refused("more than a block", text, f"blocks of up to {self._most:,} numbers", f"all {self._array.size:,}")

    def _box(self, where: Any) -> Box:
        """The slices of a block, each within the array."""
        parts = where if isinstance(where, tuple) else (where,)
        if len(parts) > self._array.ndim or not all(isinstance(part, (slice, int, np.integer)) for part in parts):
            raise InputError(expected(f"{self._array.ndim} slices for {self._name}", repr(where), f"{self._name}[i : i + n, …]"))
        parts += (slice(None),) * (self._array.ndim - len(parts))
        box = tuple(slice(int(p), int(p) + 1) if not isinstance(p, slice) else p for p in parts)
        box = tuple(slice(0 if p.start is None else int(p.start), size if p.stop is None else int(p.stop), p.step) for p, size in zip(box, self.shape))
        for axis, (part, size) in enumerate(zip(box, self.shape)):
            if part.step not in (None, 1) or part.start < 0 or part.stop < 0:
                raise InputError(expected(f"slices of {self._name} that go upwards by 1 from 0 or more", self._text(box)))
            if part.stop > size or part.start > size:
                text = f"{self._text(box)} reaches beyond the end: {self._name} has {size} along axis {axis}"
                raise Refused("beyond the edge", text, f"an end of {size} or less", str(part.stop))
        size = int(np.prod([max(part.stop - part.start, 0) for part in box]))
        if size > self._most:
            text = f"{self._text(box)} has {size:,} numbers, more than fast memory takes of {self._name} at once"
            raise Refused("more than a block", text, f"{self._most:,} or fewer", f"{size:,}")
        return box

    def _kept(self, where: Any, block: np.ndarray) -> tuple[int, ...]:
        """The block's shape, without the axes that were given as a number."""
        parts = where if isinstance(where, tuple) else (where,)
        parts += (slice(None),) * (block.ndim - len(parts))
        return tuple(size for part, size in zip(parts, block.shape) if isinstance(part, slice))

    def _text(self, box: Box) -> str:
        return f"{self._name}[{', '.join(f'{part.start}:{part.stop}' for part in box)}]"
