"""How like its original a reconstructed picture is.

Shape legend: B pictures, H × W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from breakthrough.errors import ShapeError, expected

WINDOW = 7  # pixels on a side, as Wang et al. with a flat window


def correlation(found: Tensor, original: Tensor) -> Tensor:
    """Pearson's correlation over all pixels of a picture: 1 is the picture up to brightness and contrast.

    Shapes: (B, …), (B, …) → (B,)
    Units:  0 for a picture of one value
    """
    a, b = (x.flatten(1) - x.flatten(1).mean(1, keepdim=True) for x in _alike(found, original))
    return F.cosine_similarity(a, b, dim=1)


def psnr_db(found: Tensor, original: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pixels from 0 to 1, in decibels; at most 100.

    Shapes: (B, …), (B, …) → (B,)
    """
    found, original = _alike(found, original)
    return -10 * (found - original).square().flatten(1).mean(1).clamp_min(1e-10).log10()


def ssim(found: Tensor, original: Tensor) -> Tensor:
    """Structural similarity of pixels from 0 to 1: 1 is the same picture.

    Shapes: (B, channels, H, W) twice → (B,)
    Source: Wang et al. 2004, with a flat window of 7 × 7 (the whole picture where it is smaller)
    """
    a, b = _alike(found, original)
    if a.ndim != 4:
        raise ShapeError(expected("pictures (B, channels, H, W)", tuple(a.shape)))
    size = min(WINDOW, *a.shape[2:])
    mean_a, mean_b, aa, bb, ab = (F.avg_pool2d(x, size, 1) for x in (a, b, a * a, b * b, a * b))
    var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    alike = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4) / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
    return alike.flatten(1).mean(1)


def matched(found: Tensor, original: Tensor) -> Tensor:
    """The found pictures in the order of the originals: the pairing with the largest sum of correlations.

    Shapes: (B, …), (B, …) → (B, …)
    """
    from scipy.optimize import linear_sum_assignment

    found, original = _alike(found, original)
    count = len(found)
    every = correlation(found.repeat_interleave(count, 0), original.repeat(count, *[1] * (original.ndim - 1))).view(count, count)
    rows, columns = linear_sum_assignment(-every.cpu().numpy())
    order = torch.empty(count, dtype=torch.long)
    order[torch.from_numpy(columns)] = torch.from_numpy(rows)
    return found[order.to(found.device)]


def _alike(found: Tensor, original: Tensor) -> tuple[Tensor, Tensor]:
    if found.shape != original.shape or found.ndim < 2:
        raise ShapeError(expected(f"pictures of the originals' shape {tuple(original.shape)}", tuple(found.shape)))
    return found.float(), original.float()
