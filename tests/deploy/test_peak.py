"""The peak: a loop of multiply-adds on registers and nothing else, that adds up right."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from breakthrough.deploy import peak
from breakthrough.deploy.levels import inner_instructions
from breakthrough.deploy.schedule import Tile, host, tile_for
from breakthrough.errors import ConfigError


def test_the_inner_loop_computes_and_touches_no_memory():
    tile = tile_for(host())
    counts = inner_instructions(peak.fma_kernel(1, tile))
    assert counts.bits == 32 * tile.lanes and counts.scalar == counts.stores == counts.piecemeal == 0
    assert sum(counts.vector.values()) % tile.registers == 0 and sum(counts.vector.values()) > 0.75 * counts.total


def test_every_term_is_added(monkeypatch):
    monkeypatch.setattr(peak, "TERMS", 256)
    a, b = np.arange(6, dtype=np.float32)[:, None], np.arange(8, dtype=np.float32)[None]
    assert np.array_equal(peak.fma_kernel(2, Tile(3, 8, 64, 4))(a, b), 256 * a * b)


def test_the_peak_is_a_rate(monkeypatch):
    monkeypatch.setattr(peak, "TERMS", 256)
    assert 0 < peak.fma_peak(repeats=1) < 1e15
    with pytest.raises(ConfigError, match="at least 1"):
        peak.fma_peak(0)
