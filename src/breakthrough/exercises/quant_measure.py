"""Module 4: measuring a quantized inspector that was handed over. What is printed or told counts for nothing.

Units: shares from 0 to 1
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from breakthrough import artifacts
from breakthrough.artifacts import MANIFEST, Artifact
from breakthrough.errors import ArtifactError, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.handed_over import examine
from breakthrough.quant.affine import Affine
from breakthrough.quant.apply import plan, quantize
from breakthrough.quant.calibrate import collect
from breakthrough.quant.handover import FILES, KIND
from breakthrough.quant.inspecting import BEFORE, VERSIONS, Answers, Share, Shrunk, ask, calibration, pictures_of
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.quantized import Format
from breakthrough.quant.saving import WEIGHTS, load
from breakthrough.quant.schemes import scheme
from breakthrough.quant.table import Sizes, sizes_of
from breakthrough.quant.weights import quantized_weights
from breakthrough.train.inspector import KIND as INSPECTOR, WEIGHTS as FLOATS, Inspector, load_inspector

AGREE = 0.02  # how far a told share may be away, beside one picture: machines round differently
LARGER = 1.1  # how much larger than the course's own a version may be
# A weight's error in what its layer says, over that of rounding to the nearest: 1 for rounding, 0.15 to 0.85 for
# GPTQ, 3.6 to 4.9 for a coin, 270 and more for another training of the same net
COIN, OTHER = 2.0, 30.0


@dataclass(frozen=True)
class Bar:
    """What a version must keep of its parent's answers, at the better end of the interval of 95%.

    Units:  agreement is the share of test pictures of which it says the same, lost how much accuracy may be gone
    """

    agreement: float
    lost: float


# measured on six inspectors: agreement of int8 0.98 to 1, of NF4 0.92 to 1; accuracy lost by NF4 3 points at the most
BARS = {"int8": Bar(0.95, 0.02), "nf4": Bar(0.85, 0.05)}


def measure(answer: Any, case: Case) -> Outcome:
    """Load an artifact's files into the course's own net, and hold them against the inspector they were made from.

    A function is called, with a store of its own, for the artifact it returns.
    """
    return examine(answer, KIND, FILES, _judge, _instead)


def _instead(answer: Any) -> Outcome | None:
    models = isinstance(answer, Mapping) and any(isinstance(one, nn.Module) for one in answer.values())
    if models or isinstance(answer, (nn.Module, Shrunk)):
        return Outcome("the model", "these are models, not an artifact", "what save_quantized returns", type_of(answer))
    if isinstance(answer, (str, Path)):
        path = Path(answer)
        if any((folder / MANIFEST).is_file() for folder in path.parents[:2]) and not (path / MANIFEST).is_file():
            return Outcome("a part of it", "this lies inside of an artifact", "what save_quantized returns", str(answer))
    return None


def _judge(found: Artifact) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the first import of bitsandbytes, which is none of the learner's
        return _judged(found)


def _judged(found: Artifact) -> Outcome:
    parent = _parent(found)
    if isinstance(parent, Outcome):
        return parent
    models = {}
    for version in VERSIONS:
        try:
            models[version] = load(found.folder / version)
        except ArtifactError as error:
            return Outcome("unreadable", f"{version}: {error}".partition("\n")[0])
    look = _Look(found, models, parent, load_inspector(parent).eval())
    return next((fault for part in look.parts() for fault in part), Outcome())


def _parent(found: Artifact) -> Artifact | Outcome:
    """The inspector that the artifact names: beside it in its store, or in this one; its dataset is there too."""
    place = artifacts.parent_folder(found, INSPECTOR)
    want = "the id of an artifact of kind inspector among the parents"
    if place is None:
        return Outcome("no inspector named", "the artifact does not say which inspector it was made from, or that is gone", want, ", ".join(found.parents) or "none")
    try:
        parent = artifacts.load(place)
        load_inspector(parent), pictures_of(parent), pictures_of(parent, "train")
        return parent
    except ArtifactError as error:
        return Outcome("no inspector named", f"the inspector that the artifact names, or its dataset, cannot be read: {error}".partition("\n")[0], want)


@dataclass(frozen=True, eq=False)
class _Look:
    found: Artifact
    models: Mapping[str, nn.Module]
    parent: Artifact
    before: Inspector

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The weights that the scheme puts in codes."""
        return tuple(place.names[0] for place in plan(self.before, scheme("int8")) if not place.reason)

    @cached_property
    def rounded(self) -> Mapping[str, nn.Module]:
        """The parent, rounded to the nearest in each version's format."""
        return {version: quantize(self.before, version) for version in VERSIONS}

    @cached_property
    def answers(self) -> Answers:
        return ask({BEFORE: self.before, **self.models}, pictures_of(self.parent))

    @cached_property
    def sizes(self) -> Mapping[str, Sizes]:
        return {name: sizes_of(model) for name, model in {BEFORE: self.before, **self.models}.items()}

    def parts(self) -> Iterator[Iterator[Outcome]]:
        """What is looked at, the quick things first."""
        yield (fault for version in VERSIONS for fault in self.same_net(version))
        yield (fault for version in VERSIONS for fault in self.in_codes(version))
        yield (fault for version in VERSIONS for fault in self.grid(version))
        yield (fault for version in VERSIONS for fault in self.weights(version))
        yield (fault for version in VERSIONS for fault in self.left(version))
        yield (fault for version in VERSIONS for fault in self.smaller(version))
        yield (fault for version in VERSIONS for fault in self.answered(version))
        yield (fault for name in (BEFORE, *VERSIONS) for fault in self.told(name))

    def same_net(self, version: str) -> Iterator[Outcome]:
        model, config = self.models[version], self.before.config
        if not isinstance(model, Inspector) or model.config != config:
            pair = _differing(config, model.config) if isinstance(model, Inspector) else ("an Inspector", type_of(model))
            yield Outcome("another inspector", f"{version} is not of its parent's shape", *pair)

    def in_codes(self, version: str) -> Iterator[Outcome]:
        inside = dict(quantized_weights(self.models[version]))
        floats = [name for name in self.names if name not in inside]
        if floats:
            text = f"{version}: {len(floats)} of {len(self.names)} weights are in floating point, {floats[0]} first"
            yield Outcome("float weights", text, "codes and scales", f"{self.sizes[version].bytes:,} bytes of {self.sizes[BEFORE].bytes:,}")

    def grid(self, version: str) -> Iterator[Outcome]:
        for name, weight in quantized_weights(self.models[version]):
            fault = _grid_fault(version, weight.format)
            if fault:
                yield Outcome(fault, f"{version}: {name} is stored in another way", *_differing(scheme(version).format, weight.format))

    def weights(self, version: str) -> Iterator[Outcome]:
        inputs = self._inputs
        nearest, mine = (dict(quantized_weights(one)) for one in (self.rounded[version], self.models[version]))
        ratios = {}
        for name in self.names:
            weight = self.before.get_parameter(name).detach()
            wrong, least = (inputs[name].error(weight, one[name]().detach()) for one in (mine, nearest))
            ratios[name] = wrong / least if least else (1.0 if not wrong else math.inf)
        worst = max(ratios, key=ratios.__getitem__)
        if not ratios[worst] < COIN:
            coin = all(ratio < OTHER for ratio in ratios.values())
            text = f"{version}: what the layer of {worst} says is further off than rounding to the nearest makes it"
            yield Outcome("random rounding" if coin else "another inspector", text, f"up to {COIN:g} times its squared error", f"{ratios[worst]:.3g} times")

    @cached_property
    def _inputs(self) -> Mapping[str, Any]:
        return collect(self.before, calibration(pictures_of(self.parent, "train")), self.names)

    def left(self, version: str) -> Iterator[Outcome]:
        inside = {name for name, _ in quantized_weights(self.models[version])}
        mine, theirs = self.models[version].state_dict(), self.before.state_dict()
        for name, tensor in theirs.items():
            if name not in self.names and (name in inside or not torch.equal(mine[name], tensor)):
                got = "codes" if name in inside else f"{mine[name].dtype}, other numbers"
                yield Outcome("left alone", f"{version}: {name} is not as it was", "the parent's own numbers", got)

    def smaller(self, version: str) -> Iterator[Outcome]:
        want, got = (sizes_of(model).bytes for model in (self.rounded[version], self.models[version]))
        if got > LARGER * want:
            yield Outcome("not smaller", f"{version}: codes and scales take more than this format needs", f"{want:,} bytes", f"{got:,} bytes")
        on_disk, before = (path.stat().st_size for path in (self.found.path(f"{version}/{WEIGHTS}"), self.parent.path(FLOATS)))
        if on_disk > before / 2:
            yield Outcome("not smaller", f"{version}: the file is not half as small as its parent's", f"up to {before // 2:,} bytes", f"{on_disk:,} bytes")

    def answered(self, version: str) -> Iterator[Outcome]:
        bar, same, gained = BARS[version], self.answers.agreement(version), self.answers.gained(version)
        if same.high < bar.agreement or gained.high < -bar.lost:
            text = f"{version}: on {same.n} test pictures its answers are not its parent's"
            want = f"the same on {bar.agreement:.0%}, {bar.lost:.0%} of accuracy lost, or better"
            yield Outcome("another inspector", text, want, f"the same on {same.value:.0%}, {-gained.value:.0%} lost")

    def told(self, name: str) -> Iterator[Outcome]:
        accuracy, recall = self.answers.accuracy(name), self.answers.recall(name)
        measured: dict[tuple[str, ...], Share] = {("accuracy", "value"): accuracy, **{("recall", label, "value"): one for label, one in recall.items()}}
        for path, one in measured.items():
            told = _number(self.found.metrics, name, *path)
            if told is None or abs(told - one.value) > AGREE + 1 / one.n:
                text = f"{name}: the manifest's {' of '.join(path[:2][:len(path) - 1])} is not that of the weights on {one.n} test pictures"
                yield Outcome("another number", text, f"{one.value:.3f}", "none" if told is None else f"{told:.3f}")
        told = _number(self.found.metrics, name, "bytes")
        if told is None or abs(told - self.sizes[name].bytes) > 0.01 * self.sizes[name].bytes:
            yield Outcome("another number", f"{name}: the manifest's bytes are not those of the weights", f"{self.sizes[name].bytes:,}", f"{told}")


