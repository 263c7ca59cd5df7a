"""Build a line, or what is left of it, and open one that was built."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from breakthrough import artifacts, lineage
from breakthrough.artifacts import Artifact
from breakthrough.capstone import closing, probing, shrinking
from breakthrough.capstone.engine import Built, Watch, run
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, VALID, VERSIONS, Line
from breakthrough.capstone.spec import Spec, spec_of
from breakthrough.capstone.stages import Stage
from breakthrough.errors import ArtifactError, expected
from breakthrough.train.sets import load_set, together

STORE = "stages"  # in the store of artifacts: what every stage made


def stage_store() -> Path:
    """Where the stages' artifacts lie, of all profiles together: what two of them share is made once."""
    return artifacts.store() / STORE


def build(
    profile: str = "quick",
    *,
    changes: str | Path | Mapping[str, Any] | None = None,
    workers: int | None = None,
    address: str | None = None,
    begin: str | None = None,
    until: str | None = None,
    here: bool | None = None,
    store: Path | None = None,
    watch: Watch | None = None,
) -> Built:
    """Build a line: make the stages that are missing, leave those that are there.

    `changes` to the profile's spec are a mapping or a YAML file. `begin` makes a stage and all that hang on it again,
    `until` ends with one. `here` makes stages one by one in this process, by default for `tiny`, where Ray would take
    as long to start; `address` is that of a Ray cluster.

    Raises: errors of `spec_of` and `engine.run`
    """
    spec = spec_of(profile, changes)
    here = profile == "tiny" and address is None and workers is None if here is None else here
    return run(spec, profile, store or stage_store(), workers=workers, address=address, begin=begin, until=until, here=here, watch=watch)


def open_line(built: Built | Artifact | str | Path | None = None) -> Line:
    """A line that was built, with all pictures and answers; without an argument the newest.

    Raises: ArtifactError when an artifact among its parents is not there, or not what it was
    """
    found = built.artifacts if isinstance(built, Built) else _family(built)
    spec = Spec.from_dict(json.loads(found["line"].path(closing.SPEC).read_text(encoding="utf-8")))
    pairs = {SYNTHETIC: "test", LINE: "traced"}
    sets = {domain: [load_set(found[f"{part}.{name}"], part) for name in spec.names] for domain, part in pairs.items()}
    factory = {domain: np.repeat(np.arange(len(each)), [len(one) for one in each]) for domain, each in sets.items()}
    with np.load(found["answers"].path(shrinking.FILE), allow_pickle=False) as data:
        scores = {domain: {version: data[f"{domain}/{version}"] for version in VERSIONS} for domain in (*DOMAINS, VALID)}
        labels = data[f"{VALID}/labels"].astype(np.int64)
    with np.load(found["served"].path(probing.FILE), allow_pickle=False) as data:
        said = data["said"]
    return Line(spec, found, {domain: together(each) for domain, each in sets.items()}, factory, scores, labels, said)


def _family(given: Artifact | str | Path | None) -> dict[str, Artifact]:
    """The artifacts of a line by stage: what it hangs on, all of it whole."""
    link = lineage.trace(_newest() if given is None else given)
    if link.broken:
        one = link.broken[0]
        raise ArtifactError(expected("a line with everything that it was made from", f"{one.name}/{one.id}: {one.why}", "breakthrough capstone, which makes it again"))
    return {one.name: one.artifact for one in link.each() if one.artifact is not None}


def _newest() -> Path:
    lines = sorted((stage_store() / closing.KIND).glob(f"[0-9]*/{artifacts.MANIFEST}"), reverse=True)
    if not lines:
        raise ArtifactError(expected("a line that was built", f"none in {stage_store()}", "breakthrough capstone"))
    return lines[0].parent


class Bar(Watch):
    """A bar over the stages, with how far those are that run; a line for every one that ends."""

    def __init__(self, lines: bool = True) -> None:
        self.lines = lines
        self.bar: tqdm[Any] | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def plan(self, stages: Mapping[str, Stage]) -> None:
        """Begin the bar."""
        self.bar = tqdm(total=len(stages), unit="stage", file=sys.stdout, mininterval=1, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]")

    def kept(self, stage: Stage, artifact: Artifact) -> None:
        """A step of the bar."""
        self._line(f"{stage.name:14} there     {artifact.digest[:12]}")

    def at(self, running: Mapping[str, float]) -> None:
        """What runs, in the bar's place for it."""
        said = ", ".join(name + (f" {100 * share:.0f}%" if share else "") for name, share in running.items())
        if self.bar is not None:
            self.bar.set_postfix_str(said[:90])

    def made(self, stage: Stage, artifact: Artifact, seconds: float) -> None:
        """A step, and what it took."""
        self._line(f"{stage.name:14} {artifact.metrics.get('seconds', seconds):6.1f} s  {artifact.digest[:12]}  {stage.kind.does}")

    def _line(self, text: str) -> None:
        if self.bar is None:
            return
        if self.lines:
            self.bar.write(text, file=sys.stdout)
        self.bar.update()
