"""What encrypted sums cost: seconds, bytes and error, for one way of packing.

Shape legend: C clients, D values of an update.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

import numpy as np

from breakthrough.errors import ShapeError, expected
from breakthrough.federated.ckks_parameters import Parameters
from breakthrough.federated.encryption import add, decrypt, encrypt, make_keys

FLOAT32_BYTES = 4


@dataclass
class Cost:
    """Measured costs of one packing; the lists grow by one entry a round.

    Units: encrypt_s for one client, add_s for all clients' sum, decrypt_s for the sum; bytes for one client up and down
    """

    packing: str
    degree: int
    bits: tuple[int, ...]
    size: int
    clients: int
    encrypt_s: list[float] = field(default_factory=list)
    add_s: list[float] = field(default_factory=list)
    decrypt_s: list[float] = field(default_factory=list)
    up_bytes: int = 0
    down_bytes: int = 0
    error: float = 0.0

    @property
    def growth(self) -> float:
        """Bytes that a client sends over those of float32."""
        return self.up_bytes / (FLOAT32_BYTES * self.size)

    def round_s(self) -> float:
        """Median seconds of one round with all parties on one thread."""
        return sum(spread(times)[1] * n for times, n in ((self.encrypt_s, self.clients), (self.add_s, 1), (self.decrypt_s, 1)))


def spread(times: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; all the same for one value."""
    low, middle, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3
    return low, middle, high


@dataclass(frozen=True)
class Packing:
    """One way to make a sum: three functions with their keys inside."""

    name: str
    degree: int
    bits: tuple[int, ...]
    encrypt: Callable[[np.ndarray], list[bytes]]
    add: Callable[[Iterable[list[bytes]]], list[bytes]]
    decrypt: Callable[[list[bytes], int], np.ndarray]


def ours(parameters: Parameters) -> Packing:
    """This room's way, with new keys: two values a slot, by the secret key (seeded) or by the public one."""
    secret, public = make_keys(parameters)
    key, name = (secret, "two a slot, seeded") if parameters.symmetric else (public, "two a slot, public key")
    return Packing(
        name, parameters.poly_modulus_degree, parameters.coeff_mod_bit_sizes,
        lambda x: encrypt(x, key), lambda parts: add(parts, public), lambda chunks, size: decrypt(chunks, secret, size),
    )  # fmt: skip


def measure(updates: np.ndarray, packing: Packing, cost: Cost | None = None) -> Cost:
    """One more round of a packing: encrypt every update, add, decrypt; CPU seconds of this process.

    Shapes: updates (C, D)
    Raises: ShapeError when there is no client or no value
    """
    if updates.ndim != 2 or 0 in updates.shape:
        raise ShapeError(expected("updates of shape (C, D), none of them 0", updates.shape))
    clients, size = updates.shape
    cost = cost or Cost(packing.name, packing.degree, packing.bits, size, clients)
    sent, encrypt_s = _timed(lambda: [packing.encrypt(row) for row in updates])
    total, add_s = _timed(lambda: packing.add(sent))
    values, decrypt_s = _timed(lambda: packing.decrypt(total, size))
    cost.encrypt_s.append(encrypt_s / clients)
    cost.add_s.append(add_s)
    cost.decrypt_s.append(decrypt_s)
    cost.up_bytes, cost.down_bytes = sum(map(len, sent[0])), sum(map(len, total))
    cost.error = max(cost.error, float(np.abs(values - updates.sum(0, dtype=np.float64)).max()))
    return cost


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start
