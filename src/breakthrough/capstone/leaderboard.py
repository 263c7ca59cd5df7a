"""Submissions measured again: nets in the course's own code, on pictures that nobody has seen.

What counts is the accuracy on path-traced pictures, for that is where the line is weakest. A submission is weights and
a configuration; nothing of it is run. It is put into int8 and compiled here, as the line is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from breakthrough import artifacts, devices, lineage
from breakthrough.capstone import engine
from breakthrough.capstone.pipeline import Bar, stage_store
from breakthrough.capstone.shrinking import asker, held_out
from breakthrough.capstone.spec import Spec, spec_of
from breakthrough.deploy.conversion import build_net, export_net
from breakthrough.deploy.latency import measure as timed
from breakthrough.deploy.opening import Source, of_model
from breakthrough.deploy.runtime import Engine
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.quant.inspecting import Share, calibration, change, share
from breakthrough.seeds import derive, torch_generator
from breakthrough.train.inspector import CONFIG, WEIGHTS, Inspector, load_inspector
from breakthrough.train.pictures import Pictures
from breakthrough.train.sets import load_set, together

BASELINE, POINT = "baseline", 0.01
MOST_BYTES = 16_000_000  # of a submission's weights
MOST = {"widths": 512, "blocks": 8, "experts": 64, "top_k": 8, "hidden": 1024, "group": 512, "stride": 4}
RUNS, LIMIT_S = 200, 1.0


@dataclass(frozen=True)
class Place:
    """One submission, measured.

    Units:  shares from 0 to 1 with intervals of 95%; gained is against the baseline, paired by picture, on path-traced
            pictures; slower is the time for one picture over the baseline's; bytes of the weights as float32
    """

    name: str
    traced: Share
    synthetic: Share
    gained: Share
    slower: float
    bytes: int

    @property
    def better(self) -> bool:
        """Whether it is better than the baseline by a point, and not by luck."""
        return self.gained.value >= POINT and self.gained.low > 0


@dataclass(frozen=True)
class Board:
    """All submissions, the best first; those that could not be measured last, with the reason."""

    places: tuple[Place, ...]
    refused: tuple[tuple[str, str], ...]
    pictures: int
    traced: int

    def lines(self) -> Iterator[str]:
        """The board as text."""
        wide = max(len(one.name) for one in self.places)
        yield f"{self.traced} path-traced and {self.pictures} rendered pictures; intervals of 95%"
        yield f"{'':4}{'':{wide}}  path traced           rendered              gained, path traced    time   bytes"
        for i, one in enumerate(self.places):
            mark = "a point better" if one.better else ""
            yield f"{i + 1:3} {one.name:{wide}}  {one.traced!s:20}  {one.synthetic!s:20}  {one.gained!s:21}  {one.slower:4.2f}  {one.bytes:>9,}  {mark}"
        yield from (f"  – {name}: {why}" for name, why in self.refused)


def measure(submissions: Sequence[str], profile: str = "quick", seed: int = 2026, baseline: str | None = None, progress: bool = True, traced: int | None = None) -> Board:
    """Measure submissions beside a baseline, the newest line's net where none is named.

    Units:  traced are path-traced pictures a factory, as many as the profile has unless given
    Raises: InputError for no submissions; ArtifactError when there is no baseline; ConfigError for no pictures
    """
    if not submissions:
        raise InputError(expected("at least one submission", "none", "breakthrough leaderboard artifacts/stages/line/…"))
    first = _net(baseline or "line")
    spec, store = spec_of(profile), stage_store()
    train = engine.run(spec, profile, store, until="train", here=profile == "tiny", watch=Bar(False) if progress else None)
    hidden = replace(spec, seed=derive(seed, "leaderboard"), traced=spec.traced if traced is None else traced)
    made = [engine.run(hidden, profile, store, until=part, here=profile == "tiny", watch=Bar(False) if progress else None) for part in ("test", "traced")]
    tests = {part: held_out([one.artifacts[f"{part}.{name}"] for name in spec.names], part)[0] for part, one in zip(("test", "traced"), made)}
    inputs = calibration(together([load_set(one, "train") for one in train.artifacts.values()]))
    with tempfile.TemporaryDirectory() as aside, devices.threads(1):
        reference = _Runs(first, spec, inputs, Path(aside, "baseline"), tests)
        places, refused = [_place(BASELINE, reference, reference)], []
        for i, name in enumerate(submissions):
            try:
                places.append(_place(_short(name), _Runs(_net(name), spec, inputs, Path(aside, str(i)), tests), reference))
            except (ArtifactError, InputError) as error:
                refused.append((_short(name), str(error)))
    places.sort(key=lambda one: -one.traced.value)
    return Board(tuple(places), tuple(refused), len(tests["test"]), len(tests["traced"]))


class _Runs:
    """A net in int8 that answers."""

    def __init__(self, net: Inspector, spec: Spec, inputs: tuple[torch.Tensor, ...], folder: Path, tests: dict[str, Pictures]) -> None:
        source = _source(net, spec, inputs)
        build_net(source, export_net(source, (1, 32), "int8"), "int8").save(folder)
        self.engine, self.bytes = Engine(folder), sum(4 * weight.numel() for weight in net.state_dict().values())
        self.x = source.draw(1, torch_generator(0, "leaderboard")).numpy()
        ask = asker(self.engine)
        self.right = {part: ask(one.images).argmax(1) == one.labels for part, one in tests.items()}


def _source(net: Inspector, spec: Spec, inputs: tuple[torch.Tensor, ...]) -> Source:
    plain = of_model(net, "submission")
    return replace(plain, example=torch.zeros(1, 3, spec.size, spec.size), about={**plain.about, "side": spec.size}, inputs=inputs)


def _place(name: str, found: _Runs, baseline: _Runs) -> Place:
    shares = {part: share(right) for part, right in found.right.items()}
    gained = change(baseline.right["traced"], found.right["traced"])
    slower = 1.0
    if found is not baseline:
        calls = {BASELINE: lambda: baseline.engine(baseline.x), name: lambda: found.engine(found.x)}
        slower = 1 / timed(calls, RUNS, threads=1, limit_s=LIMIT_S).speedup(name).value
    return Place(name, shares["traced"], shares["test"], gained, slower, found.bytes)


def _net(name: str) -> Inspector:
    """The net of a submission, in float32.

    Raises: ArtifactError, InputError for what is no net of the course, or one too large
    """
    link = lineage.trace(name)
    if link.artifact is None or link.state != lineage.WHOLE:
        raise ArtifactError(expected(f"a whole artifact in {name}", link.why or "none"))
    found = link.artifact
    inner = {"line": "net/", "inspector": ""}
    if found.kind not in inner:
        raise InputError(expected("an artifact of kind line or inspector", repr(found.kind)))
    weights, config = (found.path(inner[found.kind] + file) for file in (WEIGHTS, CONFIG))
    _check_size(found, inner[found.kind] + WEIGHTS)
    _check_config(json.loads(config.read_text(encoding="utf-8")))
    return load_inspector(found).eval() if found.kind == "inspector" else Inspector.from_files(config, weights).eval()


def _check_size(found: artifacts.Artifact, file: str) -> None:
    size = found.path(file).stat().st_size
    if size > MOST_BYTES:
        raise InputError(expected(f"weights of at most {MOST_BYTES:,} bytes", f"{size:,}"))


def _check_config(config: dict[str, Any]) -> None:
    for name, most in MOST.items():
        value = config.get(name, 0)
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) > 8 or not all(isinstance(one, int) and 0 <= one <= most for one in numbers):
            raise InputError(expected(f"{name} up to {most}", value))


def _short(name: str) -> str:
    path = Path(name)
    return "/".join(path.parts[-2:]) if len(path.parts) > 2 else name
