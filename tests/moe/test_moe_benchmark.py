"""The benchmark's arithmetic, on times that are made up; and that its contenders compute one thing."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[2] / "benchmarks" / "moe.py"


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(PATH.parent))  # as for a script, which imports its neighbour
    spec = importlib.util.spec_from_file_location("moe_benchmark", PATH)
    module = sys.modules["moe_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(PATH.parent))
    return module


def row(bench, ours, hugging_face=2.0, **changes):
    place = {"dtype": "float32", "tokens": 4096, "d_model": 512, "n_experts": 8, "top_k": 2}
    race = ours / hugging_face
    ratio = {bench.OURS: ours, "hf eager": hugging_face}
    races = {"hf eager": [race, 0.99 * race, 1.01 * race]}
    return {**place, **changes, "ratio": ratio, "races": races}


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


@pytest.mark.parametrize(
    ("theirs", "holds"), [(1.0, True), (0.995, "tie within the spread"), (0.98, False)]
)
def test_never_slower_is_yes_no_or_a_tie(bench, theirs, holds):
    got = bench.verdicts([row(bench, 1.0), row(bench, 1.0, hugging_face=theirs, top_k=1)])
    (verdict,) = [v for v in got if "hf eager" in v["target"]]
    assert verdict["holds"] == holds and verdict["worst"] == pytest.approx(1 / theirs)
    assert "k=1" in verdict["at"]


def test_races_are_paired_by_round(bench):
    ours, theirs = [1.0, 4.0, 9.0], [2.0, 4.0, 6.0]
    got = bench.ratios({"dense": ours, "dense fused": [9.0] * 3, "ours auto": ours, "hf x": theirs})
    assert got["races"] == {"hf x": [1.0, 0.5, 1.5]}


@pytest.mark.parametrize(("n", "want"), [(1, (0, 0)), (5, (0, 4)), (7, (0, 6)), (15, (3, 11))])
def test_interval_of_the_median(bench, n, want):
    report = sys.modules["_moe_report"]
    assert report.interval([float(i) for i in reversed(range(n))]) == want


def test_only_takes_places_in_every_dtype(bench):
    points = bench.only(bench.grid(True, ["float32", "bfloat16"], False), ["64,16,4,2"])
    assert points == [bench.Point(dtype, 64, 16, 4, 2) for dtype in ("float32", "bfloat16")]


def test_more_rounds_for_short_points(bench):
    assert [bench.enough(s) for s in (0.01, 1.0, 9.0, 30.0)] == [21, 8, 7, 5]


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
