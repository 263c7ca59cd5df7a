"""A foreign library in a process of its own: its answers come back, and nothing else of it."""

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from breakthrough import artifacts
from breakthrough.deploy import apart, compile, export, runtime
from breakthrough.deploy.apart import answers_apart
from breakthrough.errors import BreakthroughError


class Both(nn.Module):
    def forward(self, x):
        return x.sum((1, 2, 3))[:, None], 2 * x


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = compile.build(export.to_relax(Both().eval(), torch.rand(2, 3, 4, 4), batch="dynamic"))
    return made.save(tmp_path_factory.mktemp("both") / "model")


def with_library(folder, place, source):
    """A folder whose library is a C++ file's."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    home = shutil.copytree(folder, place / "model")
    (place / "own.cc").write_text(source)
    subprocess.run(["g++", "-shared", "-fPIC", "-o", home / runtime.LIBRARY, place / "own.cc"], check=True)
    facts = json.loads((home / runtime.MANIFEST).read_text())
    facts["sha256"][runtime.LIBRARY] = artifacts.sha256(home / runtime.LIBRARY)
    (home / runtime.MANIFEST).write_text(json.dumps(facts))
    return home


def test_all_outputs_of_all_inputs_come_back_in_order(folder):
    inputs = [np.random.default_rng(n).random((n, 3, 4, 4), dtype=np.float32) for n in (1, 3)]
    for x, (total, twice) in zip(inputs, answers_apart(folder, inputs), strict=True):
        np.testing.assert_allclose(total[:, 0], x.sum((1, 2, 3)), rtol=1e-5)
        np.testing.assert_array_equal(twice, 2 * x)


def test_the_engines_own_sentence_is_told(folder):
    with pytest.raises(BreakthroughError, match=r"ShapeError: expected an array of shape \(B, 3, 4, 4\), got"):
        answers_apart(folder, [np.zeros((1, 3, 5, 5), np.float32)])


def test_a_library_that_crashes_ends_the_child_alone(folder, tmp_path):
    home = with_library(folder, tmp_path, "#include <csignal>\nstruct A { A() { raise(SIGSEGV); } } a;")
    with pytest.raises(BreakthroughError, match="got an end by SIGSEGV"):
        answers_apart(home, [np.zeros((1, 3, 4, 4), np.float32)])


def test_a_library_that_never_ends_is_ended_with_all_that_it_started(folder, tmp_path):
    source = f'#include <unistd.h>\n#include <cstdio>\nstruct A {{ A() {{ if (!fork()) {{ FILE* f = fopen("{tmp_path}/pid", "w"); fprintf(f, "%d", getpid()); fclose(f); }} pause(); }} }} a;'
    home = with_library(folder, tmp_path, source)
    with pytest.raises(BreakthroughError, match="got none in 3 s"):
        answers_apart(home, [np.zeros((1, 3, 4, 4), np.float32)], wall_s=3)
    if sys.platform == "linux":
        pid, patience = int((tmp_path / "pid").read_text()), time.monotonic() + 20
        while runs(pid) and time.monotonic() < patience:  # killed, not yet gone
            time.sleep(0.05)
        assert not runs(pid)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_child_that_leaves_no_arrays_is_told(folder, tmp_path):
    home = with_library(folder, tmp_path, "#include <unistd.h>\nstruct A { A() { _exit(0); } } a;")
    with pytest.raises(BreakthroughError, match="expected arrays of"):
        answers_apart(home, [np.zeros((1, 3, 4, 4), np.float32)])


def test_the_child_sees_neither_torch_nor_secrets(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "seed")
    source = f'#include <cstdlib>\n#include <cstdio>\nextern char** environ;\nstruct A {{ A() {{ FILE* f = fopen("{tmp_path}/env", "w"); for (char** e = environ; *e; ++e) fprintf(f, "%s\\n", *e); fclose(f); FILE* m = fopen("/proc/self/maps", "r"); FILE* o = fopen("{tmp_path}/maps", "w"); int c; while (m && (c = fgetc(m)) != EOF) fputc(c, o); fclose(o); abort(); }} }} a;'
    home = with_library(folder, tmp_path, source)
    with pytest.raises(BreakthroughError):
        answers_apart(home, [np.zeros((1, 3, 4, 4), np.float32)])
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names <= {*apart.KEPT, *apart.ALONE, "PYTHONPATH", "LC_CTYPE"}
    assert "libtorch" not in (tmp_path / "maps").read_text()
