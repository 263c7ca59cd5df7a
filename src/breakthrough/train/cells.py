"""What teaches an inspector's cells: what synthetic labels know about every pixel.

Shape legend: B pictures in a batch, H × W pixels, C classes, S sound parts, h × w cells of a grid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DEFECT_WEIGHT = 40.0  # in cells: sound ones are far more


def cell_loss(cells: Tensor, parts: Tensor, classes: int) -> Tensor:
    """How far the cells are from saying what they show: cross-entropy.

    A cell with a sixteenth of its pixels on a defect shows the defect, with fewer in part. Of a
    picture's weight, the defect's cells have as much as DEFECT_WEIGHT others, however many they are.

    Shapes: cells (B, C + S, h, w), parts (B, H, W) → scalar
    Units:  nats
    """
    _, kinds, height, width = cells.shape
    share = cell_shares(parts, kinds, (height, width))
    defect = (16 * share[:, 1:classes]).clamp(max=1)
    defect = defect / defect.sum(1, keepdim=True).clamp(min=1)
    rest = torch.cat((share[:, :1], share[:, classes:]), 1)
    rest = rest * ((1 - defect.sum(1, keepdim=True)) / rest.sum(1, keepdim=True).clamp(min=1e-6))
    target = torch.cat((rest[:, :1], defect, rest[:, 1:]), 1)  # (B, C + S, h, w)
    found = defect.sum(1)  # (B, h, w)
    weight = 1 + DEFECT_WEIGHT * found / (found.sum((1, 2), keepdim=True) + 0.5)
    error = -(target * cells.log_softmax(1)).sum(1)
    return (weight * error).sum() / weight.sum()


def cell_shares(parts: Tensor, kinds: int, grid: tuple[int, int]) -> Tensor:
    """Of every cell of a grid, the share of the pixels that show each kind of thing.

    Shapes: parts (B, H, W) whole numbers below kinds → (B, kinds, h, w)
    """
    parts = parts[:, ::2, ::2].long()  # every fourth pixel tells enough
    one_hot = torch.zeros(len(parts), kinds, *parts.shape[1:], device=parts.device)
    one_hot.scatter_(1, parts[:, None], 1.0)
    return F.adaptive_avg_pool2d(one_hot, grid)
