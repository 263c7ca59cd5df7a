"""Codes in bytes: there and back for every count and width, in bitsandbytes' order."""

import pytest
import torch

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError
from breakthrough.quant.packing import pack, unpack, width


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 64])
def test_there_and_back(bits, count):
    codes = torch.randint(1 << bits, (count,), generator=torch.Generator().manual_seed(count), dtype=torch.uint8)
    packed = pack(codes, bits)
    assert len(packed) == -(-count * bits // 8)
    assert torch.equal(unpack(packed, count, bits), codes)


def test_the_first_code_lies_in_the_high_bits():
    assert pack(torch.tensor([1, 2, 3], dtype=torch.uint8)).tolist() == [0x12, 0x30]
    assert pack(torch.tensor([1, 2, 3], dtype=torch.uint8), fill=7).tolist() == [0x12, 0x37]
    assert pack(torch.tensor([3, 0, 1, 2], dtype=torch.uint8), bits=2).tolist() == [0b11000110]


def test_every_byte_is_reached():
    codes = torch.cartesian_prod(*[torch.arange(16, dtype=torch.uint8)] * 2).flatten()
    assert pack(codes).tolist() == list(range(256))
    assert torch.equal(unpack(torch.arange(256, dtype=torch.uint8), 512), codes)


def test_the_width_of_a_code():
    assert [width(bits) for bits in range(1, 9)] == [1, 2, 4, 4, 8, 8, 8, 8]
    for bits in (0, 9):
        with pytest.raises(ConfigError):
            width(bits)


@pytest.mark.parametrize(("codes", "error"), [
    (torch.tensor([16], dtype=torch.uint8), InputError),
    (torch.tensor([1, 2]), DtypeError),
    (torch.zeros(2, 2, dtype=torch.uint8), ShapeError),
])
def test_what_is_no_row_of_codes_is_refused(codes, error):
    with pytest.raises(error, match="expected"):
        pack(codes)


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ShapeError, match="2 bytes for 3 codes"):
        unpack(torch.zeros(3, dtype=torch.uint8), 3)
    with pytest.raises(ConfigError):
        unpack(torch.zeros(3, dtype=torch.uint8), 3, bits=3)
