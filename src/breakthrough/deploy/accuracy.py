"""What quantized pipelines cost an inspector: the same test pictures before and after, in pairs.

The control's activations have scales eight times too small: most of what is large is cut off, and a measure
that does not see that sees nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from breakthrough.artifacts import Artifact
from breakthrough.deploy.calibration import Scales, calibrate
from breakthrough.deploy.checking import tuple_of
from breakthrough.deploy.compile import Compiled, build
from breakthrough.deploy.export import to_relax
from breakthrough.quant.inspecting import BEFORE, Answers, ask, calibration, pictures_of
from breakthrough.train.inspector import load_inspector
from breakthrough.train.pictures import Pictures, to_input

CONTROL, NARROWER = "int8, scales ÷ 8", 1 / 8
PIPELINES = ("tuned", "int8", "int8_weights", "int4_weights")
BATCH = 32
MOST_LOST = 0.005  # of accuracy, by int8: half a point


@dataclass(frozen=True, eq=False)
class Cost:
    """What each pipeline says of the test pictures, PyTorch's answers being "float32", and the bytes of its weights."""

    answers: Answers
    weight_bytes: Mapping[str, int]
    scales: Scales

    def __str__(self) -> str:
        head = f"{'':18}{'weights':>10}  right  {'gained (95%)':22}  same  usual change  largest change of a score"
        return "\n".join([head, *map(self._row, self.answers.logits)])

    def _row(self, name: str) -> str:
        found, size = self.answers, self.weight_bytes.get(name)
        row = f"{name:18}{size if size is not None else '':>10}  {100 * found.accuracy(name).value:5.1f}"
        if name == BEFORE:
            return row
        same = 100 * found.agreement(name).value
        return f"{row}  {found.gained(name)!s:22}  {same:4.0f}  {found.usual_change(name):12.3f}  {found.largest_change(name):.2f}"


def cost_of(inspector: Artifact, pipelines: Iterable[str] = PIPELINES, *, database: Path | None = None) -> Cost:
    """Compile an inspector in every pipeline, calibrated on its training pictures, and ask all for its test pictures.

    Raises: ArtifactError when its dataset is not there
    """
    return cost(load_inspector(inspector).eval(), calibration(pictures_of(inspector, "train")), pictures_of(inspector), pipelines, database=database)


def cost(
    model: nn.Module, batches: Iterable[Tensor], pictures: Pictures, pipelines: Iterable[str] = PIPELINES, *, database: Path | None = None
) -> Cost:
    """The same of any net over pictures; `batches` are what its activations are measured with."""
    x = to_input(torch.from_numpy(np.ascontiguousarray(pictures.images)))
    exported = to_relax(model, x[:1].repeat(BATCH, 1, 1, 1))
    scales = calibrate(exported, batches)
    made = {name: build(exported, "cpu", name, database=database, calibration=scales) for name in pipelines}
    made[CONTROL] = build(exported, "cpu", "int8", database=database, calibration=scales.times(NARROWER))
    said = {BEFORE: ask({BEFORE: model}, pictures).logits[BEFORE]}
    said |= {name: _scores(one, x.numpy()) for name, one in made.items()}
    sizes = {name: sum(w.nbytes for w in one.weights.values()) for name, one in made.items()}
    return Cost(Answers(pictures.labels, pictures.classes, said), sizes, scales)


def _scores(compiled: Compiled, x: np.ndarray) -> Any:
    return tuple_of(compiled.engine()(x))[0]
