"""The commands of a cohort, from the folder to the grades."""

import json
import subprocess
import sys

import pytest
from toy_cohort import MODULE, cohort, cohort_template, graded, write_project  # noqa: F401
from toy_course import lab_cells, notebook, write_notebook

from breakthrough import cli
from breakthrough.cli import cohort_grade
from breakthrough.grading.gradebook import GradebookWriter
from breakthrough.grading.run import Done

COMMANDS = ("init", "release", "collect", "feedback", "grades", "items")


def run(*arguments):
    return cli.main(list(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(capsys, command):
    assert run("cohort", command, "--help") == 0
    assert f"  breakthrough cohort {command}" in capsys.readouterr().out


def test_the_list_of_commands_is_not_cut(capsys):
    run("cohort", "--help")
    listed = capsys.readouterr().out.split("Commands:")[1]
    assert "..." not in listed and all(command in listed for command in COMMANDS)


def test_help_and_wrong_input_load_nothing_slow(tmp_path):
    code = "import sys\nfrom breakthrough import cli\ncode = cli.main(sys.argv[1:])\nprint('LOADED', *{n.partition('.')[0] for n in sys.modules})"
    for arguments in (["cohort", "--help"], ["cohort", "items", "01"], ["handin", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
        loaded = set(done.stdout.rpartition("LOADED")[2].split())
        assert "typer" in loaded and not loaded & {"torch", "nbgrader", "nbformat", "sqlalchemy", "numpy", "IPython"}, arguments


def test_from_a_folder_to_the_grades(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BREAKTHROUGH_SEEDS", str(tmp_path / "seeds"))
    (tmp_path / "students.csv").write_text("id,last_name,lms_user_id\nada,Lovelace,901\n")
    monkeypatch.chdir(write_project(tmp_path / "project"))
    assert run("cohort", "init", str(tmp_path / "c"), "--from-csv", str(tmp_path / "students.csv")) == 0
    assert "1 student\n" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "c")
    assert run("cohort", "release", "toy") == 0
    assert "01_toy: released, SHA-256" in capsys.readouterr().out
    for name in ("ada", "eve"):
        (tmp_path / "handed" / name).mkdir(parents=True)
        (tmp_path / "handed" / name / "01_toy.ipynb").write_text(json.dumps(notebook(*lab_cells())))
    assert run("cohort", "collect", "01", "--from", str(tmp_path / "handed")) == 1
    shown = capsys.readouterr().out
    assert "collected: ada" in shown and "unmatched: eve" in shown and "1 collected, 0 kept, 1 not taken" in shown
    from breakthrough.grading import cohort as cohorts

    with GradebookWriter(cohorts.find()) as writer:
        writer.write(graded(cohorts.find()))
    assert run("cohort", "feedback", "01") == 0
    assert run("cohort", "grades", "01", "--csv", "g.csv", "--lti-csv", "l.csv") == 0
    assert run("cohort", "items", "01", "--csv", "i.csv") == 0
    assert (tmp_path / "c" / "feedback" / "ada" / MODULE / "01_toy.html").is_file()
    assert all("70" in (tmp_path / "c" / name).read_text() or name == "i.csv" for name in ("g.csv", "l.csv", "i.csv"))


@pytest.mark.parametrize(("arguments", "said"), [
    (["cohort", "grades", "01"], "--csv grades.csv"),
    (["cohort", "release", "09"], "expected the name of a known module, got '09'; try 01_toy"),
    (["cohort", "feedback", "01"], "breakthrough cohort grade 01_toy"),
    (["cohort", "collect", "01", "--from", "nowhere"], "a folder or a zip of submissions at nowhere"),
    (["cohort", "gradee"], "expected the name of a known command, got 'gradee'"),
])
def test_an_error_is_one_line(cohort, cohort_template, capsys, arguments, said):
    assert run(*arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown and len(shown.splitlines()) == 1


def test_a_learner_packs_their_lab(course_folder, course, capsys):
    write_notebook(course.lab(course.find("toy")), *lab_cells())
    assert run("handin", "toy", "--no-log") == 0
    assert "nbgrader submit 01_toy" in capsys.readouterr().out
    assert (course_folder / "build" / "handin" / "01_toy.zip").is_file()
    assert run("handin", "00") == 2


def test_the_middle_of_two_lies_between_them(cohort, capsys):
    found = [graded(cohort, "ada"), graded(cohort, "bob", half=False)]
    cohort_grade._report(Done(found, ["cyd"], {}))
    middle = sum(one.points for one in found) / 2
    assert f"2 graded, median {middle:g} of {found[0].of:g}; 1 were graded before; 0 failed" in capsys.readouterr().out
    assert found[0].points > middle > found[1].points
