"""Fixed point: no sum of codes wraps, its error is bounded, and the bound is no looser than it must be."""

import math

import numpy as np
import pytest

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError
from breakthrough.federated.fixed_point import Codec
from breakthrough.seeds import numpy_generator

CODECS = [Codec(1.0, 2), Codec(0.1, 10), Codec(8.0, 100), Codec(3e-5, 7, 32), Codec(250.0, 3, 16), Codec(1.0, 127, 8), Codec(1e30, 1, 32)]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=str)


def added(codec: Codec, updates: list[np.ndarray]) -> np.ndarray:
    """The sum of codes as the server adds them, modulo 2^32."""
    total = np.zeros(len(updates[0]), np.uint32)
    for update in updates:
        total += codec.encode(update)
    return total


def worst(codec: Codec, updates: list[np.ndarray]) -> float:
    """The largest difference of the decoded sum and the exact one."""
    decoded = codec.decode(added(codec, updates), len(updates))
    return max(abs(got - math.fsum(column)) for got, column in zip(decoded, np.array(updates, np.float64).T))


@each_codec
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("few", [False, True])
def test_the_error_of_a_sum_is_within_the_bound(codec, dtype, few):
    generator = numpy_generator(0, "sums", codec.parties)
    count = 1 if few else codec.parties
    edge = np.nextafter(dtype(codec.limit), dtype(0))  # float32's nearest to the limit may lie beyond it
    updates = [np.clip(generator.normal(0, codec.limit / 3, 400).astype(dtype), -edge, edge) for _ in range(count)]
    assert worst(codec, updates) <= codec.error(count)


@each_codec
def test_the_bound_is_reached(codec):
    """All parties a hair below half a step: nearest rounding errs by that, each in the same direction."""
    steps = np.unique(np.linspace(0, codec.levels - 1, 50).astype(np.int64))
    x = (steps + 0.49) * codec.step
    assert codec.error(codec.parties) / 2 < worst(codec, [x] * codec.parties) <= codec.error(codec.parties)


@each_codec
def test_the_bound_is_of_the_size_of_real_errors(codec):
    """The largest error over many entries with errors that cancel nowhere (one party) is near the bound."""
    x = numpy_generator(1, "one").uniform(-codec.limit, codec.limit, 3000)
    assert 0.5 * codec.error(1) < worst(codec, [x]) <= codec.error(1)


@each_codec
def test_the_largest_sum_does_not_wrap(codec):
    high = codec.encode(np.full(3, 2 * codec.limit))
    assert int(high[0]) * codec.parties <= 2**codec.bits - 1
    assert int(high[0]) == 2 * codec.levels
    for sign in (-1, 1):
        total = added(codec, [np.full(3, sign * codec.limit)] * codec.parties)
        assert codec.decode(total, codec.parties) == pytest.approx(sign * codec.limit * codec.parties, rel=1e-12)


def test_no_number_of_parties_wraps():
    for parties in (*range(1, 300), 999, 2**15, 2**20, 2**30 - 1):
        codec = Codec(1.0, parties)
        assert parties * 2 * codec.levels < 2**31 <= (parties * 2) * (codec.levels + 1)  # and one level more might


@each_codec
def test_zero_is_exact(codec):
    total = added(codec, [np.zeros(4)] * codec.parties)
    assert (codec.decode(total, codec.parties) == 0).all()


def test_a_codes_own_number_comes_back_exactly():
    codec = Codec(1.0, 4)
    x = np.arange(-codec.levels, codec.levels, 10_007_003) * codec.step
    assert np.array_equal(codec.decode(codec.encode(x), 1), x)


def test_what_lies_beyond_the_limit_is_clipped_and_counted():
    codec = Codec(0.5, 3)
    x = np.array([-9.0, -0.5, 0.1, 0.5, 0.50001, 1e300])
    assert codec.decode(codec.encode(x), 1) == pytest.approx([-0.5, -0.5, 0.1, 0.5, 0.5, 0.5], abs=codec.error(1))
    assert codec.clipped(x) == 0.5
    assert codec.clipped(np.zeros(0)) == 0


def test_a_limit_that_is_no_float32_clips_there():
    codec = Codec(0.1, 2)
    x = np.array([0.1], np.float32)  # a little above 0.1
    assert codec.clipped(x) == 1
    assert int(codec.encode(x)[0]) == 2 * codec.levels


def test_the_update_is_left_as_it_was():
    x = np.array([3.0, -3.0])
    Codec(1.0, 2).encode(x)
    assert x.tolist() == [3.0, -3.0]


def test_a_total_unmasked_wrongly_is_refused():
    codec = Codec(1.0, 10)
    garbage = numpy_generator(2, "noise").integers(0, 2**32, 64, dtype=np.uint32)
    with pytest.raises(InputError, match="sums of 10 codes"):
        codec.decode(garbage, 10)
    with pytest.raises(InputError, match="sums of 2 codes"):
        codec.decode(added(codec, [np.ones(3)] * 3), 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_with_their_place(bad):
    with pytest.raises(InputError, match="at index 2"):
        Codec(1.0, 2).encode(np.array([0, 1, bad, 0]))


@pytest.mark.parametrize(("x", "error"), [([1.0], DtypeError), (np.array([1]), DtypeError), (np.zeros((2, 2)), ShapeError), (np.float64(1), DtypeError)])
def test_what_is_no_update_is_refused(x, error):
    with pytest.raises(error):
        Codec(1.0, 2).encode(x)


@pytest.mark.parametrize(("total", "error"), [(np.zeros(2, np.int64), DtypeError), (np.zeros((1, 2), np.uint32), ShapeError), (None, DtypeError)])
def test_what_is_no_total_is_refused(total, error):
    with pytest.raises(error):
        Codec(1.0, 2).decode(total, 1)


@pytest.mark.parametrize("count", [0, 3])
def test_a_count_beyond_the_parties_is_refused(count):
    with pytest.raises(InputError, match="1 to 2"):
        Codec(1.0, 2).decode(np.zeros(1, np.uint32), count)
    with pytest.raises(InputError, match="1 to 2"):
        Codec(1.0, 2).error(count)


@pytest.mark.parametrize("fields", [(0.0, 2), (-1.0, 2), (np.nan, 2), (np.inf, 2), (1.0, 0), (1.0, 2, 33), (1.0, 2, 7), (1.0, 200, 8)])
def test_a_codec_that_cannot_be_is_refused(fields):
    with pytest.raises(ConfigError):
        Codec(*fields)
