"""The table: every way held to eager's answers, a way that fails told, what was kept not measured again; claim C11."""

import json

import numpy as np
import pytest
from torch import nn

from breakthrough.deploy import latency_table as tables, nets, variants
from breakthrough.deploy.latency import Latencies, Samples
from breakthrough.deploy.latency_figures import draw_table
from breakthrough.deploy.latency_table import Cell, Table, Way, latency_table
from breakthrough.deploy.nets import Net
from breakthrough.deploy.variants import EAGER, Job, Variant, allowed_error, in_double, largest_error, of_torch
from breakthrough.deploy.verdicts import compiled
from breakthrough.errors import ConfigError, UnknownNameError


def linear(generator):
    layer = nn.Linear(6, 3)
    nn.init.normal_(layer.weight, generator=generator)
    return layer


def off_by(amount):
    def make(job):
        run = of_torch(job.model)
        return (lambda x: run(x) + np.float32(amount)), 7

    return make


def refuses(job):
    raise RuntimeError("no kernel for aten::strange\n  at somewhere")


@pytest.fixture
def toys(monkeypatch):
    """A net of one layer, and ways that are right, wrong, close, broken and not finite."""
    monkeypatch.setitem(nets.NETS, "toy", Net("toy", linear, lambda batch, generator: generator.random((batch, 6), dtype=np.float32)))
    ways = [Variant("right", off_by(0)), Variant("wrong", off_by(0.01)), Variant("rounded", off_by(0.01), exact=False), Variant("broken", refuses), Variant("nan", off_by(np.nan))]
    for one in ways:
        monkeypatch.setitem(variants.VARIANTS, one.name, one)
    monkeypatch.setitem(tables.SIZES, "toy", tables.Size("toy", ("toy",), (1, 4), (EAGER, *(one.name for one in ways)), 20, 0.1))
    return tuple(one.name for one in ways)


def test_ways_are_held_to_eager_and_told_when_they_fail(toys):
    found = latency_table(profile="toy", progress=False)
    for batch in (1, 4):
        cell = found.cell("toy", batch)
        assert cell.params == 21 and cell.latencies.names == (EAGER, "right", "rounded") and cell.latencies["right"].runs == 20
        assert "no kernel for aten::strange" in cell.way("broken").fails and "somewhere" not in cell.way("broken").fails
        assert "wrong by 1.0e-02" in cell.way("wrong").fails and cell.way("rounded").error == pytest.approx(0.01, rel=0.01)
        assert "not finite" in cell.way("nan").fails and cell.way("nan").error is None
        assert cell.way("right").error == 0 and cell.way("right").bytes == 7 and cell.way(EAGER).bytes >= 84
        assert cell.speedup("right").value > 0 and cell.speedup("broken") is None and cell.speedup("wrong") is None
    text = str(found)
    assert text.count("fails:") == 6 and "p99" in text and "torch" in text
    assert Table.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    figure = draw_table(found)
    assert [axes.get_title() for axes in figure.axes] == ["toy"] and sum(text.get_text() == "fails" for text in figure.axes[0].texts) == 6


def test_an_error_is_measured_in_answers_and_rounding_in_float64():
    net, generator = nets.net("mobilenet"), np.random.default_rng(0)
    model, x = net.model(), net.draw(1, generator)
    assert allowed_error(lambda x: x, [np.float32([0.1])]) == pytest.approx(1e-4) and allowed_error(lambda x: x, [np.float32([-20])]) == pytest.approx(2e-3)
    assert 0 < largest_error(of_torch(model), in_double(model), [x]) < 1e-3 and in_double(model)(x).dtype == np.float64


def test_what_is_kept_is_not_measured_again(toys, tmp_path, monkeypatch):
    first = latency_table(profile="toy", folder=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(tables, "measure_cell", lambda *_, **__: pytest.fail("measured again"))
    assert latency_table(profile="toy", folder=tmp_path, progress=False) == first
    monkeypatch.undo()


def test_other_runs_are_other_cells(toys, tmp_path):
    for seed in (0, 1):
        latency_table(profile="toy", batches=(1,), variants=("right",), folder=tmp_path, seed=seed, progress=False)
    assert len(list(tmp_path.iterdir())) == 2


def test_real_nets_answer_alike_by_onnx_runtime(tmp_path):
    pytest.importorskip("onnxruntime")
    net = nets.net("language")
    generator = np.random.default_rng(0)
    job = Job(net.model(), net.draw(2, generator), net.draw(4, generator), tmp_path)
    made = variants.variant("ONNX Runtime").made(job)
    assert largest_error(made.run, of_torch(job.model), [net.draw(2, generator)]) < 1e-4 and made.bytes > 400_000
    rounded = variants.variant("ONNX Runtime int8").made(job)
    assert 1e-4 < largest_error(rounded.run, of_torch(job.model), [job.example]) < 2 and rounded.bytes < 0.5 * made.bytes


def test_compiled_nets_answer_alike(tmp_path):
    pytest.importorskip("tvm")
    net = nets.net("inspector")
    job = Job(net.model(), net.draw(1, np.random.default_rng(0)), np.zeros(()), tmp_path)
    made = variants.variant("TVM default").made(job)
    assert largest_error(made.run, of_torch(job.model), [net.draw(1, np.random.default_rng(1))]) < 1e-5 and made.bytes > 400_000


def cell(net: str, seconds: dict[str, float]) -> Cell:
    samples = tuple(Samples(name, tuple((each,) * 5 for _ in range(8)), (each,) * 8) for name, each in seconds.items())
    return Cell(net, 1, 1, tuple(Way(name, 0.0) for name in seconds), Latencies(samples, EAGER, 1, "made", 0.0))


@pytest.mark.parametrize(("tuned", "verdict", "number"), [((1.0, 1.0), "holds", 2.0), ((1.0, 4.0), "holds under conditions", 0.5), ((4.0, 4.0), "does not hold", 0.5)])
def test_the_verdict_on_compiling_is_that_of_the_cells(tuned, verdict, number):
    cells = tuple(cell(f"net {place}", {EAGER: 5.0, "ONNX Runtime": 2.0, "TVM default": 50.0, "TVM tuned": each}) for place, each in enumerate(tuned))
    found = compiled(Table("made", 1, "made", {}, cells))
    assert (found.claim, found.verdict, found.number) == ("C11", verdict, number) and "TVM tuned" in found.sentence and "× ONNX Runtime" in found.sentence


def test_no_verdict_without_a_compiled_net():
    assert compiled(Table("made", 1, "made", {}, (cell("net", {EAGER: 1.0}),))).verdict == "cannot be tested here"


def test_what_is_not_there(toys):
    with pytest.raises(UnknownNameError, match="profile"):
        latency_table(profile="huge")
    with pytest.raises(UnknownNameError, match="variant"):
        latency_table(profile="toy", variants=("magic",))
    with pytest.raises(UnknownNameError, match="net"):
        latency_table(profile="toy", nets=("magic",), progress=False)
    with pytest.raises(ConfigError, match="batches"):
        latency_table(profile="toy", batches=(0,))
    with pytest.raises(UnknownNameError, match="cell"):
        Table("made", 1, "made", {}, ()).cell("toy")
