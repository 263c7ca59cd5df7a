import json
import subprocess
import sys

import pytest
from toy_course import lab_cells, write_notebook

from breakthrough import cli, events

# what a command may not load to start at once: the first three take seconds, the others most of one
SLOW = {"torch", "transformers", "matplotlib", "papermill", "nbformat", "nbgrader", "jupyterlab", "IPython", "numpy"}


def loaded(folder, *arguments):
    """The packages a command has loaded when it ends, in a process of its own."""
    code = ("import sys\nfrom breakthrough import cli\ncode = cli.main(sys.argv[1:])\n"
            "print('LOADED', *{name.partition('.')[0] for name in sys.modules})\nsys.exit(code)")
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True)
    return done, set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [
    ["--help"], ["run", "--help"], ["scenes", "make", "--help"], ["doctor"], ["progress"], ["claims"], ["report"], ["check", "nothing"], ["hint", "no.such"],
], ids=" ".join)
def test_commands_that_need_no_torch_load_nothing_slow(course_folder, arguments):
    done, packages = loaded(course_folder, *arguments)
    assert "typer" in packages and done.returncode in (0, 2), done.stderr
    assert packages & SLOW == set()


def run(*arguments):
    return cli.main(list(arguments))


def test_help_teaches_by_examples(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for example in ("breakthrough run 01 ", "breakthrough hint moe.route", "breakthrough release --check"):
        assert example in shown


@pytest.mark.parametrize("command", ["doctor", "run", "keep", "validate", "release", "check", "hint", "report", "bench", "gate", "learner"])
def test_every_command_shows_an_example(capsys, command):
    assert run(command, "--help") == 0
    assert f"  breakthrough {command}" in capsys.readouterr().out


def test_the_list_of_commands_is_not_cut(capsys):
    run("--help")
    assert "..." not in capsys.readouterr().out.split("Commands:")[1]


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["run", "09"], 2, "expected the name of a known module, got '09'; try 00_start or 01_toy"),
    (["check", "09"], 2, "expected the name of a known module, got '09'; try 01_toy"),
    (["check", "02"], 2, "expected a module that is built, got 02_later, in preparation; try 01_toy"),
    (["run", "--profile", "tinny"], 2, "expected a profile out of tiny, quick, full, got 'tinny'; try tiny"),
    (["check", "01", "--profile", "tinny"], 2, "breakthrough release 01_toy"),
    (["progres"], 2, "expected the name of a known command, got 'progres'; try progress"),  # codespell:ignore progres
    (["hint"], 2, "expected an exercise, got none; try breakthrough hint start.softmax"),
    (["run", "02"], 2, "expected a module that is built, got 02_later, in preparation"),
    (["run", "--profile", "fast"], 2, "expected a profile out of tiny, quick, full, got 'fast'"),
    (["run", "--device", "tpu"], 2, "expected a device out of auto, cpu, cuda, got 'tpu'"),
    (["check", "01"], 2, "try breakthrough release 01_toy"),
    (["hint", "toy.halff"], 2, "try toy.half"),
    (["gate", "moe.rout"], 2, "expected the name of a known exercise, got 'moe.rout'; try moe.route"),
    (["gate", "start.softmax", "--report"], 2, "expected the page docs/grader.md of the project, got none"),
    (["bench", "none"], 2, "expected the name of a known benchmark, got 'none'"),
])
def test_an_error_is_one_line_and_an_exit_code(course_folder, capsys, arguments, code, said):
    assert run(*arguments) == code
    shown = capsys.readouterr()
    assert said in shown.err and len(shown.err.splitlines()) == 1 and shown.err.startswith("breakthrough: ")


def test_a_faulty_syllabus_names_its_line(course_folder, capsys):
    path = course_folder / "course.yml"
    path.write_text(path.read_text().replace("lab: 7,", "lab: seven,"))
    assert run("progress") == 2
    assert "course.yml:16: modules[1].hours.lab: expected" in capsys.readouterr().err


