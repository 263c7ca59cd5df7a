"""Module 3's inspector in int8 and in NF4, and what each says of the test pictures beside what it said before.

A few hundred test pictures leave a wide interval on an accuracy. What quantization changed is told better by
pairs: the same picture before and after. And where no answer changed at all, the scores still tell how near
they came to it.

Shape legend: M test pictures, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, ShapeError, expected, unknown
from breakthrough.quant.apply import quantize
from breakthrough.quant.schemes import scheme
from breakthrough.quant.table import Sizes, sizes_of
from breakthrough.scenes.handover import KIND as SCENES, load_scenes
from breakthrough.scenes.spec import DEFECTS
from breakthrough.train.inspection import logits
from breakthrough.train.inspector import KIND, load_inspector
from breakthrough.train.pictures import Pictures, to_input
from breakthrough.train.sets import parents_set

Z95 = 1.96  # of a normal distribution, two-sided
BEFORE, ROUNDED = "float32", "nf4, rounded"
# The schemes: int8 with a scale for each output, what integer kernels multiply; NF4 chosen with the inputs it sees.
# Over three inspectors of profile `quick` and 390 pictures kept from training, int8 said something else of 0.3 to 0.8%:
# nothing that calibration could mend. Rounding to NF4 changed 4.9 to 6.2%, GPTQ 2.6 to 3.8%, for no byte more
VERSIONS = {"int8": "int8", "nf4": "nf4_gptq"}
CONTROLS = {name: f"{name}_random" for name in VERSIONS}  # the same bits, every number rounded up or down by a coin
SEEDS = (0, 1, 2)  # of the coins
CALIBRATION, BATCH = 128, 32  # pictures of the training part, and of a batch


@dataclass(frozen=True)
class Share:
    """A share, or a difference of two, of n pictures, with its interval of 95%: what other pictures might have given.

    Units:  shares from 0 to 1, differences from −1 to 1
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f})"


def share(right: np.ndarray) -> Share:
    """The share of what is true, with Wilson's interval, which few pictures and shares of 0 or 1 do not fool.

    Shapes: right (n,) bool
    Source: Wilson 1927
    """
    n = len(right)
    if not n:
        return Share(math.nan, math.nan, math.nan, 0)
    p, z2 = float(np.mean(right)), Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Share(p, max(0.0, middle - half), min(1.0, middle + half), n)


def change(before: np.ndarray, after: np.ndarray) -> Share:
    """The share of what is true after less that before, in pairs: only those that changed count.

    One more pair each way makes the interval hold for few pictures too, and for no change at all.

    Shapes: before, after (n,) bool, of the same pictures
    Source: Bonett and Price 2012
    """
    n = len(before)
    if not n:
        return Share(math.nan, math.nan, math.nan, 0)
    won, lost = float((after & ~before).sum()), float((before & ~after).sum())
    p, q = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z95 * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Share((won - lost) / n, max(-1.0, p - q - half), min(1.0, p - q + half), n)


@dataclass(frozen=True, eq=False)
class Answers:
    """The scores of one inspector, before and after, for the same test pictures.

    Shapes: labels (M,), each of logits (M, C)
    Raises: ShapeError when they are not of the same pictures
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    logits: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        """Refuse scores of other pictures."""
        wanted = (len(self.labels), len(self.classes))
        for name, found in self.logits.items():
            if found.shape != wanted or not len(self.labels):
                raise ShapeError(expected(f"scores of {name} of shape {wanted}, at least one row", found.shape))

    def said(self, name: str) -> np.ndarray:
        """The class that a version names. Shapes: → (M,)."""
        if name not in self.logits:
            raise unknown("version", name, self.logits)
        return self.logits[name].argmax(1)

    def right(self, name: str) -> np.ndarray:
        """Which pictures a version names rightly. Shapes: → (M,) bool."""
        return self.said(name) == self.labels

    def accuracy(self, name: str) -> Share:
        """The share of pictures that a version names rightly."""
        return share(self.right(name))

    def gained(self, name: str, before: str = BEFORE) -> Share:
        """A version's accuracy less that before, paired by picture; negative is a loss."""
        return change(self.right(before), self.right(name))

    def recall(self, name: str) -> dict[str, Share]:
        """Of each class that is there, the share that a version found."""
        right = self.right(name)
        return {label: share(right[mine]) for label, mine in self._each()}

    def recall_gained(self, name: str, before: str = BEFORE) -> dict[str, Share]:
        """Of each class that is there, a version's recall less that before, paired by picture."""
        right = (self.right(before), self.right(name))
        return {label: change(*(one[mine] for one in right)) for label, mine in self._each()}

    def agreement(self, name: str, before: str = BEFORE) -> Share:
        """The share of pictures of which a version says the same as before, right or wrong."""
        return share(self.said(name) == self.said(before))

    def largest_change(self, name: str, before: str = BEFORE) -> float:
        """How far the score that moved most has moved."""
        return float(np.abs(self._moved(name, before)).max())

    def usual_change(self, name: str, before: str = BEFORE) -> float:
        """How far scores have moved: the root of the mean square."""
        return float(np.sqrt(np.square(self._moved(name, before)).mean()))

    def margin(self, name: str = BEFORE) -> float:
        """How far the best score is above the second in half of the pictures: what a change has to overcome."""
        self.said(name)
        second, best = np.sort(self.logits[name], 1)[:, -2:].T
        return float(np.median(best - second))

    def told(self, name: str) -> dict[str, Any]:
        """A version's figures as plain data."""
        figures = {"accuracy": self.accuracy(name), "gained": self.gained(name), "agreement": self.agreement(name)}
        return {
            **{key: asdict(one) for key, one in figures.items()},
            "recall": {label: asdict(one) for label, one in self.recall(name).items()},
            "recall gained": {label: asdict(one) for label, one in self.recall_gained(name).items()},
            "largest change of a score": self.largest_change(name),
            "usual change of a score": self.usual_change(name),
        }

    def _moved(self, name: str, before: str) -> np.ndarray:
        self.said(name), self.said(before)
        return self.logits[name] - self.logits[before]

    def _each(self) -> Iterable[tuple[str, np.ndarray]]:
        masks = ((label, self.labels == i) for i, label in enumerate(self.classes))
        return ((label, mine) for label, mine in masks if mine.any())


