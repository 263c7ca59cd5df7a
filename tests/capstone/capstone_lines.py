"""A small made-up line: three factories with 40 random pictures each in a domain, and scores that are mostly right."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from breakthrough.artifacts import Artifact
from breakthrough.capstone.line import DOMAINS, VALID, VERSIONS, Line
from breakthrough.capstone.spec import Spec
from breakthrough.capstone.stations import FRAME
from breakthrough.federated.factories import Factory
from breakthrough.scenes.ranges import Ranges
from breakthrough.scenes.spec import DEFECTS
from breakthrough.train.pictures import Pictures

NAMES = ("north", "<script>alert(1)</script>", "a & b")
COUNT, SIZE = 40, 24
LATENCY = {"1": {"runs": 400, "p50_ms": 1.5, "p90_ms": 1.9, "p99_ms": None, "times as fast": {"value": 3.0, "low": 2.8, "high": None}}}


def scores_of(labels: np.ndarray, right: float, draw: np.random.Generator) -> np.ndarray:
    """Scores of which about a share is right."""
    found = draw.normal(size=(len(labels), len(DEFECTS)))
    sure = draw.random(len(labels)) < right
    found[np.flatnonzero(sure), labels[sure]] += 6
    return found.astype(np.float32)


def pictures_of(draw: np.random.Generator, without: int | None = None) -> Pictures:
    """Random pictures with a square of a defect in each faulty one."""
    labels = np.tile(np.arange(len(DEFECTS)), len(NAMES) * COUNT // len(DEFECTS))
    labels = labels if without is None else np.where(labels == without, (without + 1) % len(DEFECTS), labels)
    images = draw.integers(0, 256, (len(labels), SIZE, SIZE, 3), dtype=np.uint8)
    parts = np.zeros((len(labels), SIZE, SIZE), np.uint8)
    parts[:, 6:14, 8:12] = labels[:, None, None]
    return Pictures(images, labels, DEFECTS, parts=parts)


def made_line(seed: int = 0, without: int | None = None, right: float = 0.8) -> Line:
    """A line; `without` is a class of which the line domain has no picture."""
    draw = np.random.default_rng(seed)
    factories = tuple(Factory(name, f"words of {name}", Ranges(**FRAME)) for name in NAMES)
    sets = {DOMAINS[0]: pictures_of(draw), DOMAINS[1]: pictures_of(draw, without)}
    owner = {domain: np.repeat(np.arange(len(NAMES)), COUNT) for domain in DOMAINS}
    valid = np.tile(np.arange(len(DEFECTS)), 12)
    labels = {domain: sets[domain].labels for domain in DOMAINS} | {VALID: valid}
    scores = {domain: {version: scores_of(mine, right, draw) for version in VERSIONS} for domain, mine in labels.items()}
    served = scores[DOMAINS[0]][VERSIONS[-1]].argmax(1)
    spec = Spec(factories=factories, size=SIZE, train=100, valid=20, test=COUNT, traced=COUNT)
    return Line(spec, artifacts_of(), sets, owner, scores, valid, served)


def artifacts_of() -> dict[str, Artifact]:
    """What the stages would have saved, as far as the report reads it."""
    load = [outcome(1, 400.0, 2.4), outcome(8, 900.0, 9.1)]
    version = {"latency": LATENCY, "bytes": {"model.so": 300_000, "weights.safetensors": 50_000}, "gained": None}
    compiled = {"machine": "a <machine>", "threads": 1, "float32": {"latency": LATENCY}, "fp32": version, "int8": version, "seconds": 12.5}
    metrics = {"scenes": {"seconds": 60.0}, "federated": {"seconds": 200.0}, "compiled": compiled, "served": {"load": load, "seconds": 8.0}}
    return {stage: Artifact(stage, f"20260101-000000-{i}", Path(stage), {}, told) for i, (stage, told) in enumerate(metrics.items())}


def outcome(clients: int, throughput: float, p99_ms: float) -> dict:
    """What a load found."""
    counts = {"clients": clients, "sent": 100, "answered": 99, "refused": 1, "failed": 0, "lost": 0}
    return counts | {"throughput": throughput, "p50_ms": p99_ms / 2, "p90_ms": p99_ms / 1.2, "p99_ms": p99_ms, "statuses": {"200": 99, "503": 1}, "cpu_ms": float("nan")}
