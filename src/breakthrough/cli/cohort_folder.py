"""The cohort that a command is about: that of the current folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breakthrough.grading.cohort import Cohort


def named(module: str) -> tuple[Cohort, str]:
    """The cohort of the current folder, and the id of one of its modules."""
    cohort = current()
    return cohort, module_of(cohort, module)


def current() -> Cohort:
    """The cohort of the current folder."""
    from breakthrough.grading import cohort as cohorts

    return cohorts.find()


def module_of(cohort: Cohort, name: str) -> str:
    """The id of a module of the cohort's project, or of a master that only the cohort has."""
    from breakthrough.course import syllabus

    own = sorted(path.name for path in cohort.source.iterdir() if path.is_dir())
    if name in own:
        return name
    course = syllabus.load(cohort.project)
    return course.find_built(name, offer=[module for module in course.labs if module.id in own]).id
