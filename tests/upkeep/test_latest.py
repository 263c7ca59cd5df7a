"""The newest versions are tried beside the tested ones: what breaks is found and named, what always failed is not blamed on them."""

import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from breakthrough.errors import UnknownNameError
from breakthrough.upkeep import index, latest, lock, rooms
from breakthrough.upkeep.overlay import Overlay

ROOT = Path(__file__).parents[2]
TESTS = """import os, sys
class TestAll:
    def test_good(self): pass
    def test_bad(self): assert len(sys.argv) == 0, "two lines\\nhere"
def test_skipped():
    import pytest
    pytest.skip("no")
"""


@pytest.fixture
def project(tmp_path):
    for room, text in {"moe": TESTS, "deploy": "import os\ndef test_end(): os._exit(11)\n"}.items():
        (tmp_path / "tests" / room).mkdir(parents=True)
        (tmp_path / "tests" / room / f"test_{room}.py").write_text(text)
    return tmp_path


def test_a_rooms_tests_are_counted_and_its_first_error_is_shown(project):
    found = rooms.run(project, Path(sys.executable), "moe", project / "out")
    assert (found.passed, found.failed, found.errors, found.died) == (1, ("tests/moe/test_moe.py::TestAll::test_bad",), (), "")
    assert found.first.startswith("tests/moe/test_moe.py::TestAll::test_bad: AssertionError: two lines")
    again = rooms.run(project, Path(sys.executable), "moe", project / "again", found.failed)
    assert again.failed == found.failed and again.passed == 0


def test_a_process_that_dies_breaks_its_room(project):
    found = rooms.run(project, Path(sys.executable), "deploy", project / "out")
    assert found.broken and found.died == "ended with code 11 before its report"
    assert latest.Trial((), {}, (found,)).broken


def test_what_fails_with_the_tested_versions_too_is_not_blamed_on_the_newest():
    outcome = rooms.Outcome("moe", 3, ("a",), (), "a: no")
    assert latest.Trial((), {}, (outcome,)).broken
    assert not latest.Trial((), {}, (outcome,), frozenset({"a"})).broken


def test_the_rooms_of_a_package_are_those_that_import_it():
    found = rooms.touched(ROOT, ["apache-tvm-ffi", "Apache.TVM"])
    assert "deploy" in found and "moe" not in found
    assert rooms.touched(ROOT, ["jupyterlab"]) == rooms.rooms(ROOT)  # nobody imports it: anything may break


def test_bounds_are_lifted_and_a_version_may_be_asked_for(monkeypatch):
    monkeypatch.setattr(index, "newest", lambda name, allowed: Version("999"))
    assert {one.name for one in latest.newer(ROOT)} == {canonicalize_name(one.name) for one in lock.wanted(ROOT)}
    [one] = latest.newer(ROOT, ["NumPy==1.26"])
    assert (one.name, str(one.newest), one.bound != "") == ("numpy", "1.26", True)
    with pytest.raises(UnknownNameError, match="dependency"):
        latest.newer(ROOT, ["nunpy"])


def test_an_overlay_sees_what_is_below_it_and_what_lies_in_it_comes_first(tmp_path):
    import subprocess

    overlay = Overlay(tmp_path / "venv")
    (overlay.packages / "rich.py").write_text("ours = True\n")
    code = "import rich, pytest, breakthrough, sys; print(rich.ours, sys.prefix)"
    done = subprocess.run([overlay.python, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src")}, check=True)
    assert done.stdout.split() == ["True", str(tmp_path / "venv")]
    assert overlay.installed() == {}
    assert (tmp_path / "venv" / "bin" / "pytest").read_text().startswith(f"#!{overlay.python}")


def test_the_report_says_what_could_not_be_installed_and_what_broke():
    newer = latest.Newer("flwr", Version("1"), Version("2"), "==1", "no version of x | y")
    outcome = rooms.Outcome("moe", 3, ("t::a",), (), "t::a: boom")
    text = latest.page([latest.Trial((newer,), {"ray": ("1", "2"), "rich": ("3", "3")}, (outcome,), conflicts=("a has requirement b",))])
    assert "| flwr | 1 | 2 | ==1 | no: no version of x \\| y |" in text
    assert "| moe | ray 1 → 2 | 3 | 1 | 0 | yes | t::a: boom |" in text and "- a has requirement b" in text
