"""The ladder: every rung checked and timed in turns, refusals kept, shares and pairs reckoned right; and its pictures."""

import json
import math
import os
from dataclasses import replace

import pytest

pytest.importorskip("tvm")

from breakthrough.deploy import ladder as module
from breakthrough.deploy.ladder import Ladder, Rung, in_turns, ladder
from breakthrough.deploy.schedule import STEPS, Tile, program
from breakthrough.deploy.schedule_figures import draw_ladder, draw_order
from breakthrough.errors import ConfigError, InputError, UnknownNameError


def settings():
    """What a pool of TVM's would change for the rest of the process."""
    return os.sched_getaffinity(0), {name: value for name, value in os.environ.items() if name.startswith("TVM")}


@pytest.fixture(scope="module")
def found():
    before = settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_S", 1e-5)
        result = ladder(24, 40, 33, threads=(1, 2), peaks={1: 1e12}, repeats=3)
    assert settings() == before  # nothing is left of TVM's pool
    return result


def test_every_step_stands_on_the_ladder(found):
    assert [one.name for one in found.rungs if one.kind == "step" and one.threads == 1] == [one.name for one in STEPS]
    assert {one.name for one in found.rungs if one.threads == 2} >= {"parallel", "torch"}
    assert all(len(one.seconds) == 3 and min(one.seconds) > 0 and one.error < 1e-5 for one in found.rungs if not one.refused)
    assert all(one.source and "instructions" in one.loop for one in found.rungs if one.kind == "step")
    assert found.flops == 2 * 24 * 40 * 33


def test_refused_steps_are_kept_with_the_reason(found):
    refused = [one for one in found.rungs if one.refused]
    assert [one.name for one in refused] == ["vectorize the sum", "parallel sum"]
    assert all("data parallel" in one.refused and not one.seconds and math.isnan(one.median_s) for one in refused)
    assert found.table().count("refused by TVM") == 2
    with pytest.raises(InputError, match="two rungs that ran"):
        found.speedup("parallel sum")


def test_shares_and_pairs():
    rungs = (Rung("naive", "step", 1, (4.0, 8.0, 12.0)), Rung("tile", "step", 1, (2.0, 2.0, 4.0)), Rung("tile", "step", 2, (1.0, 1.0, 1.0)))
    one = Ladder(10, 10, 10, "x", rungs, {1: 2000.0})
    assert one.rates(rungs[1]) == (1000.0, 750.0, 1000.0) and one.share(rungs[1]) == 0.5 and one.share(rungs[2]) is None
    assert one.speedup("tile") == 3.0  # of 2, 4, 3: pairs, where the ratio of the medians would be 4
    assert one.rung("tile", 2) is rungs[2]
    with pytest.raises(UnknownNameError, match="tile on 1"):
        one.rung("tile", 3)


def test_the_ladder_travels_as_json(found):
    again = Ladder.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.table() == found.table() and again.peaks == found.peaks and again.to_dict() == found.to_dict()


def test_functions_take_turns():
    calls = []
    result = in_turns({"a": lambda: calls.append("a") or sum(range(10**5)), "b": lambda: calls.append("b") or sum(range(10**5))}, 3)
    turns = [name for index, name in enumerate(calls) if index == 0 or calls[index - 1] != name]
    assert turns == ["a", "b"] * 4 and all(len(seconds) == 3 for seconds in result.values())


def test_a_wrong_answer_is_no_rung(monkeypatch):
    right = module.build

    def idle(program_, name, target):
        kernel = right(program_, name, target)
        return replace(kernel, call=lambda a, b, c: None) if name == "tile" else kernel

    monkeypatch.setattr(module, "build", idle)
    with pytest.raises(InputError, match="tile's answer within"):
        ladder(8, repeats=2)


@pytest.mark.parametrize("wanted", [{"repeats": 1}, {"threads": (2,)}, {"threads": (0, 1)}])
def test_what_cannot_be_measured_is_said(wanted):
    with pytest.raises(ConfigError, match="at least 2 repeats"):
        ladder(8, **wanted)


def test_the_picture_has_a_row_for_each_rung(found):
    figure = draw_ladder(found)
    (axes,) = figure.axes
    assert len(axes.get_yticks()) == len(found.rungs)
    assert sum("refused" in text.get_text() for text in axes.texts) == 2
    dots = [container[0].get_xydata()[0] for container in axes.containers]
    assert [x for x, _ in dots] == pytest.approx([found.rates(one)[0] / 1e9 for one in found.rungs if one.seconds])
    assert any("peak measured, 1 thread: 1000 GFLOP/s" in line.get_label() for line in axes.lines)


def test_the_picture_of_the_order_counts_what_is_touched():
    tile = Tile(2, 4, 4, 4)
    figure = draw_order({name: program(name, 8, 8, 8, tile) for name in ("naive", "tile")})
    assert [axes.get_title() for axes in figure.axes if ":" in axes.get_title() and "numbers" in axes.get_title()] == [
        "A: 8 numbers", "B: 32 numbers", "C: 4 numbers", "A: 8 numbers", "B: 16 numbers", "C: 8 numbers"]
    assert [int(text.get_text()) for text in figure.axes[4].texts] == [0, 8, 16, 24, 4, 12, 20, 28]  # A under the tile
    with pytest.raises(InputError, match="at most 12 a side"):
        draw_order({"big": program("naive", 16, 8, 8)})
    with pytest.raises(InputError, match="at least one program"):
        draw_order({})
