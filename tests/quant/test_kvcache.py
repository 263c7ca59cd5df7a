"""The cache of keys and values: attention over codes equals attention over what they stand for."""

import pytest
import torch
from quant_numbers import numbers
from torch.nn.functional import scaled_dot_product_attention

from breakthrough.errors import ConfigError, InputError, ShapeError
from breakthrough.quant.kvcache import KeyValueCache


def filled(tokens=12, capacity=16, heads=2, dtype=torch.float32):
    cache = KeyValueCache(3, heads, 8, capacity)
    keys, values = numbers((3, heads, tokens, 8), dtype, seed=1), numbers((3, heads, tokens, 8), dtype, seed=2)
    cache.append(keys, values)
    return cache, keys, values


@pytest.mark.parametrize("tokens", [1, 5, 12])
@pytest.mark.parametrize("groups", [1, 4])
def test_attention_over_what_is_stored(tokens, groups):
    cache, _, _ = filled()
    queries = numbers((3, 2 * groups, tokens, 8), seed=3)
    keys, values = (part.repeat_interleave(groups, 1) for part in cache.keys_values())
    seen = torch.ones(tokens, 12, dtype=torch.bool).tril(12 - tokens)
    expected = scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
    assert torch.allclose(cache.attend(queries), expected, atol=1e-5)


def test_token_by_token_as_all_at_once():
    cache, keys, values = filled()
    queries = numbers((3, 2, 12, 8), seed=3)
    other = KeyValueCache(3, 2, 8, 16)
    found = []
    for token in range(12):
        other.append(keys[:, :, token : token + 1], values[:, :, token : token + 1])
        found.append(other.attend(queries[:, :, token : token + 1]))
    assert torch.equal(other.codes, cache.codes) and torch.equal(other.scales, cache.scales)
    assert torch.allclose(torch.cat(found, 2), cache.attend(queries), atol=1e-5)


def test_close_to_attention_in_floats():
    cache, keys, values = filled()
    queries = numbers((3, 2, 12, 8), seed=3)
    exact = scaled_dot_product_attention(queries, keys, values, is_causal=True)
    assert (cache.attend(queries) - exact).norm() / exact.norm() < 0.01


def test_half_a_step_of_error_at_most():
    cache, keys, values = filled()
    for there, stored, scale in zip((keys, values), cache.keys_values(), cache.scales):
        assert ((there - stored).abs() <= scale[..., :12, None] * 0.501).all()


def test_one_loud_token_does_not_hurt_the_others():
    cache, keys, values = KeyValueCache(1, 1, 8, 4), numbers((1, 1, 4, 8)), numbers((1, 1, 4, 8), seed=1)
    keys[0, 0, 2] *= 1000
    cache.append(keys, values)
    assert (cache.keys_values()[0] - keys)[0, 0, [0, 1, 3]].abs().max() < 0.02


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_stays_so(dtype):
    cache, keys, values = filled(dtype=dtype)
    queries = numbers((3, 2, 12, 8), dtype, seed=3)
    found = cache.attend(queries)
    exact = scaled_dot_product_attention(queries.float(), keys.float(), values.float(), is_causal=True)
    assert found.dtype == dtype and (found.float() - exact).norm() / exact.norm() < 0.03


def test_bytes():
    cache = KeyValueCache(2, 4, 64, 100)
    assert cache.nbytes == 2 * 2 * 4 * 100 * (64 + 4)
    assert cache.bytes_per_token == 2 * 4 * (64 + 4)
    assert cache.bytes_per_token < 0.54 * 2 * 2 * 4 * 64  # beside bfloat16


@pytest.mark.parametrize(("keys", "error"), [
    (torch.zeros(3, 2, 5, 8), InputError), (torch.zeros(3, 2, 1, 7), ShapeError), (torch.zeros(3, 1, 1, 8), ShapeError),
    (torch.full((3, 2, 1, 8), torch.nan), InputError), (torch.zeros(3, 2, 0, 8), ShapeError), (torch.zeros(2, 8), ShapeError),
])
def test_what_does_not_fit_is_refused_and_nothing_stored(keys, error):
    cache, _, _ = filled()
    before = cache.codes.clone()
    with pytest.raises(error, match="expected"):
        cache.append(keys, keys)
    assert cache.length == 12 and torch.equal(cache.codes, before)


@pytest.mark.parametrize(("queries", "error"), [
    (torch.zeros(3, 2, 13, 8), InputError), (torch.zeros(3, 2, 0, 8), InputError), (torch.zeros(3, 3, 1, 8), ShapeError), (torch.zeros(2, 2, 1, 8), ShapeError),
])
def test_queries_that_do_not_fit(queries, error):
    with pytest.raises(error, match="expected"):
        filled()[0].attend(queries)


def test_sizes_that_hold_nothing():
    with pytest.raises(ConfigError, match="capacity"):
        KeyValueCache(1, 1, 8, 0)
