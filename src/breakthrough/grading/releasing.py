"""Releasing a lab to a cohort: by nbgrader, into its exchange, every version kept by its hash."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.artifacts import sha256
from breakthrough.course import release as releases
from breakthrough.errors import InputError, NotebookError, expected
from breakthrough.grading import course_config
from breakthrough.grading.cohort import Cohort

HISTORY = "releases.json"


@dataclass(frozen=True)
class ReleasedLab:
    """One release of a lab."""

    module: str
    release_hash: str
    new: bool
    exchange: Path | None  # where learners fetch it

    def line(self) -> str:
        """What the command prints."""
        state = "released" if self.new else "released before, unchanged"
        where = f", in the exchange at {self.exchange}" if self.exchange else ", no exchange is set"
        return f"{self.module}: {state}, SHA-256 {self.release_hash[:12]}{where}"


def release(cohort: Cohort, module: str) -> ReleasedLab:
    """Release the cohort's master of a module; the same master gives the same bytes, and is kept once.

    Raises: NotebookError when the master is missing, or would leave a solution in the lab; InputError when it has
            other cells than the release that submissions answered, or the exchange refuses
    """
    master = cohort.source / module / f"{module}.ipynb"
    if not master.is_file():
        raise NotebookError(expected(f"a master at {master}", "no such file", f"breakthrough cohort init {cohort.folder}"))
    config = course_config.read_config(cohort)
    with tempfile.TemporaryDirectory(prefix="breakthrough-release-") as scratch:
        made = Path(scratch) / module
        releases.generate(master, made)
        release_hash = sha256(made / f"{module}.ipynb")
        new = latest(cohort, module) != release_hash
        _register(cohort, config, module, made / f"{module}.ipynb")
        _keep(cohort, module, made, release_hash)
    exchange = _to_exchange(cohort, config, module)
    if new:
        files.write_text(cohort.folder / HISTORY, json.dumps([*history(cohort), _entry(module, release_hash)], indent=1) + "\n")
    return ReleasedLab(module, release_hash, new, exchange)


def history(cohort: Cohort) -> list[dict[str, Any]]:
    """All releases in order: module, release_hash, released_s."""
    path = cohort.folder / HISTORY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def latest(cohort: Cohort, module: str) -> str | None:
    """The hash of a module's last release; none before the first."""
    return next((entry["release_hash"] for entry in reversed(history(cohort)) if entry["module"] == module), None)


def _entry(module: str, release_hash: str) -> dict[str, Any]:
    return {"module": module, "release_hash": release_hash, "released_s": round(time.time(), 3)}


def _register(cohort: Cohort, config: Any, module: str, lab: Path) -> None:
    """Put the lab's cells into the gradebook, as nbgrader does when it generates an assignment."""
    import nbformat
    from nbgrader.preprocessors import SaveCells

    with course_config.gradebook(cohort, config) as gradebook:
        gradebook.update_or_create_assignment(module)
    names = {"notebook": module, "assignment": module, "db_url": course_config.db_url(cohort, config)}
    try:
        SaveCells(config=config).preprocess(nbformat.read(lab, as_version=4), {"nbgrader": names})
    except RuntimeError as error:  # nbgrader's own check
        hint = "a module of another id for the new cells, or removing the assignment in the formgrader"
        raise InputError(expected(f"the graded cells of {module} that its submissions answered", error, hint)) from None


def _keep(cohort: Cohort, module: str, made: Path, release_hash: str) -> None:
    kept = cohort.released(module, release_hash)
    if not kept.is_file():
        with files.aside(kept) as part:
            shutil.copyfile(made / f"{module}.ipynb", part)
    with files.folder_aside(cohort.release / module) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True)


def _to_exchange(cohort: Cohort, config: Any, module: str) -> Path | None:
    """What `nbgrader release_assignment --force` does, when the configuration names an exchange."""
    from nbgrader.auth import Authenticator
    from nbgrader.exchange import ExchangeError, ExchangeFactory

    if not config.Exchange.get("root"):
        return None
    with course_config.nbgrader_log() as (log, said):
        step = ExchangeFactory(config=config).ReleaseAssignment(
            coursedir=course_config.course_directory(cohort, config, module), authenticator=Authenticator(config=config), config=config)
        step.log, step.force = log, True
        try:
            step.start()
        except (ExchangeError, OSError) as error:
            why = said[-1] if said else error
            raise InputError(expected(f"an exchange that takes {module}", why, "its folder and owner in nbgrader_config.py")) from None
    return Path(step.dest_path)
