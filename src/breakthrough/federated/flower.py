"""Flower, quiet: no telemetry, no update checks, no chatter; imported only where it is used."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from breakthrough.optional import require

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of a change in its next version
}


def flower(part: str = "app") -> ModuleType:
    """A part of Flower: `app`, `clientapp`, `serverapp`, `simulation`…; what it reports home is off unless the user turned it on.

    Raises: MissingDependency when Flower is not installed
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)  # Flower reads them as it is imported
    module = require(f"flwr.{part}", "federated learning")
    if logging.getLogger("flwr").level in (logging.NOTSET, logging.INFO, logging.DEBUG):
        logging.getLogger("flwr").setLevel(logging.ERROR)
    return module
