"""Facts about the machine: device, dtype, threads, memory. CPU and CUDA are both first class."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breakthrough.errors import ConfigError, InputError, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor, nn

CHOICES = ("auto", "cpu", "cuda")
VARIABLE = "BREAKTHROUGH_DEVICE"
CORES = "BREAKTHROUGH_CORES"  # a share of the machine, for one of several notebooks that run at once


@dataclass(frozen=True)
class Budget:
    """What a program may use on this machine.

    Units: memory and disk in bytes
    """

    cores: int
    memory_bytes: int
    disk_bytes: int
    gpu: str | None
    gpu_memory_bytes: int


def choose(device: str | None = None) -> torch.device:
    """The device to compute on: the argument, else $BREAKTHROUGH_DEVICE, else CUDA when there is one.

    Raises: ConfigError for an unknown name, and for `cuda` on a machine without it
    """
    import torch

    name = device or os.environ.get(VARIABLE) or "auto"
    if name not in CHOICES:
        raise ConfigError(expected(f"a device out of {', '.join(CHOICES)}", repr(name)))
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(expected("a machine with CUDA", "none found by torch", "--device auto"))
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def of(model: nn.Module) -> torch.device | None:
    """Where a model lies: the device of its first parameter, else of its first buffer; None without either, and while it is traced."""
    import torch

    if torch.compiler.is_compiling():
        return None
    first = next(itertools.chain(model.parameters(), model.buffers()), None)
    return None if first is None else first.device


def check_same(what: str, place: torch.device | None, **others: Tensor) -> None:
    """Refuse tensors that lie elsewhere than what they are to be used with.

    Raises: InputError that names the first of them, and how to bring it there
    """
    for name, tensor in others.items():
        if place is not None and tensor.device != place:
            raise InputError(expected(f"all on {place}, where {what}", f"{name} on {tensor.device}", f"{name}.to({str(place)!r})"))


def cores() -> int:
    """The cores this process may run on; no more than $BREAKTHROUGH_CORES, where that is set.

    Raises: ConfigError when it is set to something else than a number from 1
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = os.environ.get(CORES) or str(there)
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(expected(f"a number of cores from 1 in {CORES}", repr(text)))
    return min(there, int(text))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block with torch on `count` threads, then restore the number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def budget(path: str = ".") -> Budget:
    """Cores, memory, disk and GPU of this machine, as this process sees them."""
    import psutil
    import torch

    gpu = torch.cuda.is_available()
    return Budget(
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        disk_bytes=psutil.disk_usage(path).free,
        gpu=torch.cuda.get_device_name(0) if gpu else None,
        gpu_memory_bytes=torch.cuda.get_device_properties(0).total_memory if gpu else 0,
    )
