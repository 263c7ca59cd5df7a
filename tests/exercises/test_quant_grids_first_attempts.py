"""First attempts at module 4's grids as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import pytest
import torch

from breakthrough.exercises import card, judge, load

# one scale


def as_in_a_blog(x):
    scale = 127 / torch.max(torch.abs(x))
    return (scale * x).round().to(torch.int8), scale


def max_only(x):
    scale = x.max() / 127
    return torch.clamp(torch.round(x / scale), -128, 127).to(torch.int8), scale


def power_of_two(x):
    scale = x.float().abs().max().item() / 2**7
    return torch.round(x / scale).clamp(-128, 127).to(torch.int8), scale


def cast_only(x):
    scale = x.abs().max() / 127
    if scale == 0:
        scale = torch.tensor(1.0)
    return (x / scale).to(torch.int8), scale


def with_an_epsilon(x):
    scale = x.abs().max().clamp(min=1e-8) / 127
    return (x / scale).round().to(torch.int8), scale


def in_its_own_dtype(x):
    scale = x.abs().max() / 127 if x.any() else torch.tensor(1.0)
    return torch.round(x / scale).to(torch.int8), scale


def a_python_scale(x):
    scale = float(x.abs().max()) / 127
    return torch.round(x / scale).to(torch.int8), scale


def numpys_half(x):
    scale = float(x.abs().max()) / 127 or 1.0
    return torch.floor(x.float() / scale + 0.5).to(torch.int8), scale


def largest_returned(x):
    m = x.float().abs().max()
    return torch.round(x / m * 127).to(torch.int8), m


def min_to_max(x):
    scale = (x.max() - x.min()) / 255
    return torch.round(x / scale).clamp(-127, 127).to(torch.int8), scale


def rounded_floats(x):
    scale = x.float().abs().max() / 127 if x.any() else 1.0
    return torch.round(x.float() / scale), scale


def row_by_row(x):
    scale = x.float().abs().max(dim=-1, keepdim=True).values / 127
    return torch.round(x / scale).to(torch.int8), scale


def unguarded(x):
    scale = x.float().abs().max() / 127
    return torch.round(x.float() / scale).to(torch.int8), scale


# a zero point


def range_as_it_is(x, bits=8):
    lo, hi = x.min(), x.max()
    scale = (hi - lo) / (2**bits - 1)
    zero = torch.round(-lo / scale)
    q = torch.clamp(torch.round(x / scale + zero), 0, 2**bits - 1).to(torch.uint8)
    return q, scale, zero, (q.float() - zero) * scale


def range_as_it_is_wrapped(x, bits=8):
    lo, hi = x.min().item(), x.max().item()
    scale = (hi - lo) / (2**bits - 1) or 1.0
    zero = int(round(-lo / scale))
    q = torch.clamp(torch.round(x / scale) + zero, 0, 2**bits - 1).to(torch.uint8)
    return q, scale, zero, (q - zero) * scale


def wraps(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
    zero = round(-lo / scale)
    q = torch.clamp(torch.round(x / scale) + zero, 0, 2**bits - 1).to(torch.uint8)
    return q, scale, zero, (q - zero) * scale


def from_the_smallest(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
    q = torch.round((x - lo) / scale).to(torch.uint8)
    return q, scale, round(-lo / scale), q * scale + lo


def fractional_zero(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
    zero = -lo / scale
    q = torch.clamp(torch.round(x / scale + zero), 0, 2**bits - 1).to(torch.uint8)
    return q, scale, zero, (q - zero) * scale


def too_many_steps(x, bits=8):
    lo, hi = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = (hi - lo) / 2**bits
    zero = torch.round(-lo / scale).int()
    q = torch.clamp(torch.round(x / scale) + zero, 0, 2**bits - 1)
    return q.to(torch.uint8), scale, zero, (q - zero) * scale


def bits_forgotten(x, bits=8):
    lo, hi = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = (hi - lo) / 255
    zero = torch.round(-lo / scale)
    q = torch.clamp(torch.round(x / scale) + zero, 0, 255)
    return q.to(torch.uint8), scale, zero, (q - zero) * scale


def astype_rounds(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
    zero = round(-lo / scale)
    q = (x / scale + zero).to(torch.uint8)
    return q, scale, zero, (q.float() - zero) * scale


def unheld(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
    zero = round(-lo / scale)
    q = (torch.round(x / scale) + zero).to(torch.uint8)
    return q, scale, zero, (q.float() - zero) * scale


def sign_of_zero(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
    zero = round(lo / scale)
    q = torch.clamp(torch.round(x / scale) - zero, 0, 2**bits - 1).to(torch.uint8)
    return q, scale, zero, (q.float() + zero) * scale


def unguarded_range(x, bits=8):
    lo, hi = min(x.min().item(), 0), max(x.max().item(), 0)
    scale = (hi - lo) / (2**bits - 1)
    zero = round(-lo / scale)
    q = torch.clamp(torch.round(x / scale) + zero, 0, 2**bits - 1)
    return q.to(torch.uint8), scale, zero, (q - zero) * scale


# a scale a channel


def wrong_axis(w, axis):
    scales = w.abs().amax(dim=axis, keepdim=True) / 127
    return torch.round(w / scales).to(torch.int8), scales


def max_values(w, axis):
    scales = w.abs().max(dim=axis, keepdim=True).values / 127
    scales[scales == 0] = 1
    return torch.round(w / scales).to(torch.int8), scales


def keepdim_missing(w, axis):
    dims = [d for d in range(w.ndim) if d != axis % w.ndim]
    scales = w.abs().amax(dim=dims) / 127
    return torch.round(w / scales).to(torch.int8), scales


def set_of_dims(w, axis):
    dims = tuple(set(range(w.dim())) - {axis})
    scales = torch.clamp(w.abs().amax(dim=dims, keepdim=True), min=1e-12) / 127
    return (w / scales).round().to(torch.int8), scales


def matrices_only(w, axis):
    other = 1 - axis
    scales = w.abs().amax(dim=other, keepdim=True) / 127
    return torch.round(w / scales).to(torch.int8), scales


def rows_always(w, axis):
    flat = w.flatten(1)
    scales = flat.abs().amax(1) / 127
    shape = (-1,) + (1,) * (w.ndim - 1)
    return torch.round(w / scales.reshape(shape)).to(torch.int8), scales.reshape(shape)


def transposed(w, axis):
    t = w.transpose(0, axis)
    s = t.flatten(1).abs().amax(1) / 127
    s[s == 0] = 1.0
    q = torch.round(t / s.view(-1, *[1] * (w.ndim - 1))).to(torch.int8)
    return q.transpose(0, axis), s


def moved_for_good(w, axis):
    t = w.movedim(axis, 0)
    s = t.abs().amax(tuple(range(1, w.ndim)), keepdim=True) / 127
    return torch.round(t / s).to(torch.int8), s


def whole_tensor(w, axis):
    scale = w.abs().max() / 127
    return torch.round(w / scale).to(torch.int8), scale


def signed_channel(w, axis):
    dims = [d for d in range(w.ndim) if d != axis % w.ndim]
    scales = w.amax(dims, keepdim=True) / 127
    return torch.round(w / scales).clamp(-127, 127).to(torch.int8), scales


ATTEMPTS = [
    ("quant.absmax", as_in_a_blog, "the scale upside down"),
    ("quant.absmax", max_only, "the largest with its sign"),
    ("quant.absmax", power_of_two, "128 steps"),
    ("quant.absmax", cast_only, "cut off"),
    ("quant.absmax", with_an_epsilon, "an epsilon"),
    ("quant.absmax", in_its_own_dtype, "16 bits"),
    ("quant.absmax", a_python_scale, "16 bits"),
    ("quant.absmax", numpys_half, "halves away from the even"),
    ("quant.absmax", largest_returned, "the largest for the scale"),
    ("quant.absmax", min_to_max, "a step of the whole range"),
    ("quant.absmax", rounded_floats, "still floats"),
    ("quant.absmax", row_by_row, "a scale for every row"),
    ("quant.absmax", unguarded, "zeros divided by zero"),
    ("quant.affine", range_as_it_is, "a range without zero"),
    ("quant.affine", range_as_it_is_wrapped, "wraps on the way back"),
    ("quant.affine", wraps, "wraps on the way back"),
    ("quant.affine", from_the_smallest, "measured from the smallest"),
    ("quant.affine", fractional_zero, "zero is no whole number"),
    ("quant.affine", too_many_steps, "2^bits steps"),
    ("quant.affine", bits_forgotten, "always 8 bits"),
    ("quant.affine", astype_rounds, "cut off"),
    ("quant.affine", unheld, "not held at the ends"),
    ("quant.affine", sign_of_zero, "zero with the other sign"),
    ("quant.affine", unguarded_range, "zeros divided by zero"),
    ("quant.channel", wrong_axis, "along the axis"),
    ("quant.channel", max_values, "along the axis"),
    ("quant.channel", keepdim_missing, "dimensions not kept"),
    ("quant.channel", set_of_dims, "the negative axis missed"),
    ("quant.channel", matrices_only, "one dimension reduced"),
    ("quant.channel", rows_always, "always one axis"),
    ("quant.channel", transposed, "a list of scales"),
    ("quant.channel", moved_for_good, "channels left in front"),
    ("quant.channel", whole_tensor, "one scale"),
    ("quant.channel", signed_channel, "the largest with its sign"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_a_grid_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


UNRELATED = {
    "quant.absmax": lambda x: ((x.float().sign() * 3).to(torch.int8), 0.37),
    "quant.affine": lambda x, bits=8: ((x > 0).to(torch.uint8) * 2, 0.37, 1, torch.zeros_like(x)),
    "quant.channel": lambda w, axis: ((w.sign() * 3).to(torch.int8), torch.full([1] * w.ndim, 0.37)),
}


@pytest.mark.parametrize("name", UNRELATED)
def test_what_is_like_no_known_mistake_is_not_named_after_one(name):
    verdict = judge(load(name), UNRELATED[name], 0)
    assert verdict.status == "wrong" and verdict.diagnosis is None, verdict.diagnosis
