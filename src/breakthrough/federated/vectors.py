"""A model's state as one vector, and back: what is masked, encrypted, clipped.

Shape legend: D numbers of a model's state, parameters and buffers alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from breakthrough.errors import ShapeError, expected

State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """The names, shapes and dtypes of a state, in one order.

    Units:  size in numbers, bytes as they travel in the clear
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    @classmethod
    def of(cls, state: State) -> Layout:
        """The layout of a state."""
        arrays = [np.asarray(x) for x in state.values()]
        return cls(tuple(state), tuple(x.shape for x in arrays), tuple(str(x.dtype) for x in arrays))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def bytes(self) -> int:
        """What the arrays take in memory."""
        return sum(int(np.prod(s)) * np.dtype(d).itemsize for s, d in zip(self.shapes, self.dtypes))

    def flatten(self, state: State) -> np.ndarray:
        """The state as one vector.

        Shapes: → (D,) float64
        Raises: ShapeError when the state has another layout
        """
        for name, shape in zip(self.names, self.shapes):
            if name not in state or np.shape(state[name]) != shape:
                raise ShapeError(expected(f"{name} of shape {shape}", np.shape(state[name]) if name in state else "nothing"))
        return np.concatenate([np.asarray(state[name], np.float64).ravel() for name in self.names]) if self.names else np.empty(0)

    def restore(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The state of a vector, in the dtypes it had; counters are rounded.

        Shapes: vector (D,)
        Raises: ShapeError for another size
        """
        if vector.shape != (self.size,):
            raise ShapeError(expected(f"a vector of shape ({self.size},)", vector.shape))
        found, place = {}, 0
        for name, shape, dtype in zip(self.names, self.shapes, self.dtypes):
            count = int(np.prod(shape))
            found[name] = as_dtype(vector[place : place + count].reshape(shape), dtype)
            place += count
        return found


def as_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers in a dtype: whole ones are rounded, not cut."""
    return np.rint(values).astype(dtype) if np.dtype(dtype).kind in "iub" else values.astype(dtype)
