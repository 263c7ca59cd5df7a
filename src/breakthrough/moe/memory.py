"""Large buffers on huge pages: a fresh gradient of many experts costs more in page faults than in
the work that fills it (measured: 45 ms against 11 ms for 235 MB)."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache

import torch
from torch import Tensor

LARGE_BYTES = 4 << 20
_HUGE = getattr(mmap, "MADV_HUGEPAGE", None)


@cache
def _madvise():
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def empty(*shape: int, like: Tensor) -> Tensor:
    """An uninitialised tensor of the dtype and device of `like`; on Linux on huge pages if it can.

    A hint only: where the kernel declines, the tensor is the same, filled more slowly.
    """
    out = torch.empty(shape, dtype=like.dtype, device=like.device)
    if out.nbytes >= LARGE_BYTES and out.device.type == "cpu" and _HUGE and sys.platform == "linux":
        first = -(-out.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (out.data_ptr() + out.nbytes - first) // mmap.PAGESIZE * mmap.PAGESIZE
        _madvise()(first, length, _HUGE)
    return out
