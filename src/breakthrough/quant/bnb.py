"""bitsandbytes, imported without its start-up warning: the reference of this room's formats and their fast path."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch

from breakthrough import optional

PURPOSE = "kernels and optimizers of 8 and 4 bits"
FOUR_BIT_BLOCKS = (32, 64, 128, 256, 512, 1024, 2048, 4096)  # the block sizes its 4-bit kernels take


def bitsandbytes() -> ModuleType:
    """The package, without its hint at a faster kernel from a hub and torch's at what it uses that is deprecated.

    Raises: MissingDependency when it is not installed
    """
    if "bitsandbytes" in sys.modules:
        return sys.modules["bitsandbytes"]
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    logger.addFilter(_silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return optional.require("bitsandbytes", PURPOSE)
    finally:
        logger.removeFilter(_silent)


@contextmanager
def own_manager() -> Iterator[None]:
    """bitsandbytes' one global optimizer manager, emptied for a while; what it was told before comes back after.

    It keeps what it was told of a weight by the weight's place, for every net of the process.

    Raises: MissingDependency when bitsandbytes is not installed
    """
    manager = bitsandbytes().optim.GlobalOptimManager.get_instance()
    before = dict(vars(manager))
    manager.initialize()
    try:
        yield
    finally:
        vars(manager).clear()
        vars(manager).update(before)


def kernels(device: torch.device) -> Any | None:
    """Its operators for a device (the CPU or CUDA), or None where it is missing or does not serve the device."""
    return _operators() if device.type in ("cpu", "cuda") else None


@cache
def multiplies_four_bits() -> bool:
    """Whether its product with 4-bit codes runs on this CPU: it takes AVX-512 for bfloat16."""
    return _operators() is not None and bool(bitsandbytes().functional.has_avx512bf16())


@cache
def _operators() -> Any | None:
    if not optional.available("bitsandbytes"):
        return None
    bitsandbytes()
    return torch.ops.bitsandbytes


def _silent(record: logging.LogRecord) -> bool:
    return False
