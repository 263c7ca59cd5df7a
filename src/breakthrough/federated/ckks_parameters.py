"""Parameters of CKKS for sums: chosen from the size of the model, the number of clients and the error allowed.

A sum needs no multiplication: weights are multiplied in before encryption, so the depth is 0. One prime is then the
whole modulus. There is no prime for rescaling and none for key switching, which TenSEAL's own context insists on.

    error ──→ scale Δ = noise / error ──→ bits of q: 2 · Δ · √2 · additions · limit + noise ──→ smallest sum of bytes
                                              among the degrees N whose 128-bit limit is not below those bits

Noise, as a bound on every decrypted value that fails with a chance below `FAILURE`. Seen in a slot, a polynomial with
N random coefficients of deviation σ, drawn anew for each ciphertext, is a complex number of deviation σ · √N, and it exceeds B times that with a
chance of exp(−B²). Under the secret key a ciphertext carries one such error e₀. Under the public key it carries
e₀ + u · e + e₁ · s, with u and s ternary (variance 2/3). The products rule there: B² · N · σ · √(2/3), twice.
Source: Cheon et al. 2017 (CKKS); Albrecht et al. 2018 (Homomorphic Encryption Standard), table 1
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from breakthrough.errors import ConfigError, InputError, expected

# the most bits of the coefficient modulus for each degree N: 128 bits, classical attacks, ternary secret
MOST_BITS = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}
SECURITY_BITS = 128
LARGEST_PRIME_BITS = 60  # of one prime in SEAL
DEVIATION = math.sqrt(10.5)  # SEAL's error: centred binomial over 42 bits
TERNARY = 2 / 3  # variance of a coefficient of s and of u
FAILURE = 1e-9  # chance that any value of a sum is off by more than the bound
DOUBLE = 2.0**-48  # relative error of the encoder's transform in double precision, with room


@dataclass(frozen=True)
class Parameters:
    """What every party agrees on before the first key is made, and why.

    Units: scale is a factor; error and limit are in units of the update; security in bits
    """

    poly_modulus_degree: int
    coeff_mod_bit_sizes: tuple[int, ...]
    scale: float
    additions: int
    limit: float
    error: float
    symmetric: bool
    security_bits: int = SECURITY_BITS
    reason: str = ""

    def __post_init__(self) -> None:
        check_security(self.poly_modulus_degree, self.coeff_mod_bit_sizes)
        _check_room(self)

    @property
    def packed(self) -> int:
        """Values in one ciphertext: two for each of the N / 2 complex slots."""
        return self.poly_modulus_degree

    def chunks(self, size: int) -> int:
        """Ciphertexts for one update."""
        return -(-size // self.packed)

    def bits_a_value(self) -> float:
        """Bits of a full ciphertext for each value in it, before serialization; sent with a seed, half of that."""
        return 2 * sum(self.coeff_mod_bit_sizes)

    def to_json(self) -> str:
        """All fields as JSON, the same text for the same parameters."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Parameters:
        """Read `to_json`'s text; everything is checked again.

        Raises: ConfigError when it is other text
        """
        try:
            fields = json.loads(text)
            return cls(**{**fields, "coeff_mod_bit_sizes": tuple(fields["coeff_mod_bit_sizes"])})
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise ConfigError(expected("CKKS parameters as JSON", str(error), "what to_json gave")) from error


def check_security(degree: int, bits: tuple[int, ...]) -> None:
    """Refuse a modulus with more bits than the standard's table allows for 128-bit security.

    Raises: ConfigError
    """
    if type(degree) is not int or degree not in MOST_BITS:
        raise ConfigError(expected(f"a degree of the security table ({', '.join(map(str, MOST_BITS))})", degree))
    if not bits or any(type(b) is not int or not 1 < b <= LARGEST_PRIME_BITS for b in bits):
        raise ConfigError(expected(f"primes of 2 to {LARGEST_PRIME_BITS} bits", bits))
    if sum(bits) > MOST_BITS[degree]:
        what = f"at most {MOST_BITS[degree]} bits of modulus at N = {degree} for {SECURITY_BITS}-bit security"
        raise ConfigError(expected(what, sum(bits), "a larger degree, or a larger error allowed"))


def noise_bound(degree: int, additions: int, symmetric: bool, values: int) -> float:
    """What no slot of a sum's noise exceeds, but for a chance of `FAILURE` over all values.

    Units: of the scaled plaintext: divided by the scale it is an error of the values
    """
    tail = math.log(3 * max(values, degree) / FAILURE)  # B²; three terms share the chance
    single = math.sqrt(tail * additions * degree * (DEVIATION**2 + 1 / 12))  # e₀ and the rounding of the plaintext
    return single if symmetric else single + 2 * tail * degree * DEVIATION * math.sqrt(TERNARY * additions)


