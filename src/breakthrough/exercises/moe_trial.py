"""Module 1: trying out the tests that a learner writes, on layers with one defect each and on healthy ones.

The first bad test decides: how it fails names the misconception, whichever defect it was made at. When
a test misses its defect, layers that nobody could call healthy (probes) tell what it looks at.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough.elsewhere import Elsewhere
from breakthrough.errors import type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.moe_layers import BROKEN, BlockwiseLayer, Layer, SortedLayer, TokenLayer, make_layer
from breakthrough.seeds import torch_generator

Test = Callable[[nn.Module], Any]
ASSERTED, PASSED, RETURNED, CRASHED = "asserted", "passed", "returned", "crashed"
SIZES = ((16, 32, 4, 2), (12, 24, 5, 3))  # d, H, E, k of the broken layers
FEW = ((10, 20, 3, 2),)  # of three experts, one token in three agrees with the choice of its batch by chance
PROBED = SIZES[0]
MISSED = {  # what the broken layer does, and what would show it
    "router": "the layer never asks its router; change the router's weights and see whether y changes",
    "per_token": "the layer makes one choice for the whole batch; compare every token alone with itself in the batch",
    "weights": "the layer gives all chosen experts the same weight; scale the router's weights, or ask for its gradient",
    "normalised": "a token's weights do not sum to 1; make all experts equal and compare with one of them",
    "sparse": "every expert works on every token; count the rows that reach the experts",
    "balance": "the balance loss is always 0; look at the second output",
}
DECIMALS = 3  # with so few, every right way to compute gives the same bits


def try_out(answer: Any, case: Case) -> Outcome:
    """Let every test judge layers with its defect and healthy ones, up to the first bad test.

    Tests of another process do so there; what they say of layers that they cannot look into then has to be the same.
    """
    given = isinstance(answer, Mapping)
    where = next((one for one in (answer.values() if given else [answer]) if isinstance(one, Elsewhere)), None)
    if where is None:
        return tried(answer, case.args[0])
    found = Outcome(*map(str, where.there("breakthrough.exercises.moe_there:told")(answer, case.args[0])))
    return found if found.fault else unseen(answer if given else answer(), case.args[0])


def tried(answer: Any, seed: int) -> Outcome:
    """What `try_out` finds of tests in this process."""
    tests = answer if isinstance(answer, Mapping) else answer()
    if not isinstance(tests, Mapping):
        return Outcome("no dict", f"expected a dict of functions, got {type_of(tests)}")
    missing = [name for name in BROKEN if not callable(tests.get(name))]
    if missing:
        return Outcome("one missing", f"there is no function for {', '.join(missing)}")
    found = (_Trial(name, tests[name], seed).outcome() for name in BROKEN)
    return next((outcome for outcome in found if outcome.fault), Outcome())


@dataclass(frozen=True)
class _Trial:
    name: str
    test: Test
    seed: int

    def outcome(self) -> Outcome:
        """The fault of this test, or none."""
        for layer in _broken_layers(self.name, self.seed):
            result = self.run(layer)
            if result != ASSERTED:
                return self.missed(result)
        healthy = healthy_layers(self.seed)
        results = [self.run(layer) for layer in healthy]
        crash = next((r for r in results if r.startswith(CRASHED)), None)
        if crash:
            return self.crashed(results, crash)
        killed = [layer for layer, result in zip(healthy, results) if result == ASSERTED]
        return self.killed(killed, len(killed) == len(healthy)) if killed else Outcome()

    def run(self, layer: nn.Module) -> str:
        """What the test does to a copy of a layer; its random numbers are the same each time."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(torch_generator(self.seed, "test").get_state())
            try:
                value = self.test(copy.deepcopy(layer))
            except AssertionError:
                return ASSERTED
            except Exception as error:
                if type(error) is NotImplementedError and not error.args:
                    raise  # the untouched stub
                return f"{CRASHED} with {type(error).__name__}: {error}"
        return PASSED if value is None else RETURNED

    def missed(self, result: str) -> Outcome:
        """Why a broken layer did not make it raise AssertionError."""
        results = [self.run(layer) for layer in healthy_layers(self.seed)]
        on_healthy = {healthy.partition(" ")[0] for healthy in results}
        if result.startswith(CRASHED):
            if CRASHED in on_healthy:
                return self.crashed(results, result)
            return self.says("crashes instead", f"on the broken layer it {result}")
        notices = {name: self.run(probe(*PROBED)) == ASSERTED for name, probe in PROBES.items()}
        another = self.notices_another()
        faults = {
            "returns instead of asserting": result == RETURNED,
            "upside down": ASSERTED in on_healthy,
            "by luck": any(self.run(layer) == ASSERTED for layer in _broken_layers(self.name, self.seed)),
            "never calls the layer": not self.run(_Alarm(*PROBED)).startswith(CRASHED),
            "counts the rows": another and self.name == "per_token",
            "another defect": another,
            "too loose": notices["noise"],
            "only the shape": notices["shape"],
            "compared with itself": notices["nan"],
        }
        fault = next((name for name, is_so in faults.items() if is_so), "untouched input")
        return self.says(fault, f"it passes on the layer with that defect: {MISSED[self.name]}")

    def notices_another(self) -> bool:
        """Whether it raises AssertionError on a layer with another defect."""
        others = (layer for name in BROKEN if name != self.name for layer in _broken_layers(name, self.seed))
        return any(self.run(layer) == ASSERTED for layer in others)

    def crashed(self, results: list[str], crash: str) -> Outcome:
        """A crash on healthy layers: on all of them, or not on the first, whose size is `make_layer`'s own."""
        fault = "crashes everywhere" if results[0].startswith(CRASHED) else "one size"
        first = next((r for r in results if r.startswith(CRASHED)), crash)
        return self.says(fault, f"on a healthy layer it {first}")

    def killed(self, layers: list[Layer], all_of_them: bool) -> Outcome:
        """Why healthy layers made it raise AssertionError."""
        if any(self.run(_Rounded(layer)) != ASSERTED for layer in layers):
            fault = "too exact"
        else:
            fault = "always raises" if all_of_them else "fitted to one layer"
        which = "every healthy layer" if all_of_them else f"a healthy {type(layers[0]).__name__}"
        return self.says(fault, f"it raises AssertionError on {which}")

    def says(self, fault: str, text: str) -> Outcome:
        return Outcome(fault, f"the test for {self.name!r}: {text}")


