import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from toy_course import DOUBLE, TOY_CHECK, lab_cells, lesson_cells, write_notebook

from breakthrough.course import runs, syllabus
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
    _, lab = plan.tasks()[1:]
    lab.target.write_text(lab.target.read_text() + "\n")
    assert [result.resumed for result in toy(plan, resume=True)] == [True, False]
    assert [result.resumed for result in toy(runs.Plan(plan.course, "tiny", seed=1), resume=True)] == [False, False]
    assert [result.resumed for result in toy(runs.Plan(plan.course, "tiny", device="cpu", seed=1), resume=True)] == [False, False]
    assert [result.resumed for result in toy(runs.Plan(plan.course, "tiny", device="cpu", seed=1), resume=True)] == [True, True]


def test_a_lab_runs_again_when_what_it_gave_is_gone_or_altered(plan):
    gives = "from breakthrough import artifacts\nartifacts.save('toy', {'a.json': lambda path: path.write_text('{}')})"
    write_notebook(plan.course.solution(plan.course.find("toy")), *lab_cells(), ("code", gives))
    [lab] = [result for result in toy(plan) if result.kind == "lab"]
    folder = plan.folder / "artifacts" / "toy" / lab.gives["toy"]
    assert [result.resumed for result in toy(plan, resume=True)] == [True, True]
    (folder / "a.json").write_text('{"a": 1}')
    assert [result.resumed for result in toy(plan, resume=True)] == [True, False]
    shutil.rmtree(plan.folder / "artifacts")
    assert [result.resumed for result in toy(plan, resume=True)] == [True, False]


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


@pytest.fixture
def taking(course_folder):
    """A course of which a second module takes what the first one's lab gives."""
    built = "    hours: {lab: 7, exchange: 2, lesson: 1}\n    points: {lab: 70, exchange: 20, lesson: 10}\n    exercises: [later.double, later.half]\n    questions: [later.q_one]\n"
    text = (course_folder / "course.yml").read_text().replace("    state: planned\n", built)
    for path, cells in {"notebooks/02_later.ipynb": lesson_cells(*QUESTION), "solutions/02_later/02_later.ipynb": lab_cells()}.items():
        later = [(kind, source.replace("toy.", "later.").replace(": 9}", ": 10}"), *more) for kind, source, *more in cells]
        write_notebook(course_folder / path, *later)
    gives = ("code", "from breakthrough import artifacts\nartifacts.save('toy', {'a.json': lambda path: path.write_text('[1]')})")
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(*QUESTION))
    write_notebook(course_folder / "solutions" / "01_toy" / "01_toy.ipynb", *lab_cells(), gives)
    return runs.Plan(syllabus.parse(text, course_folder), "tiny")


def test_a_module_runs_again_when_the_content_that_it_takes_changed_and_only_then(taking, course_folder):
    def resumed(**options):
        return {one.name: one.resumed for one in runs.run(taking, taking.course.built[1:], resume=True, **options)}

    assert resumed() == {"01_toy lesson": False, "01_toy lab": False, "02_later lesson": False, "02_later lab": False}
    assert set(resumed().values()) == {True}
    lab = course_folder / "solutions" / "01_toy" / "01_toy.ipynb"
    lab.write_text(lab.read_text().replace("# Toy lab", "# The toy lab"))  # it gives the same
    assert resumed(jobs=2) == {"01_toy lesson": True, "01_toy lab": False, "02_later lesson": True, "02_later lab": True}
    lab.write_text(lab.read_text().replace("[1]", "[2]"))
    # a lesson takes nothing
    assert resumed(jobs=2) == {"01_toy lesson": True, "01_toy lab": False, "02_later lesson": True, "02_later lab": False}


def test_notebooks_at_once_give_what_they_give_one_by_one(plan, course_folder):
    seconds = {}
    for jobs in (1, 3):
        results = runs.run(plan, jobs=jobs)
        assert [one.name for one in results] == ["00_start lesson", "01_toy lesson", "01_toy lab"] == list(runs.load_results(plan))
        seconds[jobs] = [(one.name, one.status, one.points, one.checks, one.key) for one in results]
    assert seconds[1] == seconds[3]


def test_a_kernel_gets_its_share_of_the_machine(plan, course_folder, monkeypatch):
    monkeypatch.setattr(runs.devices, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    shows = ("code", "import os\nprint(os.environ.get('BREAKTHROUGH_CORES'), os.environ.get('OMP_NUM_THREADS'), os.environ.get('MKL_NUM_THREADS'))")
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(*QUESTION, shows))
    said = {}
    for jobs in (1, 2, 8):
        toy(plan, jobs=jobs)
        said[jobs] = plan.tasks()[1].target.read_text()
    assert "None 3 None" in said[1] and "4 3 4" in said[2] and "1 1 1" in said[8]


def test_an_interrupt_ends_every_kernel(course_folder):
    """Ctrl-C in the middle of two notebooks: no kernel is left, nor what it started."""
    mark = f"mark-{os.getpid()}"
    hangs = ("code", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(300)', '{mark}'])")
    for path in ("notebooks/00_start.ipynb", "notebooks/01_toy.ipynb"):
        write_notebook(course_folder / path, hangs)
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nimport sys\nfrom breakthrough import cli\nsys.exit(cli.main(['run', '--jobs', '2']))"
    going = subprocess.Popen([sys.executable, "-c", code], cwd=course_folder)

    def left():
        return [one for one in psutil.process_iter(["cmdline"]) if mark in (one.info["cmdline"] or ())]

    wait_until(lambda: len(left()) == 2)
    kernels = psutil.Process(going.pid).children(recursive=True)
    going.send_signal(signal.SIGINT)
    assert going.wait(60) == 130
    wait_until(lambda: not left() and not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in kernels))
    assert runs.load_results(runs.Plan(syllabus.load(course_folder))) == {}  # what was stopped is no result


def wait_until(true, patience_s=120):
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.2)


def test_a_gpu_that_is_not_there_is_told_before_anything_runs(plan, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="expected a machine with CUDA, got none found by torch; try --device auto"):
        toy(runs.Plan(plan.course, "tiny", device="cuda"))
    assert not plan.folder.exists()


def test_a_run_asks_the_standard_questions(plan):
    assert plan.environment()["BREAKTHROUGH_LEARNER"] == ""
