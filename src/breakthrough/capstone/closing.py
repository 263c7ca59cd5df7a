"""The last stage: the line as one artifact, which names everything that it was made from.

    net/model.safetensors, net/config.json   the federated net in float32, what a leaderboard measures again
    int8/…, fp32/…                           the compiled versions, as `breakthrough serve` takes them
    answers.npz, served.npz                  what was answered, by which the figures can be checked
    spec.json                                what was asked for
"""

from __future__ import annotations

import json
from pathlib import Path

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.capstone import probing, shrinking
from breakthrough.capstone.order import Order
from breakthrough.deploy.handover import FILES as COMPILED
from breakthrough.train.inspector import CONFIG, WEIGHTS

KIND, SPEC = "line", "spec.json"


def line(order: Order) -> Artifact:
    """Put together what is handed over."""
    federated, compiled = order.input("federated"), order.input("compiled")
    answered, said = order.input("answers"), order.input("served")
    files: dict[str, artifacts.Writer | Path] = {f"net/{name}": federated.path(name) for name in (WEIGHTS, CONFIG)}
    files |= {name: compiled.path(name) for name in COMPILED}
    files |= {shrinking.FILE: answered.path(shrinking.FILE), probing.FILE: said.path(probing.FILE)}
    plain = json.dumps(order.plain, indent=1, sort_keys=True) + "\n"
    files[SPEC] = lambda path: path.write_text(plain, encoding="utf-8")
    parents = tuple(order.input(name) for name in reversed(tuple(order.inputs)))  # what is nearest first
    told = order.metrics() | {"accuracy": said.metrics["accuracy"], "load": said.metrics["load"]}
    return artifacts.save(KIND, files, metrics=told, parents=parents, profile=order.profile)
