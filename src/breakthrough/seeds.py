"""Explicit random generators. Nothing in the library draws from a global one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive(seed: int, *names: str | int) -> int:
    """A new seed from a seed and a path of names, independent for every path.

    Units:  63-bit integers
    Source: SHA-256 of the path, so that the same names give the same seed on every machine
    """
    path = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *names: str | int, device: str = "cpu") -> torch.Generator:
    """A torch generator seeded by `derive(seed, *names)`; by `seed` itself without names."""
    import torch

    return torch.Generator(device=device).manual_seed(derive(seed, *names) if names else seed)


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator seeded by `derive(seed, *names)`; by `seed` itself without names."""
    import numpy as np

    return np.random.default_rng(derive(seed, *names) if names else seed)
