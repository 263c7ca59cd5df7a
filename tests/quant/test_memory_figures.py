"""The cases that are measured, their table and their picture."""

import pytest
import torch

from breakthrough.errors import InputError, UnknownNameError
from breakthrough.quant.memory import Bytes
from breakthrough.quant.memory_cases import CASES, measure_cases, table
from breakthrough.quant.memory_figures import draw_memory
from breakthrough.seeds import torch_generator
from breakthrough.train.language import ByteLM, LanguageConfig

CONFIG = LanguageConfig(d_model=128, n_layers=2, context=16, ffn=340)


@pytest.fixture(scope="module")
def found():
    tokens = torch.randint(256, (1, 17), generator=torch_generator(0))
    return measure_cases(lambda: ByteLM(CONFIG, torch_generator(0)), lambda model: model.loss(tokens)[0])


def test_every_case_is_measured(found):
    assert list(found) == list(CASES)
    full, adam, lora, qlora = (found[f"train {name}"] for name in ("fp32", "8-bit Adam", "LoRA", "QLoRA"))
    assert adam.weights == full.weights == 2 * found["train bf16"].weights and adam.state < 0.3 * full.state
    assert qlora.gradients == lora.gradients < 0.1 * full.gradients
    assert qlora.weights < 0.4 * full.weights < lora.weights
    assert qlora.peak < lora.peak < adam.peak < full.peak
    answers = [found[f"answer {name}"] for name in ("fp32", "bf16", "int8", "NF4")]
    assert [one.weights for one in answers] == sorted((one.weights for one in answers), reverse=True)
    assert all(one.gradients == one.state == one.activations == 0 for one in answers)


def test_only_known_cases():
    with pytest.raises(UnknownNameError, match="answer NF4"):
        measure_cases(lambda: None, lambda model: None, ["answer NF5"])


def test_the_table_says_what_was_measured():
    text = table({"train x": Bytes(1_000_000, 2_000_000, 3_500_000, 4_250_000, 9_000_000, 9_900_000, "step")})
    assert text.splitlines()[1].split() == ["train", "x", "1.00", "2.00", "3.50", "4.25", "10.75", "9.00", "step", "9.90"]
    assert table({"x": Bytes(1, 1, 1, 1, 1)}).splitlines()[1].split()[-1] == "forward"


def test_the_picture_stacks_the_parts_and_marks_the_peak(found):
    figure = draw_memory(found, "A small model")
    assert [axes.get_title() for axes in figure.axes] == ["one step of training", "one answer, without gradients"]
    for axes, verb in zip(figure.axes, ("train", "answer")):
        cases = {name: one for name, one in found.items() if name.startswith(verb)}
        heights = [sum(bars[x].get_height() for bars in axes.containers) for x in range(len(cases))]
        assert heights == pytest.approx([one.parts / 1e6 for one in cases.values()])
        assert [text.get_text() for text in axes.texts] == [f"{one.peak / 1e6:.3g}" for one in cases.values()]
        lines = [segment[0][1] for segment in axes.collections[0].get_segments()]
        assert lines == pytest.approx([one.peak / 1e6 for one in cases.values()])
    figure.draw_without_rendering()
    assert all(figure.bbox.contains(*corner) for axes in figure.axes for text in axes.texts for corner in text.get_window_extent().corners())


@pytest.mark.parametrize(("size", "unit"), [(10, "bytes"), (10**4, "kB"), (10**7, "MB"), (10**10, "GB")])
def test_units_and_names_of_ones_own(size, unit):
    figure = draw_memory({"mine": Bytes(size, size, 0, 0, size), "other way": Bytes(size, 0, 0, 0, size)}, "Two ways")
    (axes,) = figure.axes
    assert axes.get_ylabel() == unit and axes.get_title() == "Two ways"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["mine", "other way"]


def test_nothing_to_draw():
    with pytest.raises(InputError):
        draw_memory({})
