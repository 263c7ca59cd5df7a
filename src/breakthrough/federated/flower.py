"""Flower, quiet: no telemetry, no update checks, no chatter; imported only where it is used."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from breakthrough import cluster
from breakthrough.optional import require

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    **cluster.QUIET,
}

SERVER_ID = 1  # the SuperLink's node id


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


def identify(run_id: int = 1) -> None:
    """Say who sends the messages made in this process, as Flower's engines do before they run a ServerApp.

    Without it, Flower refuses to make a message; its engines set it anew.
    """
    identity = flower("supercore.task_identity").TaskIdentity
    identity.task_id, identity.run_id, identity.node_id = 1, run_id, SERVER_ID
