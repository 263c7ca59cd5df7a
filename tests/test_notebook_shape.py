"""Every notebook that is built has the shape of the course and agrees with course.yml and the exercises."""

import pytest

from breakthrough.course import agreement, syllabus, validate

COURSE = syllabus.load()
built = pytest.mark.parametrize("module", COURSE.built, ids=lambda module: module.id)


def test_course_yml_names_the_exercises_there_are():
    assert agreement.name_faults(COURSE) == []


@built
def test_a_modules_notebooks_have_the_shape(module):
    assert validate.shape_faults(COURSE, module) == []


@built
def test_a_modules_points_minutes_and_metadata_agree(module):
    assert agreement.faults(COURSE, module) == []


def test_no_notebook_is_outside_the_course():
    folders = {"notebooks": COURSE.lesson, "solutions": COURSE.solution, "labs": COURSE.lab}
    for name, place in folders.items():
        there = {path for path in (COURSE.root / name).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
        assert there <= {place(module) for module in COURSE.built}