def _grid_fault(version: str, form: Format) -> str:
    """What is wrong with the format of a weight, or nothing."""
    if isinstance(form, FourBit if version == "int8" else Affine) and form.bits == (4 if version == "int8" else 8):
        return "exchanged"
    if version == "nf4":
        return "" if isinstance(form, FourBit) and form.code == "nf4" and not form.levels else "another grid"
    if not isinstance(form, Affine) or form.bits != 8 or not form.symmetric:
        return "another grid"
    faults: dict[int | None, str] = {0: "", 1: "scales of inputs", -1: "scales of inputs"}
    return faults.get(form.axis, "another grid")


def _differing(want: Any, got: Any) -> tuple[str, str]:
    """Two dataclasses in words: the fields that differ, and their names where they are of two kinds."""
    if type(want) is not type(got):
        return type(want).__name__, type(got).__name__
    names = [field.name for field in fields(want) if getattr(want, field.name) != getattr(got, field.name)]
    first, second = (", ".join(f"{name}={getattr(one, name)!r}" for name in names) for one in (want, got))
    return first, second


def _number(metrics: Any, *path: str) -> float | None:
    for name in path:
        metrics = metrics.get(name) if isinstance(metrics, Mapping) else None
    fine = isinstance(metrics, (int, float)) and not isinstance(metrics, bool) and math.isfinite(metrics)
    return float(metrics) if fine else None
