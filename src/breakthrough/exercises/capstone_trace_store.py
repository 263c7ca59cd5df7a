"""Module 6: a store of artifacts as runs of the pipeline leave it, for capstone.trace."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

FACTORIES = ("north", "east", "south", "west")
PICTURES = tuple(f"pictures-{factory}" for factory in FACTORIES)
# stage: kind, parents, settings, files
STAGES: dict[str, tuple[str, tuple[str, ...], dict[str, Any], tuple[str, ...]]] = {
    **{f"pictures-{factory}": ("scenes", (), {"factory": factory, "seed": i, "light": 1.0}, ("pictures.npz", "labels.json")) for i, factory in enumerate(FACTORIES)},
    "calibration": ("calibration", ("pictures-north", "pictures-south"), {"n": 64, "light": 1.0}, ("pictures.npz",)),
    "filter": ("scenes", PICTURES, {"sharp": 0.0}, ("pictures.npz",)),
    "federated": ("inspector", PICTURES, {"rounds": 20, "workers": 2}, ("model.safetensors", "net.json")),
    "quantized": ("inspector", ("federated", "calibration"), {"bits": 8, "block": 64}, ("model.safetensors", "net.json")),
    "threshold": ("threshold", ("quantized", "pictures-east"), {"miss": 50, "false_alarm": 1}, ("threshold.json",)),
    "compiled": ("compiled", ("quantized",), {"target": "native"}, ("model.so",)),
    "served": ("served", ("compiled", "threshold"), {"resize": 64}, ("server.json",)),
}
IDLE = ("workers",)  # settings that change nothing of what is made
LATE = ("filter",)  # stages that a run has only when it is told so


class Store:
    """Runs of the pipeline. What a stage makes depends on its settings, its program, and what its parents hold on the disk."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.salt, self.now = draw, draw.random(), draw.uniform(1e4, 1e5)
        self.ids = sorted(f"{number:08x}" for number in draw.sample(range(2**32), 99))  # the latest has the lowest: an id tells no time
        self.made: dict[str, dict[str, Any]] = {}

    def run(self, change: Mapping[str, Mapping[str, Any]], shared: Mapping[str, str] | None = None, share: tuple[str, ...] = ()) -> dict[str, str]:
        """Run all stages, changed as told, and give their ids by stage.

        `change` has for a stage: "settings" that are others, the "code" that made it, its "parents" as stages,
        "damage" of a file on the disk ("wrong" or "gone"), and "as": "right" for what came out as in the run `shared`.
        Stages of `share` are that run's, and so is what they were made of.
        """
        shared = dict(shared or {})
        ids: dict[str, str] = {}
        for stage in STAGES:
            if stage in LATE and stage not in change:
                continue
            kept = any(stage in self._before(one) for one in share) and stage not in change
            ids[stage] = shared[stage] if kept else self._make(stage, change.get(stage, {}), ids, shared)
        return ids

    def artifacts(self) -> dict[str, dict[str, Any]]:
        """All manifests by id, in no order."""
        names = list(self.made)
        self.draw.shuffle(names)
        return {name: self.made[name] for name in names}

    def _before(self, stage: str) -> set[str]:
        return {stage}.union(*map(self._before, STAGES[stage][1]))

    def _make(self, stage: str, how: Mapping[str, Any], ids: Mapping[str, str], shared: Mapping[str, str]) -> str:
        kind, stages, settings, names = STAGES[stage]
        settings = {**settings, **how.get("settings", {})}
        parents = sorted(ids[parent] for parent in how.get("parents", stages))
        told = {name: value for name, value in settings.items() if name not in IDLE}
        made_of = sorted(repr((self.made[parent]["stage"], sorted(self.made[parent]["disk"].items()))) for parent in parents)
        files = {name: self._digest(stage, name) for name in names}  # what lies beside the first does not differ
        files[names[0]] = self._digest(stage, told, how.get("code"), made_of)
        files = dict(self.draw.sample(sorted(files.items()), len(files)))
        if how.get("as") == "right":
            files = dict(self.made[shared[stage]]["files"])
        self.draw.shuffle(parents)
        name = self.ids.pop()
        self.now += self.draw.uniform(5, 50)
        self.made[name] = {
            "stage": stage, "kind": kind, "parents": parents, "settings": settings, "files": files,
            "disk": self._damaged(files, names[0], how.get("damage")), "created_s": round(self.now, 2),
        }  # fmt: skip
        return name

    def _damaged(self, files: dict[str, str], first: str, damage: str | None) -> dict[str, str]:
        found = dict(files)
        if damage == "gone":
            del found[first]
        elif damage:
            found[first] = self._digest("altered", found[first])
        return found

    def _digest(self, *parts: Any) -> str:
        return hashlib.sha256(repr((self.salt, parts)).encode()).hexdigest()[:12]
