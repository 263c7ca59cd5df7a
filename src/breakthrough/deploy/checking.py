"""Whether what was exported answers as the model does: step by step, on random inputs, at several batch sizes.

Shape legend: B pictures or texts in a batch.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from breakthrough.deploy import onnx_file
from breakthrough.deploy.export import UPTO, Exported, Plain, exported_program, to_relax
from breakthrough.deploy.models import random_like, vocabulary
from breakthrough.deploy.quiet import quiet
from breakthrough.deploy.refusals import ExportError
from breakthrough.errors import InputError, expected, type_of

TOLERANCE = 1e-4  # the largest error in float32 that the course lets pass
Answer = Callable[[np.ndarray], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class StepError:
    """How far a step's answers are from the model's own, at one batch size.

    Units: error is the largest difference of a number, scale the largest number of the model's answer
    """

    step: str
    batch: int
    error: float
    scale: float


def check(
    made: Exported | str | Path,
    model: nn.Module,
    generator: torch.Generator,
    *,
    example: Tensor | None = None,
    batches: Iterable[int] | None = None,
    tolerance: float | None = None,
) -> float:
    """The largest error of an exported model against the model itself, on random inputs of several batch sizes.

    `made` is what `to_relax` gave, an ONNX file, or the folder of a compiled model. `example` tells the input of a
    file whose own shapes are not enough. With a tolerance, a larger error is refused. NaN counts as infinite.

    Shapes: example (B, …)
    Raises: ExportError above the tolerance
    """
    answer, like, sizes = _runnable(made, example)
    worst = worst_error(answer, model, like, tuple(batches or sizes), generator)
    if tolerance is not None and not worst <= tolerance:
        raise ExportError(expected(f"the model's own answers within {tolerance:g}", f"an error of {worst:.3g}", "the step that errs: compare(model, …)"))
    return worst


def compare(
    model: nn.Module, example: Tensor, generator: torch.Generator, *, batch: str = "fixed", upto: int = UPTO, steps: Iterable[str] | None = None
) -> tuple[StepError, ...]:
    """Every step's error against the model itself: torch.export, Relax, ONNX, and Relax by way of ONNX.

    Shapes: example (B, …)
    """
    chosen = tuple(steps) if steps else tuple(STEPS)
    sizes = batch_sizes(len(example), batch, upto)
    found: list[StepError] = []
    for step in chosen:
        with STEPS[step](model, example, batch, upto) as answer:
            found += _errors(step, answer, model, example, sizes, generator)
    return tuple(found)


def batch_sizes(rows: int, batch: str = "fixed", upto: int = UPTO) -> tuple[int, ...]:
    """The batch sizes that tell something: one, few, odd, and the largest of a dynamic batch."""
    return tuple(sorted({1, 2, min(5, upto), upto})) if batch == "dynamic" else (rows,)


def answers_of(exported: Exported) -> Answer:
    """An exported model, compiled untuned for this machine, as a function on arrays."""
    from breakthrough.deploy.compile import build

    with quiet():
        engine = build(exported).engine()
    return lambda x: tuple_of(engine(x))


@contextmanager
def _by_torch(model: nn.Module, example: Tensor, batch: str, upto: int) -> Iterator[Answer]:
    program = exported_program(model, example, batch=batch, upto=upto).module()

    def answer(x: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            return tuple(y.numpy() for y in tuple_of(program(torch.from_numpy(x))))

    yield answer


@contextmanager
def _by_relax(model: nn.Module, example: Tensor, batch: str, upto: int) -> Iterator[Answer]:
    yield answers_of(to_relax(model, example, batch=batch, upto=upto))


@contextmanager
def _by_onnx(model: nn.Module, example: Tensor, batch: str, upto: int) -> Iterator[Answer]:
    with tempfile.TemporaryDirectory() as folder:
        running = onnx_file.session(onnx_file.to_onnx(model, example, Path(folder, "model.onnx"), batch=batch, upto=upto))
        yield lambda x: onnx_file.answer(running, x)


@contextmanager
def _by_onnx_relax(model: nn.Module, example: Tensor, batch: str, upto: int) -> Iterator[Answer]:
    with tempfile.TemporaryDirectory() as folder:
        path = onnx_file.to_onnx(model, example, Path(folder, "model.onnx"), batch=batch, upto=upto)
        yield answers_of(onnx_file.from_onnx(path, model))


STEPS = {"torch.export": _by_torch, "Relax": _by_relax, "ONNX Runtime": _by_onnx, "ONNX to Relax": _by_onnx_relax}


def _runnable(made: Exported | str | Path, example: Tensor | None) -> tuple[Answer, Tensor, tuple[int, ...]]:
    """A function on arrays, an example of its input, and batch sizes worth a try."""
    if isinstance(made, Exported):
        spec, sizes = made.inputs[0], tuple(size for size in made.functions.values() if size)
        row = [size or 1 for size in spec.shape[1:]]
        like = torch.zeros((1, *row), dtype=getattr(torch, spec.dtype)) if example is None else example
        return answers_of(made), like, sizes or batch_sizes(1, "dynamic", made.upto)
    path = Path(made)
    if path.is_dir():
        from breakthrough.deploy.runtime import Engine

        engine = Engine(path)
        spec = engine.manifest["inputs"][0]
        like = torch.zeros((1, *spec["shape"][1:]), dtype=getattr(torch, spec["dtype"])) if example is None else example
        return (lambda x: tuple_of(engine(x))), like, engine.batches or batch_sizes(1, "dynamic", 8)
    if not path.is_file():
        raise InputError(expected("what to_relax gave, an ONNX file or a compiled folder", type_of(made)))
    running = onnx_file.session(path)
    node = running.get_inputs()[0]
    like = torch.zeros((1, *node.shape[1:]), dtype=torch.int64 if "int64" in node.type else torch.float32) if example is None else example
    sizes = (node.shape[0],) if isinstance(node.shape[0], int) else batch_sizes(1, "dynamic", 8)
    return (lambda x: onnx_file.answer(running, x)), like, sizes


def worst_error(answer: Answer, model: nn.Module, example: Tensor, sizes: Iterable[int], generator: torch.Generator) -> float:
    """The largest error of a function on arrays against a model, over several batch sizes. Shapes: example (B, …)."""
    return max(found.error for found in _errors("", answer, model, example, sizes, generator))


def _errors(step: str, answer: Answer, model: nn.Module, example: Tensor, sizes: Iterable[int], generator: torch.Generator) -> list[StepError]:
    found = []
    for size in sizes:
        x = random_like(example, size, generator, vocabulary(model))
        wanted = eager(model, x)
        found.append(StepError(step, size, largest_error(answer(x.numpy()), wanted), max(float(np.abs(y).max()) for y in wanted)))
    return found


def eager(model: nn.Module, x: Tensor) -> tuple[np.ndarray, ...]:
    """The model's own answer in evaluation mode. Shapes: (B, …) → one (B, …) for each output."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    with torch.no_grad():
        outputs = tuple(y.numpy() for y in tuple_of(Plain(model).eval()(x)))
    for module in training:
        module.training = True
    return outputs


def largest_error(got: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> float:
    """The largest difference of any number; infinite for other shapes, or where one is not a number."""
    if [y.shape for y in got] != [y.shape for y in wanted]:
        return math.inf
    worst = max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(got, wanted))
    return worst if math.isfinite(worst) else math.inf


def tuple_of(y: Any) -> tuple[Any, ...]:
    """One answer or several as a tuple."""
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)
