"""Module 5: measuring a compiled inspector that was handed over, by running it. What is printed or told counts for nothing.

Its libraries are foreign machine code: they run in a child process and never in this one.

Shape legend: B pictures in a batch, M test pictures.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from breakthrough import artifacts
from breakthrough.artifacts import MANIFEST as OUTER, Artifact
from breakthrough.deploy.apart import answers_apart
from breakthrough.deploy.compile import Compiled
from breakthrough.deploy.export import source_sha256
from breakthrough.deploy.handover import FILES, KIND, NAMES, not_for_here
from breakthrough.deploy.inspecting import BATCHES, TIMED, Built
from breakthrough.deploy.opening import Source, open_source
from breakthrough.deploy.runtime import LIBRARY, MANIFEST, WEIGHTS, Engine, read_manifest, read_weights
from breakthrough.errors import ArtifactError, BreakthroughError, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.handed_over import examine
from breakthrough.quant.handover import KIND as QUANTIZED, load_quantized_inspector
from breakthrough.quant.inspecting import BEFORE, Answers, pictures_of
from breakthrough.quant.table import Sizes, sizes_of
from breakthrough.seeds import torch_generator
from breakthrough.train.pictures import Pictures, to_input

FP32 = 1e-4  # the largest error of the float net, of numbers up to 1
INT8 = 0.35  # the usual change of a number by int8, as a share of PyTorch's usual number: 0.02 to 0.1 of a right one
AGREEMENT, LOST = 0.95, 0.02  # of test pictures, at the better end of the interval of 95%
AGREE = 0.02  # how far a told share may be away, beside one picture
CODED = 0.5  # of the weights that module 4 puts in codes, how many have to be stored in 8 bits
SANE_MS = (1e-4, 1e6)  # a latency that no machine has lies outside


def measure(answer: Any, case: Case) -> Outcome:
    """Run an artifact's libraries in a process of their own, and hold them against the inspector they were made from.

    A function is called, with a store of its own, for the artifact it returns.
    """
    return examine(answer, KIND, FILES, lambda found: _judge(found, *case.args), _instead)


def _instead(answer: Any) -> Outcome | None:
    if isinstance(answer, (Built, Engine, Compiled)):
        return Outcome("not saved", "this is what was compiled, not an artifact", "what save_compiled returns", type_of(answer))
    if isinstance(answer, (str, Path)):
        path = Path(answer)
        if any((folder / OUTER).is_file() for folder in path.parents[:2]) and path.parent.name != KIND:
            return Outcome("a part of it", "this lies inside of an artifact", "what save_compiled returns", str(answer))
    return None


def _judge(found: Artifact, seed: int) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sources = _sources(found)
        if isinstance(sources, Outcome):
            return sources
        look = _Look(found, seed, *sources)
        return next((fault for part in look.parts() for fault in part), Outcome())


def _sources(found: Artifact) -> tuple[Mapping[str, Source], Sizes, Pictures] | Outcome:
    """The nets that the artifact names: beside it in its store, or in this one; and their dataset's test pictures."""
    place = artifacts.parent_folder(found, QUANTIZED)
    want = f"the id of an artifact of kind {QUANTIZED} among the parents"
    if place is None:
        return Outcome("no inspector named", "the artifact does not say what it was compiled from, or that is gone", want, ", ".join(found.parents) or "none")
    try:
        codes = open_source(place)
        mine = cast(Artifact, codes.artifact)  # the folder is an artifact's
        if codes.parent is None:
            return Outcome("no inspector named", "the inspector that the int8 one was made from is not there", want, ", ".join(mine.parents))
        weights = sizes_of(load_quantized_inspector(mine))
        return {"fp32": open_source(codes.parent), "int8": codes}, weights, pictures_of(codes.parent)
    except ArtifactError as error:
        return Outcome("no inspector named", f"what it was compiled from, or its dataset, cannot be read: {error}".partition("\n")[0], want)


