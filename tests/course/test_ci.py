"""The pipelines of others: the command, and the templates for GitHub and GitLab, whose very lines run here."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
import yaml
from toy_course import TOY_CHECK, lesson_cells, write_notebook

from breakthrough import cli

HERE = Path(__file__).parents[2]
ACTION, GITLAB, GUIDE = HERE / "action.yml", HERE / "ci" / "gitlab.yml", HERE / "docs" / "ci.md"


@pytest.fixture
def whole(course_folder):
    """The toy course with a lesson that earns its points."""
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(("code", TOY_CHECK), ("code", 'check("toy.q_one", 1)')))
    return course_folder


def cases(folder):
    return {suite.get("name"): [(case.get("name"), len(case)) for case in suite] for suite in xml.parse(folder / "junit.xml").getroot()}


def test_the_chain_has_one_exit_code_one_summary_and_one_file(whole, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(whole / "page.md"))
    (whole / "page.md").write_text("before\n")
    assert cli.main(["ci", "01", "--steps", "run,validate"]) == 1
    found = cases(whole / "build" / "ci")
    assert found["breakthrough run"] == [("01_toy lesson", 0), ("01_toy lab", 0)]
    assert found["breakthrough validate"][0] == ("notebooks", 1)  # the toy has not the shape of a course
    assert found["breakthrough validate"][1][0] == "01_toy lesson as kept"
    summary = (whole / "build" / "ci" / "summary.md").read_text()
    assert "| breakthrough run | 2 | 0 |" in summary and "1 failed" in summary.splitlines()[0] and "profile tiny" in summary
    assert (whole / "page.md").read_text() == "before\n" + summary and summary in capsys.readouterr().out
    assert "70 / 70" in (whole / "build" / "ci" / "report.html").read_text()


def test_a_failing_notebook_fails_and_the_steps_after_it_run(whole):
    write_notebook(whole / "notebooks" / "00_start.ipynb", ("code", "1 / 0"))
    assert cli.main(["ci", "00", "--steps", "run,gate"]) == 1
    found = cases(whole / "build" / "ci")
    assert found == {"breakthrough run": [("00_start lesson", 1)], "breakthrough gate": [("start.softmax", 0)]}
    assert "ZeroDivisionError" in (whole / "build" / "ci" / "summary.md").read_text()


def test_wrong_input_is_told_before_anything_runs(whole, capsys, monkeypatch):
    assert cli.main(["ci", "01", "--steps", "run,bake"]) == 2
    assert "expected steps out of run, validate, gate, got 'bake'" in capsys.readouterr().err
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["ci", "01", "--device", "cuda"]) == 2
    assert "expected a machine with CUDA, got none" in capsys.readouterr().err and not (whole / "build").exists()


def git(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments], cwd=folder, check=True, capture_output=True)


def test_only_what_changed_since_a_revision_runs(whole, capsys):
    git(whole, "init", "-q", "-b", "main")
    git(whole, "add", "-A")
    git(whole, "commit", "-qm", "first")
    assert cli.main(["run", "--changed-since", "HEAD", "--junit", "run.xml"]) == 0
    shown = capsys.readouterr().out
    assert "nothing to run: no notebook's inputs changed since HEAD" in shown and shown.count("stays") == 3
    assert not (whole / "build").exists() and (whole / "run.xml").is_file()
    assert cli.main(["ci", "--changed-since", "HEAD"]) == 0
    assert "nothing to run" in (whole / "build" / "ci" / "summary.md").read_text()
    lesson = whole / "notebooks" / "01_toy.ipynb"
    lesson.write_text(lesson.read_text().replace("# A lesson", "# The lesson"))
    capsys.readouterr()
    assert cli.main(["ci", "--changed-since", "HEAD", "--steps", "run"]) == 0
    assert "runs     changed: notebooks/01_toy.ipynb" in capsys.readouterr().out
    assert cases(whole / "build" / "ci") == {"breakthrough run": [("01_toy lesson", 0)]}


@pytest.fixture
def machine(tmp_path_factory):
    """A runner's environment: `python -m pip` is noted and does nothing; any other python is this one."""
    bin_ = tmp_path_factory.mktemp("bin")
    python = bin_ / "python"
    python.write_text(f'#!/bin/bash\nif [ "$2" = pip ]; then echo "$PWD: $*" >> {bin_}/pip.log; exit; fi\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    source = os.environ.get("PYTHONPATH") or str(HERE / "src")
    own = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {**own, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}, bin_ / "pip.log"


def shell(lines, folder, environment):
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expression(text, known):
    return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda match: known[match[1]], text)


