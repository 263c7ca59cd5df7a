"""The developer's path that claim C15 names, step by step on one net: what each took, what it cost, how far it errs.

The claim's path is PyTorch Lightning, ONNX, TVM, then a search for architectures. Lightning arranges a training
loop; nothing of it is in a model's graph, and a LightningModule exports as any other module does: it would add its
loop, and the course has its own. The search is an elective.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.deploy import onnx_file
from breakthrough.deploy.checking import batch_sizes, tuple_of, worst_error
from breakthrough.deploy.export import UPTO, Exported, exported_program, to_relax
from breakthrough.deploy.quiet import quiet
from breakthrough.errors import BreakthroughError

NOT_TAKEN = {
    "PyTorch Lightning": "not taken: it arranges a training loop and leaves nothing in the graph; the course trains with its own",
    "NAS / AutoML": "not taken: an elective",
}


@dataclass(frozen=True)
class Step:
    """One step of the path.

    Units: error is the largest against the model itself; bytes are of what the step left on disk, in memory for PyTorch
    """

    name: str
    done: bool
    seconds_s: float | None = None
    error: float | None = None
    size_bytes: int | None = None
    note: str = ""

    def __str__(self) -> str:
        time_text = f"{self.seconds_s:6.2f} s" if self.seconds_s is not None else 8 * " "
        error = f"{self.error:8.1e}" if self.error is not None else 8 * " "
        size = f"{self.size_bytes:11,} bytes" if self.size_bytes is not None else 17 * " "
        return f"{self.name:22} {'done' if self.done else 'not':4} {time_text}  {error}  {size}  {self.note}".rstrip()


def path(
    model: nn.Module, example: Tensor, generator: torch.Generator, *, batch: str = "fixed", upto: int = UPTO, folder: str | Path | None = None
) -> tuple[Step, ...]:
    """PyTorch → torch.export → ONNX → TVM, and TVM without ONNX between; what is not done says why.

    With a folder, what the steps made is kept there.

    Shapes: example (B, …)
    """
    with tempfile.TemporaryDirectory() as aside:
        walk = _Walk(model, example, generator, batch, upto, Path(folder or aside))
        walk.take("PyTorch", walk.torch)
        walk.take("torch.export", walk.program)
        walk.take("ONNX", walk.onnx)
        walk.take("ONNX to TVM", lambda: walk.compiled(onnx_file.from_onnx(walk.file, model), "by_onnx"))
        walk.take("torch.export to TVM", lambda: walk.compiled(to_relax(model, example, batch=batch, upto=upto), "by_torch"))
    first, last = (Step(name, False, note=note) for name, note in NOT_TAKEN.items())
    return (first, *walk.steps, last)


def table(steps: Iterable[Step]) -> str:
    """The steps as a text of a line each."""
    head = f"{'step':22} {'':4} {'time':>8}  {'error':>8}  {'size':>17}"
    return "\n".join([head, *map(str, steps)])


class _Walk:
    """What the steps of a path share, and what they have come to."""

    def __init__(self, model: nn.Module, example: Tensor, generator: torch.Generator, batch: str, upto: int, folder: Path) -> None:
        self.model, self.example, self.generator, self.folder = model, example, generator, folder
        self.options: dict[str, Any] = {"batch": batch, "upto": upto}
        self.sizes = batch_sizes(len(example), batch, upto)
        self.file = folder / "model.onnx"
        self.steps: list[Step] = []

    def take(self, name: str, step: Callable[[], tuple[Any, int, str]]) -> None:
        """Take a step: time it without its check, then check it."""
        start = time.perf_counter()
        try:
            answer, size, note = step()
        except BreakthroughError as error:
            self.steps.append(Step(name, False, note=str(error).splitlines()[0]))
            return
        seconds = time.perf_counter() - start
        off = worst_error(answer, self.model, self.example, self.sizes, self.generator) if answer else None
        self.steps.append(Step(name, True, seconds, off, size, note))

    def torch(self) -> tuple[Any, int, str]:
        state = self.model.state_dict().values()
        return None, sum(x.numel() * x.element_size() for x in state), type(self.model).__name__

    def program(self) -> tuple[Any, int, str]:
        program, buffer = exported_program(self.model, self.example, **self.options), io.BytesIO()
        with quiet():
            torch.export.save(program, buffer)
        module = program.module()
        count = sum(node.op == "call_function" for node in program.graph.nodes)

        def answer(x: Any) -> Any:
            with torch.no_grad():
                return tuple(y.numpy() for y in tuple_of(module(torch.from_numpy(x))))

        return answer, len(buffer.getvalue()), f"{count} operators"

    def onnx(self) -> tuple[Any, int, str]:
        onnx_file.to_onnx(self.model, self.example, self.file, **self.options)
        running = onnx_file.session(self.file)
        return (lambda x: onnx_file.answer(running, x)), self.file.stat().st_size, "run by ONNX Runtime"

    def compiled(self, exported: Exported, name: str) -> tuple[Any, int, str]:
        from breakthrough.deploy.compile import build
        from breakthrough.deploy.runtime import Engine

        with quiet():
            folder = build(exported).save(self.folder / name)
        engine = Engine(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        return (lambda x: tuple_of(engine(x))), size, "not tuned"