@dataclass(frozen=True, eq=False)
class _Look:
    found: Artifact
    seed: int
    sources: Mapping[str, Source]
    weights: Sizes
    pictures: Pictures

    def parts(self) -> Iterator[Iterator[Outcome]]:
        """What is looked at, the quick things first; nothing is run before all that is written has been read."""
        for look in (self.readable, self.source, self.here, self.sizes, self.inputs, self.outputs, self.classes, self.codes, self.answered):
            yield (fault for version in NAMES for fault in look(version))
        yield self.agreed()
        yield (fault for version in NAMES for fault in self.told(version))
        yield (fault for name in (BEFORE, *NAMES) for fault in self.timed(name))

    @cached_property
    def manifests(self) -> Mapping[str, dict[str, Any]]:
        return {version: read_manifest(self.found.folder / version) for version in NAMES}

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        return {version: source_sha256(net.model) for version, net in self.sources.items()}

    def readable(self, version: str) -> Iterator[Outcome]:
        folder = self.found.folder / version
        try:
            manifest = read_manifest(folder)
            arrays = read_weights(folder / WEIGHTS)
            inside = {name: manifest["sha256"][name] for name in (LIBRARY, WEIGHTS)}
            missing = [name for name in manifest["weights"] if name not in arrays]
            _ = manifest["functions"].values(), manifest["inputs"][0]["shape"], manifest["outputs"][0]["shape"], manifest["source_sha256"], manifest["target"]["name"]
        except (ArtifactError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            yield Outcome("unreadable", f"{version}: {error!r}".partition("\n")[0][:300])
            return
        if missing:
            yield Outcome("unreadable", f"{version}: {WEIGHTS} lacks what the manifest names", ", ".join(manifest["weights"][:4]), f"no {missing[0]}")
        for name, want in inside.items():
            if (got := artifacts.sha256(folder / name)) != want:
                yield Outcome("another file's hash", f"{version}: {MANIFEST} has the hash of another {name}", want[:12], got[:12])

    def source(self, version: str) -> Iterator[Outcome]:
        got, own = self.manifests[version]["source_sha256"], self.hashes
        if version == "fp32" and got == own["int8"] != own["fp32"]:
            yield Outcome("exchanged", "fp32 was compiled from the int8 inspector", own["fp32"][:12], got[:12])
        elif got not in ((own["fp32"],) if version == "fp32" else own.values()):
            yield Outcome("another inspector", f"{version}: its manifest names another net than the parents do", own[version][:12], str(got)[:12])

    def here(self, version: str) -> Iterator[Outcome]:
        reason = not_for_here(self.found.folder / version)
        if reason:
            yield Outcome("another processor", f"{version}: {reason}".partition("; try")[0])

    def sizes(self, version: str) -> Iterator[Outcome]:
        there = list(self.manifests[version]["functions"].values())
        missing = [size for size in TIMED if size not in there and None not in there]
        if missing:
            yield Outcome("batch sizes missing", f"{version}: no function for a batch of {', '.join(map(str, missing))}", f"{', '.join(map(str, TIMED))} at the least", str(there))

    def inputs(self, version: str) -> Iterator[Outcome]:
        spec, want = self.manifests[version]["inputs"][0], list(self.sources["fp32"].example.shape[1:])
        got = (list(spec["shape"][1:]), spec.get("dtype"))
        if got != (want, "float32"):
            yield Outcome("another layout", f"{version}: it takes another input than the inspector", f"float32 (B, {', '.join(map(str, want))})", f"{got[1]} (B, {', '.join(map(str, got[0]))})")

    def outputs(self, version: str) -> Iterator[Outcome]:
        got = [list(spec["shape"][1:]) for spec in self.manifests[version]["outputs"]]
        want = [list(y.shape[1:]) for y in self.sources["fp32"].answer(self.sources["fp32"].example)]
        if got == want[::-1]:
            yield Outcome("outputs exchanged", f"{version}: the map comes first, the scores second", str(want), str(got))
        elif got != want:
            yield Outcome("another answer", f"{version}: not the scores and the map", str(want), str(got))

    def classes(self, version: str) -> Iterator[Outcome]:
        about, want = self.manifests[version].get("about"), self.sources["fp32"].about
        told = {name: about.get(name) if isinstance(about, Mapping) else None for name in want}
        if told != want:
            name = next(name for name in want if told[name] != want[name])
            yield Outcome("nothing about it", f"{version}: the manifest does not say the inspector's {name}", str(want[name]), str(told[name]))

    def codes(self, version: str) -> Iterator[Outcome]:
        kept = read_weights(self.found.folder / version / WEIGHTS)
        taken = [kept[name] for name in self.manifests[version]["weights"]]
        stored, floats = (sum(x.size for x in taken if (x.dtype.itemsize == 1) is coded) for coded in (True, False))
        coded = self.weights.codes_count
        if version == "int8" and stored < CODED * coded:
            yield Outcome("float weights", "int8: most weights are stored as floats", f"{coded:,} codes of 8 bits", f"{stored:,} beside {floats:,} floats")
        if version == "fp32" and stored >= CODED * coded:
            yield Outcome("exchanged", "fp32: the weights are stored in 8 bits", "floats", f"{stored:,} codes of 8 bits")

    @cached_property
    def noise(self) -> list[torch.Tensor]:
        generator = torch_generator(self.seed, "noise")
        return [self.sources["fp32"].draw(size, generator) for size in BATCHES]

    @cached_property
    def shown(self) -> torch.Tensor:
        return to_input(torch.from_numpy(np.ascontiguousarray(self.pictures.images)))

    @cached_property
    def answers(self) -> dict[str, list[tuple[np.ndarray, ...]]]:
        """What each version has said of the noise, batch by batch, and of the test pictures."""
        return {}

    def wanted(self, version: str) -> list[tuple[np.ndarray, ...]]:
        return [tuple(y.numpy() for y in self.sources[version].answer(x)) for x in (*self.noise, self.shown)]

    def answered(self, version: str) -> Iterator[Outcome]:
        inputs = (*self.noise, self.shown)
        try:
            found = answers_apart(self.found.folder / version, [x.numpy() for x in inputs])
        except BreakthroughError as error:
            yield Outcome("does not run", f"{version}: {error}".partition("\n")[0])
            return
        wanted = self.wanted(version)
        shapes = [[y.shape for y in each] for each in (*found, *wanted)]
        if shapes[: len(found)] != shapes[len(found) :]:
            got, want = next((g, w) for g, w in zip(shapes, shapes[len(found) :]) if g != w)
            yield Outcome("outputs exchanged" if got == want[::-1] else "another answer", f"{version}: outputs of other shapes than the manifest says", str(want), str(got))
            return
        far = (_usual, INT8) if version == "int8" else (_largest, FP32)
        if not self._near(found, wanted, *far):
            most = max(far[0](g, w) for g, w in zip(found, wanted))
            guesses = ((name, guess(self.sources[version], inputs)) for name, ways in GUESSES.items() for guess in ways)
            fault = next((name for name, wrong in guesses if self._near(found, wrong, *far)), "another inspector")
            yield Outcome(fault, f"{version}: its answers are not PyTorch's", f"an error up to {far[1]:g}", f"{most:.2g}")
        self.answers[version] = found

    def _near(self, found: list[Any], wanted: list[Any], distance: Callable[[Any, Any], float], most: float) -> bool:
        return all(distance(got, want) <= most for got, want in zip(found, wanted))

    @cached_property
    def judged(self) -> Answers:
        before = self.sources["fp32"].answer(self.shown)[0].numpy()
        return Answers(self.pictures.labels, self.pictures.classes, {BEFORE: before, **{version: found[-1][0] for version, found in self.answers.items()}})

    def agreed(self) -> Iterator[Outcome]:
        same, gained = self.judged.agreement("int8"), self.judged.gained("int8")
        if same.high < AGREEMENT or gained.high < -LOST:
            want = f"the same on {AGREEMENT:.0%}, {LOST:.0%} of accuracy lost, or better"
            yield Outcome("another inspector", f"int8: on {same.n} test pictures its answers are not the inspector's", want, f"the same on {same.value:.0%}, {-gained.value:.0%} lost")

    def told(self, version: str) -> Iterator[Outcome]:
        measured = {("accuracy", "value"): self.judged.accuracy(version), ("agreement", "value"): self.judged.agreement(version)}
        for path, one in measured.items():
            told = _number(self.found.metrics, version, *path)
            if told is None or abs(told - one.value) > AGREE + 1 / one.n:
                yield Outcome("another number", f"{version}: the {path[0]} in the metrics is not that of the library on {one.n} test pictures", f"{one.value:.3f}", f"{told}")
        for name in (LIBRARY, WEIGHTS):
            size, told = (self.found.folder / version / name).stat().st_size, _number(self.found.metrics, version, "bytes", name)
            if told != size:
                yield Outcome("another number", f"{version}: the bytes of {name} in the metrics are not those of the file", f"{size:,}", f"{told}")
        told = _number(self.found.metrics, version, "error", "pictures")
        got = max(float(np.abs(a - b).max()) for a, b in zip(self.answers[version][-1], self.wanted(version)[-1]))
        if told is None or abs(told - got) > max(FP32, 0.2 * got):
            yield Outcome("another number", f"{version}: the largest error in the metrics is not that on the test pictures", f"{got:.2g}", f"{told}")

    def timed(self, name: str) -> Iterator[Outcome]:
        for batch in map(str, TIMED):
            path = (name, "latency", batch)
            values = [_number(self.found.metrics, *path, key) for key in ("p50_ms", "p90_ms", "p99_ms")]
            known = [value for value in values if value is not None]
            fine = values[0] is not None and known == sorted(known) and all(SANE_MS[0] < value < SANE_MS[1] for value in known)
            if not fine or (_number(self.found.metrics, *path, "runs") or 0) < len(known):
                yield Outcome("no latency", f"{name}: no p50, p90 and p99 of a batch of {batch} in the metrics", "milliseconds, each at least the one before", str(values))


def _of(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Source, Any], list[Any]]:
    return lambda net, inputs: [tuple(y.numpy() for y in net.answer(change(x))) for x in inputs]