def test_debug_shows_where_an_error_came_from(course_folder):
    with pytest.raises(cli.BreakthroughError):
        run("--debug", "run", "09")


def test_unknown_commands_and_options_are_wrong_input(course_folder, capsys):
    assert run("runn") == 2  # codespell:ignore runn
    assert run("run", "--proffile", "tiny") == 2
    assert "--profile" in capsys.readouterr().err


def test_a_run_prints_a_line_a_notebook_and_the_report_last(course_folder, capsys):
    assert run("run", "01", "--profile", "tiny") == 1  # the lesson of the toy has no question: points are missing
    lines = capsys.readouterr().out.splitlines()
    lab, lesson = sorted(lines[:2])  # two at a time, on a machine with two cores
    assert lesson.startswith("01_toy lesson") and "not passed: toy.q_one" in lesson
    assert lab.startswith("01_toy lab") and "70/70 points" in lab
    assert lines[-1] == str(course_folder / "build" / "report" / "index.html")
    assert run("run", "01", "--profile", "tiny") == 1
    assert "unchanged" in capsys.readouterr().out  # what is whole stays; the lesson, which is not, runs again
    assert run("run", "01", "--profile", "tiny", "--fresh", "--jobs", "1") == 1
    assert "unchanged" not in capsys.readouterr().out
    assert run("report", "--profile", "tiny") == 0
    assert "70 / 70" in (course_folder / "build" / "report" / "index.html").read_text()


def test_release_then_check_then_solve(course_folder, course, capsys):
    assert run("release", "--check") == 1
    assert "out of step: labs/01_toy/01_toy.ipynb; try breakthrough release 01_toy" in capsys.readouterr().out
    assert run("release") == 0
    assert run("release", "--check") == 0
    capsys.readouterr()
    assert run("check", "toy") == 1
    shown = capsys.readouterr().out
    assert shown.count("not attempted") == 2 and "0 of 70 points" in shown and "claim C01: not recorded" in shown
    assert max(map(len, shown.splitlines())) <= 100
    write_notebook(course.lab(course.find("toy")), *lab_cells())
    assert run("check", "toy") == 0
    assert "70 of 70 points" in capsys.readouterr().out


def test_progress_says_what_is_next(course_folder, capsys):
    events.append("check", exercise="start.softmax", status="passed", points=1, of=1)
    assert run("progress") == 0
    shown = capsys.readouterr().out
    assert "next: toy.q_one, in notebooks/01_toy.ipynb" in shown and "(aim 70%)" in shown


@pytest.mark.parametrize("command", ["progress", "claims", "report"])
def test_damaged_lines_of_the_log_are_told_and_never_fatal(course_folder, capsys, command):
    events.append("check", exercise="start.softmax", status="passed", points=1, of=1)
    assert run(command) == 0 and capsys.readouterr().err == ""
    with (course_folder / ".progress" / events.FILE).open("a") as log:
        log.write("{cut short\n")
    assert run(command) == 0
    assert "note: 1 line is unreadable" in capsys.readouterr().err


def test_progress_names_what_the_course_does_not_know_once(course_folder, capsys):
    for status in ("wrong", "passed"):
        events.append("check", exercise="toy.halff", status=status, points=30, of=30)
    assert run("progress") == 0
    assert capsys.readouterr().out.count("toy.halff") == 1


def test_claims_lists_them_all(course_folder, capsys):
    assert run("claims") == 0
    shown = capsys.readouterr().out
    assert all(claim in shown for claim in ("C01", "C03", "C14", "C28")) and "0 of 4 claims measured" in shown


def test_claims_says_whose_a_verdict_is(course_folder, course, capsys):
    from breakthrough.course import claims, runs

    measured = {"verdict": "holds", "measured": "1 of 2", "reason": "", "profile": "quick", "figures": {}}
    kept = runs.Result("01_toy lab", "01_toy", "lab", "passed", 1.0, 70, 70, claims={n: {"claim": n} | measured for n in ("C01", "C14")})
    plan = runs.Plan(course)
    plan.folder.mkdir(parents=True)
    (plan.folder / runs.RESULTS).write_text(json.dumps({kept.name: vars(kept)}))
    claims.record("C01", "does not hold", "0 of 2", profile="tiny")
    capsys.readouterr()
    assert run("claims") == 0
    shown = capsys.readouterr().out
    assert "2 of 4 claims measured: 1 yours, 1 the course's own run" in shown and "does not hold (tiny)" in shown


