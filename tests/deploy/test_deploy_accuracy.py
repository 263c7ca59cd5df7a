"""What quantization costs, measured so that a wrong scale shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("tvm", reason="needs apache-tvm")

from breakthrough.deploy import accuracy
from breakthrough.quant.inspecting import BEFORE
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.pictures import Pictures, to_input


@pytest.fixture(scope="module")
def found():
    model = Inspector(InspectorConfig(widths=(16, 16), blocks=(0, 0)), torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        model.prior.copy_(torch.tensor([4.0, 0.0, 0.0, 0.0, 0.0]))
    images = np.random.default_rng(0).integers(0, 256, (48, 32, 32, 3), dtype=np.uint8)
    x = to_input(torch.from_numpy(images))
    with torch.no_grad():
        labels = model(x).argmax(1).numpy()  # a net that is always right loses where it changes
    return accuracy.cost(model, x.split(24), Pictures(images, labels, model.config.classes), ("int8",))


def test_int8_changes_little_and_the_control_much(found):
    answers = found.answers
    assert answers.accuracy(BEFORE).value == 1
    lost, control = -answers.gained("int8").value, -answers.gained(accuracy.CONTROL).value
    assert lost <= 0.05
    assert answers.usual_change(accuracy.CONTROL) > 10 * answers.usual_change("int8") > 0
    assert control >= lost


def test_the_table_has_every_pipeline_with_its_bytes(found):
    text = str(found)
    assert "int8" in text and accuracy.CONTROL in text and f"{found.weight_bytes['int8']}" in text
