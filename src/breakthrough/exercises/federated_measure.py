"""Module 3: measuring a federated inspector that was handed over. What is printed or told counts for nothing.

Units: accuracies from 0 to 1
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from breakthrough import artifacts, devices
from breakthrough.artifacts import MANIFEST, Artifact
from breakthrough.errors import ArtifactError, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.handed_over import examine
from breakthrough.federated.handover import CONTROL, HISTORY, SPLIT, Handed, load_federated
from breakthrough.federated.scoring import Z95
from breakthrough.federated.training import Federation, answers
from breakthrough.scenes.handover import KIND as SCENES, NAMES, Scenes, load_scenes
from breakthrough.scenes.spec import DEFECTS
from breakthrough.train.inspector import CONFIG, KIND, WEIGHTS, Inspector
from breakthrough.train.pictures import Pictures

FILES = (WEIGHTS, CONFIG, SPLIT, HISTORY, CONTROL)
ONE_SIDED = 0.5  # a model that knows the others' pictures half as well as those of one factory learned from that one
FEW = 5  # a factory with fewer training pictures is not judged by them
AGREE = 0.02  # how far a told accuracy may be away, beside one picture: machines round differently


@dataclass(frozen=True)
class Bar:
    """What a federated inspector of a profile must reach.

    Units:  learned is its accuracy on the training pictures of all factories; behind is how far it may be behind
            the control on the test pictures, at the better end of the paired interval of 95%; above how far it
            must be above naming their most frequent class
    """

    learned: float
    behind: float
    above: float


# measured with `quick` over seeds 0 to 2: learned 0.80 of seed 0; behind 1, -4 and 14 points, each ± 7; above 28 to 35.
# A tiny test part has a score of pictures, so there what was learned decides. `full` is set, not measured
BARS = {"tiny": Bar(0.45, 0.2, -1.0), "quick": Bar(0.55, 0.1, 0.12), "full": Bar(0.6, 0.05, 0.25)}


def measure(answer: Any, case: Case) -> Outcome:
    """Load an artifact's weights into the course's own net, and measure them on the pictures of its dataset.

    A function is called, with a store of its own, for the artifact it returns.
    """
    return examine(answer, KIND, FILES, _judge, _a_model)


def _a_model(answer: Any) -> Outcome | None:
    if isinstance(answer, (Inspector, Federation)):
        return Outcome("the model", "this is a trained model, not an artifact", "what save_federated returns", type_of(answer))
    return None


def _judge(found: Artifact) -> Outcome:
    try:
        handed = load_federated(found)
    except ArtifactError as error:
        fault = "does not load" if "the weights of this configuration" in str(error) else "unreadable"
        return Outcome(fault, str(error).partition("\n")[0])
    if handed.model.mixture is None or not handed.model.config.experts:
        return Outcome("no sparse layer", "the net has no experts", "experts above 0 in config.json", f"{handed.model.config.experts}")
    if handed.model.config.classes != DEFECTS:
        return Outcome("does not load", "the net has other classes than the dataset", str(DEFECTS), str(handed.model.config.classes))
    parent = _parent(found, handed.scenes)
    if isinstance(parent, Outcome):
        return parent
    device = devices.choose()
    handed.model.to(device), handed.control.to(device)
    look = _Look(found, handed, *parent)
    return next((fault for part in look.parts() for fault in part if fault.fault), Outcome())


def _parent(found: Artifact, name: str) -> tuple[Artifact, Scenes] | Outcome:
    """The dataset that the artifact names: beside it in its store, or in this one."""
    want = "the id of an artifact of kind scenes among the parents"
    places = [store / SCENES / name for store in (found.folder.resolve().parents[1], artifacts.store())]
    place = next((one for one in places if name and (one / MANIFEST).is_file()), None)
    if place is None:
        return Outcome("no dataset named", "the artifact does not say which dataset it learned from, or that is gone", want, name or "none")
    try:
        return artifacts.load(place), load_scenes(place)
    except ArtifactError as error:
        return Outcome("no dataset named", f"the dataset that the artifact names cannot be read: {error}", want, name)


@dataclass(frozen=True, eq=False)
class _Look:
    found: Artifact
    handed: Handed
    parent: Artifact
    scenes: Scenes

    @property
    def bar(self) -> Bar:
        """That of the artifact's profile, or of its dataset's where that is smaller."""
        order = list(BARS)
        places = [order.index(name) if name in BARS else 1 for name in (self.found.profile, self.parent.profile)]
        return BARS[order[min(places)]]

    @cached_property
    def every(self) -> Pictures:
        arrays = self.scenes.arrays()
        return Pictures(arrays.rgb, arrays.classes, DEFECTS)

    @cached_property
    def right(self) -> Mapping[str, np.ndarray]:
        """Which pictures of the whole dataset each model names rightly. Shapes: (N,) each"""
        models = {"model": self.handed.model, "control": self.handed.control}
        return {name: answers(model, self.every) == self.every.labels for name, model in models.items()}

    @cached_property
    def test(self) -> np.ndarray:
        return np.flatnonzero(self.scenes.part == NAMES.index("test"))

    def parts(self) -> Iterator[Iterator[Outcome]]:
        """What is looked at, the quick things first."""
        yield self.split()
        yield self.weights()
        yield self.learned()
        yield self.tested()
        yield self.told()

    def split(self) -> Iterator[Outcome]:
        split, part = self.handed.split, self.scenes.part
        if split.picture.size and split.picture.max() >= len(part):
            text = "the split has numbers that no picture of the dataset has"
            yield Outcome("pictures left out", text, f"up to {len(part) - 1}", str(split.picture.max()))
            return
        times = np.bincount(split.picture, minlength=len(part))  # (N,)
        train = part == NAMES.index("train")
        wanted = f"each of {train.sum()} training pictures in one factory"
        if (times > 1).any():
            yield Outcome("in two factories", "pictures are held more than once", wanted, f"{(times > 1).sum()} held twice or more")
        if times[~train].any():
            text = "pictures for validation or test are in a factory"
            yield Outcome("test in training", text, wanted, f"{times[~train].sum()} that are not for training")
        if not times[train].all():
            yield Outcome("pictures left out", "training pictures are in no factory", wanted, f"{(times[train] == 0).sum()} in none")
        full = sum(len(held) > 0 for held in split.held.values())
        took_part = {name for one in self.handed.history.rounds for name in one.names}
        if full < 2 or len(took_part) < 2:
            yield Outcome("one factory", "there was nobody to learn together with", "two factories or more", f"{min(full, len(took_part))}")

    def weights(self) -> Iterator[Outcome]:
        one, other = self.handed.model.state_dict(), self.handed.control.state_dict()
        if all(bool((one[name] == other[name]).all()) for name in one):
            yield Outcome("the control", "model.safetensors and control.safetensors are the same", "two models", "one")

    def learned(self) -> Iterator[Outcome]:
        train, bar = self.handed.split.picture, self.bar
        each = {n: self.right["model"][held].mean() for n, held in self.handed.split.held.items() if len(held) >= FEW}
        if len(each) > 1 and max(each.values()) >= bar.learned:
            best = max(each, key=each.__getitem__)
            others = np.mean([share for name, share in each.items() if name != best])
            if others < ONE_SIDED * each[best]:
                text = f"it knows the training pictures of {best}, and hardly those of the others"
                yield Outcome("one factory", text, "about alike", f"{each[best]:.0%} and {others:.0%}")
        for name, fault in (("model", "too little learned"), ("control", "weak control")):
            share = self.right[name][train].mean()
            if share < bar.learned:
                text = f"the {name} does not know the pictures that it learned from"
                yield Outcome(fault, text, f"{bar.learned:.0%} or more", f"{share:.0%}")

    def tested(self) -> Iterator[Outcome]:
        bar, (mine, control) = self.bar, (self.right[name][self.test].astype(float) for name in ("model", "control"))
        lag = control - mine  # (M,) paired by picture
        mine, sure = mine.mean(), lag.mean() - Z95 * lag.std() / math.sqrt(len(lag))
        if sure > bar.behind:
            text = f"on {len(lag)} test pictures it is too far behind the control"
            want = f"{bar.behind:.0%} behind or less, within the pictures' uncertainty"
            yield Outcome("too little learned", text, want, f"{lag.mean():.0%} behind, at least {sure:.0%} for sure")
        usual = np.bincount(self.every.labels[self.test]).max() / len(self.test)
        if mine < usual + bar.above:
            text = f"on {len(self.test)} test pictures it is hardly better than a guess"
            yield Outcome("too little learned", text, f"{usual + bar.above:.0%} or more", f"{mine:.0%}")

    def told(self) -> Iterator[Outcome]:
        mine, count = float(self.right["model"][self.test].mean()), len(self.test)
        near = AGREE + 1 / count
        told = self.found.metrics.get("accuracy")
        number = told if isinstance(told, (int, float)) and not isinstance(told, bool) and math.isfinite(told) else None
        if number is None or abs(number - mine) > near:
            text = f"the manifest's accuracy is not that of the weights on {count} test pictures"
            yield Outcome("another number", text, f"{mine:.3f}", repr(told) if number is None else f"{number:.3f}")
        ends = [one.scores["accuracy"] for one in self.handed.history.rounds[-1:] if "accuracy" in one.scores]
        if not ends or abs(ends[0] - mine) > near:
            text = "history.json does not end with these weights"
            yield Outcome("another run", text, f"accuracy {mine:.3f} after the last round", f"{ends[0]:.3f}" if ends else "none")