def test_a_hint_climbs_the_ladder_and_is_counted(course_folder, capsys):
    assert run("hint", "start.softmax") == 0
    assert "hint 1 of 4: concept" in capsys.readouterr().out
    assert run("hint", "start.softmax") == 0
    assert "hint 2 of 4: shapes" in capsys.readouterr().out
    assert run("hint", "start.softmax", "4") == 0
    assert "def softmax" in capsys.readouterr().out
    assert run("hint", "start.softmax", "9") == 2


def test_bench_passes_arguments_and_exit_code_on(course_folder):
    (course_folder / "benchmarks").mkdir()
    (course_folder / "benchmarks" / "toy.py").write_text("import sys\nsys.exit(7 if sys.argv[1:] == ['--rows', '3'] else 8)")
    assert run("bench", "toy", "--rows", "3") == 1
    (course_folder / "benchmarks" / "toy.py").write_text("import sys\nsys.exit(sys.argv[1:] != ['--help'])")
    assert run("bench", "toy", "--", "--help") == 0


def test_a_pipe_that_closes_is_no_traceback(course_folder):
    done = subprocess.run(f"{sys.executable} -m breakthrough.cli claims | head -1", shell=True, cwd=course_folder, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_validate_names_each_fault_and_fails(course_folder, capsys, monkeypatch):
    from breakthrough.course import validate

    monkeypatch.setattr(validate.agreement, "faults", lambda course, module: [])
    monkeypatch.setattr(validate, "nbval", lambda course, modules, junit=None: 0)
    assert run("validate", "01") == 1
    shown = capsys.readouterr().out
    assert "notebooks/01_toy.ipynb: expected 40 to 80 cells, got 3" in shown
    assert "solutions/01_toy/01_toy.ipynb: expected 40 to 81 cells, got 9" in shown


def test_nbval_compares_outputs_in_a_log_of_its_own(course_folder, course):
    from breakthrough.course import validate

    path = course.lesson(course.find("00"))
    made = json.loads(path.read_text())
    for number, one in enumerate(cell for cell in made["cells"] if cell["cell_type"] == "code"):
        one["execution_count"] = number + 1
    kept = {"output_type": "stream", "name": "stdout", "text": ["hello quick 0\n"]}
    made["cells"][2]["outputs"] = [kept]
    path.write_text(json.dumps(made))
    assert validate.nbval(course, [course.find("00")]) == 0
    kept["text"] = ["hello tiny 0\n"]
    path.write_text(json.dumps(made))
    assert validate.nbval(course, [course.find("00")]) == 1
    assert not (course_folder / ".progress").exists()


def test_validate_checks_the_names_of_every_module_whichever_is_asked(course_folder, capsys, monkeypatch):
    from breakthrough.course import validate

    monkeypatch.setattr(validate, "nbval", lambda course, modules, junit=None: 0)
    assert run("validate", "00") == 1
    assert "modules[1].exercises[1]: expected the name of a known exercise, got 'toy.half'" in capsys.readouterr().out


def test_keep_goes_on_after_a_lesson_that_fails(course_folder, course, capsys):
    write_notebook(course.lesson(course.find("00")), ("code", "1 / 0"))
    assert run("keep") == 1
    failed, kept = capsys.readouterr().out.splitlines()
    assert failed.startswith("notebooks/00_start.ipynb: expected") and "ZeroDivisionError" in failed
    assert kept == "notebooks/01_toy.ipynb: outputs kept"
    assert run("keep", "01") == 0
    assert capsys.readouterr().out == "notebooks/01_toy.ipynb: unchanged\n"
    assert run("keep", "--device", "tpu") == 2
