"""The inspector before and after: intervals that hold, pairs that tell more, and pictures of its own dataset only."""

import math
import shutil

import numpy as np
import pytest
import torch
from matplotlib.container import BarContainer
from toy_shrunk import toy_inspector

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, ShapeError, UnknownNameError
from breakthrough.quant import inspecting
from breakthrough.quant.inspecting import BEFORE, ROUNDED, SEEDS, VERSIONS, Answers, change, controls, pictures_of, share, shrink_inspector
from breakthrough.quant.inspecting_figures import draw_margins, draw_recall, draw_weights
from breakthrough.scenes.handover import load_scenes
from breakthrough.seeds import numpy_generator
from breakthrough.train.inspector import load_inspector, save_inspector

LABELS = np.array([0, 0, 1, 1, 2, 2, 2, 2])


def scores(said, size=1.0):
    return size * np.eye(4)[np.array(said)].astype(np.float32)


SAID = {BEFORE: scores([0, 0, 1, 0, 2, 2, 0, 0]), "int8": scores([0, 0, 1, 0, 2, 2, 0, 0], 1.25), "nf4": scores([0, 1, 1, 0, 2, 2, 2, 0])}
ANSWERS = Answers(LABELS, ("x", "y", "z", "never"), SAID)


@pytest.fixture(scope="module")
def inspector(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(artifacts.VARIABLE, str(tmp_path_factory.mktemp("store")))
        yield toy_inspector(artifacts.store())


@pytest.fixture(scope="module")
def shrunk(inspector):
    return shrink_inspector(inspector)


def test_shares_are_counts():
    assert ANSWERS.accuracy(BEFORE).value == 5 / 8 and ANSWERS.accuracy(BEFORE).n == 8
    assert {name: one.value for name, one in ANSWERS.recall("nf4").items()} == {"x": 1 / 2, "y": 1 / 2, "z": 3 / 4}
    assert ANSWERS.gained("nf4").value == 0 and ANSWERS.agreement("nf4").value == 6 / 8
    assert {name: one.value for name, one in ANSWERS.recall_gained("nf4").items()} == {"x": -1 / 2, "y": 0, "z": 1 / 4}
    assert ANSWERS.agreement("int8").value == 1 and ANSWERS.largest_change("int8") == 0.25
    assert ANSWERS.usual_change("int8") == pytest.approx(0.125) and ANSWERS.margin() == 1


@pytest.mark.parametrize(("truth", "n"), [(0.5, 20), (0.9, 60), (0.02, 40)])
def test_the_interval_holds_the_true_share_as_often_as_it_says(truth, n):
    draw, held = numpy_generator(0), 0
    for _ in range(600):
        found = share(draw.random(n) < truth)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 600


@pytest.mark.parametrize(("won", "lost", "n"), [(0.02, 0.05, 60), (0.0, 0.03, 30), (0.2, 0.1, 200)])
def test_the_interval_of_a_change_holds_it_too_with_few_pairs(won, lost, n):
    draw, held = numpy_generator(0), 0
    for _ in range(600):
        kind = draw.random(n)
        before = (kind > won) & (draw.random(n) < 0.5) | (kind > 1 - lost)
        after = np.where(kind < won, True, np.where(kind > 1 - lost, False, before))
        found = change(before, after)
        held += found.low <= won - lost <= found.high
    assert 0.92 <= held / 600


def test_pairs_tell_more_than_two_shares():
    draw = numpy_generator(1)
    before = draw.random(100) < 0.6
    after = before ^ (draw.random(100) < 0.03)
    pairs, apart = change(before, after), share(before)
    assert pairs.high - pairs.low < 0.6 * (apart.high - apart.low)
    assert change(before, before).value == 0 and change(before, before).high > 0  # no change seen is not none


def test_of_no_pictures_nothing_is_said():
    none = np.zeros(0, bool)
    assert math.isnan(share(none).value) and math.isnan(change(none, none).value)
    with pytest.raises(ShapeError):
        Answers(LABELS[:0], ("x", "y"), {BEFORE: np.zeros((0, 2))})
    with pytest.raises(ShapeError, match="nf4"):
        Answers(LABELS, ("x", "y"), {BEFORE: np.zeros((8, 2)), "nf4": np.zeros((7, 2))})


def test_another_version_is_refused():
    for ask in (ANSWERS.accuracy, ANSWERS.gained, ANSWERS.agreement, ANSWERS.largest_change, ANSWERS.margin, ANSWERS.told):
        with pytest.raises(UnknownNameError, match="int7"):
            ask("int7")
    with pytest.raises(UnknownNameError, match="int8"):
        controls("int7")


def test_every_version_and_control_answers_the_same_test_pictures(inspector, shrunk):
    assert list(shrunk.models) == [BEFORE, *VERSIONS]
    assert set(shrunk.answers.logits) == {BEFORE, *VERSIONS, ROUNDED, *controls("int8"), *controls("nf4")}
    test = load_scenes(artifacts.store() / "scenes" / inspector.parents[0]).arrays("test")
    np.testing.assert_array_equal(shrunk.answers.labels, test.classes)
    model = load_inspector(inspector).eval()
    with torch.no_grad():
        said = model(torch.from_numpy(test.rgb).permute(0, 3, 1, 2).float() / 255).numpy()
    np.testing.assert_allclose(shrunk.answers.logits[BEFORE], said, atol=1e-5)


def test_fewer_bits_move_the_scores_further_and_a_coin_further_than_rounding(shrunk):
    moved = shrunk.answers.usual_change
    assert 0 < moved("int8") < moved("nf4") < np.mean([moved(name) for name in controls("nf4")])
    assert moved("int8") < np.mean([moved(name) for name in controls("int8")])
    assert len({moved(name) for name in controls("nf4")}) == len(SEEDS)


def test_sizes_fall_with_the_bits(shrunk):
    sizes = shrunk.sizes
    assert sizes[BEFORE].bytes > sizes["int8"].bytes > sizes["nf4"].bytes
    assert sizes[BEFORE].bytes == sum(4 * x.numel() for x in shrunk.models[BEFORE].state_dict().values())
    assert "nf4_random 2" in str(shrunk) and f"{sizes['nf4'].bytes:,}" in str(shrunk)


def test_calibration_takes_training_pictures_only_spread_over_the_set(inspector, monkeypatch):
    seen = []
    real = inspecting.quantize
    monkeypatch.setattr(inspecting, "quantize", lambda model, scheme, batches=None: (seen.append(batches), real(model, scheme, batches))[1])
    shrink_inspector(inspector)
    given = torch.cat(next(one for one in seen if one))
    train = pictures_of(inspector, "train").images
    np.testing.assert_allclose(given.permute(0, 2, 3, 1).numpy() * 255, train, atol=1e-3)
    few = inspecting.calibration(pictures_of(inspector, "train"), 3)
    np.testing.assert_allclose(torch.cat(few).permute(0, 2, 3, 1).numpy() * 255, train[[0, 12, 23]], atol=1e-3)


def test_without_its_dataset_an_inspector_is_not_measured(inspector, tmp_path, monkeypatch):
    alone = save_inspector(load_inspector(inspector), {}, "tiny")
    with pytest.raises(ArtifactError, match="no parents"):
        shrink_inspector(alone)
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "another"))
    assert len(pictures_of(inspector)) == 12  # its dataset lies beside it
    moved = shutil.copytree(inspector.folder, tmp_path / "away" / "inspector" / inspector.id)
    with pytest.raises(ArtifactError, match="module 2's artifact"):
        shrink_inspector(moved)


