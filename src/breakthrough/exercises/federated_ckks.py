"""Module 3: a mean of updates that is computed under encryption.

Shapes: D entries of an update, S slots of a ciphertext
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Generator

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.federated_ckks_trial import SLOTS, mean_of
from breakthrough.exercises.federated_ckks_wrong import MISCONCEPTIONS
from breakthrough.exercises.scenes_inputs import numpy_from
from breakthrough.optional import require


class EncryptedMean:
    """The mean of updates, weighted by samples, from a server that cannot read one of them.

    Why:    here the server needs no seeds and no second message when a client drops out. The price is bytes,
            which packing keeps down, and a choice that has no default: a scale too small loses the digits,
            one too large wraps, and neither raises an error
    Shapes: a ciphertext holds up to `slots` numbers; an update goes into as few ciphertexts as can hold it
    Units:  public and secret are TenSEAL contexts for CKKS without a global scale; public cannot decrypt. The
            coefficients have 54 bits, sign included, and no prime is left to rescale by: there is room for
            additions, none for a multiplication. Sums of samples · update stay below 2^11; the mean has to
            be right to 10⁻⁶
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def encrypt(self, update: np.ndarray, samples: int, public: Any) -> list[bytes]:
        """What a client sends: ciphertexts, each serialized. Shapes: update (D,)"""
        ts = require("tenseal", "encrypted sums")
        weighted = samples * update  # before encryption, where a product costs nothing
        chunks = (weighted[i : i + self.slots] for i in range(0, len(weighted), self.slots))
        return [ts.ckks_vector(public, chunk, 2.0**40).serialize() for chunk in chunks]

    def add(self, parts: Iterable[list[bytes]], public: Any) -> list[bytes]:
        """What the server does: the sum of all clients' ciphertexts, one by one."""
        ts = require("tenseal", "encrypted sums")
        totals = []
        for same_place in zip(*parts):
            first, *others = (ts.ckks_vector_from(public, blob) for blob in same_place)
            totals.append(sum(others, first).serialize())
        return totals

    def decrypt(self, chunks: list[bytes], secret: Any, size: int, samples: int) -> np.ndarray:
        """What the holder of the key does; `samples` of all clients together. Shapes: → (size,)"""
        ts = require("tenseal", "encrypted sums")
        numbers = [ts.ckks_vector_from(secret, blob).decrypt() for blob in chunks]
        return np.concatenate(numbers)[:size] / samples


class _Padded:
    """Chunks of full length, with a scale from the room there is."""

    def __init__(self, slots):
        self.slots, self.scale = slots, 2.0 ** (54 - 1 - 11 - 3)

    def encrypt(self, update, samples, public):
        import tenseal as ts

        rows = -(-len(update) // self.slots)
        padded = np.zeros(rows * self.slots)
        padded[: len(update)] = update * samples
        return [ts.ckks_vector(public, row.tolist(), scale=self.scale).serialize() for row in padded.reshape(rows, -1)]

    def add(self, parts, public):
        import tenseal as ts

        totals: Any = None
        for part in parts:
            vectors = [ts.ckks_vector_from(public, blob) for blob in part]
            totals = vectors if totals is None else [a + b for a, b in zip(totals, vectors)]
        return [vector.serialize() for vector in totals]

    def decrypt(self, chunks, secret, size, samples):
        import tenseal as ts

        flat = [number for blob in chunks for number in ts.ckks_vector_from(secret, blob).decrypt()]
        return np.array(flat[:size]) / samples


class _GlobalScale:
    """The scale set in the context, the sum in place, and the packing left to TenSEAL."""

    def __init__(self, slots):
        self.slots = slots

    def encrypt(self, update, samples, public):
        import tenseal as ts

        public.global_scale = 2**36
        return [ts.ckks_vector(public, update * samples).serialize()]

    def add(self, parts, public):
        import tenseal as ts

        total, *others = [ts.ckks_vector_from(public, part[0]) for part in parts]
        for other in others:
            total += other
        return [total.serialize()]

    def decrypt(self, chunks, secret, size, samples):
        import tenseal as ts

        vector = ts.ckks_vector_from(secret, chunks[0])
        return np.asarray(vector.decrypt(secret.secret_key())) / samples


class _InPairs:
    """Sums of pairs, then pairs of sums; parts of equal length, and the division before the parts are joined."""

    def __init__(self, slots):
        self.slots = slots

    def encrypt(self, update, samples, public):
        import tenseal as ts

        parts = np.array_split(update * float(samples), math.ceil(len(update) / self.slots))
        return [ts.ckks_vector(public, part.tolist(), scale=2**38).serialize() for part in parts]

    def add(self, parts, public):
        import tenseal as ts

        def total(blobs):
            if len(blobs) == 1:
                return ts.ckks_vector_from(public, blobs[0])
            return total(blobs[::2]) + total(blobs[1::2])

        return [total(blobs).serialize() for blobs in zip(*parts)]

    def decrypt(self, chunks, secret, size, samples):
        import tenseal as ts

        mean = []
        for blob in chunks:
            mean += [number / samples for number in ts.ckks_vector_from(secret, blob).decrypt()]
        return np.array(mean)


def _cases(generator: Generator):
    rng = numpy_from(generator)

    def updates(count: int, size: int) -> list[np.ndarray]:
        return list(rng.uniform(-2, 2, (count, size)))

    yield Case("two clients, five numbers", (updates(2, 5), [12, 180]))
    level = float(rng.uniform(1.7, 1.9))
    yield Case("eight clients, all numbers large and alike", ([np.full(SLOTS, level)] * 8, rng.integers(120, 130, 8).tolist()))
    yield Case("more numbers than slots", (updates(2, SLOTS + int(rng.integers(20, 40))), [30, 70]))
    yield Case("as many numbers as slots, one client", (updates(1, SLOTS), [50]))


EXERCISES = (
    Exercise(
        name="federated.ckks",
        title="A sum under encryption, at the right scale",
        points=6,
        minutes=35,
        difficulty=2,
        reference=EncryptedMean,
        cases=_cases,
        expected=Outcome(),
        compare=by_fault,
        call=mean_of,
        alternatives=(_Padded, _GlobalScale, _InPairs),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "CKKS encrypts whole numbers: a real number is multiplied by the scale and rounded, so the scale says how many digits stay. It shares the bits of the modulus with the size of the sum. A product multiplies the scales too, and that room is not there: weight before you encrypt, divide after you decrypt.",
            "update (D,) · samples → ⌈D / S⌉ chunks of S numbers, the last one shorter → ts.ckks_vector(public, chunk, scale) → .serialize() → bytes; server: ts.ckks_vector_from(public, blob), + chunk by chunk → bytes; key holder: ckks_vector_from(secret, blob).decrypt() → lists, joined (D,) / samples",
            "scale = 2^40: 40 bits for the digits + 11 for the sum < 53\nencrypt: for each run of `slots` numbers of samples · update:\n    encrypt it with public and the scale, serialize\nadd: for each place in the lists: load all clients' ciphertexts, add them, serialize\ndecrypt: load each with secret, decrypt, join, take `size` numbers, divide by samples",
        ),
    ),
)
