"""Shares as plain data, differences between them, and what may be said of a claim with so many pictures."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from breakthrough.quant.inspecting import Z95, Share

GOAL = 0.995  # claim C13: more than this share of defects is detected
HOLDS, FAILS = "holds", "does not hold"


def plain(share: Share) -> dict[str, Any]:
    """A share as plain data; None for what no picture tells."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(share).items()}


def apart(first: Share, second: Share) -> Share:
    """The first share less the second, of different pictures, with its interval of 95%; `n` counts both.

    Source: Newcombe 1998, method 10, from two intervals of Wilson's
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Share(value, max(-1.0, low), min(1.0, high), first.n + second.n)


def verdict(share: Share, goal: float = GOAL) -> str:
    """Whether a share is above a goal: only where its whole interval is on one side of it."""
    if share.low > goal:
        return HOLDS
    if share.high < goal:
        return FAILS
    return f"cannot be told from {share.n:,} pictures"


def needed(value: float, goal: float = GOAL) -> int | None:
    """How many pictures would tell, if the share stayed as it is; None when no number would.

    Source: Wilson's interval leaves out a goal just where the score test rejects it: n (p − g)² > z² g (1 − g)
    """
    if not math.isfinite(value) or value == goal:
        return None
    return math.floor(Z95**2 * goal * (1 - goal) / (value - goal) ** 2) + 1


def judged(share: Share, goal: float = GOAL) -> dict[str, Any]:
    """A share as plain data with the verdict on a goal; and where it cannot be told, the pictures that would tell."""
    said = verdict(share, goal)
    return plain(share) | {"verdict": said, "needed": None if said in (HOLDS, FAILS) else needed(share.value, goal)}
