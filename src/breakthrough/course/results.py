"""What executed notebooks gave, kept after every notebook in build/run/<profile>/results.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from breakthrough import files
from breakthrough.course.plan import Plan

RESULTS = "results.json"


@dataclass(frozen=True)
class Result:
    """What one executed notebook gave.

    Units: `points` earned out of `of`; `seconds` of wall time; `key` is the hash of all inputs;
           `peak_bytes` is the most that the kernel and the processes it started held, `cpu_s` what processors
           worked for them, both as `memory.Peak` has them
    """

    name: str
    module: str
    kind: str
    status: str  # passed, short (of points), failed, timeout, missing
    seconds: float
    points: float
    of: float
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: str | None = None
    key: str = ""
    output_sha256: str = ""
    resumed: bool = False
    peak_bytes: int = 0
    cpu_s: float = 0.0
    gives: dict[str, str] = field(default_factory=dict)  # ids of the artifacts it left for others, by kind

    @property
    def whole(self) -> bool:
        """Whether it ran to its end and earned every point."""
        return self.status == "passed"

    def line(self) -> str:
        """The one line of a notebook: seconds, points, claims, and what went wrong."""
        mark = "ok" if self.whole else "FAILED"
        parts = [f"{self.name:<18} {mark:<6} {self.seconds:7.1f} s {self.peak_bytes / 2**20:6.0f} MiB  {self.points:g}/{self.of:g} points"]
        if self.claims:
            parts.append("claims " + ", ".join(f"{name}: {c['verdict']}" for name, c in sorted(self.claims.items())))
        if self.resumed:
            parts.append("unchanged")
        if self.error:
            parts.append(self.error)
        return "  ".join(parts)


def load_results(plan: Plan) -> dict[str, Result]:
    """The kept results of a profile, by name, in course order; a damaged file counts as none."""
    try:
        kept = json.loads((plan.folder / RESULTS).read_text())
        found = {name: Result(**record) for name, record in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {task.name: found[task.name] for task in plan.tasks() if task.name in found}


def keep(plan: Plan, result: Result) -> None:
    """Keep a result beside those of the other notebooks."""
    kept = {name: asdict(other) for name, other in load_results(plan).items()}
    kept[result.name] = asdict(result)
    files.write_text(plan.folder / RESULTS, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
