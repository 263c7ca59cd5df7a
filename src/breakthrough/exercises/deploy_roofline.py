"""Module 5: arithmetic intensity, and what the roofline allows.

Shapes: L layers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Generator

from breakthrough.exercises.compare import close
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def roofline(layers: list[tuple[float, float]], peak: float, bandwidth: float) -> dict[str, Any]:
    """Find what the roofline allows each layer of a net, and the net, in which they run one after another.

    Why:    whether a layer waits for memory or for arithmetic decides what would make it faster: fewer bytes,
            or fewer and faster operations. The other gains nothing
    Shapes: layers: L pairs of FLOPs, 0 or more, and bytes, above 0 → intensity (L,), attainable (L,),
            least_s (L,), bound (L,), and net_s, a float
    Units:  peak in FLOP/s, bandwidth in bytes/s. intensity: FLOPs for each byte moved. attainable: the most FLOP/s
            that memory and arithmetic together allow at that intensity. least_s: seconds, when data are moved while
            others are computed with, so that only the slower of the two is waited for. bound: "memory" where the
            intensity is below the ridge, peak / bandwidth, else "compute". net_s: seconds for all layers. The ridge
            is a power of 2 where an intensity lies right on it, so that nothing is left to rounding
    Source: Williams, Waterman, Patterson 2009, "Roofline"
    """
    intensity = [flops / moved for flops, moved in layers]
    least_s = [max(flops / peak, moved / bandwidth) for flops, moved in layers]
    return {
        "intensity": intensity,
        "attainable": [min(peak, each * bandwidth) for each in intensity],
        "least_s": least_s,
        "bound": ["memory" if each < peak / bandwidth else "compute" for each in intensity],
        "net_s": sum(least_s),
    }


def _by_tensors(layers, peak, bandwidth):
    flops, moved = torch.tensor(layers, dtype=torch.float64).T
    intensity = flops / moved
    waits = torch.stack([flops / peak, moved / bandwidth])  # (2, L)
    return {
        "intensity": intensity.tolist(),
        "attainable": (intensity * bandwidth).clamp(max=peak).tolist(),
        "least_s": waits.amax(0).tolist(),
        "bound": [("compute", "memory")[int(below)] for below in intensity < peak / bandwidth],
        "net_s": waits.amax(0).sum().item(),
    }


def _by_bound(layers, peak, bandwidth):
    """One layer after another; which side of the ridge decides everything else."""
    found: dict[str, Any] = {"intensity": [], "attainable": [], "least_s": [], "bound": [], "net_s": 0.0}
    ridge = peak / bandwidth
    for flops, moved in layers:
        below = flops / moved < ridge
        least_s = moved / bandwidth if below else flops / peak
        parts = flops / moved, flops / moved * bandwidth if below else peak, least_s, "memory" if below else "compute"
        for name, part in zip(found, parts):
            found[name].append(part)
        found["net_s"] += least_s
    return found


def _in_arrays(layers, peak, bandwidth):
    flops, moved = np.array(layers, dtype=float).reshape(-1, 2).T
    allowed = np.minimum(np.divide(flops, moved) * bandwidth, peak)
    seconds = np.maximum(flops / peak, moved / bandwidth)
    side = np.array(["compute", "memory"])[(flops * bandwidth < peak * moved).astype(int)]
    found = {"net_s": float(np.sum(seconds)), "bound": side.tolist(), "least_s": seconds.tolist()}
    return found | {"attainable": allowed.tolist(), "intensity": (flops / moved).tolist()}


def _intensity(flops, moved):
    return flops / moved


def _least_s(flops, moved, peak, bandwidth):
    return max(flops / peak, moved / bandwidth)


def _bound(each, ridge):
    return "memory" if each < ridge else "compute"


def _attainable(each, peak, bandwidth):
    return min(peak, each * bandwidth)


def _wrong(
    intensity: Callable[..., float] = _intensity, attainable: Callable[..., float] = _attainable, least_s: Callable[..., float] = _least_s,
    bound: Callable[..., str] = _bound, net_s: Any = lambda layers, least_s, peak, bandwidth: sum(least_s), ridge: Any = lambda peak, bandwidth: peak / bandwidth,
) -> Callable[..., dict[str, Any]]:  # fmt: skip
    """A roofline that differs in what is given."""

    def answer(layers, peak, bandwidth):
        each = [intensity(flops, moved) for flops, moved in layers]
        waits = [least_s(flops, moved, peak, bandwidth) for flops, moved in layers]
        return {
            "intensity": each,
            "attainable": [attainable(one, peak, bandwidth) for one in each],
            "least_s": waits,
            "bound": [bound(one, ridge(peak, bandwidth)) for one in each],
            "net_s": net_s(layers, waits, peak, bandwidth),
        }

    return answer


def _ways(*parts: dict[str, Any]) -> dict[str, Any]:
    ways = [_wrong(**part) for part in parts]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


def _of_sums(layers, least_s, peak, bandwidth):
    return max(sum(flops for flops, _ in layers) / peak, sum(moved for _, moved in layers) / bandwidth)


def _right_net(layers, least_s, peak, bandwidth):
    return sum(_least_s(flops, moved, peak, bandwidth) for flops, moved in layers)


def _work_over_mean(layers, least_s, peak, bandwidth):
    """All FLOPs over the mean of what the layers attain."""
    reached = [min(peak, flops / moved * bandwidth) for flops, moved in layers]
    return sum(flops for flops, _ in layers) / (sum(reached) / len(reached))


def _other_bound(each, ridge):
    return "compute" if each < ridge else "memory"


def _both(flops, moved, peak, bandwidth):
    return flops / peak + moved / bandwidth


def _by_attainable(flops, moved, peak, bandwidth):
    """The time from what is attained, which is 0 where nothing is computed."""
    return flops / min(peak, flops / moved * bandwidth)


def _free_where_nothing_is_computed(flops, moved, peak, bandwidth):
    return flops / min(peak, flops / moved * bandwidth) if flops else 0.0


def _shorter(flops, moved, peak, bandwidth):
    return min(flops / peak, moved / bandwidth)


def _never_waits(flops, moved, peak, bandwidth):
    return flops / peak


def _only_moves(flops, moved, peak, bandwidth):
    return moved / bandwidth


def _larger(each, peak, bandwidth):
    return max(peak, each * bandwidth)


MISCONCEPTIONS = (
    Misconception(
        "bytes for a FLOP",
        says="The intensity is upside down: it is FLOPs for each byte, so that a layer which computes much with what it loads has a high one.",
        **_ways({"intensity": lambda flops, moved: moved / flops if flops else float("inf")}, {"intensity": lambda flops, moved: moved / flops}),
    ),
    Misconception(
        "the larger of the two roofs",
        says="Attainable is the lower of two roofs: neither the peak nor intensity · bandwidth can be exceeded, so take the min.",
        **_ways({"attainable": _larger}, {"attainable": _larger, "least_s": lambda f, b, peak, bw: f / max(peak, f / b * bw)}, {"attainable": _larger, "least_s": _shorter}),
    ),
    Misconception(
        "no flat roof",
        says="Attainable grows with the intensity without end: from the ridge on it stays at the peak, so take the min of both.",
        **_ways({"attainable": lambda each, peak, bandwidth: each * bandwidth}, {"attainable": lambda each, peak, bandwidth: each * bandwidth, "least_s": _only_moves}),
    ),
    Misconception(
        "always the peak",
        says="Every layer was given the peak: below the ridge, arithmetic waits for memory, and intensity · bandwidth is all there is.",
        **_ways({"attainable": lambda each, peak, bandwidth: peak}, {"attainable": lambda each, peak, bandwidth: peak, "least_s": _never_waits}),
    ),
    Misconception(
        "one wait after the other",
        says="The two times were added up: data are moved while others are computed with, so the longer of the two is what a layer takes.",
        **_ways({"least_s": _both}, {"least_s": _both, "net_s": _right_net}),
    ),
    Misconception(
        "the shorter wait",
        says="A layer is done when both are, its arithmetic and its moving: take the max of the two times, not the min.",
        **_ways({"least_s": _shorter}, {"least_s": _shorter, "net_s": _right_net}),
    ),
    Misconception(
        "memory for nothing",
        says="The time is FLOPs / peak: a layer below the ridge waits longer than that, for its bytes.",
        **_ways({"least_s": _never_waits}, {"least_s": _never_waits, "net_s": _right_net}),
    ),
    Misconception(
        "arithmetic for nothing",
        says="The time is bytes / bandwidth: a layer above the ridge takes longer than that, for its arithmetic.",
        **_ways({"least_s": _only_moves}, {"least_s": _only_moves, "net_s": _right_net}),
    ),
    Misconception(
        "a layer without FLOPs",
        says="A layer that only moves data attains 0 FLOP/s, and 0 / 0 is no time: take max(FLOPs / peak, bytes / bandwidth), which needs no such quotient.",
        **_ways({"least_s": _by_attainable}, {"least_s": _free_where_nothing_is_computed}),
    ),
    Misconception(
        "bounds exchanged",
        says="The bounds are exchanged: a layer of low intensity has little to compute for each byte and waits for memory.",
        **_ways({"bound": _other_bound}, {"bound": lambda each, ridge: "compute" if each <= ridge else "memory"}),
    ),
    Misconception(
        "the ridge upside down",
        says="The ridge is where the two roofs meet, intensity · bandwidth = peak, so at peak / bandwidth, not at its inverse.",
        **_ways({"ridge": lambda peak, bandwidth: bandwidth / peak}),
    ),
    Misconception(
        "the ridge at one",
        says="FLOPs were compared with bytes as they are: which is waited for depends on the machine; compare their quotient with peak / bandwidth.",
        **_ways({"ridge": lambda peak, bandwidth: 1.0}),
    ),
    Misconception(
        "on the ridge",
        says="On the ridge itself the layer reaches the peak: that is \"compute\"; only below it is \"memory\".",
        **_ways({"bound": lambda each, ridge: "memory" if each <= ridge else "compute"}),
    ),
    Misconception(
        "the bound of sums",
        says="FLOPs and bytes of all layers were added up first: layers run one after another, so memory idles in one and arithmetic in the other; add up their times.",
        **_ways({"net_s": _of_sums}),
    ),
    Misconception(
        "the slowest layer",
        says="That is the slowest layer's time: the layers run one after another, so the net takes the sum.",
        **_ways({"net_s": lambda layers, least_s, peak, bandwidth: max(least_s)}),
    ),
    Misconception(
        "a mean",
        says="Speeds, or times, of the layers were averaged: the net takes the sum of their times.",
        **_ways({"net_s": lambda layers, least_s, peak, bandwidth: sum(least_s) / len(least_s)}, {"net_s": _work_over_mean}),
    ),
)


def _cases(generator: Generator) -> Iterator[Case]:
    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))

    yield Case("by hand: the ridge is 8", ([(64.0, 32.0), (960.0, 60.0)], 16.0, 2.0))
    for label in ("drawn", "drawn, of another machine"):
        peak, ridge = draw(5e10, 5e14), draw(4.0, 80.0)
        spread = [ridge * 2 ** draw(low, low + 2) for low in (-3.5, 1, -6, 2.5)] + [ridge**-0.5]
        moved = [round(draw(1e4, 1e7)) for _ in spread]
        yield Case(label, ([(round(each * b), b) for each, b in zip(spread, moved)], peak, peak / ridge))
    slow = 2.0 ** round(draw(20, 30))
    yield Case("one lies on the ridge", ([(32 * 1024, 1024), (31 * 1024, 1024), (33 * 1024, 1024)], 32 * slow, slow))
    yield Case("a ridge of 12.5", ([(49 * 256, 1024), (51 * 256, 1024)], 12.5 * slow, slow))
    yield Case("one layer", ([(round(draw(1e5, 1e6)), round(draw(1e6, 1e7)))], 1e11, 2e10))
    yield Case("a layer that only moves data", ([(4_000_000, 1000), (0, round(draw(1e4, 1e6)))], 1e11, 1e10))


EXERCISES = (
    Exercise(
        name="deploy.roofline",
        title="Arithmetic intensity and the roofline's bound",
        points=5,
        minutes=30,
        difficulty=1,
        reference=roofline,
        cases=_cases,
        compare=close(rtol=1e-9, atol=0),
        alternatives=(_by_tensors, _by_bound, _in_arrays),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "A kitchen with one cook and one waiter: a dish is ready when it is cooked and its ingredients are there. Who is slower sets the pace, and which of them that is depends on how much cooking an ingredient needs. Dishes are made one after another.",
            "layers: L pairs → intensity = FLOPs / bytes, L of them → attainable: the lower of peak and intensity · bandwidth; least_s: the longer of FLOPs / peak and bytes / bandwidth; bound: intensity against peak / bandwidth; net_s: one number",
            "for each layer:\n    intensity = FLOPs / bytes\n    attainable = min(peak, intensity · bandwidth)\n    least_s = max(FLOPs / peak, bytes / bandwidth)\n    bound = \"memory\" if intensity < peak / bandwidth, else \"compute\"\nnet_s = sum of least_s\nreturn a dict of the four lists and net_s",
        ),
    ),
)
