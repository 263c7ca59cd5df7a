"""Labs are in step with their masters, score nothing untouched, and everything when solved."""

import pytest

from breakthrough.course import answers, execution, notebooks, release, runs, syllabus

COURSE = syllabus.load()
labs = pytest.mark.parametrize("module", COURSE.labs, ids=lambda module: module.id)
built = pytest.mark.parametrize("module", COURSE.built, ids=lambda module: module.id)


@labs
def test_a_lab_is_what_its_master_gives(module):
    [released] = release.release(COURSE, [module], check=True)
    assert released.differ == ()


@labs
def test_a_lab_has_nothing_of_the_solution(module):
    master, lab = notebooks.read(COURSE.solution(module)), notebooks.read(COURSE.lab(module))
    assert list(release.solution_lines(master)), "the scan knows no solution line: it would find nothing"
    assert list(release.scan(master, lab)) == []


@built
def test_lesson_and_solved_lab_earn_every_point(module, tmp_path):
    results = runs.run(runs.Plan(COURSE, "tiny", build=tmp_path), [module])
    assert [(one.name, one.error) for one in results if not one.whole] == []
    assert sum(one.points for one in results) == module.points.lesson + module.points.lab


@labs
def test_an_untouched_lab_scores_nothing(module, tmp_path):
    target = tmp_path / "lab.ipynb"
    own = runs.Plan(COURSE, "tiny", build=tmp_path).environment()
    execution.execute(COURSE.lab(module), target, parameters={"PROFILE": "tiny", "SEED": 0}, environment=own,
                      limit_s=runs.LIMIT_S["tiny"], allow_errors=True)
    scores = answers.score(module, notebooks.read(target))
    assert sum(score.points for score in scores) == 0
    assert [score.exercise for score in scores] == list(module.exercises)
    assert {score.status for score in scores} <= {"not attempted", answers.NOT_REACHED}