def test_the_figures_show_every_class_and_version(shrunk):
    figure = draw_recall(shrunk.answers)
    left, right = figure.axes
    there = list(shrunk.answers.recall(BEFORE))
    assert [text.get_text() for text in left.get_legend().get_texts()] == [BEFORE, *VERSIONS]
    assert len(left.get_xticklabels()) == len(right.get_xticklabels()) == len(there) + 1
    assert left.get_xticklabels()[-1].get_text() == "all\npictures\nof 12"
    bars = [one for one in left.containers if isinstance(one, BarContainer)]
    for name, container in zip((BEFORE, *VERSIONS), bars, strict=True):
        shares = (*shrunk.answers.recall(name).values(), shrunk.answers.accuracy(name))
        assert [bar.get_height() for bar in container] == pytest.approx([100 * one.value for one in shares])
    changed = round(12 * (1 - shrunk.answers.agreement("nf4").value))
    assert f"{changed} of 12 answers changed" in draw_margins(shrunk.answers).axes[1].get_title()


def test_the_errors_of_a_layer_are_drawn_as_they_are(shrunk):
    figure = draw_weights(shrunk.models, "mixture.moe.down", outputs=8)
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images][:3]
    weight = shrunk.models[BEFORE].mixture.moe.down.detach().flatten(0, 1)[:8].numpy()
    np.testing.assert_array_equal(images[0], weight)
    error = shrunk.models["nf4"].mixture.moe.down.detach().flatten(0, 1)[:8].numpy() - weight
    np.testing.assert_allclose(images[2], 10 * error, atol=1e-6)
    with pytest.raises(UnknownNameError, match="mixture"):
        draw_weights(shrunk.models, "mixture.moe.dawn")
