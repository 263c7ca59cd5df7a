"""Tensors that formats are tried on: every kind of shape, dtype, magnitude and block."""

import torch

SHAPES = [(1,), (2,), (3,), (63,), (64,), (65,), (255,), (257,), (1000,), (3, 48), (7, 33), (16, 64), (5, 7, 9), (2, 3, 4, 32)]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
MAGNITUDES = [1.0, 1e-3, 3e3, 1e-37, 1e37]  # the last two not in float16


def numbers(shape, dtype=torch.float32, magnitude=1.0, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (x * magnitude).to(dtype)


def with_zero_blocks(block, dtype=torch.float32):
    """Three blocks and a tail: the first and the tail all zeros."""
    x = numbers((3 * block + block // 2,), dtype)
    x[:block] = 0
    x[3 * block:] = 0
    return x


def neighbours(points):
    """The numbers and their next three floats on either side."""
    found = [points]
    for direction in (-torch.inf, torch.inf):
        near = points
        for _ in range(3):
            near = near.nextafter(torch.full_like(near, direction))
            found.append(near)
    return torch.cat(found)


def in_unit_blocks(values, block):
    """Values in blocks that each end with 1, so that the absmax of each is 1."""
    rows = torch.nn.functional.pad(values, (0, -len(values) % (block - 1))).view(-1, block - 1)
    return torch.cat([rows, torch.ones(len(rows), 1)], 1).flatten()
