"""What a stage is told, as plain data, so that it can be told on another machine."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from breakthrough import artifacts, files
from breakthrough.artifacts import Artifact
from breakthrough.capstone.spec import Spec

PROGRESS, TELL_S = "progress.json", 0.5


@dataclass(frozen=True)
class Order:
    """One stage to be made.

    `inputs` are the folders of the artifacts it needs, by the name of their stage; `folder` is its own while it works, and
    what is left in it by a run that was killed is gone on with. `told` goes into the artifact's metrics.
    """

    stage: str
    profile: str
    plain: Mapping[str, Any]
    inputs: Mapping[str, str]
    folder: str
    store: str
    told: Mapping[str, Any]
    began_s: float = field(default_factory=time.time)

    @cached_property
    def spec(self) -> Spec:
        """The line that is built."""
        return Spec.from_dict(self.plain)

    @property
    def factory(self) -> str:
        """The factory of a stage such as train.north."""
        return self.stage.partition(".")[2]

    @property
    def work(self) -> Path:
        """Where it works."""
        return Path(self.folder)

    def input(self, stage: str) -> Artifact:
        """An artifact that it needs, its files verified.

        Raises: ArtifactError when a file is missing or altered
        """
        return artifacts.load(self.inputs[stage])

    def those(self, kind: str) -> list[Artifact]:
        """The artifacts of all factories of a kind of stage, in order: train, test or traced."""
        return [self.input(f"{kind}.{name}") for name in self.spec.names]

    def metrics(self) -> dict[str, Any]:
        """What is known of how it was made, with the seconds that it has taken."""
        return {**self.told, "seconds": round(time.time() - self.began_s, 2)}

    def tell(self, done: float, total: float) -> None:
        """Say how far it is, to whoever looks at its folder."""
        path = self.work / PROGRESS
        if done >= total or not path.exists() or time.time() - path.stat().st_mtime > TELL_S:
            files.write_text(path, json.dumps([done, total]))

    def to_json(self) -> str:
        """Plain text for another process."""
        names = ("stage", "profile", "plain", "inputs", "folder", "store", "told")
        return json.dumps({name: getattr(self, name) for name in names})

    @classmethod
    def from_json(cls, text: str) -> Order:
        """What `to_json` wrote; its clock begins now."""
        return cls(**json.loads(text))
