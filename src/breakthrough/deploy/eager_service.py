"""The service with eager PyTorch behind it, as a process: the control for what batching gives a compiled net.

    python -m breakthrough.deploy.eager_service INSPECTOR COMPILED --max-batch 32

`INSPECTOR` is an artifact's folder, `COMPILED` a compiled folder whose description it takes over.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = [1, 2, 4, 8, 16, 32]


def command(inspector: Path, compiled: Path, *options: str) -> list[str]:
    """How `served.started_commands` starts it."""
    return [sys.executable, "-m", __name__, str(inspector), str(compiled), *options]


class Eager:
    """PyTorch in the form of an engine: any batch size. Shapes: x (B, 3, H, W) → a tuple of the net's outputs."""

    batches: tuple[int, ...] = ()

    def __init__(self, folder: str | Path) -> None:
        import torch

        from breakthrough.deploy.opening import open_source

        torch.set_num_threads(1)
        self.source, self.tensor = open_source(folder), torch.from_numpy
        self.manifest: dict[str, Any] = {}

    def __call__(self, x: np.ndarray) -> tuple[Any, ...]:
        """PyTorch's outputs."""
        return tuple(y.numpy() for y in self.source.answer(self.tensor(x)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until it is told to stop, or stdin ends."""
    from breakthrough.deploy import serve
    from breakthrough.deploy.capacity import Limits

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inspector", type=Path)
    parser.add_argument("compiled", type=Path)
    parser.add_argument("--max-batch", type=int, default=32)
    parser.add_argument("--queue", type=int, default=Limits().queue)
    given = parser.parse_args(arguments)
    about = serve.describe(given.compiled) | {"batches": BATCHES, "pipeline": "PyTorch, eager"}
    limits = Limits(max_batch=given.max_batch, queue=given.queue)
    return serve.run(lambda: Eager(given.inspector), about, limits, port=0, follow_stdin=True)


if __name__ == "__main__":
    sys.exit(main())
