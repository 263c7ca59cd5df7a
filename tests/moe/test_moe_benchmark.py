"""The benchmark's arithmetic, on times that are made up; and that its contenders compute one thing."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[2] / "benchmarks" / "moe.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("moe_benchmark", PATH)
    module = sys.modules["moe_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(bench, ours, hugging_face=2.0, **changes):
    place = {"dtype": "float32", "tokens": 4096, "d_model": 512, "n_experts": 8, "top_k": 2}
    ratio = {bench.OURS: ours, "hf eager": hugging_face}
    return {**place, **changes, "ratio": ratio}


def test_ratio_is_to_the_faster_dense_one(bench):
    times = {"dense": [3.0, 3.0, 9.0], "dense fused": [2.0, 2.0, 2.0], "ours auto": [3.0, 2.0, 4.0]}
    got = bench.ratios(times)
    assert got["ideal"] == "dense fused" and got["ratio"]["ours auto"] == 1.5
    assert got["spread"]["ours auto"] == [1.0, 2.0]


@pytest.mark.parametrize(("ours", "holds"), [(1.1, True), (1.11, False)])
def test_verdicts_take_the_worst_point(bench, ours, holds):
    got = bench.verdicts([row(bench, 0.9), row(bench, ours), row(bench, 1.2, n_experts=32)])
    assert got[0]["holds"] is holds and got[0]["worst"] == ours
    assert got[1]["holds"] is True and got[1]["worst"] == 1.2
    assert got[2]["holds"] is None and got[2]["worst"] is None
    slower = bench.verdicts([row(bench, 1.0, hugging_face=0.99)])
    assert [v["holds"] for v in slower if "hf eager" in v["target"]] == [False]


def test_a_point_is_measured_and_written(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "POINT_S", 0.01)
    monkeypatch.setattr(bench, "grid", lambda *_: [bench.Point("float32", 64, 16, 4, 2)])
    bench.main(["--json", str(tmp_path / "moe.json"), "--dtype", "float32"])
    assert "| float32 | 64 | 16 | 4 | 2 |" in (tmp_path / "moe.md").read_text()


def test_contenders_have_the_same_active_weights(bench):
    point = bench.Point("float32", 8, 16, 4, 2)
    made = {n: make() for n, make in bench.contenders(point, ["auto"]).items() if callable(make)}
    sizes = {n: sum(w.numel() for w in model.parameters()) for n, model in made.items()}
    assert sizes["dense"] == sizes["dense fused"] == 2 * 3 * 16 * 56
    sparse = {size for name, size in sizes.items() if name not in bench.DENSE}
    assert sparse == {4 * 3 * 16 * 56 + 4 * 16}
    x = torch.zeros(1, 3, 16)
    assert all(bench.output(model, x).shape == x.shape for model in made.values())
