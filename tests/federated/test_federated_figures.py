import io

import numpy as np
import pytest

from breakthrough.errors import ConfigError, ShapeError
from breakthrough.federated.figures import (
    CURVATURES,
    OPTIMA,
    draw_drift,
    draw_factories,
    draw_history,
    draw_split,
    drift_optimum,
    drift_path,
)
from breakthrough.federated.partition import dirichlet, even
from breakthrough.seeds import numpy_generator
from breakthrough.train.pictures import Pictures

CLASSES = ("none", "missing_bolt", "scratch")


def drawn(figure):
    """The texts of a figure; it is drawn, so that what cannot be drawn fails."""
    from matplotlib.text import Text

    figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def gradient(w, clients):
    return sum(CURVATURES[k] @ (w - OPTIMA[k]) for k in clients)


def test_a_split_shows_every_count_and_the_skew():
    labels = numpy_generator(0).integers(0, 3, 300)
    split = dirichlet(labels, 4, 0.3, numpy_generator(1))
    texts = drawn(draw_split(split, labels, CLASSES))
    assert {str(count) for count in split.counts(labels).ravel()} <= set(texts)
    assert f"skew {split.skew(labels):.2f}" in texts and "missing bolt" in texts
    assert {f"{k}\n{size}" for k, size in enumerate(split.sizes)} <= set(texts)


def test_splits_stand_side_by_side():
    labels = numpy_generator(0).integers(0, 3, 300)
    splits = {f"α = {alpha}": dirichlet(labels, 3, alpha, numpy_generator(1)) for alpha in (0.1, 1.0)} | {"even": even(300, 5, numpy_generator(2))}
    figure = draw_split(splits, labels, CLASSES)
    assert len(figure.axes) == 3
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == list(splits)
    for axes, split in zip(figure.axes, splits.values()):
        sizes = axes.collections[0].get_sizes()
        counts = split.counts(labels).ravel()
        assert np.allclose(sizes * counts.sum() / sizes.sum(), counts)


def test_factories_show_their_mix_and_their_light():
    images = numpy_generator(0).integers(0, 256, (20, 24, 24, 3), dtype=np.uint8)
    dark = Pictures(images // 4, np.repeat([0, 1], 10), CLASSES)  # no scratch at all
    texts = drawn(figure := draw_factories({"a": Pictures(images, np.repeat([0, 2], (5, 15)), CLASSES), "b": dark}))
    assert [bar.get_width() for bar in figure.axes[1].patches] == [25, 0, 75]
    assert {"75", "25", "50", f"mean {dark.images.mean():.0f}", "missing\nbolt", "a", "b"} <= set(texts)
    shares = figure.axes[5].patches[0].get_data().values
    assert shares.sum() == pytest.approx(100) and shares[8:].sum() == 0


def test_one_local_step_finds_the_best_for_both_and_many_do_not():
    best = drift_optimum()
    assert gradient(best, (0, 1)) == pytest.approx([0, 0], abs=1e-12)
    ends = {steps: drift_path(steps, 400, 0.15, (0.6, 2.3))[-1, :, -1].mean(0) for steps in (1, 5, 20)}
    away = {steps: np.linalg.norm(end - best) for steps, end in ends.items()}
    assert away[1] < 1e-6 < 0.3 < away[5] < away[20]


def test_the_paths_are_those_of_gradient_descent():
    path = drift_path(3, 2, 0.1, (1.0, 2.0))
    assert path.shape == (2, 2, 4, 2) and (path[0, :, 0] == [1, 2]).all()
    w = np.array([1.0, 2.0])
    for step in range(3):
        w = w - 0.1 * gradient(w, [1])
        assert path[0, 1, step + 1] == pytest.approx(w)
    assert path[1, 0, 0] == pytest.approx(path[0, :, -1].mean(0)) and (path[1, 0, 0] == path[1, 1, 0]).all()
    with pytest.raises(ConfigError, match="one local step"):
        drift_path(0, 1, 0.1, (0, 0))


def test_drift_is_drawn_as_it_was_computed():
    figure = draw_drift((1, 4), rounds=5, lr=0.1)
    texts = drawn(figure)
    assert len(figure.axes) == 2 and any("1 local step a round" in text for text in texts)
    end = drift_path(4, 5, 0.1, (0.6, 2.3))[-1, :, -1].mean(0)
    assert any(f"{np.linalg.norm(end - drift_optimum()):.2f} from the best" in text for text in texts)
    assert {"best for client 1", "best for client 2", "best for both", "where it ends"} <= set(texts)
    for axes in figure.axes:  # nothing leaves the picture
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        for line in axes.lines:
            x, y = line.get_data()
            assert np.min(x) >= left and np.max(x) <= right and np.min(y) >= low and np.max(y) <= high


def test_history_draws_means_and_bands_over_seeds():
    table = np.array([[10.0, 20, 30], [20, 40, 60], [30, 30, 90]])
    figure = draw_history({"FedAvg": table, "alone": np.array([5.0, 6])}, "accuracy, %", goal=("centralised", 95))
    axes = figure.axes[0]
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3] and axes.lines[0].get_ydata().tolist() == [20, 30, 60]
    band = axes.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in band} >= {(1, 10), (1, 30), (3, 30), (3, 90)}
    texts = drawn(figure)
    assert {"FedAvg", "alone", "centralised", "accuracy, %", "round"} <= set(texts) and any("1 to 3 seeds" in text for text in texts)
    styles = [(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in axes.lines[:2]]
    assert all(a != b for a, b in zip(*styles))
    assert draw_history({"a": [1, 2]}, first=0).axes[0].get_title() == "one seed"


def test_histories_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="one run"):
        draw_history({})
    for bad in (np.zeros((2, 2, 2)), []):
        with pytest.raises(ShapeError, match="FedAvg"):
            draw_history({"FedAvg": bad})
