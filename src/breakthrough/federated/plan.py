"""What a federated run is: plain data that the server, the checkpoint and the figures read."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.errors import ConfigError, expected, unknown

STRATEGIES = ("fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi")
PROTECTIONS = ("plain", "masked", "encrypted")


@dataclass(frozen=True)
class Plan:
    """One federated run.

    `options` go to Flower's strategy (`server_momentum`, `eta`, `proximal_mu`…). With `clip`, every client
    clips its update to that norm, all clients weigh the same, and the server adds noise: differential
    privacy for clients.

    `data` names a set where nodes keep several, as in simulation.

    Units:  epochs are passes over the own data in a round, of `steps` batches at most, where that is not 0: nodes that
            meet more often drift apart less; average is the decay of the running mean of a node's weights in a round,
            which is what it sends, 0 for the last ones; lr falls along a half cosine over the rounds to
            lr_end of itself; fraction of the nodes take part in a round, never fewer than `least`;
            clip is an L2 norm, noise is Gaussian with deviation noise · clip / clients; limit bounds a
            number of an update in fixed point and CKKS, most the examples of a node; timeout_s for one answer
    Raises: ConfigError for a number out of range; UnknownNameError for a strategy or a protection
    """

    task: str = "digits"
    data: str = ""
    rounds: int = 10
    epochs: int = 1
    steps: int = 0
    batch_size: int = 32
    lr: float = 0.1
    lr_end: float = 0.1
    momentum: float = 0.9
    average: float = 0.0
    strategy: str = "fedavg"
    options: dict[str, float] = field(default_factory=dict)
    protection: str = "plain"
    clip: float | None = None
    noise: float = 0.0
    limit: float = 8.0
    most: int = 2048
    fraction: float = 1.0
    least: int = 2
    timeout_s: float = 600.0
    evaluate_every: int = 0
    seed: int = 0
    task_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name in ("rounds", "epochs", "batch_size", "lr", "limit", "most", "timeout_s"):
            if not getattr(self, name) > 0 or not math.isfinite(getattr(self, name)):
                raise ConfigError(expected(f"{name} above 0", getattr(self, name)))
        for name, low, high in (("steps", 0, 1e9), ("fraction", 0.01, 1), ("momentum", 0, 0.9999), ("average", 0, 0.9999), ("lr_end", 0, 1), ("noise", 0, 1e6)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(expected(f"{name} from {low} to {high}", getattr(self, name)))
        if self.least < 1 or (self.protection == "masked" and self.least < 2):
            raise ConfigError(expected("least of at least 2: a sum of one hides nothing", self.least))
        if self.data and not self.data.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise ConfigError(expected("data to be a plain name, no path", repr(self.data)))
        if self.strategy not in STRATEGIES:
            raise unknown("strategy", self.strategy, STRATEGIES)
        if self.protection not in PROTECTIONS:
            raise unknown("protection", self.protection, PROTECTIONS)
        if self.noise and not self.clip:
            raise ConfigError(expected("a clip to go with the noise", self.clip, "clip=1.0: noise protects clipped updates only"))
        if self.clip is not None and not self.clip > 0:
            raise ConfigError(expected("clip above 0, or None", self.clip))

    def lr_of(self, number: int) -> float:
        """The learning rate of a round, counted from 1."""
        place = (number - 1) / max(1, self.rounds - 1)
        return self.lr * (self.lr_end + (1 - self.lr_end) * 0.5 * (1 + math.cos(math.pi * place)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """The plan as one line of JSON, the same for equal plans."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plan:
        """The plan that `to_dict` wrote.

        Raises: ConfigError for a name that is not of a plan
        """
        names = {one.name for one in fields(cls)}
        for name in data:
            if name not in names:
                raise unknown("setting of a plan", name, names)
        return cls(**data)

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON."""
        files.write_text(Path(path), json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan from JSON.

        Raises: ConfigError when the file is not there or no plan
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError, TypeError) as error:
            raise ConfigError(expected(f"a plan as JSON in {path}", repr(error))) from error
