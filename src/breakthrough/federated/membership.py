"""Membership inference: was this sample trained on? Asked of a final model, which every protection of updates leaves.

Scores are higher for samples taken to be members. Shape legend: N samples, M members, O others, R reference models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough.errors import InputError, ShapeError, expected

LOW_RATE = 0.01  # false alarms that an attacker who accuses someone can afford
DRAWS = 500


@dataclass(frozen=True)
class Membership:
    """How well scores tell members from others; 0.5 is guessing.

    Units:  auc with low and high, a 95% interval; true_rate is the share of members found while 1% of the
            others are taken for members; advantage is the largest difference of the two rates (Yeom et al. 2018)
    """

    auc: float
    low: float
    high: float
    true_rate: float
    advantage: float

    def __str__(self) -> str:
        return f"AUC {self.auc:.3f} [{self.low:.3f}, {self.high:.3f}], {self.true_rate:.1%} of members at {LOW_RATE:.0%} false alarms"


@torch.no_grad()
def losses(model: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """The cross-entropy of every sample; minus it is the score of the loss-threshold attack.

    Shapes: x (N, …), y (N,) → (N,) float64
    Source: Yeom et al. 2018, "Privacy risk in machine learning"
    """
    return F.cross_entropy(model(x).double(), y, reduction="none").cpu().numpy()


def confidence(loss: np.ndarray) -> np.ndarray:
    """The log-odds of the right label, from the loss: nearly normal over models, which `calibrated` needs.

    Shapes: any → the same
    Source: Carlini et al. 2022, "Membership inference attacks from first principles", eq. 4
    """
    loss = np.clip(loss, 1e-12, None)
    return -loss - np.log(-np.expm1(-loss))


def calibrated(loss: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Scores against models that never saw the sample: how far its confidence stands above theirs.

    A sample that is easy for every model says nothing of membership; one that only this model finds easy does.

    Shapes: loss (N,), references (R, N): losses of the reference models → (N,)
    Units:  standard deviations of the reference models' confidence, one deviation for all samples
    Raises: ShapeError when they do not fit together
    Source: Carlini et al. 2022, the offline attack with a global variance
    """
    if loss.ndim != 1 or references.ndim != 2 or references.shape[1:] != loss.shape or len(references) < 2:
        raise ShapeError(expected("loss (N,) and references (2 or more, N)", f"{loss.shape} and {references.shape}"))
    out = confidence(references)  # (R, N)
    spread = math.sqrt(out.var(axis=0, ddof=1).mean())
    return (confidence(loss) - out.mean(axis=0)) / max(spread, 1e-12)


def roc(members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true rates at every threshold, from none taken for a member to all.

    Shapes: members (M,), others (O,) → two arrays of as many rates as there are different scores, and one
    Raises: InputError when either is empty or a score is NaN
    """
    members, others = np.asarray(members, float), np.asarray(others, float)
    if members.ndim != 1 or others.ndim != 1 or not len(members) or not len(others) or np.isnan(members).any() or np.isnan(others).any():
        raise InputError(expected("scores of at least one member and one other, none NaN", f"{members.shape} and {others.shape}"))
    scores = np.concatenate((members, others))
    order = np.argsort(-scores, kind="stable")
    is_member = (order < len(members)).astype(float)
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # equal scores pass together
    true, false = np.cumsum(is_member)[last], np.cumsum(1 - is_member)[last]
    return np.append(0.0, false / len(others)), np.append(0.0, true / len(members))


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """The chance that a member scores above an other; ties count half.

    Raises: InputError as `roc`
    """
    false, true = roc(members, others)
    return float(np.trapezoid(true, false))


def judge(members: np.ndarray, others: np.ndarray, generator: np.random.Generator) -> Membership:
    """How well scores tell members from others, with a 95% interval by the bootstrap.

    Shapes: members (M,), others (O,)
    Raises: InputError as `roc`
    """
    false, true = roc(members, others)
    draws = [auc(generator.choice(members, len(members)), generator.choice(others, len(others))) for _ in range(DRAWS)]
    low, high = np.percentile(draws, (2.5, 97.5))
    found = true[false <= LOW_RATE].max()
    return Membership(float(np.trapezoid(true, false)), float(low), float(high), float(found), float((true - false).max()))


def control(members: np.ndarray, generator: np.random.Generator) -> Membership:
    """The attack where there is nothing to find: one half of the members against the other half."""
    shuffled = generator.permutation(members)
    return judge(shuffled[::2], shuffled[1::2], generator)


def bound(epsilon: float, delta: float, false_rate: np.ndarray | float) -> np.ndarray | float:
    """The largest true rate that (ε, δ)-differential privacy leaves to any attack, at a false rate.

    Source: Kairouz et al. 2015, "The composition theorem for differential privacy", theorem 2.1
    """
    false_rate = np.asarray(false_rate, float)
    with np.errstate(over="ignore"):
        first = np.exp(min(epsilon, 700.0)) * false_rate + delta
    second = 1 - math.exp(-epsilon) * (1 - delta - false_rate)
    return np.minimum(1.0, np.minimum(first, second))
