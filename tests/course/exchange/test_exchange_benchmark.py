"""The benchmark's report on results that are made up, and the simulated cohorts it measures with."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from exchange_cohorts import simulation

PATH = Path(__file__).parents[3] / "benchmarks" / "_exchange_report.py"
FACTS = {"stated rate of false flags": 0.01}


@pytest.fixture(scope="module")
def report():
    spec = importlib.util.spec_from_file_location("_exchange_report", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part(effort):
    run = {"mean": 0.2, "median": 0.3, "PG1": 0.1, "effort": effort, "PG1 covers": 0.8, "effort covers": 0.9}
    run |= {"flags": {"lazy": {"effort": [9, 10], "favour": [0, 10]}}, "quality": {"lazy": 0.2}}
    return {"facts": {"learners": 10, "seeds": 2}, "found": {"30% lazy, 10% pact": [run, run]}}


@pytest.mark.parametrize(("effort", "verdict"), [(0.1, ": met in the mean, in 2 of 2"), (0.11, ": not met in the mean, in 0 of 2")])
def test_the_goal_is_half_the_plain_means_error(report, effort, verdict):
    text = report.write({"scores": part(effort)}, FACTS, None)
    assert verdict in text and "90.0% (90.0–90.0)" in text and "learners 10, seeds 2" in text


def test_parts_are_kept_beside_each_other(report, tmp_path):
    out = tmp_path / "kept" / "exchange"
    report.write({"scores": part(0.1)}, FACTS, out)
    assert report.kept(out) == json.loads(out.with_suffix(".json").read_text())["parts"] == {"scores": part(0.1)}
    assert report.kept(tmp_path / "other") == report.kept(None) == {}
    assert out.with_suffix(".md").read_text().startswith("# Exchange")


def test_cohorts_are_what_was_asked_for():
    made = simulation.cohort(40, {"lazy": 0.3, "ring": 0.2, "sly": 0.1, "odd": 0.1}, np.random.default_rng(0))
    data = made.reviews
    assert [int(made.are(name).sum()) for name in ("lazy", "ring", "sly", "odd", "honest")] == [12, 8, 4, 4, 12]
    assert np.bincount(data.submission)[:40].tolist() == [3] * 40 and np.bincount(data.reviewer).tolist() == [4] * 40
    assert (data.scores[made.are("lazy")[data.reviewer]] == 1).all()
    sly, specimen = made.are("sly")[data.reviewer], data.submission >= 40
    assert (data.scores[sly & ~specimen] == 1).all() and (data.scores[sly & specimen] < 1).any()
    assert np.bincount(made.friends[made.friends >= 0]).tolist() == [4, 4]


def test_plain_mean_and_median_of_a_work():
    made = simulation.cohort(12, {}, np.random.default_rng(0))
    rows = made.reviews.scores[made.reviews.submission == 5]
    assert simulation.mean(made.reviews)[5] == pytest.approx(rows.mean())
    assert simulation.median(made.reviews)[5] == pytest.approx(np.median(rows, axis=0).mean())