@lru_cache(maxsize=2 * len(BROKEN))
def _broken_layers(defect: str, seed: int) -> tuple[Layer, ...]:
    sizes = SIZES + 10 * FEW if defect == "per_token" else SIZES
    return tuple(make_layer(defect, *each, seed + i) for i, each in enumerate(sizes))


@lru_cache(maxsize=2)
def healthy_layers(seed: int) -> tuple[Layer, ...]:
    """Healthy layers of several sizes, seeds and styles, one of them with a busy pair of experts."""
    lopsided = make_layer(None, 16, 24, 8, 2, seed + 4)
    with torch.no_grad():
        rows = lopsided.router.weight
        rows[0] *= 4 / rows[0].norm()
        rows[1] = -rows[0]  # one of the two is every token's first choice
        rows[2:] *= 0.3
    return (
        make_layer(None, 16, 32, 4, 2, seed),
        make_layer(None, 24, 40, 6, 3, seed + 1, SortedLayer),
        make_layer(None, 10, 20, 3, 2, seed + 2, TokenLayer),
        make_layer(None, 20, 32, 5, 2, seed + 3, BlockwiseLayer),
        lopsided,
        _uneven(seed + 5),
        _uneven(seed + 6),
    )


def unseen(tests: Any, seed: int) -> Outcome:
    """Whether tests of another process tell a broken layer from a healthy one when both look alike from outside."""
    from breakthrough.exercises.moe_afar import tested

    for at, name in enumerate(BROKEN):
        sizes = SIZES[(seed + at) % len(SIZES)]
        for defect in (name, None):
            result = tested(tests[name], make_layer(defect, *sizes, seed + 10 + at))
            if (result == ASSERTED) != (defect is not None):
                text = f"the test for {name!r}, on {'the broken' if defect else 'a healthy'} layer of {sizes[0]} numbers: {result}"
                return Outcome("another layer", text, ASSERTED if defect else PASSED, result)
    return Outcome()


def _uneven(seed: int) -> Layer:
    """A healthy layer whose balance loss is mostly below 1: who is chosen rarely is chosen without a doubt."""
    layer = make_layer(None, 16, 32, 3, 2, seed)
    with torch.no_grad():
        rows = layer.router.weight
        rows[0] *= 8 / rows[0].norm()
        rows[1] *= 0.3 / rows[1].norm()
        rows[2] = -rows[1]
    return layer


class _Alarm(Layer):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise RuntimeError("the layer was called")


class _Noise(Layer):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, balance = super().forward(x)
        return y + 1e3 * torch.randn_like(y), balance - 1e3


class _WrongShape(Layer):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, balance = super().forward(x)
        return y[:, :-1], balance[None]


class _NotANumber(Layer):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, balance = super().forward(x)
        return y * torch.nan, balance * torch.nan


PROBES = {"noise": _Noise, "shape": _WrongShape, "nan": _NotANumber}


class _Rounded(nn.Module):
    """A layer with its outputs and its experts' rounded: only a real difference is left."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer = copy.deepcopy(layer)
        for expert in layer.experts:
            expert.register_forward_hook(lambda module, inputs, output: output.round(decimals=DECIMALS))
        self.router, self.experts, self.top_k = layer.router, layer.experts, layer.top_k

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y, balance = self.layer(x)
        return y.round(decimals=DECIMALS), balance.round(decimals=DECIMALS)
