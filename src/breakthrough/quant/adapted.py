"""What adaptation found: the new and the old domain before and after, and the bytes of a step, seed by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from breakthrough import files
from breakthrough.errors import UnknownNameError, expected
from breakthrough.quant.memory import Bytes
from breakthrough.train.comparison import Estimate, estimate

FULL = "full"


@dataclass(frozen=True)
class Run:
    """One model of one seed, adapted by one method.

    Shapes: steps, new, old one an evaluation, the first before any step
    Units:  nats per byte; `trained` counts weights
    """

    steps: tuple[int, ...]
    new: tuple[float, ...]
    old: tuple[float, ...]
    trained: int
    bytes: Bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """The run that `to_dict` wrote."""
        curves = {name: tuple(data[name]) for name in ("steps", "new", "old")}
        return cls(**{**data, **curves, "bytes": data["bytes"] and Bytes(**data["bytes"])})


@dataclass(frozen=True)
class Adaptation:
    """The runs of a study: for every architecture and method one a seed.

    Units:  losses in nats per byte
    """

    study: str
    seeds: tuple[int, ...]
    runs: Mapping[tuple[str, str], tuple[Run, ...]]

    @property
    def architectures(self) -> tuple[str, ...]:
        """`dense`, `moe`, in the order of the study."""
        return tuple(dict.fromkeys(architecture for architecture, _ in self.runs))

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways to adapt, in the order of the study."""
        return tuple(dict.fromkeys(method for _, method in self.runs))

    def after(self, method: str, architecture: str = "dense", domain: str = "new") -> Estimate:
        """The loss on the new or the old domain after the last step.

        Raises: UnknownNameError for what is not in the study
        """
        return estimate(getattr(run, domain)[-1] for run in self._runs(architecture, method))

    def change(self, method: str, architecture: str = "dense", domain: str = "new") -> Estimate:
        """The loss after minus that before, by seed: what was learned of the new domain, or forgotten of the old.

        For QLoRA, before is the base in NF4. Raises: UnknownNameError for what is not in the study
        """
        return estimate(getattr(run, domain)[-1] - getattr(run, domain)[0] for run in self._runs(architecture, method))

    def behind(self, method: str, architecture: str = "dense", domain: str = "new", against: str = FULL) -> Estimate:
        """The loss after minus that of another method, full fine-tuning by default, paired by seed: above 0 it is worse.

        Raises: UnknownNameError for what is not in the study
        """
        pairs = zip(self._runs(architecture, method), self._runs(architecture, against))
        return estimate(getattr(a, domain)[-1] - getattr(b, domain)[-1] for a, b in pairs)

    def bytes(self, method: str, architecture: str = "dense") -> Bytes:
        """What a step takes: of the first seed, for sizes do not depend on it."""
        return cast(Bytes, self._runs(architecture, method)[0].bytes)  # measured in every run of a study

    def peak_share(self, method: str, architecture: str = "dense", against: str = FULL) -> float:
        """The peak bytes of a step over those of another method."""
        return self.bytes(method, architecture).peak / self.bytes(against, architecture).peak

    def __str__(self) -> str:
        """The table: losses after, mean and half of the 95% interval over seeds; weights trained; bytes of a step."""
        head = f"{'':6} {'method':18} {'new domain':>17} {'old domain':>17} {'behind full':>18} {'trained':>9} {'state kB':>9} {'peak MB':>8}"
        return "\n".join([head, *(self._line(*key) for key in self.runs)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        rows = [{"architecture": a, "method": m, "runs": [run.to_dict() for run in runs]} for (a, m), runs in self.runs.items()]
        return {"study": self.study, "seeds": list(self.seeds), "rows": rows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Adaptation:
        """The adaptation that `to_dict` wrote."""
        runs = {(row["architecture"], row["method"]): tuple(map(Run.from_dict, row["runs"])) for row in data["rows"]}
        return cls(data["study"], tuple(data["seeds"]), runs)

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        files.write_text(Path(path), json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | Path) -> Adaptation:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def _runs(self, architecture: str, method: str) -> tuple[Run, ...]:
        if (architecture, method) not in self.runs:
            hint = f"{' or '.join(self.architectures)}, and one of {', '.join(self.methods)}"
            raise UnknownNameError(expected("a run of the study", f"{architecture!r} by {method!r}", hint))
        return self.runs[architecture, method]

    def _line(self, architecture: str, method: str) -> str:
        new, old = (self.after(method, architecture, domain) for domain in ("new", "old"))
        behind = self.behind(method, architecture) if (architecture, FULL) in self.runs else None
        step = self.bytes(method, architecture)
        text = f"{behind.mean:+8.4f} ± {behind.half:6.4f}" if behind else " " * 18
        figures = f"{self.runs[architecture, method][0].trained:9} {step.state / 1e3:9.1f} {step.peak / 1e6:8.2f}"
        return f"{architecture:6} {method:18} {new.mean:7.4f} ± {new.half:6.4f} {old.mean:7.4f} ± {old.half:6.4f} {text} {figures}"
