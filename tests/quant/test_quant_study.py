"""Perplexity against bytes: the runs, what is kept, the table, the picture."""

import json
import math

import pytest

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.quant.figures import draw_ledger, family
from breakthrough.quant.ledger import Cell, Ledger
from breakthrough.quant.study import KNOWN, Study, run_study
from breakthrough.quant.table import Sizes

SMALL = Study("small", "tiny", ("fp32", "int8", "nf4", "nf4_random", "int2", "nf4_gptq"), ("dense",), windows=16, calibration=4, workers=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return run_study(SMALL, seeds=(0, 1), folder=folder, progress=False), folder


def test_every_scheme_is_measured_for_every_seed(found):
    ledger, _ = found
    assert ledger.schemes == SMALL.schemes and ledger.architectures == ("dense",) and ledger.seeds == (0, 1)
    assert all(len(cells) == 2 and all(0 < cell.nats < 6 for cell in cells) for cells in ledger.cells.values())
    assert ledger.rise("dense", "fp32").mean == 0
    assert ledger.rise("dense", "int2").mean > ledger.rise("dense", "nf4").mean + 1 and abs(ledger.rise("dense", "int8").mean) < 1


def test_bytes_are_those_of_codes_and_scales(found):
    ledger, _ = found
    assert ledger.bits("dense", "fp32") == 32 and 4.1 < ledger.bits("dense", "nf4") < 4.2
    assert ledger.bits("dense", "nf4_random") == ledger.bits("dense", "nf4") == ledger.bits("dense", "nf4_gptq")
    assert ledger.saved("dense", "nf4") == pytest.approx(1 - ledger.bits("dense", "nf4") / 32)
    assert 0 < ledger.saved("dense", "nf4", whole=True) < ledger.saved("dense", "nf4")


def test_a_study_that_was_run_is_read(found):
    ledger, folder = found
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert len(times) == 2 * len(SMALL.schemes)
    again = run_study(SMALL, seeds=(0, 1), folder=folder, progress=False)
    assert again == ledger and {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")} == times


def test_a_study_goes_on_where_it_was_stopped(found):
    ledger, folder = found
    lost = next(folder.rglob("nf4-*.json"))
    lost.unlink()
    assert run_study(SMALL, seeds=(0, 1), folder=folder, progress=False) == ledger and lost.exists()


def test_the_coin_falls_otherwise_for_every_seed(found):
    ledger, _ = found
    assert len({cell.nats for cell in ledger.cells["dense", "nf4_random"]}) == 2
    assert KNOWN["nf4_random"].format.seed == 0  # the scheme itself is left as it is


def ledger_of(**nats):
    size = Sizes(1000, 520, 100, 400)
    return Ledger("made", (0, 1), {("dense", name): tuple(Cell(x, 10, size) for x in values) for name, values in nats.items()})


def test_rises_are_paired_by_seed():
    made = ledger_of(fp32=(1.0, 2.0), nf4=(1.01, 2.03), nf4_random=(1.05, 2.05))
    assert made.rise("dense", "nf4").values == pytest.approx((100 * math.expm1(0.01), 100 * math.expm1(0.03)))
    assert made.harm("dense", "nf4_random").values == pytest.approx((100 * math.expm1(0.04), 100 * math.expm1(0.02)))
    assert made.perplexity("dense", "fp32").mean == pytest.approx((math.e + math.e**2) / 2)


def test_the_ledger_as_text_data_and_picture(found, tmp_path):
    ledger, _ = found
    assert Ledger.from_dict(json.loads(json.dumps(ledger.to_dict(), allow_nan=False))) == ledger
    ledger.save(tmp_path / "ledger.json")
    assert Ledger.load(tmp_path / "ledger.json") == ledger
    assert str(ledger).count("\n") == len(SMALL.schemes) and "nf4_gptq" in str(ledger)
    (axes,) = draw_ledger(ledger).axes
    written = " ".join(text.get_text() for text in axes.texts)
    assert all(name in written for name in SMALL.schemes if name != "fp32")


def test_what_rises_beyond_the_limit_has_an_arrow_and_says_so():
    made = ledger_of(fp32=(1.0, 1.1), int2=(3.0, 3.2), int8=(1.01, 1.12))
    (axes,) = draw_ledger(made).axes
    written = [text.get_text() for text in axes.texts]
    assert [name for name in written if "off the scale" in name] == [f"int2 {made.rise('dense', 'int2').mean:+.2f}, off the scale"]
    [arrow] = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert arrow.xy[1] > arrow.get_position()[1] == 40 and arrow.xy[1] < axes.get_ylim()[1]
    assert f"perplexity {made.perplexity('dense', 'fp32').mean:.3f}" in axes.get_title()


def test_what_family_a_scheme_is_of():
    assert [family(name) for name in ("bf16", "nf4", "nf4_awq", "nf4_random")] == ["floats", "plain", "calibrated", "control"]


def test_what_is_no_study(found):
    ledger, folder = found
    with pytest.raises(UnknownNameError, match="study"):
        run_study("quik", folder=folder)
    with pytest.raises(UnknownNameError, match="scheme"):
        Study("x", "tiny", ("fp32", "nf5"))
    with pytest.raises(ConfigError, match="fp32"):
        Study("x", "tiny", ("nf4",))
    with pytest.raises(ConfigError, match="one seed"):
        run_study(SMALL, seeds=(), folder=folder)
    with pytest.raises(UnknownNameError, match="a model of the study"):
        ledger.rise("moe", "nf4")
    with pytest.raises(UnknownNameError, match="control"):
        ledger.harm("dense", "nf4")
