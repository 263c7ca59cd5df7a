"""What a key holder hands to the server: the decrypted sum, never as it is.

The exact result of a CKKS sum, beside its ciphertext, gives away the secret key (Li and Micciancio 2021). With
Gaussian noise of its own on it, larger than the encryption's, what the server has is one more sample of the
problem that the encryption rests on (ring learning with errors), with more noise than a ciphertext has:
finding the key is as hard as before. It is no proof that decryptions tell *nothing* besides the sum: for
that the noise would have to be larger by 2^40 and more, and drown the update.
"""

from __future__ import annotations

import secrets

import numpy as np

from breakthrough.federated.encryption import parameters_of

FLOOD = 50.0  # deviation of the noise, in bounds of the encryption's error


def released(total: np.ndarray, key: bytes) -> np.ndarray:
    """A decrypted sum with fresh noise from the system's own source.

    Shapes: total (D,) → (D,)
    Units:  those of the update; the deviation is `flood(key)`
    """
    generator = np.random.default_rng(secrets.randbits(128))
    return total + generator.normal(0.0, flood(key), len(total))


def flood(key: bytes) -> float:
    """The deviation of the noise that a key's sums are released with."""
    return FLOOD * parameters_of(key).error
