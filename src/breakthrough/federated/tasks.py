"""What is trained on a node: a model, the data in a file, a loss, a score. The apps know no more of it.

A task is looked up by name on every node, so no code travels.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from breakthrough.errors import unknown
from breakthrough.federated.digits import DigitsTask
from breakthrough.federated.inspecting import InspectorTask


class Data(Protocol):
    """The samples of a node: all the apps ask is how many there are."""

    def __len__(self) -> int: ...


class Task(Hashable, Protocol):
    """A model and how it is trained and judged.

    `loss` draws what it needs from the generator, so that equal seeds give equal steps.
    """

    def model(self, seed: int) -> nn.Module:
        """A new model; equal seeds give equal weights."""
        ...

    def optimizer(self, model: nn.Module, lr: float, momentum: float) -> torch.optim.Optimizer:
        """What takes the steps, with nothing remembered yet."""
        ...

    def load(self, path: str | Path) -> Data:
        """The samples in a file."""
        ...

    def loss(self, model: nn.Module, data: Data, chosen: Tensor, generator: torch.Generator) -> Tensor:
        """The mean loss of the chosen samples, in nats."""
        ...

    def score(self, model: nn.Module, data: Data) -> dict[str, float]:
        """`accuracy` from 0 to 1, `loss` in nats, and whatever else tells how good it is."""
        ...


TASKS: dict[str, Any] = {"digits": DigitsTask, "inspector": InspectorTask}  # each takes its own model and its own data


def task_of(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """A task by its name.

    Raises: UnknownNameError when there is none of that name
    """
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name](**(options or {}))


@lru_cache(maxsize=16)
def _loaded(task: Task, path: str, changed_ns: int) -> Data:
    return task.load(path)


def load_data(task: Task, path: str | Path) -> Data:
    """The data in a file, kept in memory until the file changes."""
    return _loaded(task, str(path), Path(path).stat().st_mtime_ns)
