"""Dockerfile, dev containers and Binder say nothing that pyproject.toml, .ci/run or each other do not."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = {Requirement(text).name for listed in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for text in listed} - {PROJECT["name"]}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CPU_INDEX = re.search(r"^ARG TORCH_INDEX=(\S+)$", DOCKERFILE, re.MULTILINE)[1]
BINDER = ROOT / ".binder"
DEV = {name: json.loads((ROOT / ".devcontainer" / place / "devcontainer.json").read_text()) for name, place in (("cpu", ""), ("cuda", "cuda"))}


def instructions(text):
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()


def python_of(base):
    """The Python that an image of this name brings: python:3.11-slim by its tag, Ubuntu's by its release."""
    named = re.match(r"python:(\d+\.\d+)-", base)
    ubuntu = re.search(r"ubuntu(\d+\.\d+)$", base)
    return named[1] if named else {"22.04": "3.10", "24.04": "3.12", "26.04": "3.14"}[ubuntu[1]]


def bases():
    told = re.findall(r"BASE[= ](\S+:\S+)", DOCKERFILE)
    return sorted({*told, *(one["build"]["args"]["BASE"] for one in DEV.values())})


@pytest.mark.parametrize("base", bases())
def test_every_base_brings_a_python_of_the_project(base):
    assert f"{python_of(base)}.0" in SpecifierSet(PROJECT["requires-python"])


def test_the_bases_of_the_dev_containers_are_those_of_the_dockerfile():
    assert len(bases()) == 2
    assert re.search(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)[1] == DEV["cpu"]["build"]["args"]["BASE"]
    cuda = re.search(r"--build-arg BASE=(\S+) --build-arg TORCH_INDEX= ", DOCKERFILE)[1]
    assert DEV["cuda"]["build"]["args"] == {"BASE": cuda, "TORCH_INDEX": ""}


def test_conda_and_binder_take_a_python_of_the_project():
    binder = re.fullmatch(r"python-(\d+\.\d+)", (BINDER / "runtime.txt").read_text().strip())[1]
    conda = re.search(r"python=(\d+\.\d+)", (ROOT / "environment.yml").read_text())[1]
    assert binder == conda == python_of(DEV["cpu"]["build"]["args"]["BASE"])


def test_no_package_is_listed_a_second_time():
    for path in (ROOT / "Dockerfile", ROOT / ".devcontainer" / "devcontainer.json", ROOT / ".devcontainer" / "cuda" / "devcontainer.json",
                 BINDER / "requirements.txt"):
        asked = "\n".join(instructions(path.read_text()))
        words = set(re.findall(r"(?<![\w./-])[A-Za-z][\w.-]*(?![\w./-])", re.sub(r"https?://\S+", "", asked)))
        assert not words & (PACKAGES - {"breakthrough"}), path
        assert "apt-get install" not in asked and "pip install" not in asked, path


def test_the_image_installs_by_the_projects_own_commands():
    steps = instructions(DOCKERFILE)
    runs = [step for step in steps if step.startswith("RUN")]
    assert any(".ci/run system" in step for step in runs) and any("make setup" in step for step in runs)
    assert [step.split(".ci/run", 1)[0] for step in steps if step.startswith("COPY .ci")] == ["COPY "]
    copied = next(step for step in steps if step.startswith("COPY --chown=learner pyproject.toml")).split()[2:-1]
    assert PROJECT["readme"] in copied and all((ROOT / name).is_file() for name in copied)


def test_the_image_does_not_run_as_root_and_serves_where_it_says():
    steps = instructions(DOCKERFILE)
    last_user = [step for step in steps if step.startswith("USER")][-1]
    assert last_user == "USER learner" and {one["remoteUser"] for one in DEV.values()} == {"learner"}
    assert steps.index(last_user) < next(i for i, step in enumerate(steps) if "make setup" in step)
    ports = {int(step.split()[1]) for step in steps if step.startswith("EXPOSE")}
    command = json.loads(next(step for step in steps if step.startswith("CMD")).removeprefix("CMD "))
    assert ports == {8888} and "--ServerApp.port=8888" in command and all(one["forwardPorts"] == [8888] for one in DEV.values())
    assert command[:2] == [".venv/bin/breakthrough", "lab"]
    assert "-p 8888" not in DOCKERFILE and DOCKERFILE.count("127.0.0.1:8888:8888") == 2  # the host's own, not the network's


