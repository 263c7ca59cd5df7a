"""Module 3: wrong ways to compute a mean under encryption, for federated.ckks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from breakthrough.exercises.exercise import Misconception
from breakthrough.optional import require

Steps = Callable[..., Any]


def _tenseal() -> Any:
    return require("tenseal", "encrypted sums")


def _chunks(x, slots):
    return [x[i : i + slots] for i in range(0, len(x), slots)]


def _one_by_one(x, slots):
    return [x[i : i + 1] for i in range(len(x))]


def _half_full(x, slots):
    return [part for chunk in _chunks(x, slots) for part in np.array_split(chunk, 2)]


def _whole_chunks(x, slots):
    return _chunks(x, slots)[: max(1, len(x) // slots)]


def _padded(x, slots):
    return [np.pad(chunk, (0, slots - len(chunk))) for chunk in _chunks(x, slots)]


def _before(x, samples):
    return x * samples


def _not_at_all(x, samples):
    return x


def _encrypted(chunk, public, scale):
    return _tenseal().ckks_vector(public, chunk, scale).serialize()


def _times_after(factor):
    def encrypted(chunk, public, scale):
        return (_tenseal().ckks_vector(public, chunk, scale) * factor).serialize()

    return encrypted


def _in_the_clear(chunk, public, scale):
    return np.asarray(chunk, dtype=np.float64).tobytes()


def _added(parts, public):
    places = [[_tenseal().ckks_vector_from(public, blob) for blob in place] for place in zip(*parts)]
    return [sum(vectors[1:], vectors[0]).serialize() for vectors in places]


def _averaged_by_the_server(parts, public):
    totals = [_tenseal().ckks_vector_from(public, blob) for blob in _added(parts, public)]
    return [(total * (1 / len(parts))).serialize() for total in totals]


def _decrypted_first(parts, public):
    clear = [[np.array(_tenseal().ckks_vector_from(public, blob).decrypt()) for blob in part] for part in parts]
    return [_tenseal().ckks_vector(public, sum(place), 2.0**40).serialize() for place in zip(*clear)]


def _sum_in_the_clear(parts, public):
    return [np.sum([np.frombuffer(blob) for blob in place], axis=0).tobytes() for place in zip(*parts)]


def _cut_and_divided(numbers, size, samples):
    return numbers[:size] / samples


def _made(
    chunks: Steps = _chunks, weigh: Steps = _before, scale: Any = 2.0**40, encrypted: Steps = _encrypted,
    add: Steps = _added, finish: Steps = _cut_and_divided,
) -> type:  # fmt: skip
    """A wrong answer: the right one but for what is given."""

    class Wrong:
        def __init__(self, slots):
            self.slots = slots

        def encrypt(self, update, samples, public):
            return [encrypted(chunk, public, scale) for chunk in chunks(weigh(update, samples), self.slots)]

        def add(self, parts, public):
            return add(parts, public)

        def decrypt(self, blobs, secret, size, samples):
            numbers = [_tenseal().ckks_vector_from(secret, blob).decrypt() for blob in blobs]
            return finish(np.concatenate(numbers), size, samples)

    return Wrong


def _clients_counted() -> type:
    """Divided by the number of clients, which the adding method has seen."""
    base: Any = _made()

    class Wrong(base):
        def add(self, parts, public):
            self.clients = len(parts)
            return _added(parts, public)

        def decrypt(self, blobs, secret, size, samples):
            return super().decrypt(blobs, secret, size, samples) * samples / self.clients

    return Wrong


def _mean_of_means() -> type:
    base: Any = _clients_counted()

    class Wrong(base):
        def encrypt(self, update, samples, public):
            return super().encrypt(update, 1, public)

    return Wrong


MISCONCEPTIONS = (
    Misconception(
        "not packed",
        _made(_one_by_one),
        "A ciphertext holds `slots` numbers and costs the same for one: encrypt runs of that length, or the messages are thousands of times larger than need be.",
        variants=(_made(_half_full),),
    ),
    Misconception(
        "last chunk lost",
        _made(_whole_chunks),
        "The rest that does not fill a ciphertext was lost: go over range(0, D, slots), which also gives the last, shorter run.",
    ),
    Misconception(
        "padding kept",
        _made(_padded, finish=lambda numbers, size, samples: numbers / samples),
        "What was padded to full length has to be cut again: only the first `size` numbers are the update's.",
    ),
    Misconception(
        "decrypted by the server",
        _made(add=_decrypted_first),
        "The server tried to decrypt, and has no key for it: that it cannot is the point; add the ciphertexts themselves.",
    ),
    Misconception(
        "not encrypted",
        _made(encrypted=_in_the_clear, add=_sum_in_the_clear),
        "These bytes are not encrypted: only what ts.ckks_vector made and .serialize() wrote may leave a client or the server.",
    ),
    Misconception(
        "not weighted",
        _made(weigh=_not_at_all),
        "The updates were not weighted: a client's part in the mean is its samples, so multiply its update by them before it is encrypted.",
        variants=(_mean_of_means(), _made(weigh=_not_at_all, finish=lambda numbers, size, samples: numbers[:size])),
    ),
    Misconception(
        "a sum",
        _made(finish=lambda numbers, size, samples: numbers[:size]),
        "This is still the weighted sum: divide by the samples of all clients together, after decrypting.",
    ),
    Misconception(
        "divided by the clients",
        _clients_counted(),
        "The weighted sum was divided by the number of clients: the weights add up to the samples of all clients, so divide by those.",
    ),
    Misconception(
        "multiplied under encryption",
        _made(weigh=_not_at_all, encrypted=_times_after(3.0)),
        "A product under encryption multiplies the scales, and this modulus has no prime left to rescale by: weight before you encrypt, divide after you decrypt.",
        variants=(_made(add=_averaged_by_the_server), _made(weigh=_not_at_all, scale=2.0**20, encrypted=_times_after(3.0))),
    ),
    Misconception(
        "scale too small",
        _made(scale=2.0**20),
        "The digits are lost in the noise: the error is about 2^11 / scale for each client, so take a scale near the top of the room, 2^40.",
        variants=(_made(scale=2.0**16), _made(scale=1e5), _made(scale=42.0)),
    ),
    Misconception(
        "scale too large",
        _made(scale=2.0**60),
        "There is no room left for the numbers: scale times the largest sum, below 2^11, has to stay under 2^53, or it wraps like any whole number.",
        variants=(_made(scale=2.0**50), _made(scale=2.0**47), _made(scale=2.0**44)),
    ),
    Misconception(
        "no scale",
        _made(scale=None),
        "No scale was given, and the context has none to fall back on: it is the third argument of ts.ckks_vector, a number such as 2.0 ** 40.",
    ),
)
