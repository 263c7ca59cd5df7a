"""A learner's own lab: run from the top in a copy, and scored by exercise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from breakthrough.course import notebooks, runs
from breakthrough.course.notebooks import Cell, Notebook
from breakthrough.course.schema import Module, Syllabus
from breakthrough.errors import InputError, expected
from breakthrough.language import ENGLISH

NOT_ATTEMPTED, NOT_REACHED, STOPPED = "not attempted", "not reached", "stopped"
CELL_LIMIT_S = {"tiny": 120, "quick": 1200, "full": 4 * 3600}
WHOLE = 3  # times a cell's limit is the most for the whole lab


@dataclass(frozen=True)
class Score:
    """The score of one exercise.

    Units: `points` earned out of `of`
    """

    exercise: str
    status: str  # passed, wrong, not attempted, not reached, stopped (its cell took too long)
    points: float
    of: float
    says: str = ""

    @property
    def passed(self) -> bool:
        """Whether all points are earned."""
        return self.status == "passed"


@dataclass(frozen=True)
class Checked:
    """What a run of a learner's lab gave."""

    scores: tuple[Score, ...]
    claims: Mapping[str, str]  # the verdict of every claim of the module, empty where none was recorded
    stopped: tuple[str, ...] = ()  # a sentence for every cell that took too long, and for the lab if it did

    @property
    def passed(self) -> bool:
        """Whether all points are earned."""
        return all(score.passed for score in self.scores)


def find_lab(course: Syllabus, name: str, language: str = ENGLISH) -> Module:
    """The module of a name, which has a lab, and a file the learner works in, in a language.

    Raises: UnknownNameError for another name; InputError when there is no lab, or no file
    """
    module = course.find_built(name, offer=course.labs)
    if not module.has_lab:
        raise InputError(expected("a module with a lab", module.id, " or ".join(m.id for m in course.labs)))
    lab = course.lab(module, language)
    if not lab.is_file():
        how = "" if language == ENGLISH else f"--lang {language} "
        raise InputError(expected(f"your lab at {lab}", "no file", f"breakthrough release {how}{module.id}"))
    return module


def run_lab(course: Syllabus, module: Module, profile: str = "tiny", *, limit_s: float | None = None,
            on_cell: Callable[[int, str], None] | None = None, language: str = ENGLISH) -> Checked:
    """Run a copy of the learner's lab, errors allowed, and score every exercise of the module.

    Units:  `limit_s` for one cell, by profile unless given; the whole lab may take three times as long
    Raises: InputError when the module has no lab or the file is missing; ConfigError for a profile
    """
    from breakthrough.course import execution

    runs.validate_profile(profile)
    source = course.lab(find_lab(course, module.id, language), language)
    limit_s = limit_s or CELL_LIMIT_S[profile]
    target = course.root / "build" / "check" / source.name
    outcome = execution.execute(
        source, target, parameters={"PROFILE": profile, "SEED": 0}, environment={}, limit_s=WHOLE * limit_s,
        cell_limit_s=limit_s, allow_errors=True, on_cell=on_cell,
    )
    executed = notebooks.read(target)
    ended = "" if outcome.status == "passed" else f"the lab ended early: {outcome.error}"
    stopped = [*_slow(module, executed, outcome.slow), *([ended] if ended else [])]
    verdicts = notebooks.claims(executed)
    return Checked(
        tuple(score(module, executed, outcome.slow, ended)),
        {name: verdicts[name]["verdict"] if name in verdicts else "" for name in module.claims}, tuple(stopped),
    )


def score(module: Module, executed: Notebook, slow: Mapping[str, float] | None = None, ended: str = "") -> list[Score]:
    """The score of every exercise of a module in an executed lab.

    `slow` has the seconds after which cells were interrupted, by id; `ended` says why the rest was not reached.
    """
    checks, graded = notebooks.checks(executed), _graded(executed)
    scores = []
    for name in module.exercises:
        if name in checks:
            got = checks[name]
            says = "" if got["status"] == NOT_ATTEMPTED else got["says"]
            scores.append(Score(name, got["status"], got["points"], got["of"], says))
        else:
            grade_id = notebooks.check_id(name)
            cells = [graded[one] for one in (grade_id, f"{grade_id}-answer") if one in graded]
            points = cells[0]["metadata"]["nbgrader"].get("points", 0) if cells else 0
            scores.append(Score(name, *_unchecked(cells, slow or {}, ended, points)))
    return scores


def _unchecked(cells: Sequence[Cell], slow: Mapping[str, float], ended: str, points: float) -> tuple[str, float, float, str]:
    """Status, points and reason of an exercise whose check showed nothing; its cells, the check first."""
    for cell in cells:
        if cell.get("id") in slow:
            return STOPPED, 0, points, f"interrupted after {slow[cell['id']]:g} s: does a loop never end?"
    errors = [f"{one['ename']}: {one['evalue']}" for cell in cells[:1] for one in cell["outputs"] if one["output_type"] == "error"]
    if errors:
        return NOT_REACHED, 0, points, f"its check cell raised {errors[0]}"
    return NOT_REACHED, 0, points, ended or "its check did not run: is the cell still there?"


def _slow(module: Module, executed: Notebook, slow: Mapping[str, float]) -> Iterator[str]:
    names = {notebooks.check_id(name): name for name in module.exercises}
    for cell in executed["cells"]:
        if cell.get("id") in slow:
            exercise = names.get(notebooks.grade_id(cell).removesuffix("-answer"))
            where = f"cell {cell['id']} ({exercise})" if exercise else f"cell {cell['id']}"
            yield f"{where} ran longer than {slow[cell['id']]:g} s and was interrupted; --limit SECONDS gives it more"


def _graded(notebook: Notebook) -> dict[str, Cell]:
    """The cells nbgrader knows, by grade id."""
    return {name: cell for cell in notebook["cells"] if (name := notebooks.grade_id(cell))}
