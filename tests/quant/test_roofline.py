"""Layers under the roof: what is counted, ratios repeat by repeat, the picture."""

import json

import pytest

from breakthrough.errors import InputError, UnknownNameError
from breakthrough.quant.figures import draw_roofline
from breakthrough.quant.roofline import LayerTime, Roofline, measure_roofline


@pytest.fixture(scope="module")
def found():
    return measure_roofline(128, ("int8", "nf4", "Linear8bitLt", "Linear4bit"), (1, 3), repeats=4, progress=False)


def test_every_layer_is_timed_at_every_batch(found):
    assert found.schemes == ("fp32", "bf16", "int8", "nf4", "Linear8bitLt", "Linear4bit") and found.batches == (1, 3)
    assert len(found.layers) == 12 and all(len(layer.seconds) == 4 and min(layer.seconds) > 0 for layer in found.layers)
    assert found.layer("nf4", 3).flops == 2 * 3 * 128**2
    assert found.layer("fp32", 1).weight_bytes == 4 * 128**2 and found.layer("bf16", 1).weight_bytes == 2 * 128**2
    assert found.layer("nf4", 1).weight_bytes < found.layer("int8", 1).weight_bytes < found.layer("bf16", 1).weight_bytes
    assert abs(found.layer("nf4", 1).weight_bytes - found.layer("Linear4bit", 1).weight_bytes) <= 8


def test_intensity_counts_weight_input_and_output(found):
    layer = found.layer("fp32", 3)
    assert layer.intensity == pytest.approx(2 * 3 * 128**2 / (4 * 128**2 + 2 * 3 * 128 * 4))


def test_ratios_are_paired_by_repeat():
    rows = (LayerTime("fp32", 1, (2.0, 4.0, 2.0, 4.0), 8, 8, 8), LayerTime("nf4", 1, (1.0, 2.0, 1.0, 2.0), 1, 1, 8))
    made = Roofline("cpu", 1, 2, bandwidth=4.0, peaks={"float32": 10.0}, layers=rows)
    assert made.speedup("nf4", 1) == (2.0, 2.0, 2.0)
    assert made.roof(1.0) == 4.0 and made.roof(100.0) == 10.0
    assert rows[0].rate == 8 / 3.0


def test_as_data_text_and_picture(found):
    assert Roofline.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    assert str(found).count("\n") == 1 + len(found.layers)
    assert [len(axes.lines) for axes in draw_roofline(found).axes] == [8, 8]


def test_what_cannot_be_measured(found):
    with pytest.raises(InputError, match="multiple of 64"):
        measure_roofline(100)
    with pytest.raises(UnknownNameError, match="scheme"):
        measure_roofline(64, ("nf5",), progress=False)
    with pytest.raises(UnknownNameError, match="layer"):
        found.layer("nf4", 2)
