"""Encrypted sums by packing and degree: seconds, bytes, growth against float32, error.

    python benchmarks/_federated_ckks.py [--size 100000] [--clients 10] [--error 1e-4] [--rounds 7] [--figure PATH.png]

Every packing sums the same updates, uniform in ±1, in float32. Its scale is the one that keeps the stated error.
"Two a slot" is breakthrough.federated.encryption. "CKKSVector" is TenSEAL's own vector, N / 2 values a ciphertext
by public key, with a second prime for key switching since its context refuses to exist without; its last row has
the parameters of TenSEAL's tutorials. Packings take turns (A B C A B C …); the first round is not counted. CPU
seconds of the process, which has one thread: medians, quartiles in brackets.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import math
import platform
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tenseal

from breakthrough.errors import ConfigError
from breakthrough.federated.ckks_cost import Cost, Packing, measure, ours, spread
from breakthrough.federated.ckks_parameters import Parameters, at_degree, check_security, choose
from breakthrough.federated.figures_encryption import packings
from breakthrough.seeds import numpy_generator

DEGREES = (1024, 2048, 4096, 8192, 16384)
SPECIAL_BITS = {2048: 19}  # CKKSVector's second prime; 20 elsewhere
TUTORIAL = 8192, (60, 40, 40, 60), 2.0**40


def vector(degree: int, bits: tuple[int, ...], scale: float, name: str) -> Packing:
    """TenSEAL's CKKSVector, one for each N / 2 values; public-key encryption."""
    check_security(degree, bits)
    own = tenseal.context(tenseal.SCHEME_TYPE.CKKS, degree, -1, list(bits), n_threads=1)
    own.global_scale = scale
    public = own.copy()
    public.make_context_public()
    slots = degree // 2

    def encrypt(x: np.ndarray) -> list[bytes]:
        return [tenseal.ckks_vector(public, x[i : i + slots]).serialize() for i in range(0, len(x), slots)]

    def add(parts: Iterable[list[bytes]]) -> list[bytes]:
        total: list[tenseal.CKKSVector] = []
        for chunks in parts:
            loaded = [tenseal.ckks_vector_from(public, chunk) for chunk in chunks]
            total = [a + b for a, b in zip(total, loaded)] or loaded
        return [one.serialize() for one in total]

    def decrypt(chunks: list[bytes], size: int) -> np.ndarray:
        return np.concatenate([tenseal.ckks_vector_from(own, chunk).decrypt() for chunk in chunks])[:size]

    return Packing(name, degree, bits, encrypt, add, decrypt)


def vector_at(degree: int, size: int, clients: int, error: float) -> Packing:
    """CKKSVector with the scale that keeps the error: its noise is what rounding the second prime away leaves.

    Bound: (1 + B · √(2N / 3)) · B · √(N / 12) a client, B² = ln(values / 1e-9), as in ckks_parameters
    """
    tail = math.sqrt(math.log(3 * max(size, degree) / 1e-9))
    noise = math.sqrt(clients * degree / 12) * tail * (1 + tail * math.sqrt(2 * degree / 3))
    scale = 2.0 ** math.ceil(math.log2(noise / error))
    bits = 2 + math.ceil(math.log2(scale * clients + noise))
    return vector(degree, (bits, SPECIAL_BITS.get(degree, 20)), scale, "CKKSVector")


def contenders(size: int, clients: int, error: float) -> tuple[list[Packing], list[str]]:
    """Every packing that has 128-bit security and keeps the error; a line for each that has not."""
    made, left_out = [], []
    for name, symmetric in (("seeded", True), ("public key", False)):
        for degree in DEGREES:
            try:
                made.append(ours(at_degree(degree, size, clients, error, symmetric=symmetric)))
            except ConfigError as fault:
                left_out.append(f"two a slot, {name}, N = {degree}: {fault}")
    for degree in DEGREES:
        try:
            made.append(vector_at(degree, size, clients, error))
        except ConfigError as fault:
            left_out.append(f"CKKSVector, N = {degree}: {fault}")
    return [*made, vector(*TUTORIAL, "CKKSVector, tutorial")], left_out


def line(cost: Cost) -> str:
    """One row of the table."""
    times = [spread(times) for times in (cost.encrypt_s, cost.add_s, cost.decrypt_s)]
    cells = [f"{1000 * m:6.1f} ({1000 * low:.1f}–{1000 * high:.1f})".ljust(20) for low, m, high in times]
    name = f"{cost.packing}, N = {cost.degree} {list(cost.bits)}"
    sent = f"{cost.up_bytes / 1024:7.0f} KiB {cost.up_bytes / cost.size:6.2f} B {cost.growth:6.2f} ×"
    return f"{name:52} {' '.join(cells)} {cost.round_s():6.3f} s {sent} {cost.down_bytes / cost.size:6.2f} B  {cost.error:.1e}"


def chosen(size: int, clients: int, error: float) -> list[Parameters]:
    """What `choose` takes: with the secret key at the clients, and without."""
    return [choose(size, clients, error, symmetric=symmetric) for symmetric in (True, False)]


def main() -> None:
    """Measure all packings in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--error", type=float, default=1e-4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    asked = options.size, options.clients, options.error
    updates = numpy_generator(0, "ckks").uniform(-1, 1, (options.clients, options.size)).astype(np.float32)
    made, left_out = contenders(*asked)
    costs: list[Cost | None] = [None] * len(made)
    for turn in range(1 + options.rounds):
        costs = [measure(updates, packing, cost if turn > 1 else None) for packing, cost in zip(made, costs)]
    print(f"{options.size} values, {options.clients} clients, error at most {options.error:g}; "
          f"TenSEAL {tenseal.__version__}, Python {platform.python_version()}, one thread, {options.rounds} rounds")  # fmt: skip
    print(f"{'packing':52} {'encrypt, ms a client':20} {'add, ms':20} {'decrypt, ms':20}    round"
          "     sent a client, a value, growth   back      max error")  # fmt: skip
    for cost in costs:
        print(line(cost))
    print("left out:", *(left_out or ["nothing"]), sep="\n  ")
    for parameters in chosen(*asked):
        print("chosen:", parameters.reason)
    if options.figure:
        packings(costs).savefig(options.figure)


if __name__ == "__main__":
    main()
