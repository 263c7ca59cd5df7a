"""Client-level differential privacy for federated averaging, and what it spends.

Neighbours are two federations of which one has one client more, with all of that client's data (add or
remove a client). The guarantee: whoever sees every model of every round cannot tell the two apart better
than ε and δ allow. It holds when
- every update is clipped to `limit` over all its tensors together, buffers included;
- clipped updates weigh the same, and their sum is divided by a number that is public and fixed beforehand;
- the noise comes from a generator that nobody else can seed (`numpy_generator(secrets.randbits(63))`);
- who takes part is drawn by Poisson sampling: each client on its own with probability sampled / clients.
A server that draws a fixed number of clients breaks the last: `Budget.epsilon_fixed` is the bound for it.
With all clients in every round nothing is drawn, and nothing is assumed.

Shape legend: D numbers in an update.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from breakthrough.errors import DtypeError, InputError, expected, type_of, unknown
from breakthrough.optional import require

ACCOUNTANTS = ("prv", "rdp")
LEAST_MULTIPLIER, MOST_MULTIPLIER = 0.05, 1e5
HOPELESS = 200.0  # an ε that says nothing, however exactly
CLOSE = 1e-3  # relative: how near to the least multiplier the search ends

Update = TypeVar("Update", np.ndarray, Mapping[str, np.ndarray])


def clip(update: Update, limit: float) -> tuple[Update, float]:
    """Shorten an update to an L2 norm of at most limit, over all its tensors together; also its norm before.

    Shapes: a vector (D,) or named arrays of any shapes → the same
    Raises: InputError when limit is not above 0, or a number of the update is not finite
            DtypeError when an array does not hold floating-point numbers
    Source: McMahan et al. 2018, "Learning differentially private recurrent language models", flat clipping
    """
    _above("a clipping limit", limit)
    parts = dict(update) if isinstance(update, Mapping) else {"update": np.asarray(update)}
    norm = norm_of(parts)
    scale = min(1.0, limit / norm) if norm else 1.0
    clipped = {name: (x * scale).astype(x.dtype) for name, x in parts.items()}
    shorter: Any = clipped if isinstance(update, Mapping) else clipped["update"]
    return shorter, norm


def norm_of(parts: Mapping[str, np.ndarray]) -> float:
    """The L2 norm over all tensors together, summed in float64.

    Raises: InputError, DtypeError as `clip`
    """
    for name, x in parts.items():
        if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
            got = x.dtype if isinstance(x, np.ndarray) else type_of(x)
            raise DtypeError(expected(f"floating-point numbers in {name}", got, "leaving counters out of the update"))
        if not np.isfinite(x).all():
            raise InputError(expected(f"finite numbers in {name}", "NaN or infinity", "refusing this client's update"))
    return math.hypot(*(float(np.linalg.norm(x.astype(np.float64))) for x in parts.values()))


def noise(shape: int | Sequence[int], limit: float, multiplier: float, clients: int, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise for the mean of clipped updates: standard deviation multiplier · limit / clients.

    Shapes: → shape, float64
    Units:  clients is the number that the sum is divided by; multiplier 0 is no noise and no guarantee
    Raises: InputError when an argument is out of range
    """
    _above("a clipping limit", limit)
    if not (math.isfinite(multiplier) and multiplier >= 0):
        raise InputError(expected("a noise multiplier of 0 or more", multiplier, "multiplier_for(epsilon, delta, rounds, sampling)"))
    _whole("clients", clients)
    return generator.normal(0.0, multiplier * limit / clients, shape)


def private_mean(updates: Sequence[np.ndarray], limit: float, multiplier: float, clients: int, generator: np.random.Generator) -> np.ndarray:
    """The noised mean of updates, each clipped: one round of DP-FedAvg with equal weights.

    Shapes: each update (D,) → (D,)
    Units:  divided by clients, planned beforehand, however many updates came: a count would leak
    Raises: InputError when there is no update, or `clip` or `noise` refuse
    """
    if not len(updates):
        raise InputError(expected("at least one update", "none"))
    total: Any = sum(np.float64(clip(update, limit)[0]) for update in updates)
    return total / clients + noise(total.shape, limit, multiplier, clients, generator)