@pytest.mark.parametrize(("modules", "code"), [("01", 0), ("00 01", 1), ("01; touch hacked", 2), ("", 1)])
def test_the_steps_of_the_action_run_as_they_stand(whole, machine, modules, code):
    """The first lesson of the toy misses a point: 1 where it is asked for."""
    environment, installed = machine
    action = yaml.safe_load(ACTION.read_text())
    known = {f"inputs.{name}": str(field["default"]) for name, field in action["inputs"].items()}
    known |= {"inputs.modules": modules, "inputs.steps": "run"}
    environment |= {"GITHUB_WORKSPACE": str(whole), "GITHUB_ACTION_PATH": str(HERE), "GITHUB_OUTPUT": str(whole / "outputs")}
    codes = []
    for step in (step for step in action["runs"]["steps"] if "run" in step):
        assert "${{" not in step["run"], "an input would be run by the shell"
        env = {name: expression(value, known) for name, value in step["env"].items()}
        got, said = shell(step["run"], whole, environment | env)
        codes.append(got)
        known |= {f"steps.course.outputs.{line.split('=', 1)[0]}": line.split("=", 1)[1] for line in (whole / "outputs").read_text().splitlines()}
    assert codes == [0, code], said
    assert f"{whole}: -m pip install" in installed.read_text() and "-e .[scenes,federated" in installed.read_text()
    assert not (whole / "hacked").exists()
    if code < 2:
        assert Path(known["steps.course.outputs.folder"], "junit.xml").is_file()


def test_the_action_takes_its_own_course_where_there_is_none(tmp_path, machine):
    environment, _ = machine
    action = yaml.safe_load(ACTION.read_text())
    step = next(step for step in action["runs"]["steps"] if step.get("id") == "course")
    environment |= {"GITHUB_WORKSPACE": str(tmp_path), "GITHUB_ACTION_PATH": str(HERE), "GITHUB_OUTPUT": str(tmp_path / "outputs"), "EXTRAS": "test"}
    assert shell(step["run"], tmp_path, environment)[0] == 0
    assert f"root={HERE}\n" in (tmp_path / "outputs").read_text()


@pytest.mark.parametrize("beside", [False, True], ids=["a fork", "another repository"])
def test_the_lines_for_gitlab_run_as_they_stand(whole, machine, tmp_path_factory, beside):
    environment, installed = machine
    template = yaml.safe_load(GITLAB.read_text())
    job = template[".breakthrough"]
    here = whole
    if beside:
        git(whole, "init", "-q", "-b", "main")
        git(whole, "add", "-A")
        git(whole, "commit", "-qm", "first")
        here = tmp_path_factory.mktemp("another")
    given = {"BREAKTHROUGH_MODULES": "01", "BREAKTHROUGH_STEPS": "run", "BREAKTHROUGH_URL": whole.as_uri(), "CI_PROJECT_DIR": str(here)}
    variables = {name: str(value) for name, value in (template["variables"] | job["variables"]).items()} | given
    code, said = shell("\n".join([*job["before_script"], *job["script"]]), here, environment | variables)
    assert code == 0, said
    assert cases(here / "build" / "ci") == {"breakthrough run": [("01_toy lesson", 0), ("01_toy lab", 0)]}
    assert ("course: -m pip" in installed.read_text()) == beside
    assert job["artifacts"]["reports"]["junit"] == "build/ci/junit.xml"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_templates_and_the_examples_follow_the_published_schemas(tmp_path):
    pytest.importorskip("check_jsonschema")
    checked = {"github-actions": [ACTION], "gitlab-ci": [GITLAB], "github-workflows": []}
    for number, text in enumerate(blocks("yaml")):
        path = tmp_path / f"{number}.yml"
        path.write_text(text)
        checked["gitlab-ci" if "include:" in text else "github-workflows"].append(path)
    assert [len(paths) for paths in checked.values()] == [1, 2, 2]
    for schema, paths in checked.items():
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "broken.yml"
    broken.write_text(ACTION.read_text().replace("using: composite", "using: magic"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(broken)]
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_the_guide_names_every_input_and_no_other():
    inputs = yaml.safe_load(ACTION.read_text())["inputs"]
    table = re.findall(r"^\| `([a-z-]+)` \| .* \| .* \|$", GUIDE.read_text().split("## GitLab")[0].split("| input |")[1], re.MULTILINE)
    assert table == list(inputs)
    for text in blocks("yaml"):
        for step in (step for job in yaml.safe_load(text).get("jobs", {}).values() for step in job["steps"]):
            if step["uses"].startswith("OWNER/"):
                assert set(step["with"]) <= set(inputs)
