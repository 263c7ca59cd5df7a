"""A search's trials: in order, timed, and the best so far never grows."""

import math

import pytest

pytest.importorskip("tvm")
import torch
from torch import nn

from breakthrough.deploy import functions, targets, trials, tuning
from breakthrough.deploy.export import to_relax
from breakthrough.deploy.trials import Trials
from breakthrough.errors import InputError


def test_the_best_so_far():
    assert Trials("one", (3.0, math.inf, 2.0, 4.0)).best == (3.0, 3.0, 2.0, 2.0)
    assert Trials("none yet", (math.inf, 1.0)).best == (math.inf, 1.0)


@pytest.fixture(scope="module")
def task():
    kept = []
    exported = to_relax(nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False).eval(), torch.zeros(1, 16, 8, 8))
    functions.apart(exported.module, lambda alone: kept.append(alone) or alone)
    target = targets.choose("cpu").target
    return next(one for one in tuning.tasks_of(kept[0], target) if "conv2d" in one.name), target


def test_two_ways_over_a_rules_candidates(task):
    chance, guessed = trials.compare(*task, 2, evolved=0, bar=False)
    assert len(chance.seconds) == len(guessed.seconds) == 2
    assert all(0 < one < 1 for way in (chance, guessed) for one in way.seconds)


def test_no_trial_is_refused(task):
    with pytest.raises(InputError):
        trials.compare(*task, 0)