@pytest.mark.parametrize("name", DEV)
def test_a_dev_container_finds_its_dockerfile_and_the_environment(name):
    one = DEV[name]
    home = ROOT / ".devcontainer" / ("cuda" if name == "cuda" else "")
    assert (home / one["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile" and (home / one["build"]["context"]).resolve() == ROOT
    folder = next(step for step in instructions(DOCKERFILE) if step.startswith("WORKDIR")).split()[1]
    assert one["workspaceFolder"] == folder and f"target={folder}/.venv," in one["mounts"][0]
    assert one["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"] == f"{folder}/.venv/bin/python"
    assert one["postCreateCommand"] == "make setup"
    assert ("gpu" in one["hostRequirements"], "runArgs" in one) == (name == "cuda",) * 2


def test_torch_without_cuda_is_what_pip_prefers_on_the_cpu():
    [torch] = [Requirement(text) for text in PROJECT["dependencies"] if text.startswith("torch")]
    [pinned] = torch.specifier
    assert f"{pinned.version}+cpu" in torch.specifier and Version(f"{pinned.version}+cpu") > Version(pinned.version)
    lines = [line for line in (BINDER / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == [f"--extra-index-url {CPU_INDEX}", "-e ."]
    assert "PIP_EXTRA_INDEX_URL=${TORCH_INDEX} make setup" in DOCKERFILE


def test_what_git_ignores_stays_out_of_the_image():
    wanted = {line for line in (ROOT / ".gitignore").read_text().splitlines() if line and not line.startswith("#")}
    kept_out = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")}
    assert {line.removeprefix("**/") for line in kept_out} >= {*wanted, ".git"}


def stand_in(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path):
    """A machine with bash, a Python of its own, and an apt that notes what is asked of it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "sh", "grep"):
        (folder / name).symlink_to(shutil.which(name))
    stand_in(folder, "id", "echo 0")
    stand_in(folder, "apt-get", f'echo "$@" >> {tmp_path}/apt')
    stand_in(folder, "apt-cache", 'for last; do :; done; case $last in chromium) echo "  Candidate: (none)";; *) echo "  Candidate: 1.0";; esac')
    stand_in(folder, "make", f"touch {tmp_path}/tested")
    stand_in(folder, "python3.11", "exit 0")
    return tmp_path


def test_the_system_step_installs_what_apt_has_and_tests_nothing(bare):
    done = subprocess.run([ROOT / ".ci" / "run", "system"], capture_output=True, text=True, env={"PATH": str(bare / "bin")})
    assert done.returncode == 0, done.stderr
    asked = (bare / "apt").read_text()
    assert "bubblewrap" in asked and "g++-aarch64-linux-gnu" in asked
    assert "chromium" not in asked  # Ubuntu has none: wanted where it can be had, needed nowhere
    assert not (bare / "tested").exists()


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="no apt here")
def test_apt_knows_the_packages_by_these_names():
    named = set(re.findall(r"\+=\(([^)]+)\)", (ROOT / ".ci" / "run").read_text()))
    names = sorted({one for group in named for one in group.split() if "$" not in one})
    assert {"make", "python3-venv", "bubblewrap", "g++"} <= set(names)
    told = subprocess.run(["apt-cache", "policy", *names], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    if "Candidate" not in told:
        pytest.skip("apt's lists are empty here; try apt-get update")
    missing = [name for name in names if not re.search(rf"^{re.escape(name)}:\n.*\n  Candidate: [^(]", told, re.MULTILINE)]
    assert not missing or set(missing) <= {"chromium"}
