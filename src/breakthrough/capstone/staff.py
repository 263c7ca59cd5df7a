"""The small line that stands in for a learner's own, built on demand in a minute; its figures say nothing."""

from __future__ import annotations

from breakthrough.artifacts import Artifact
from breakthrough.capstone.handover import save_line
from breakthrough.capstone.pipeline import build


def line() -> Artifact:
    """Build the line of the profile tiny, or what is left of it, and save it."""
    return save_line(build("tiny", here=True), staff=True)