@dataclass(frozen=True, eq=False)
class Shrunk:
    """An inspector and its quantized versions, on the CPU, and what they said of the test pictures.

    `models` has "float32" and the VERSIONS. `answers` has besides NF4 without calibration, as ROUNDED, and the
    controls by the names that `controls` gives.
    """

    models: Mapping[str, nn.Module]
    answers: Answers
    parent: Artifact

    @property
    def sizes(self) -> dict[str, Sizes]:
        """The bytes of every model."""
        return {name: sizes_of(model) for name, model in self.models.items()}

    def __str__(self) -> str:
        answers, sizes, rows = self.answers, self.sizes, []
        for name in answers.logits:
            size = f"{sizes[name].bytes:9,}" if name in self.models else 9 * " "
            row = f"{name:15} {size}  {100 * answers.accuracy(name).value:5.1f}"
            same = f"  {answers.gained(name)!s:20}  {100 * answers.agreement(name).value:5.1f}  {answers.usual_change(name):12.3f}  {answers.largest_change(name):.2f}"
            rows.append(row if name == BEFORE else row + same)
        head = f"{'':15} {'bytes':>9}  right  {'gained (95%)':20}  same  usual change  largest change of a score"
        return "\n".join([head, *rows])


def controls(version: str) -> tuple[str, ...]:
    """The names of a version's controls, one for each seed of the coin.

    Raises: UnknownNameError for another version
    """
    if version not in CONTROLS:
        raise unknown("version", version, CONTROLS)
    return tuple(f"{CONTROLS[version]} {seed}" for seed in SEEDS)


def shrink_inspector(inspector: Artifact | str | Path | None = None, test: Pictures | None = None) -> Shrunk:
    """Quantize an inspector in each version, and ask all of them, and the controls, for test pictures, its dataset's if not given.

    Without an argument it is the newest inspector. NF4 is calibrated on training pictures, int8 is not.

    Raises: ArtifactError when it is not whole, or its dataset is not there
    """
    found = artifacts.latest(KIND) if inspector is None else artifacts.load(inspector.folder if isinstance(inspector, Artifact) else inspector)
    model = load_inspector(found).eval()
    with devices.threads(1):  # small nets: a second thread mostly waits
        inputs = calibration(pictures_of(found, "train"))
        models = {BEFORE: model, **{name: quantize(model, VERSIONS[name], inputs) for name in VERSIONS}}
        others = {ROUNDED: quantize(model, "nf4")}
        for version, coin in CONTROLS.items():
            others |= {name: quantize(model, scheme(coin, seed)) for name, seed in zip(controls(version), SEEDS)}
        return Shrunk(models, ask(models | others, pictures_of(found) if test is None else test), found)


def ask(models: Mapping[str, nn.Module], pictures: Pictures) -> Answers:
    """What models say of pictures, each on the device that is chosen; they come back to the CPU."""
    device, said = devices.choose(), {}
    for name, model in models.items():
        said[name] = logits(model.to(device), pictures.images).cpu().numpy()
        model.cpu()
    return Answers(pictures.labels, pictures.classes, said)


def calibration(pictures: Pictures, count: int = CALIBRATION) -> tuple[Tensor, ...]:
    """Pictures spread evenly over a set, as batches that a model is called with. Shapes: → (B, 3, H, W) each."""
    chosen = np.unique(np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int))
    return to_input(torch.from_numpy(np.ascontiguousarray(pictures.images[chosen]))).split(BATCH)


def pictures_of(inspector: Artifact, part: str = "test") -> Pictures:
    """The pictures of a part of the dataset, or of all the sets of pictures, that an inspector learned from.

    Raises: ArtifactError when the dataset is not there, not whole, or has no such pictures
    """
    if (sets := parents_set(inspector, part)) is not None:
        return sets
    arrays = load_scenes(dataset_of(inspector)).arrays(part)
    if not len(arrays.rgb):
        raise ArtifactError(expected(f"{part} pictures in the inspector's dataset", "none"))
    return Pictures(arrays.rgb, arrays.classes, DEFECTS, arrays.scenes)


def dataset_of(inspector: Artifact) -> Path:
    """The folder of the dataset that an inspector names among its parents: beside it in its store, or in this one.

    Raises: ArtifactError when there is none
    """
    if (place := artifacts.parent_folder(inspector, SCENES)) is not None:
        return place
    what = f"the dataset that inspector {inspector.id} learned from, an artifact of kind {SCENES!r} among its parents"
    raise ArtifactError(expected(what, ", ".join(inspector.parents) or "no parents", "keeping module 2's artifact in the store"))
