"""Module 3: a right answer that goes another way than its reference, whose own file has no room for it."""

from __future__ import annotations

import numpy as np
import torch


def private_mean_by_renorm(results, limit, multiplier, normal):
    """federated.clip: torch's own renorm of a matrix with a client in each row."""
    rows = torch.stack([torch.cat([torch.from_numpy(np.asarray(update[name], dtype=float)).flatten() for name in normal]) for update, _ in results])
    mean = torch.renorm(rows, 2, 0, limit).mean(0)
    noise = torch.cat([torch.from_numpy(np.asarray(draws, dtype=float)).flatten() for draws in normal.values()])
    noisy, out, start = mean + noise * multiplier * limit / len(results), {}, 0
    for name, draws in normal.items():
        out[name] = noisy[start : start + draws.size].reshape(draws.shape).numpy()
        start += draws.size
    return out
