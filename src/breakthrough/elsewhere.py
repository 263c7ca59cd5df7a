"""Answers that live in another process: the grader's proxies, as the exercises' own judges may meet them.

A judge that only calls an answer with data need not know. One that gives it a net, or watches it at work, asks
`isinstance(answer, Elsewhere)` and takes `there(name)`: a function of the library's, run where the answer is.
What such a function says is the other process's word; it is good for what cannot be said without doing it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Elsewhere:
    """A thing of another process. Truth and equality are not asked of it: they raise."""

    def there(self, name: str) -> Callable[..., Any]:
        """A function `module:name` of the library, to be called in that process."""
        raise NotImplementedError


class Stand(Elsewhere):
    """What stands in one process for a thing of the other's, beyond a plain proxy. Handed on, it is that thing."""

    _owner: Any  # the proxy, which answers to every name

    def __init__(self, owner: Elsewhere) -> None:
        self.__dict__.update(owner.__dict__, _owner=owner)


def changes_nothing(function: Function) -> Function:
    """A function that leaves its arguments as they were, as it came: called from elsewhere, they are not looked at twice."""
    marked: Any = function
    marked.changes_nothing = True
    return function
