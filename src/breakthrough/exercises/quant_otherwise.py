"""Module 4: right answers that go other ways than their reference, where its own file has no room for them."""

from __future__ import annotations

import numpy as np
import torch


def absmax_in_numpy(x):
    """quant.absmax: the ends of the range, and numpy's rint."""
    numbers = x.detach().float().cpu().numpy()
    step = np.float32(max(numbers.max(), -numbers.min()) / np.float32(127))
    codes = np.rint(numbers / (step or np.float32(1))).astype(np.int8)
    return torch.from_numpy(codes).to(x.device), torch.tensor(step or np.float32(1))


def per_channel_in_numpy(w, axis):
    """quant.channel: the largest over one dimension after the other, all but the channels'."""
    numbers = w.cpu().numpy()
    largest = np.abs(numbers)
    for dim in set(range(w.ndim)) - {axis % w.ndim}:
        largest = largest.max(axis=dim, keepdims=True)
    scales = np.where(largest == 0, np.float32(1), largest / np.float32(127))
    codes = np.divide(numbers, scales).round().astype("int8")
    return torch.from_numpy(codes).to(w.device), torch.from_numpy(scales).to(w.device)
