import math

import pytest
from matplotlib.figure import Figure

from breakthrough.errors import UnknownNameError
from breakthrough.train.inspection import Score
from breakthrough.train.inspection_figures import accuracy_bars, accuracy_by_count, confusion_matrix
from breakthrough.train.inspection_results import InspectionRun, Inspections


def found(seeds=(0, 1, 2)):
    def run(seed, right):
        scores = {test: Score(((right + seed - less, 10 - right - seed + less), (2, 8))) for test, less in (("own", 0), ("line", 3))}
        return InspectionRun(seed, 9.0, (1.0,), scores, "nowhere")

    runs = {name: tuple(run(seed, right) for seed in seeds) for name, right in (("naive", 4), ("all", 7))}
    return Inspections(("none", "raised_bolt"), ("own", "line"), "cpu", seeds, {"naive": 500, "all": 2000}, runs)


def texts(figure):
    ax = figure.axes[0]
    return [x.get_text() for x in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.title, ax.xaxis.label)]


def test_bars_show_every_set_on_every_test_with_the_interval():
    figure = accuracy_bars(found(), labels={"all": "everything varies"})
    ax = figure.axes[0]
    assert isinstance(figure, Figure) and len(ax.patches) == 4
    widths = sorted(bar.get_width() for bar in ax.patches)
    assert widths == pytest.approx(sorted(100 * found().accuracy(a, t).mean for a in ("naive", "all") for t in ("own", "line")))
    assert {"everything varies", "naive", "accuracy (%)"} <= set(texts(figure))
    assert "3 seeds" in ax.get_title() and "dashed: chance" in ax.get_title()
    half = 100 * found().accuracy("naive", "own").half
    spans = [segment for c in ax.collections for segment in c.get_segments()]
    assert any(abs(b[0] - a[0]) == pytest.approx(2 * half) for a, b in spans)


def test_one_seed_has_no_interval():
    figure = accuracy_bars(found((0,)), ["line"])
    assert "no interval" in figure.axes[0].get_title() and len(figure.axes[0].patches) == 2
    assert all(math.isfinite(bar.get_width()) for bar in figure.axes[0].patches)


def test_a_confusion_matrix_is_in_percent_of_the_class():
    figure = confusion_matrix(found(), "all", "own")
    assert [x.get_text() for x in figure.axes[0].texts] == ["80", "20", "20", "80"]
    assert "raised\nbolt" in texts(figure) and "80.0%" in figure.axes[0].get_title()


def test_points_stand_at_their_size():
    figure = accuracy_by_count(found(), ["line"])
    ax = figure.axes[0]
    assert ax.get_xscale() == "log" and {"500", "2,000", "pictures trained on"} <= set(texts(figure))
    line = ax.lines[0]
    assert line.get_xdata().tolist() == [500, 2000]
    assert line.get_ydata() == pytest.approx([100 * found().accuracy(name, "line").mean for name in ("naive", "all")])


def test_they_draw_on_given_axes_and_refuse_unknown_names():
    ax = Figure().subplots()
    assert accuracy_by_count(found(), ax=ax) is ax.figure
    assert confusion_matrix(found(), "naive", "line", ax=Figure().subplots()).axes
    for draw in (accuracy_bars, accuracy_by_count):
        with pytest.raises(UnknownNameError, match="line"):
            draw(found(), ["lin"])
    with pytest.raises(UnknownNameError, match="all"):
        confusion_matrix(found(), "al", "line")
