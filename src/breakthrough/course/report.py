"""The report of a run: one self-contained page."""

from __future__ import annotations

from pathlib import Path

from breakthrough.course import runs


def write(plan: runs.Plan) -> Path:
    """Write the page of a profile's last run and return its path."""
    target = plan.course.root / "build" / "report" / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(result.line() for result in runs.load_results(plan).values()))
    return target
