import itertools
import json
import math

import numpy as np
import pytest

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.train import Comparison, History, Point, estimate
from breakthrough.train.comparison import T_975


def history(losses, second=1.0, load=()):
    points = [
        Point(10 * i, 100 * i, second * 10 * i, 0.0, 2.0, loss, load, (0.0,) * len(load))
        for i, loss in enumerate(losses, start=1)
    ]
    return History(points)


EVEN, COLLAPSED = ((0.25,) * 4,), ((1.0, 0.0, 0.0, 0.0),)


@pytest.fixture
def comparison():
    return Comparison(
        profile="tiny",
        device="cpu",
        seeds=(0, 1, 2),
        steps=20,
        control_steps=10,
        time_ratio=1.25,
        costs={},
        runs={
            "moe": tuple(history((3.0, 1.0 + e), 1.25, EVEN) for e in (0.00, 0.02, 0.01)),
            "dense": tuple(history((3.0, 1.5 + e, 1.1 + e)) for e in (0.00, 0.03, 0.02)),
            "control": tuple(history((3.5 + e,), 1.25, COLLAPSED) for e in (0.0, 0.1, 0.2)),
        },
    )


def test_the_interval_is_students():
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.303 * 1.0 / math.sqrt(3))
    assert math.isinf(estimate([1.0]).half) and estimate([1.0]).verdict == "undecided"
    with pytest.raises(ConfigError, match="at least one value"):
        estimate([])


def test_the_interval_covers_the_truth_95_times_in_100():
    draws = np.random.default_rng(0).normal(5.0, 1.0, (4000, 3))
    covered = [abs(e.mean - 5.0) < e.half for e in map(estimate, draws)]
    assert 0.94 < np.mean(covered) < 0.96


def test_the_quantiles_fall_smoothly_into_the_formula():
    assert all(a > b for a, b in itertools.pairwise(T_975))
    quantile = estimate(range(22)).half / np.std(range(22), ddof=1) * 22**0.5
    assert quantile == pytest.approx(2.080, abs=2e-3)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((-2, -2.1, -1.9), "below"), ((2, 2.1, 1.9), "above"), ((-1, 1, 0), "undecided")],
)
def test_the_verdict_is_where_the_interval_lies(values, verdict):
    assert estimate(values).verdict == verdict


def test_equal_flops_compares_at_equal_steps(comparison):
    assert comparison.losses("dense", "flops").values == pytest.approx((1.5, 1.53, 1.52))
    assert comparison.difference("flops").values == pytest.approx((-0.5, -0.51, -0.51))


def test_equal_time_gives_the_dense_model_the_steps_it_has_time_for(comparison):
    # 20 sparse steps are worth 25 dense ones: half-way from step 20 to step 30
    assert comparison.losses("dense", "time").values == pytest.approx((1.3, 1.33, 1.32))
    assert comparison.losses("moe", "time") == comparison.losses("moe", "flops")
    assert comparison.difference("time").verdict == "below"
    assert comparison.realised_time_ratio().values == pytest.approx((1.0, 1.0, 1.0))


def test_a_shorter_experiment_is_a_prefix_of_the_longer(comparison):
    short = comparison.at(10)
    assert short.losses("moe").mean == pytest.approx(3.0)
    # 10 sparse steps are worth 12.5 dense ones: a quarter of the way from step 10 to step 20
    assert short.losses("dense", "time").values[0] == pytest.approx(3.0 - 0.25 * 1.5)
    with pytest.raises(ConfigError, match="from 1 to 20"):
        comparison.at(30)


def test_the_control_is_compared_at_its_own_last_step(comparison):
    assert comparison.harm().values == pytest.approx((0.5, 0.6, 0.7))
    assert comparison.collapse("moe")["load_cv"].mean == pytest.approx(0.0)
    assert comparison.collapse("control")["load_cv"].mean == pytest.approx(math.sqrt(3))
    assert comparison.collapse("control")["dead"].mean == 3


def test_it_survives_json_and_the_summary_is_strict_json(comparison, tmp_path):
    comparison.save(tmp_path / "c.json")
    assert Comparison.load(tmp_path / "c.json") == comparison
    summary = json.loads(json.dumps(comparison.summary(), allow_nan=False))
    assert summary["equal_time"]["verdict"] == "below"
    single = {arm: [runs[0].to_list()] for arm, runs in comparison.runs.items()}
    one = Comparison.from_dict(comparison.to_dict() | {"runs": single})
    summary = json.loads(json.dumps(one.summary(), allow_nan=False))
    assert summary["equal_time"]["difference"]["half"] is None


def test_an_unknown_basis_is_refused(comparison):
    with pytest.raises(UnknownNameError, match="basis"):
        comparison.losses("moe", "steps")


def test_dead_means_less_than_a_hundredth_of_an_even_share():
    point = Point(1, 1, 1.0, 1.0, 1.0, 1.0, ((0.0024, 0.0026, 0.495, 0.5),), (0.0,))
    assert point.dead == (1,)


def test_figures_draw_what_was_measured(comparison):
    import matplotlib

    matplotlib.use("Agg")
    from breakthrough.train import figures

    for against, last in (("steps", 30), ("time", 30.0)):
        ax = figures.loss_curves(comparison, against).axes[0]
        dense = next(line for line in ax.lines if line.get_label() == "dense")
        assert dense.get_xdata()[-1] == last
        assert dense.get_ydata()[-1] == pytest.approx(1.1 + 0.05 / 3)
        assert ax.get_xlabel() and "nats" in ax.get_ylabel()
    bars = figures.expert_loads(comparison).axes[0].containers
    heights = [[bar.get_height() for bar in group] for group in bars if hasattr(group, "patches")]
    assert heights == [[25] * 4, [100, 0, 0, 0]]
    texts = [text.get_text() for text in figures.loss_bars(comparison).axes[0].texts]
    assert any(str(comparison.difference("time")) in text for text in texts)
    flops = figures.gap_curves(comparison).axes[0].lines[0]
    assert flops.get_xdata().tolist() == [10, 20]
    assert flops.get_ydata()[-1] == pytest.approx(comparison.difference("flops").mean)
    with pytest.raises(UnknownNameError, match="horizontal"):
        figures.loss_curves(comparison, "epochs")
