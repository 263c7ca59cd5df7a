import json

import pytest
from toy_course import DOUBLE, TOY_CHECK, lab_cells, lesson_cells, write_notebook

from breakthrough.course import runs
from breakthrough.errors import ConfigError

QUESTION = ("code", TOY_CHECK), ("code", 'check("toy.q_one", 1)')


@pytest.fixture
def plan(course, course_folder):
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(*QUESTION))
    return runs.Plan(course, "tiny")


def toy(plan, **options):
    return runs.run(plan, [plan.course.find("toy")], **options)


def test_tasks_are_lesson_then_lab_in_course_order(plan):
    assert [task.name for task in plan.tasks()] == ["00_start lesson", "01_toy lesson", "01_toy lab"]
    assert [task.of for task in plan.tasks()] == [1, 9, 70]


def test_a_run_earns_every_point_and_keeps_its_results(plan):
    lesson, lab = toy(plan)
    assert (lesson.status, lesson.points, lesson.of) == ("passed", 9, 9)
    assert (lab.status, lab.points, lab.of) == ("passed", 70, 70)
    assert list(runs.load_results(plan).values()) == [lesson, lab]
    assert "70/70 points" in lab.line() and " ok " in lab.line()


def test_a_failing_notebook_does_not_hide_the_rest(plan, course_folder):
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", ("code", "1 / 0"))
    lesson, lab = toy(plan)
    assert (lesson.status, lab.status) == ("failed", "passed")
    assert "FAILED" in lesson.line() and "ZeroDivisionError" in lesson.line()


def test_a_missing_notebook_is_a_failure_not_a_gap(plan, course_folder):
    plan.course.solution(plan.course.find("toy")).unlink()
    _lesson, lab = toy(plan)
    assert (lab.status, lab.points, lab.of) == ("missing", 0, 70)
    assert not lab.whole and "solutions/01_toy/01_toy.ipynb" in lab.line()


def test_a_solution_that_loses_points_is_no_success(plan, course_folder):
    wrong = lab_cells(double=DOUBLE.replace("x + x", "x + 1"))
    cells = [(kind, source.replace('assert status == "passed"', "assert True"), *more) for kind, source, *more in wrong]
    write_notebook(plan.course.solution(plan.course.find("toy")), *cells)
    _, lab = toy(plan)
    assert (lab.status, lab.points, lab.whole) == ("short", 30, False)
    assert "not passed: toy.double" in lab.line()


def test_resume_skips_what_is_whole_and_unchanged(plan, course_folder):
    toy(plan)
    assert [result.resumed for result in toy(plan, resume=True)] == [True, True]
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(*QUESTION, ("code", "'changed'")))
    assert [result.resumed for result in toy(plan, resume=True)] == [False, True]


def test_resume_runs_again_what_was_altered_or_depends_on_another_seed(plan):
    toy(plan)
    lesson, lab = plan.tasks()[1:]
    lab.target.write_text(lab.target.read_text() + "\n")
    assert [result.resumed for result in toy(plan, resume=True)] == [True, False]
    key = runs.input_key(plan, lesson, "library")
    assert key != runs.input_key(runs.Plan(plan.course, "tiny", seed=1), lesson, "library")
    assert key != runs.input_key(runs.Plan(plan.course, "tiny", device="cpu"), lesson, "library")
    assert key != runs.input_key(plan, lesson, "another library")
    assert key == runs.input_key(plan, lesson, "library")


def test_without_resume_all_runs_again(plan):
    toy(plan)
    assert [result.resumed for result in toy(plan)] == [False, False]


def test_results_of_other_modules_are_kept(plan):
    toy(plan)
    kept = json.loads((plan.folder / runs.RESULTS).read_text())
    kept["00_start lesson"] = {**kept["01_toy lesson"], "name": "00_start lesson", "module": "00_start"}
    (plan.folder / runs.RESULTS).write_text(json.dumps(kept))
    toy(plan, resume=True)
    assert list(runs.load_results(plan)) == ["00_start lesson", "01_toy lesson", "01_toy lab"]


@pytest.mark.parametrize("content", ["", "[]", "null", '{"a": 1}', '{"01_toy lab": {"what": 1}}'])
def test_damaged_results_count_as_none(plan, content):
    plan.folder.mkdir(parents=True)
    (plan.folder / runs.RESULTS).write_text(content)
    assert runs.load_results(plan) == {}


def test_a_run_leaves_the_learners_own_log_and_store_alone(plan, course_folder):
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(*QUESTION, (
        "code", "from breakthrough import artifacts, events\nevents.append('x')\n"
                "artifacts.save('toy', {'a.json': lambda path: path.write_text('{}')})")))
    toy(plan)
    assert not (course_folder / ".progress").exists() and not (course_folder / "artifacts").exists()
    assert (plan.folder / "progress" / "events.jsonl").is_file()
    assert len(list((plan.folder / "artifacts" / "toy").iterdir())) == 1
    assert sorted(path.name for path in (course_folder / "notebooks").iterdir()) == ["00_start.ipynb", "01_toy.ipynb"]


def test_the_watcher_sees_every_notebook_and_cell(plan):
    seen = []

    class Watcher(runs.Watcher):
        def begin(self, task, cells):
            seen.append(("begin", task.name, cells))

        def cell(self, task, index, name):
            seen.append((index, name))

        def end(self, task, result):
            seen.append(("end", result.status))

    toy(plan, watcher=Watcher())
    assert seen[0] == ("begin", "01_toy lesson", 6) and seen.count(("end", "passed")) == 2
    assert [index for index, _ in seen[1:7]] == [0, 1, 2, 3, 4, 5]
    assert (0, "cell-00") in seen and (5, "cell-04") in seen  # the injected parameters are a cell of their own


@pytest.mark.parametrize("options", [{"profile": "fast"}, {"device": "tpu"}])
def test_unknown_profiles_and_devices_are_refused(course, options):
    with pytest.raises(ConfigError, match="expected a (profile|device) out of"):
        runs.Plan(course, **options)


def test_modules_that_take_an_artifact_depend_on_the_lab_that_gives_it(course_folder):
    from breakthrough.course import syllabus

    text = (course_folder / "course.yml").read_text().replace("    state: planned\n", "    hours: {lab: 7, exchange: 2, lesson: 1}\n")
    plan = runs.Plan(syllabus.parse(text, course_folder), "tiny")
    later = plan.tasks()[-1]
    before = runs.input_key(plan, later, "library")
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", ("code", "'a lesson gives nothing'"))
    assert runs.input_key(plan, later, "library") == before
    write_notebook(course_folder / "solutions" / "01_toy" / "01_toy.ipynb", ("code", "'changed'"))
    assert runs.input_key(plan, later, "library") != before


def test_a_run_asks_the_standard_questions(plan):
    assert plan.environment()["BREAKTHROUGH_LEARNER"] == ""
