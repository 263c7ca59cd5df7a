"""The study of what federation costs: its runs, its resumption, its table and picture."""

import json

import pytest

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.federated.figures_study import draw_losses
from breakthrough.federated.study import Losses, Study, run_study

SMALL = Study("small", rounds=2, alphas=(1.0,), protected=(1.0,), nodes=3, epochs=1, epsilons=(8.0,), private_nodes=4, private_rounds=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return run_study(SMALL, seeds=(0, 1), folder=folder, progress=False), folder


def test_every_setting_and_protection_is_run(found):
    losses, _ = found
    assert losses.settings == ("α = 1", "4 nodes, even", "3 nodes, even")
    assert losses.protections == ("plain", "masked", "encrypted", "one node alone", "clipped", "ε = 8")
    assert all(0 <= x <= 1 for runs in losses.runs.values() for x in runs) and len(losses.central_runs) == 2
    assert losses.central.mean > losses.accuracy("4 nodes, even", "ε = 8").mean + 0.2  # the noise is there


def test_protected_sums_train_as_the_plain_one_does(found):
    losses, _ = found
    for protection in ("masked", "encrypted"):
        assert abs(losses.lost("α = 1", protection, against="plain").mean) < 1.0


def test_a_study_that_was_run_is_read(found):
    losses, folder = found
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    again = run_study(SMALL, seeds=(0, 1), folder=folder, progress=False)
    assert again == losses and {path: path.stat().st_mtime_ns for path in folder.glob("*.json")} == times


def test_what_is_lost_is_paired_by_seed():
    losses = Losses(SMALL, (0, 1), {("α = 1", "plain"): (0.90, 0.80)}, (0.95, 0.83))
    lost = losses.lost("α = 1")
    assert lost.values == pytest.approx((5.0, 3.0)) and lost.mean == pytest.approx(4.0)
    with pytest.raises(UnknownNameError, match="a run of the study"):
        losses.lost("α = 2")


def test_the_table_and_the_picture_show_all_runs(found):
    losses, _ = found
    text = str(losses)
    assert text.count("\n") == len(losses.runs) + 1 and "all in one place" in text
    labels = [label.get_text() for label in draw_losses(losses).axes[0].get_yticklabels()]
    assert len(labels) == len(losses.runs) and "α = 1 · masked" in labels
    json.dumps(losses.to_dict(), allow_nan=False)


def test_what_is_no_study(tmp_path):
    with pytest.raises(UnknownNameError, match="study"):
        run_study("quik", folder=tmp_path)
    with pytest.raises(ConfigError, match="one seed"):
        run_study(SMALL, seeds=(), folder=tmp_path)
