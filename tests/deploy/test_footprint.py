"""Processes that serve, really started: who has torch in memory, whose answers agree, what has to be installed."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tvm")

from breakthrough.deploy import footprint
from breakthrough.deploy.footprint import PROGRAM, TORCH, TVM, Footprint, Footprints, footprints, installed_bytes, requirements
from breakthrough.errors import BreakthroughError, InputError, UnknownNameError


@pytest.fixture(scope="module")
def served() -> Footprints:
    return footprints("inspector", requests=3)


def test_processes_answer_alike_and_only_one_of_them_has_torch(served):
    assert served[TORCH].modules == ("torch",) and served[TVM].modules == ("tvm_ffi",)
    assert all(row.error < 1e-4 and row.process_s > 0 and row.median_s > 0 for row in served.rows)
    assert served[TORCH].peak_bytes > 100e6 and served.share(TVM) < 0.5 and served.share(TVM, "installed_bytes") < 0.2
    if PROGRAM in [row.name for row in served.rows]:
        assert served[PROGRAM].peak_bytes < served[TVM].peak_bytes and served[PROGRAM].installed_bytes < served[TVM].installed_bytes
    assert Footprints.from_dict(json.loads(json.dumps(served.to_dict()))) == served and "peak MB" in str(served)


def test_requirements_are_followed_and_extras_are_not():
    found = requirements("torch")
    assert {"torch", "sympy", "mpmath"} <= found and "optree" not in found  # sympy's own; an extra of torch
    assert installed_bytes("torch") > installed_bytes("sympy") > 1e6 and installed_bytes("no-such-package") == 0


def test_a_process_that_fails_says_why(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1))
    with pytest.raises(BreakthroughError, match="serves by made.*ArtifactError"):
        footprint._served("made", "tvm", str(tmp_path / "nothing"), 1, tmp_path, np.zeros(1), 0, 0)


def test_the_worker_says_its_peak(tmp_path):
    code = "from breakthrough.deploy.footprint_worker import peak_bytes; a = peak_bytes(); x = b'1' * (64 << 20); print(peak_bytes() - a, 'torch' in __import__('sys').modules)"
    grown, torch = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(grown) > 60 << 20 and torch == "False"


def test_what_cannot_be_served():
    with pytest.raises(InputError, match="1 request"):
        footprints(requests=0)
    row = Footprint(TORCH, 1, 1, 1, 1.0, 1.0, 0.0)
    with pytest.raises(UnknownNameError, match="way to serve"):
        Footprints("made", 1, (row,))["magic"]
