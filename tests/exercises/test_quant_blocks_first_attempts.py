"""First attempts at module 4's blocks, bytes and levels as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from breakthrough.exercises import card, judge, load

# blocks


def plain_view(x, block):
    blocks = x.view(-1, block)
    scales = blocks.abs().max(dim=1, keepdim=True)[0] / 127
    q = torch.round(blocks / scales).to(torch.int8)
    return q.view(x.shape), scales.squeeze(1), (q * scales).view(x.shape)


def plain_reshape(x, block):
    blocks = x.flatten().reshape(-1, block)
    scales = blocks.abs().max(dim=1).values / 127
    q = torch.round(blocks / scales[:, None])
    return q.to(torch.int8).reshape(x.shape), scales, (q * scales[:, None]).reshape(x.shape)


def full_blocks_only(x, block):
    flat = x.flatten()
    q, back, scales = torch.zeros_like(flat, dtype=torch.int8), torch.zeros_like(flat), []
    for i in range(len(flat) // block):
        part = flat[i * block : (i + 1) * block]
        s = part.abs().max() / 127
        s = s if s > 0 else torch.tensor(1.0)
        scales.append(s)
        q[i * block : (i + 1) * block] = torch.round(part / s).to(torch.int8)
        back[i * block : (i + 1) * block] = q[i * block : (i + 1) * block] * s
    return q.view(x.shape), torch.tensor(scales), back.view(x.shape)


def modulo_padding(x, block):
    flat = x.flatten()
    pad = block - flat.numel() % block
    padded = torch.cat([flat, torch.zeros(pad)]).view(-1, block)
    scales = padded.abs().amax(1) / 127
    q = torch.round(padded / scales[:, None].clamp(min=1e-12))
    n = flat.numel()
    return q.flatten()[:n].view(x.shape).to(torch.int8), scales, (q * scales[:, None]).flatten()[:n].view(x.shape)


def chunked(x, block):
    flat = x.flatten()
    n = (flat.numel() + block - 1) // block
    q, s, b = [], [], []
    for part in torch.chunk(flat, n):
        scale = part.abs().max() / 127
        q.append(torch.round(part / scale).to(torch.int8))
        s.append(scale)
        b.append(q[-1] * scale)
    return torch.cat(q).view(x.shape), torch.stack(s), torch.cat(b).view(x.shape)


def block_count(x, block):
    parts = torch.chunk(x.flatten(), block)
    scales = [p.abs().max() / 127 for p in parts]
    q = [torch.round(p / s) for p, s in zip(parts, scales)]
    back = torch.cat([a * s for a, s in zip(q, scales)])
    return torch.cat(q).to(torch.int8).reshape(x.shape), torch.stack(scales), back.reshape(x.shape)


def each_row(x, block):
    scales = x.abs().amax(-1, keepdim=True) / 127
    q = torch.round(x / scales).to(torch.int8)
    return q, scales.flatten(), q * scales


def shape_forgotten(x, block):
    parts = x.flatten().split(block)
    scales = torch.stack([p.abs().max() / 127 for p in parts])
    q = [torch.round(p / s).to(torch.int8) for p, s in zip(parts, scales)]
    return torch.cat(q), scales, torch.cat([a * s for a, s in zip(q, scales)])


def unwrapped_max(x, block):
    parts = x.flatten().split(block)
    scales = torch.stack([p.max() / 127 for p in parts])
    q = [torch.round(p / s) for p, s in zip(parts, scales)]
    back = torch.cat([a * s for a, s in zip(q, scales)])
    return torch.cat(q).to(torch.int8).reshape(x.shape), scales, back.reshape(x.shape)


def eighth_bit(x, block):
    parts = x.flatten().split(block)
    scales = torch.stack([p.abs().max() / 128 for p in parts])
    q = [torch.round(p / s) for p, s in zip(parts, scales)]
    back = torch.cat([a * s for a, s in zip(q, scales)])
    return torch.cat(q).to(torch.int8).reshape(x.shape), scales, back.reshape(x.shape)


def blocks_unguarded(x, block):
    parts = x.flatten().split(block)
    scales = torch.stack([p.abs().max() / 127 for p in parts])
    q = [torch.round(p / s).to(torch.int8) for p, s in zip(parts, scales)]
    back = torch.cat([a * s for a, s in zip(q, scales)])
    return torch.cat(q).reshape(x.shape), scales, back.reshape(x.shape)


# two in a byte


class Whole:
    """Right, and taken apart below."""

    def pack(self, codes):
        if len(codes) % 2:
            codes = torch.cat([codes, torch.zeros(1, dtype=torch.uint8, device=codes.device)])
        return (codes[::2] << 4) + codes[1::2]

    def unpack(self, packed, count):
        out = torch.zeros(2 * len(packed), dtype=torch.uint8, device=packed.device)
        out[::2], out[1::2] = packed >> 4, packed & 0x0F
        return out[:count]


class NoPadding(Whole):
    def pack(self, codes):
        return (codes[::2] << 4) | codes[1::2]


class Little(Whole):
    def pack(self, codes):
        if len(codes) % 2:
            codes = torch.cat([codes, torch.zeros(1, dtype=torch.uint8)])
        return codes[::2] | (codes[1::2] << 4)

    def unpack(self, packed, count):
        return torch.stack((packed & 0x0F, packed >> 4), dim=-1).view(-1)[:count]


class Precedence(Whole):
    def pack(self, codes):
        if len(codes) % 2:
            codes = torch.cat([codes, torch.zeros(1, dtype=torch.uint8)])
        return codes[::2] << 4 + codes[1::2]


class Concatenates(Whole):
    def unpack(self, packed, count):
        return torch.cat([packed >> 4, packed & 0xF])[:count]


class Unmasked(Whole):
    def unpack(self, packed, count):
        out = torch.zeros(2 * len(packed), dtype=torch.uint8)
        out[::2], out[1::2] = packed >> 4, packed
        return out[:count]


class CountIgnored(Whole):
    def unpack(self, packed, count):
        return super().unpack(packed, 2 * len(packed))


class Integers(Whole):
    def pack(self, codes):
        values = codes.tolist() + [0] * (len(codes) % 2)
        return torch.tensor([a * 16 + b for a, b in zip(values[::2], values[1::2])])


# sixteen levels


def table():
    up = torch.special.ndtri(torch.linspace(0.9677083, 0.5, 9)[:-1])
    down = -torch.special.ndtri(torch.linspace(0.9677083, 0.5, 8)[:-1])
    levels = torch.cat([down, torch.zeros(1), up.flip(0)])
    return levels / levels.max()


def quantized(x, block, levels, nearest=lambda scaled, levels: (scaled[:, None] - levels).abs().argmin(1), guard=True):
    codes, scales, back = [], [], []
    for part in x.flatten().split(block):
        s = part.abs().max()
        if guard and s == 0:
            s = torch.tensor(1.0)
        c = nearest(part / s, levels)
        codes.append(c)
        scales.append(s)
        back.append(levels[c] * s)
    return levels, torch.cat(codes).to(torch.uint8).view(x.shape), torch.stack(scales), torch.cat(back).view(x.shape)


def bitsandbytes_order(x, block):
    return quantized(x, block, table().sort().values)


def seventeen(x, block):
    p = torch.linspace(1 - 0.9677083, 0.9677083, 16)
    levels = torch.special.ndtri(p)
    return quantized(x, block, levels / levels.abs().max(), guard=False)


def to_one(x, block):
    up, down = torch.linspace(0.5, 1, 9), torch.linspace(0, 0.5, 8)
    levels = torch.special.ndtri(torch.cat([down, up[1:]]))
    return quantized(x, block, levels / levels.max(), guard=False)


def both_sides(x, block):
    up = torch.special.ndtri(torch.linspace(0.5, 0.9677083, 8))
    levels = torch.cat([-up, up]).sort().values
    return quantized(x, block, levels / levels.max())


def swapped(x, block):
    up = torch.special.ndtri(torch.linspace(0.5, 0.9677083, 8))
    down = -torch.special.ndtri(torch.linspace(0.5, 0.9677083, 9))[1:]
    levels = torch.cat([down, up]).sort().values
    return quantized(x, block, levels / levels.max(), guard=False)


def unnormalised(x, block):
    return quantized(x, block, table().sort().values * 1.8481308)


def unsorted(x, block):
    up = torch.special.ndtri(torch.linspace(0.5, 0.9677083, 9))[1:]
    down = -torch.special.ndtri(torch.linspace(0.5, 0.9677083, 8))[1:]
    levels = torch.cat([down, torch.zeros(1), up])
    return quantized(x, block, levels / levels.max(), lambda s, levels: torch.searchsorted(levels, s).clamp(0, 15))


def searched(x, block):
    return quantized(x, block, table().sort().values, lambda s, levels: torch.searchsorted(levels, s.contiguous()).clamp(max=15))


def bucketed(x, block):
    return quantized(x, block, table().sort().values, lambda s, levels: torch.bucketize(s, levels, right=True) - 1)


def one_block(x, block):
    return quantized(x, x.numel(), table().sort().values)


def nearest_of_nan(x, block):
    return quantized(x, block, table().sort().values, guard=False)


def int4_grid(x, block):
    return quantized(x, block, torch.from_numpy(np.linspace(-1, 1, 16)).float())


ATTEMPTS = [
    ("quant.block", plain_view, "no room for the tail"),
    ("quant.block", plain_reshape, "no room for the tail"),
    ("quant.block", full_blocks_only, "the tail lost"),
    ("quant.block", modulo_padding, "a block too many"),
    ("quant.block", chunked, "pieces of one size"),
    ("quant.block", block_count, "this many blocks"),
    ("quant.block", each_row, "anew in every row"),
    ("quant.block", shape_forgotten, "in one line"),
    ("quant.block", unwrapped_max, "the largest with its sign"),
    ("quant.block", eighth_bit, "128 steps"),
    ("quant.block", blocks_unguarded, "zeros divided by zero"),
    ("quant.pack", NoPadding, "an odd number"),
    ("quant.pack", Little, "low four bits first"),
    ("quant.pack", Precedence, "addition before the shift"),
    ("quant.pack", Concatenates, "unpacked in halves"),
    ("quant.pack", Unmasked, "not masked"),
    ("quant.pack", CountIgnored, "filling left in"),
    ("quant.pack", Integers, "wider than a byte"),
    ("quant.nf4", seventeen, "no level at zero"),
    ("quant.nf4", to_one, "infinite ends"),
    ("quant.nf4", both_sides, "zero twice"),
    ("quant.nf4", swapped, "sides exchanged"),
    ("quant.nf4", unnormalised, "not divided by the largest"),
    ("quant.nf4", unsorted, "not sorted"),
    ("quant.nf4", searched, "the level below"),
    ("quant.nf4", bucketed, "the level below"),
    ("quant.nf4", one_block, "one scale"),
    ("quant.nf4", nearest_of_nan, "zeros divided by zero"),
    ("quant.nf4", int4_grid, "even levels"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_a_block_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


def test_answers_that_are_taken_apart_above_are_right_when_whole():
    assert judge(load("quant.pack"), Whole, 0).status == "passed"
    assert judge(load("quant.nf4"), bitsandbytes_order, 0).status == "passed"


UNRELATED = {
    "quant.block": lambda x, block: ((x.sign() * 3).to(torch.int8), torch.full((1,), 0.37), x / 3),
    "quant.nf4": lambda x, block: (torch.linspace(0, 3, 16), (x.sign() + 5).to(torch.uint8), torch.full((1,), 0.37), x / 3),
}


@pytest.mark.parametrize("name", UNRELATED)
def test_what_is_like_no_known_mistake_is_not_named_after_one(name):
    verdict = judge(load(name), UNRELATED[name], 0)
    assert verdict.status == "wrong" and verdict.diagnosis is None, verdict.diagnosis
