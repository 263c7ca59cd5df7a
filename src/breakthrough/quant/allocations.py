"""What is allocated while a block runs: by torch's allocator, and by the operating system's count of pages."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch
from torch.autograd import ProfilerConfig, ProfilerState
from torch.autograd.profiler import _ExperimentalConfig

PROCESS = Path("/proc/self")


class Allocations:
    """The growth of allocated memory in a block, from torch's allocator itself.

    On CUDA its statistics; on the CPU the allocations and releases that it reports to a profiler, kernels'
    own workspaces included; it does not report the release of what was allocated outside of every such block.
    Not to be used inside another profiler.

    Units:  bytes over what there was at the start: `peak` at most (at least 0), `kept` at the end
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.peak = self.kept = 0

    def __enter__(self) -> Allocations:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            torch.autograd._enable_profiler_legacy(_memory_only())
        return self

    def __exit__(self, *failure: object) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self.kept = torch.cuda.memory_allocated(self.device) - self._before
            self.peak = torch.cuda.max_memory_allocated(self.device) - self._before
            return
        for thread in torch.autograd._disable_profiler_legacy():
            for event in thread:
                if event.kind() == "memory_alloc":  # releases too, with a minus
                    self.kept += event.cpu_memory_usage()
                    self.peak = max(self.peak, self.kept)


def _memory_only() -> ProfilerConfig:
    # the legacy profiler: the newer one takes a second to start and writes on stderr
    shapes, memory, stack, flops, modules = False, True, False, False, False
    return ProfilerConfig(ProfilerState.CPU, shapes, memory, stack, flops, modules, _ExperimentalConfig())


class Resident:
    """The growth of this process's resident pages in a block, at most.

    Memory that was freed before is given back to the system first, so that its pages count again when they
    are used again. Other threads' work counts too, and so do holes in the heap: glibc puts all but the largest
    blocks where a hole stays when they are freed. A program started with MALLOC_MMAP_THRESHOLD_=65536 in its
    environment has nearly none, and its pages are its tensors within a percent.

    Units:  bytes; `growth` is None where the system keeps no record (not Linux, or not allowed)
    """

    def __init__(self) -> None:
        self.growth: int | None = None

    def __enter__(self) -> Resident:
        self._before = _status("VmRSS") if _trim() and _forget_peak() else None
        return self

    def __exit__(self, *failure: object) -> None:
        if self._before is not None:
            self.growth = max(0, _status("VmHWM") - self._before)


def _status(name: str) -> int:
    lines = (PROCESS / "status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _trim() -> bool:
    """Give freed memory back to the system, where its C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    return trim is not None


def _forget_peak() -> bool:
    try:
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
