"""pyproject.toml is the only list of dependencies: conda, extras, Makefile and CI are in step with it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from breakthrough import optional

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: [Requirement(text) for text in listed] for name, listed in PROJECT["optional-dependencies"].items()}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
# import names of packages that are called otherwise on the index
IMPORTED_AS = {"usd-core": "pxr", "pillow": "PIL", "scikit-learn": "sklearn", "pytest-xdist": "xdist", "apache-tvm": "tvm", "apache-tvm-ffi": "tvm_ffi", "xgboost-cpu": "xgboost",
               "codespell": "codespell_lib", "pip-tools": "piptools"}


def test_conda_gives_python_and_pip_and_the_project_and_nothing_else():
    python, pip, packages = CONDA["dependencies"]
    assert pip == "pip" and packages == {"pip": ["-e .[all]"]}
    version = re.fullmatch(r"python=(\d+\.\d+)", python).group(1)
    assert f"{version}.0" in SpecifierSet(PROJECT["requires-python"])


def test_no_package_is_listed_twice():
    names = [Requirement(text).name for text in PROJECT["dependencies"]]
    names += [one.name for extra, listed in EXTRAS.items() if extra != "all" for one in listed]
    assert sorted(names) == sorted(set(names))


def test_all_is_every_other_extra():
    [every] = EXTRAS["all"]
    assert every.name == PROJECT["name"] and every.extras == set(EXTRAS) - {"all"}


@pytest.mark.parametrize("room", ["scenes", "federated", "quant", "deploy", "cohort"])
def test_the_heavy_rooms_have_extras(room):
    assert EXTRAS[room]


def test_a_missing_package_names_an_extra_that_brings_it():
    stubs = {one.name for listed in EXTRAS.values() for one in listed if one.name.startswith("types-") or one.name.endswith("-stubs")}  # nothing imports them
    brought = {extra: {IMPORTED_AS.get(one.name, one.name.replace("-", "_")) for one in listed if one.name not in stubs} for extra, listed in EXTRAS.items()}
    for name, extra in optional.EXTRAS.items():
        assert extra in EXTRAS, name
        assert name in brought[extra] or name == "ray", f"{name} is not brought by [{extra}]"  # ray comes with flwr[simulation]
    for extra, names in brought.items():
        assert extra == "all" or names <= set(optional.EXTRAS), f"[{extra}] brings packages that optional.EXTRAS lacks"


def test_the_makefile_takes_the_pythons_of_the_project():
    [(low, high)] = set(re.findall(r"\((\d+, \d+)\) <= sys\.version_info < \((\d+, \d+)\)", MAKEFILE))
    dotted = [text.replace(", ", ".") for text in (low, high)]
    assert PROJECT["requires-python"] == f">={dotted[0]},<{dotted[1]}"


def test_the_makefile_refuses_another_python_in_one_line(tmp_path):
    if shutil.which("make") is None:
        pytest.fail("expected make, got none; try apt-get install make")
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo Python 3.8.1 && exit 0\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(["make", "-f", ROOT / "Makefile", "run", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin"})
    assert done.returncode != 0 and not (tmp_path / ".venv").exists()


def make(folder, *arguments):
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


@pytest.fixture
def fake_project(tmp_path):
    """The Makefile in a folder of its own, with a Python that only pretends to make and fill .venv."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
case "$*" in
  *venv\\ --clear*) mkdir -p .venv/bin; cp {python} .venv/bin/python; cp {python} .venv/bin/breakthrough;;
  *pip\\ install*) test ! -e {tmp_path}/fail;;
esac
""")
    python.chmod(0o755)
    return tmp_path


def test_make_installs_once_for_each_pyproject(fake_project):
    python = f"PYTHON={fake_project}/python"
    calls = fake_project / "calls"
    assert make(fake_project, "run", python).returncode == 0
    assert calls.read_text().count("pip install") == 1
    assert make(fake_project, "run", python).returncode == 0
    assert calls.read_text().count("pip install") == 1
    (fake_project / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert make(fake_project, "run", python).returncode == 0
    assert calls.read_text().count("pip install") == 2
    assert len(list((fake_project / ".venv").glob(".installed-*"))) == 1


def test_an_install_that_fails_leaves_no_stamp(fake_project):
    (fake_project / "fail").touch()
    assert make(fake_project, "run", f"PYTHON={fake_project}/python").returncode != 0
    assert list((fake_project / ".venv").glob(".installed-*")) == []
    (fake_project / "fail").unlink()
    assert make(fake_project, "run", f"PYTHON={fake_project}/python").returncode == 0


def test_make_alone_lists_the_commands(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    shown = make(tmp_path).stdout
    for command in ("run", "test", "lab", "release"):
        assert f"make {command}" in shown


def executable(path, script):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_make_lab_opens_the_labs_of_the_environment(fake_project):
    done = make(fake_project, "-n", "lab", f"PYTHON={fake_project}/python", "ARGS=01 --no-browser")
    assert done.stdout.splitlines()[-1] == ".venv/bin/breakthrough lab 01 --no-browser"


@pytest.mark.parametrize(("version", "code", "said"), [("3.11", 0, "test PYTHON"), ("3.12", 2, "try apt-get install g++ python3-dev")])
def test_ci_installs_a_compiler_only_for_a_python_without_wheels(tmp_path, version, code, said):
    for name in ("bash", "dirname", "sh"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    executable(tmp_path / "bin" / "id", "echo 1000")
    executable(tmp_path / "bin" / "make", 'echo "$@"')
    newer = version == "3.12"
    executable(tmp_path / "bin" / f"python{version}", f'case "$*" in *version_info*|*sysconfig*) exit {int(newer)};; esac')
    done = subprocess.run([ROOT / ".ci" / "run"], capture_output=True, text=True, env={"PATH": str(tmp_path / "bin")})
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done.stderr


def test_ci_calls_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111 and re.search(r"^make test\b", script.read_text(), re.MULTILINE)
    assert "set -euo pipefail" in script.read_text()


def test_nbgrader_keeps_what_a_cohort_makes_under_cohort(tmp_path):
    from traitlets.config import Config

    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    config = Config()
    code = compile((tmp_path / "nbgrader_config.py").read_text(), str(tmp_path / "nbgrader_config.py"), "exec")
    exec(code, {"get_config": lambda: config, "__file__": str(tmp_path / "nbgrader_config.py")})
    folders = config.CourseDirectory
    assert (folders.source_directory, folders.release_directory) == ("solutions", "labs")
    for name in ("submitted", "autograded", "feedback", "solution"):
        assert folders[f"{name}_directory"].startswith("cohort/")
    assert "/cohort/" in folders.db_url and "cohort" in config.Exchange.root
    assert config.HTMLExporter.sanitize_html is True
    assert config.Execute.timeout >= 600  # an experiment's cell at profile quick
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"cohort/", "build/", ".progress/", "artifacts/", ".venv/"} <= set(ignored)