def _shares(net: Source, inputs: Any) -> list[Any]:
    found = (net.answer(x) for x in inputs)
    return [(scores.softmax(1).numpy(), cells.numpy()) for scores, cells in found]


# what people do to a net, or to its input, before they export it
GUESSES = {
    "another preparation": (_of(lambda x: x / 255), _of(lambda x: 4 * x - 2), _of(lambda x: x.flip(1)), _of(lambda x: x.transpose(2, 3))),
    "shares": (_shares,),
}


def _largest(got: Any, want: Any) -> float:
    """The largest difference of any number, for numbers up to 1 and relative to the largest where that is larger."""
    return _worst(float(np.abs(a.astype(np.float64) - b).max()) / max(1.0, float(np.abs(b).max())) for a, b in zip(got, want))


def _usual(got: Any, want: Any) -> float:
    """The root of the mean square of a difference, as a share of that of the numbers."""
    return _worst(math.sqrt(np.square(a.astype(np.float64) - b).mean() / max(1e-12, np.square(b.astype(np.float64)).mean())) for a, b in zip(got, want))


def _worst(errors: Iterator[float]) -> float:
    """The largest of some errors; what is not a number is the largest of all."""
    return max(error if math.isfinite(error) else math.inf for error in errors)


def _number(metrics: Any, *path: str) -> float | None:
    for name in path:
        metrics = metrics.get(name) if isinstance(metrics, Mapping) else None
    fine = isinstance(metrics, (int, float)) and not isinstance(metrics, bool) and math.isfinite(metrics)
    return float(metrics) if fine else None
