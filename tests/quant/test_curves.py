"""8-bit Adam beside 32-bit Adam: the runs, the spread of seeds as the measure, the bytes."""

import json

import pytest
from study_toys import PLAN

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.quant.curves import Curve, Curves, run_curves
from breakthrough.quant.figures import draw_curves


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    return run_curves(PLAN, (0, 1), folder=folder, workers=1, progress=False), folder


def test_every_optimizer_trains_every_seed(found):
    curves, folder = found
    assert set(curves.runs) == {"AdamW", "AdamW8", "bitsandbytes"} and len(list(folder.rglob("*.json"))) == 6
    for runs in curves.runs.values():
        assert all(run.steps == (15, 30) and run.losses[1] < run.losses[0] < 5.6 for run in runs)


def test_eight_bits_are_smaller_where_they_are_used(found):
    curves, _ = found
    for name in ("AdamW8", "bitsandbytes"):
        run = curves.runs[name][0]
        assert 0 < run.codes_numbers < run.numbers  # not the embedding, not the norms
        assert 0.65 < curves.saved(name) < 0.76  # of 4,096 weights bitsandbytes' two codebooks are a twentieth
        assert 0 < curves.saved(name, whole=True) < curves.saved(name)
    assert curves.runs["AdamW"][0].codes_numbers == 0


def test_near_is_what_lies_within_the_seeds():
    base = tuple(Curve((1, 2), losses, 80, 10) for losses in ((3.0, 2.0), (3.2, 2.2)))
    near = tuple(Curve((1, 2), losses, 20, 10) for losses in ((3.05, 2.05), (3.25, 2.25)))
    far = tuple(Curve((1, 2), losses, 20, 10) for losses in ((5.5, 2.0), (5.7, 2.2)))
    made = Curves("made", "dense", (0, 1), {"AdamW": base, "near": near, "far": far})
    assert made.inside("near") and not made.inside("far")
    assert made.difference("near").values == pytest.approx((0.05, 0.05)) and made.saved("near", whole=True) == 0.75
    assert made.spread() == pytest.approx(0.1414, abs=1e-4)


def test_as_data_text_and_picture(found):
    curves, folder = found
    assert Curves.from_dict(json.loads(json.dumps(curves.to_dict(), allow_nan=False))) == curves
    assert run_curves(PLAN, (0, 1), folder=folder, workers=1, progress=False) == curves
    assert str(curves).count("\n") == 3 and len(draw_curves(curves).axes) == 2


def test_what_has_no_spread(tmp_path):
    with pytest.raises(ConfigError, match="2 seeds"):
        run_curves(PLAN, (0,), folder=tmp_path)
    with pytest.raises(UnknownNameError, match="optimizer"):
        run_curves(PLAN, (0, 1), optimizers=("SGD",), folder=tmp_path)
