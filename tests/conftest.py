"""Fixtures of all tests: a log and a store apart from the developer's own, and a small course."""

import os
import shutil
import tempfile
from functools import partial

import pytest
from figure_eyes import faults
from toy_course import COURSE, lab_cells, lesson_cells, write_notebook

from breakthrough import pictures

ALONE = ("tests/grading/test_every_lab.py", "tests/grading/test_over_the_wire.py")
DEPRECATIONS = ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")
LONG = ("tests/test_labs.py", "tests/exercises/test_gate.py", "tests/capstone/", "tests/grading/", "notebooks/", "tests/federated/", "tests/deploy/")


def pytest_configure(config):
    """Keep a developer's own log and artifacts out of every test, and of the kernels that nbval starts; these raise what is deprecated."""
    config.own_folder = tempfile.mkdtemp(prefix="breakthrough-tests-")
    os.environ["BREAKTHROUGH_PROGRESS"] = f"{config.own_folder}/progress"
    os.environ["BREAKTHROUGH_ARTIFACTS"] = f"{config.own_folder}/artifacts"
    os.environ["BREAKTHROUGH_LEARNER"] = ""  # the standard questions
    os.environ["BREAKTHROUGH_LANG"] = "en"
    os.environ["PYTHONWARNINGS"] = ",".join(f"error::{name}:__main__" for name in DEPRECATIONS)  # what a notebook's cells call
    config.option.loadscopereorder = False  # xdist would begin with the files of many tests


def pytest_collection_modifyitems(items):
    """What takes minutes comes first, so that no worker is alone with it at the end."""
    items.sort(key=lambda item: next((at for at, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG)))


def pytest_runtest_setup(item):
    """What needs a GPU is skipped, with the reason, where torch finds none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU: torch finds no CUDA here")


def pytest_unconfigure(config):
    """Remove what the tests wrote."""
    shutil.rmtree(config.own_folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files go to workers whole, for their fixtures; but what takes minutes a test and shares nothing goes a test at a time."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid if nodeid.startswith(ALONE) else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture
def course_folder(tmp_path, monkeypatch):
    """The folder of a small course; the current folder for the length of the test."""
    (tmp_path / "course.yml").write_text(COURSE)
    write_notebook(tmp_path / "notebooks" / "00_start.ipynb", *lesson_cells())
    write_notebook(tmp_path / "notebooks" / "01_toy.ipynb", *lesson_cells())
    write_notebook(tmp_path / "solutions" / "01_toy" / "01_toy.ipynb", *lab_cells())
    monkeypatch.chdir(tmp_path)
    for name in ("BREAKTHROUGH_PROGRESS", "BREAKTHROUGH_ARTIFACTS", "BREAKTHROUGH_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def course(course_folder):
    """The small course, loaded."""
    from breakthrough.course import syllabus

    return syllabus.load(course_folder)


@pytest.fixture(autouse=True)
def figures_can_be_read(monkeypatch):
    """Whatever a test lets the library draw and describe: its letters can be read, its lines told apart."""
    seen = []

    class Noted(partial):  # what `describe` leaves on a figure
        def __new__(cls, show, figure, words):
            seen.append(figure)
            return super().__new__(cls, show, figure, words)

    monkeypatch.setattr(pictures, "partial", Noted)
    yield
    assert [fault for figure in seen for fault in faults(figure)] == []