def at_degree(degree: int, size: int, additions: int, error: float, *, limit: float = 1.0, symmetric: bool = False) -> Parameters:
    """The parameters at one degree: the smallest scale that keeps the error, the smallest prime that holds the sum.

    Units:  error and limit bound one value: of the decrypted sum, and of one client's update
    Raises: ConfigError when the degree's security table, or one prime, has not the room
    """
    _check_request(size, additions, error, limit)
    noise = noise_bound(degree, additions, symmetric, size)
    left = error - additions * limit * DOUBLE
    if left <= 0:
        raise ConfigError(expected(f"an error above {additions * limit * DOUBLE:.1e}, double precision's own", error))
    scale = 2.0 ** max(1, math.ceil(math.log2(noise / left)))
    bits = _prime_bits(scale, additions, limit, noise)
    if bits > LARGEST_PRIME_BITS:
        raise ConfigError(expected(f"a sum of at most {LARGEST_PRIME_BITS} bits", bits, "a larger error or a smaller limit"))
    bound = noise / scale + additions * limit * DOUBLE
    return Parameters(degree, (max(bits, _least_bits(degree)),), scale, additions, float(limit), bound, symmetric)


def choose(size: int, additions: int, error: float, *, limit: float = 1.0, symmetric: bool = False) -> Parameters:
    """Parameters with the fewest bytes for one update, at 128-bit security.

    Units:  error: the most that a value of the decrypted sum may be off; limit: the most that a client's value may be;
            both in units of the update. symmetric: clients encrypt with the secret key (less noise, half the bytes)
    Raises: ConfigError when no degree holds such a sum
    """
    found, refused = [], {}
    for degree in MOST_BITS:
        try:
            found.append(at_degree(degree, size, additions, error, limit=limit, symmetric=symmetric))
        except ConfigError as fault:
            refused[degree] = fault
    if not found:
        what = f"a sum that a ring of degree {min(refused)} to {max(refused)} holds"
        got = f"none for {additions} values up to {limit:g} within {error:g}"
        raise ConfigError(expected(what, got, "a larger error or a smaller limit")) from refused[max(refused)]
    best = min(found, key=lambda p: (p.chunks(size) * p.packed * p.bits_a_value(), p.poly_modulus_degree))
    return _with_reason(best, size, [*refused])


def _with_reason(p: Parameters, size: int, refused: list[int]) -> Parameters:
    degree, (bits,) = p.poly_modulus_degree, p.coeff_mod_bit_sizes
    small = [d for d in refused if d < degree]
    key = "the secret key, with a seed in place of half of the ciphertext" if p.symmetric else "the public key"
    reason = (
        f"Depth 0: ciphertexts are only added, so one prime is enough. Encryption by {key}. "
        f"Scale 2^{round(math.log2(p.scale))} keeps every value of a sum of {p.additions} within {p.error:.1e}; "
        f"{p.additions} values up to {p.limit:g} at that scale need a prime of {bits} bits. "
        f"N = {degree} may have {MOST_BITS[degree]} bits at {p.security_bits}-bit security"
        + (f", N = {' and '.join(map(str, small))} too few" if small else "")
        + f". {size} values fill {p.chunks(size)} ciphertexts of {p.packed}; "
        + "a larger N adds noise, hence bits, and saves none."
    )
    return Parameters(**{**asdict(p), "coeff_mod_bit_sizes": p.coeff_mod_bit_sizes, "reason": reason})


def _prime_bits(scale: float, additions: int, limit: float, noise: float) -> int:
    """Bits so that q / 2, above 2^(bits − 2), exceeds every coefficient of the sum, and the scale as SEAL wants it."""
    return 2 + math.ceil(math.log2(max(scale, scale * math.sqrt(2) * additions * limit + noise)))


def _least_bits(degree: int) -> int:
    """A prime that is 1 modulo 2N needs a few bits above those of 2N to exist."""
    return degree.bit_length() + 4


def _check_request(size: int, additions: int, error: float, limit: float) -> None:
    for name, value in (("size", size), ("additions", additions)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**32:
            raise InputError(expected(f"{name}: a whole number from 1 to 2^32 − 1", repr(value)))
    for name, bound in (("error", error), ("limit", limit)):
        if not (isinstance(bound, (int, float)) and math.isfinite(bound) and bound > 0):
            raise InputError(expected(f"{name}: a number above 0", repr(bound)))


def _check_room(p: Parameters) -> None:
    _check_request(1, p.additions, p.error, p.limit)
    if not (isinstance(p.scale, float) and math.isfinite(p.scale) and p.scale >= 1):
        raise ConfigError(expected("a scale of at least 1", p.scale))
    if p.scale * max(1, math.sqrt(2) * p.additions * p.limit) > 2.0 ** (sum(p.coeff_mod_bit_sizes) - 2):
        raise ConfigError(expected("a sum that fits the modulus", f"{sum(p.coeff_mod_bit_sizes)} bits", "choose(...)"))
