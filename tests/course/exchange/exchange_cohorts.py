"""The benchmark's simulated cohorts, for tests."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import numpy as np

from breakthrough.course.exchange import flags
from breakthrough.course.exchange.effort_model import combine

PATH = Path(__file__).parents[3] / "benchmarks" / "_exchange_simulation.py"
SHORT = {"sweeps": 250, "burn_in": 80}


def _load():
    spec = importlib.util.spec_from_file_location("_exchange_simulation", PATH)
    module = sys.modules["_exchange_simulation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


simulation = _load()
WEIGHTS = simulation.WEIGHTS
MIXED = {"lazy": 0.3, "pact": 0.1, "harsh": 0.1, "noisy": 0.1}


@cache
def combined(count, seed, **shares):
    """A cohort and what the model finds in it."""
    generator = np.random.default_rng(seed)
    made = simulation.cohort(count, shares, generator)
    return made, combine(made.reviews, WEIGHTS, generator, **SHORT)


def module(count, seed, **shares):
    """The same, as flags take it."""
    made, found = combined(count, seed, **shares)
    return made, flags.Module(made.reviews, found, made.author, WEIGHTS)


def rmse(scores, made):
    return float(np.sqrt(np.mean((scores[: len(made.true)] - made.total) ** 2)))
