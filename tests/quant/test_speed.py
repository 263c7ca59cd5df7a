"""The comparison of speed: every pair is there and gives the same codes; what it measures is a benchmark's matter."""

import pytest
import torch

from breakthrough.errors import InputError
from breakthrough.quant import speed


def test_every_function_is_beside_bitsandbytes_own():
    rows = speed.against_bitsandbytes(4096, repeats=4, device="cpu")
    names = [f"{code}{double} {way}" for code in ("nf4", "fp4") for double in ("", " double") for way in ("quantize", "dequantize")]
    assert [row.what for row in rows] == [*names, "int8 blockwise quantize", "int8 blockwise dequantize", "int8 rows decompose"]
    for row in rows:
        assert row.ours_s > 0 and row.theirs_s > 0 and row.ratio_low <= row.ratio <= row.ratio_high
        assert (row.numbers, row.device) == (4096, "cpu")


def test_both_of_a_pair_compute_the_same():
    for what, (ours, theirs) in speed._pairs(torch.randn(4096, generator=torch.Generator().manual_seed(0))):
        mine, there = ours(), theirs()
        if what.endswith("dequantize"):
            assert torch.equal(mine.flatten(), there.flatten())
        else:
            codes = mine.codes if what.startswith("int8 rows") else mine.parts["codes"]
            assert torch.equal(codes.flatten(), there[0].flatten())


def test_what_cannot_be_measured():
    for settings in ({"numbers": 0}, {"repeats": 3}):
        with pytest.raises(InputError, match="expected"):
            speed.against_bitsandbytes(**settings)
