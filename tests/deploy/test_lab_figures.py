"""The drawings of lab 05 show what they were given, and count what they say."""

from types import SimpleNamespace

import numpy as np
import pytest

from breakthrough.deploy import eager_service, lab_figures
from breakthrough.deploy.latency import Latencies, Samples
from breakthrough.deploy.latency_figures import draw_table
from breakthrough.deploy.latency_table import Cell, Table, Way


def test_verdicts_count_the_fair_pairs_and_say_each_answer():
    table = {"a": {"threads": 1}, "b": {"threads": 1}, "c": {"threads": 2}}

    def read(one, other, what, tolerance):
        fair = what == "throughput" or one["threads"] == other["threads"]
        return ("holds", 2.0) if fair else ("unfair", None)

    figure, fair = lab_figures.draw_verdicts(table, read, 1e-4)
    assert fair == {"latency": 1, "throughput": 3}
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said.count("unfair") == 4 and said.count("holds\n2.00 ×") == 2


def test_tiles_at_the_edge_have_another_colour_and_the_order_is_written():
    stored = [(slice(0, 2), slice(0, 2)), (slice(0, 2), slice(2, 3))]
    left, right = lab_figures.draw_tiles(stored, (2, 3), {2: 8, 4: 4}, size=2, tile=2).axes
    colours = {tuple(patch.get_facecolor()[0]) for patch in left.collections}
    assert [text.get_text() for text in left.texts] == ["0", "1"] and len(colours) == 2
    assert list(right.lines[1].get_ydata()) == [8, 4]


def test_traffic_writes_both_sums():
    axes = lab_figures.draw_traffic({1: {"four operators": (5, 1), "yours": (1, 1)}}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["four operators: 6", "yours: 2"]


def test_a_percentile_without_an_upper_bound_is_hollow():
    figure = lab_figures.draw_percentiles([1.0, 2.0], lambda runs, percent: (max(runs), 0.0, float("inf") if percent == 99 else max(runs)), (1, 2))
    marks = {line.get_marker(): line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() not in ("None", "")}
    assert marks["^"] == "white" and marks["o"] != "white"


def test_the_ends_of_the_accumulator_are_those_of_its_bits():
    sums = {"codes": (np.array([-5000, 7000]), np.array([-9000, 9000]))}
    right = lab_figures.draw_accumulator({"9 products": [1, 2]}, (8, 10), sums, 10).axes[1]
    assert [line.get_xdata()[0] for line in right.lines[-2:]] == [-0.512, 0.511]


def test_batching_kernels_and_serving_draw_every_way():
    rows = np.array([[0.1, 2.0, 100.0], [0.2, 3.0, 120.0]])
    panels = lab_figures.draw_batching((1, 2), {"one": rows, "two": rows}).axes
    assert [len(axes.lines) for axes in panels] == [2, 2, 2] and list(panels[2].lines[0].get_ydata()) == [10, 20]
    axes = lab_figures.draw_kernels({"plain": 2.0, "yours": 1.0}, 1e9, 1e12, "plain").axes[0]
    assert axes.texts[1].get_text() == "1e+03 ms, 2 ×"
    run = SimpleNamespace(throughput=10.0, p99_ms=1.0)
    told = SimpleNamespace(rows=[SimpleNamespace(batched=[run], single=[run])] * 2)
    assert len(lab_figures.draw_serving({"compiled": told}, (1, 8)).axes[0].lines) == 2


def test_recall_has_a_mark_for_each_class_and_version():
    share = SimpleNamespace(low=0.1, high=0.9, value=0.5)
    answers = SimpleNamespace(classes=("a", "b"), recall=lambda name: {"a": share, "b": share})
    figure = lab_figures.draw_recall(answers, {"float32": "PyTorch", "int8": "compiled"})
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["PyTorch", "compiled"]
    assert len(figure.axes[0].lines) == 8


def table(error):
    samples = tuple(Samples(name, ((s,) * 3,) * 6, (s,) * 6) for name, s in (("eager", 2.0), ("fast", 1.0)))
    latencies = Latencies(samples, "eager", 1, "a machine", 0.0)
    return Table("tiny", 1, "a machine", {}, (Cell("net", 1, 10, (Way("eager", 0.0), Way("fast", error)), latencies),))


def test_a_way_that_errs_is_drawn_hollow_and_said_to():
    for error, hollow in ((3.6, True), (0.1, False)):
        found = table(error)
        axes = draw_table(found).axes[0]
        assert found.cells[0].errs("fast") is hollow
        assert (axes.patches[1].get_facecolor()[:3] == (1, 1, 1)) is hollow
        assert any("errs by 3.6" in text.get_text() for text in axes.texts) is hollow


def test_an_eager_service_is_started_by_its_module(tmp_path):
    given = eager_service.command(tmp_path / "net", tmp_path / "compiled", "--max-batch", "1")
    assert given[1:3] == ["-m", "breakthrough.deploy.eager_service"] and given[-2:] == ["--max-batch", "1"]
    with pytest.raises(SystemExit):
        eager_service.main([])