@dataclass(frozen=True)
class Budget:
    """What a number of rounds spends: ε at a stated δ, for adding or removing one client.

    Units:  sampled is how many of the clients are expected in a round
    Raises: InputError when an argument is out of range; δ from 1/clients on, where publishing
            one client whole would count as private
    Source: opacus's accountants: "prv" Gopi et al. 2021, "rdp" Mironov et al. 2019
    """

    clients: int
    sampled: int
    multiplier: float
    rounds: int
    delta: float

    def __post_init__(self) -> None:
        _whole("clients", self.clients)
        _whole("sampled clients", self.sampled)
        _whole("rounds", self.rounds)
        if self.sampled > self.clients:
            raise InputError(expected(f"at most {self.clients} sampled clients", self.sampled, "sampled = clients"))
        _above("a noise multiplier", self.multiplier)
        _share("δ", self.delta)
        if self.clients > 1 and self.delta >= 1 / self.clients:
            raise InputError(expected(f"δ below 1/clients = {1 / self.clients:g}", self.delta, f"δ = {self.clients**-1.1:.2g}"))

    @property
    def rate(self) -> float:
        """The share of clients expected in a round."""
        return self.sampled / self.clients

    def epsilon(self, accountant: str = "prv") -> float:
        """ε at δ when clients are drawn by Poisson sampling: an upper bound by either accountant.

        Raises: UnknownNameError when the accountant is not "prv" or "rdp"
        """
        return spent(self.multiplier, self.rate, self.rounds, self.delta, accountant)

    def epsilon_fixed(self, accountant: str = "prv") -> float:
        """ε at δ when exactly `sampled` clients are drawn: a bound that sampling does not improve.

        Units: with one client more, another can lose its place: the sum moves by 2 · limit instead of limit
        """
        if self.sampled == self.clients:
            return self.epsilon(accountant)
        return spent(self.multiplier / 2, 1.0, self.rounds, self.delta, accountant)

    def __str__(self) -> str:
        drawn = "every client in every round" if self.sampled == self.clients else f"Poisson sampling of {self.rate:.0%}"
        return f"ε = {self.epsilon():.2f} at δ = {self.delta:g} after {self.rounds} rounds ({drawn}; add or remove a client)"


def spent(multiplier: float, sampling: float, rounds: int, delta: float, accountant: str = "prv") -> float:
    """ε at δ of rounds of the Gaussian mechanism on Poisson samples.

    Units:  where PRV fails in floating point or ε is above 200, RDP's bound, which is larger and as valid
    Raises: UnknownNameError when the accountant is not "prv" or "rdp"
    """
    if accountant not in ACCOUNTANTS:
        raise unknown("accountant", accountant, ACCOUNTANTS)
    accountants = require("opacus.accountants", "differential privacy's accountants")
    bounds = [_bound(accountants.RDPAccountant(), multiplier, sampling, rounds, delta)]
    if accountant == "prv" and bounds[0] <= HOPELESS:  # above it PRV's grid grows out of memory
        bounds.append(_bound(accountants.PRVAccountant(), multiplier, sampling, rounds, delta))
    return min(bounds)


def _bound(accountant: Any, multiplier: float, sampling: float, rounds: int, delta: float) -> float:
    accountant.history = [(multiplier, sampling, rounds)]
    with np.errstate(all="ignore"), warnings.catch_warnings():  # log(1 − 1) at full participation is harmless
        warnings.simplefilter("ignore")
        try:
            epsilon = float(accountant.get_epsilon(delta))
        except (RuntimeError, ValueError, OverflowError, FloatingPointError):
            return math.inf
    return max(0.0, epsilon) if math.isfinite(epsilon) else math.inf  # below 0: δ alone covers it


def multiplier_for(epsilon: float, delta: float, rounds: int, sampling: float = 1.0, accountant: str = "prv") -> float:
    """The least noise multiplier that keeps to ε at δ over rounds, to a part in a thousand, never below.

    Units:  sampling is the share of clients drawn in each round by Poisson sampling
    Raises: InputError when an argument is out of range, or no multiplier up to 100,000 is enough
    """
    _above("ε", epsilon)
    _share("δ", delta)
    _whole("rounds", rounds)
    if not 0 < sampling <= 1:
        raise InputError(expected("a share of clients above 0 and at most 1", sampling, "1.0: every client in every round"))
    low, high = LEAST_MULTIPLIER, 2 * LEAST_MULTIPLIER
    while spent(high, sampling, rounds, delta, accountant) > epsilon:
        low, high = high, 2 * high
        if high > MOST_MULTIPLIER:
            raise InputError(expected(f"an ε that noise can reach at δ = {delta:g}", epsilon, "a larger ε or δ, or fewer rounds"))
    while high / low > 1 + CLOSE:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(middle, sampling, rounds, delta, accountant) <= epsilon else (middle, high)
    return high


def _above(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(expected(f"{what} above 0", value, "1.0"))


def _share(what: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(expected(f"{what} between 0 and 1", value, "1e-5"))


def _whole(what: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(expected(f"a whole number of {what}, 1 or more", value))
