"""Module 4: a learner's training set-up that is in another process: tried out there, then held to where it leads.

What that process says of itself may be made up. Where the weights are after some steps from a start that it had not
seen cannot be said without taking these steps, with an optimizer that keeps each number in the bits it should.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.elsewhere import Elsewhere
from breakthrough.exercises import quant_mend_trial as trial
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.seeds import derive

SetUp = Callable[[nn.Module, float], torch.optim.Optimizer]
STEPS = 6
# The mean distance of a weight's numbers from the reference's, in steps of lr, after 6 steps: measured on 24 nets,
# right set-ups 0; the same from weights that are off by a rounding, or on two threads, up to 0.0002 (after 25 steps
# 0.01, as 8-bit codes flip); one embedding in 8 bits 0.010 and more, all 0.028, 32 bits everywhere 0.05, no decay 0.008
FAR = 0.002


def judged_by(reference: SetUp) -> Callable[[Any, Case], Outcome]:
    """How a set-up is called, and held to a right one when it is in another process."""

    def outcome(answer: Any, case: Case) -> Outcome:
        if not isinstance(answer, Elsewhere):
            return trial.outcome(answer, case)
        found = Outcome(*map(str, answer.there("breakthrough.exercises.quant_there:mended")(answer, case.args)))
        return found if found.fault else _led(answer, reference, case)

    return outcome


def _led(answer: Elsewhere, reference: SetUp, case: Case) -> Outcome:
    """Whether the set-up leads where the reference does, from another start."""
    label, seed, lr = case.args
    again = derive(seed, "another start") % (1 << 31)
    start, batch = trial.start(label, again), trial.batch(again)
    theirs = answer.there("breakthrough.exercises.quant_there:trained")(answer, label, start, batch, lr, STEPS)
    mine = trial.trajectory(reference, label, start, batch, lr, STEPS)
    far = {name: _far(weight, theirs.get(name) if isinstance(theirs, dict) else None) / lr for name, weight in mine.items()}
    worst = max(far, key=lambda name: far[name])
    if far[worst] <= FAR:
        return Outcome()
    text = f"after {STEPS} steps from other weights, {worst} is not where a right set-up leads"
    return Outcome("leads elsewhere", text, f"{FAR:g} lr away at the most", f"{far[worst]:.3g}")


def _far(mine: Tensor, theirs: Any) -> float:
    if not isinstance(theirs, Tensor) or theirs.shape != mine.shape:
        return float("inf")
    return float((mine - theirs.detach().float()).abs().mean().nan_to_num(float("inf")))
