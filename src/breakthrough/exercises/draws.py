"""What is drawn for one learner in one question, the same on every machine and in every version of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from breakthrough.errors import ConfigError, expected
from breakthrough.learner import STANDARD
from breakthrough.seeds import derive

Value = TypeVar("Value")


class Draw:
    """One learner's draw. The standard learner always gets the first value, and every order as it stands.

    `attempt` counts the draws that were thrown away because two answers of theirs were the same number.
    """

    def __init__(self, learner: str, name: str, attempt: int = 0) -> None:
        self.learner, self._path, self._drawn = learner, (name, attempt), 0

    @property
    def standard(self) -> bool:
        """Whether this is the draw that is printed on the web."""
        return self.learner == STANDARD

    def pick(self, values: Sequence[Value]) -> Value:
        """One of some values.

        Raises: ConfigError when there are none
        """
        if not values:
            raise ConfigError(expected(f"values to draw from in {self._path[0]}", "none"))
        return values[self._below(len(values))]

    def shuffled(self, values: Sequence[Value]) -> list[Value]:
        """All of the values in another order, every order as likely as any other."""
        left = list(values)
        return [left.pop(self._below(len(left))) for _ in values]

    def _below(self, limit: int) -> int:
        if self.standard:
            return 0
        self._drawn += 1
        # 63 bits over a handful of values: what is left over from the division does not show
        return derive(0, self.learner, *self._path, self._drawn) % limit
