"""A learner's own lab: run from the top in a copy, and scored by exercise."""

from __future__ import annotations

from dataclasses import dataclass

from breakthrough.course import notebooks
from breakthrough.course.runs import LIMIT_S
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import ConfigError, InputError, expected

NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Score:
    """The score of one exercise.

    Units: `points` earned out of `of`
    """

    exercise: str
    status: str  # passed, wrong, not attempted, not reached
    points: float
    of: float
    says: str = ""

    @property
    def passed(self) -> bool:
        """Whether all points are earned."""
        return self.status == "passed"


def run_lab(course: Syllabus, module: Module, profile: str = "tiny") -> list[Score]:
    """Run a copy of the learner's lab, errors allowed, and score every exercise of the module.

    Raises: InputError when the module has no lab or the file is missing; ConfigError for a profile
    """
    from breakthrough.course import execution

    if profile not in LIMIT_S:
        raise ConfigError(expected(f"a profile out of {', '.join(LIMIT_S)}", repr(profile)))
    source = course.lab(module)
    if not module.has_lab:
        raise InputError(expected("a module with a lab", module.id, " or ".join(m.id for m in course.labs)))
    if not source.is_file():
        raise InputError(expected(f"your lab at {source}", "no file", f"breakthrough release {module.id}"))
    target = course.root / "build" / "check" / source.name
    outcome = execution.execute(
        source, target, parameters={"PROFILE": profile, "SEED": 0}, environment={},
        limit_s=LIMIT_S[profile], allow_errors=True,
    )
    stopped = "" if outcome.status != "timeout" else f"the lab took {outcome.error}"
    return score(module, notebooks.read(target), stopped)


def score(module: Module, executed: notebooks.Notebook, stopped: str = "") -> list[Score]:
    """The score of every exercise of a module in an executed lab; `stopped` says why the rest was not reached."""
    checks, points = notebooks.checks(executed), graded_points(executed)
    scores = []
    for name in module.exercises:
        if name in checks:
            got = checks[name]
            scores.append(Score(name, got["status"], got["points"], got["of"], got["says"]))
        else:
            reason = stopped or "its check did not run: is the cell still there?"
            scores.append(Score(name, NOT_REACHED, 0, points.get(name.replace(".", "-"), 0), reason))
    return scores


def graded_points(notebook: notebooks.Notebook) -> dict[str, float]:
    """The points of every graded cell, by grade id."""
    found = (cell.get("metadata", {}).get("nbgrader", {}) for cell in notebook["cells"])
    return {meta["grade_id"]: meta["points"] for meta in found if meta.get("grade")}
