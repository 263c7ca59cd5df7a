"""The line as an artifact of the course: what the capstone hands over, and what a leaderboard measures again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.capstone.closing import KIND
from breakthrough.capstone.engine import Built
from breakthrough.errors import ArtifactError, expected


def save_line(built: Built, *, metrics: Mapping[str, Any] | None = None, staff: bool = False) -> Artifact:
    """Put a line that was built among the course's artifacts; its parents stay where the stages made them.

    Raises: ArtifactError when the build ended before the line
    """
    if KIND not in built.artifacts:
        raise ArtifactError(expected("a line that was built to its end", f"stages up to {list(built.artifacts)[-1]}", "building without until"))
    line = built.artifacts[KIND]
    files = {name: line.path(name) for name in line.files}
    return artifacts.save(KIND, files, metrics={**line.metrics, **(metrics or {})}, parents=line.parents, profile=line.profile, staff=staff)
