"""Ray: started on this machine, or found at an address."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from breakthrough import devices, optional
from breakthrough.errors import BreakthroughError, InputError, expected

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of a change in its next version
}
KNOCK_S = 4.0  # Ray itself would wait for minutes
TRIES = 4  # a busy machine may need more than the time that Ray waits for itself


def start_ray(workers: int, address: str | None = None) -> None:
    """Start Ray on this machine, or go to a cluster, once.

    Raises: InputError when nothing answers at the address; BreakthroughError when Ray does not start;
            MissingDependency without ray
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray = optional.require("ray", "runs tasks in parallel, here and on a cluster")
    if address:
        _knock(address)
    if ray.is_initialized():
        return
    settings = {"address": address, "log_to_driver": False, "logging_level": "ERROR"} if address else _here(workers)
    for tried in range(1, TRIES + 1):
        try:
            ray.init(**settings)
            return
        except Exception as error:  # Ray raises no narrower one when its processes take longer than its 30 s
            ray.shutdown()
            if "timed out during startup" not in str(error) or tried == TRIES:
                said = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise BreakthroughError(expected("Ray to start", said, "one worker, which needs no Ray")) from error


def _knock(address: str) -> None:
    """See that somebody answers at an address."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), KNOCK_S).close()
    except (OSError, ValueError) as error:
        hint = "ray start --head --port 6379 on a machine of the cluster, then its address"
        raise InputError(expected("a Ray cluster at HOST:PORT", f"{address!r}: {error}", hint)) from error


def _here(workers: int) -> dict[str, Any]:
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return {
        "num_cpus": workers,
        "num_gpus": 1 if devices.choose().type == "cuda" else 0,
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": environment},
    }
