"""Module 6: wrong ways to decide about a canary, for capstone.canary."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist, fmean
from typing import Any

from breakthrough.exercises.exercise import Misconception

Stream = list[tuple[str, str, bool]]
Share = dict[str, float]
GO_ON, PROMOTE, BACK = "go on", "promote", "roll back"


@dataclass(frozen=True)
class Rules:
    """How somebody bets; the defaults are right.

    `each`: the factor of one inspection. `counts`: whether an inspection is a bet. `is_new`: whether it is
    one for the new model. `of`: the share that is used.
    `group`: evidence kept apart by. `sums`: how groups are put together. `limit` of the evidence. `floor` below which it
    does not fall. `at_end`: looked at only there. `number`: what is counted. `end`: the number for "go on".
    """

    each: Callable[[bool, float, float], float] = lambda new, s, t: (t if new else 1.0) / (s * t + 1 - s)
    counts: Callable[[str, bool], bool] = lambda model, right: not right
    is_new: Callable[[str, bool], bool] = lambda model, right: model == "new"
    of: Callable[[Share, str, Stream], float] = lambda share, factory, past: share[factory]
    group: Callable[[str], str] = lambda factory: "all"
    sums: Callable[[Iterable[float]], float] = math.prod
    limit: Callable[[float], float] = lambda alpha: 1 / alpha
    floor: float = 0.0
    at_end: bool = False
    number: str = "inspections"
    end: Callable[[Stream], Any] = len
    names: tuple[str, str] = (PROMOTE, BACK)
    ratios: Callable[[float], tuple[float, float]] = lambda ratio: (1 / ratio, ratio)
    strictly: Callable[[float, float, float], str | None] | None = None


def _bet(rules: Rules, stream: Stream, share: Share, alpha: float, ratio: float = 2.0) -> tuple[str, Any]:
    ts = rules.ratios(ratio)
    evidence: dict[float, dict[str, float]] = {t: defaultdict(lambda: 1.0) for t in ts}
    errors = 0

    def decided() -> str | None:
        found = [rules.sums(evidence[t].values()) if evidence[t] else 1.0 for t in ts]
        if rules.strictly:
            return rules.strictly(found[0], found[1], alpha)
        return next((name for name, value in zip(rules.names, found) if value >= rules.limit(alpha)), None)

    for number, (factory, model, right) in enumerate(stream, 1):
        if not rules.counts(model, right):
            continue
        errors += 1
        s = rules.of(share, factory, stream[:number])
        for t in ts:
            group = evidence[t]
            group[rules.group(factory)] = max(rules.floor, group[rules.group(factory)] * rules.each(rules.is_new(model, right), s, t))
        if not rules.at_end and (verdict := decided()):
            return verdict, {"inspections": number, "errors": errors, "from 0": number - 1}[rules.number]
    return (decided() if rules.at_end else None) or GO_ON, rules.end(stream)


def _z(wrong: list[int], n: list[int], apart: bool) -> float:
    """How many standard errors the new model's rate of errors lies above the old one's; 0 where that cannot be said.

    `apart`: each rate has its own variance
    """
    if not all(n):
        return 0.0
    rates = [bad / count for bad, count in zip(wrong, n)]
    rate = sum(wrong) / sum(n)
    variance = sum((r if apart else rate) * (1 - (r if apart else rate)) / count for r, count in zip(rates, n))
    return (rates[1] - rates[0]) / math.sqrt(variance) if variance else 0.0


def _mantel(counts: dict[str, tuple[list[int], list[int]]]) -> float:
    """The same, factory by factory and put together (Mantel and Haenszel 1959)."""
    excess = spread = 0.0
    for wrong, n in counts.values():
        total, bad = sum(n), sum(wrong)
        if total > 1:
            excess += wrong[1] - bad * n[1] / total
            spread += n[0] * n[1] * bad * (total - bad) / (total**2 * (total - 1))
    return excess / math.sqrt(spread) if spread else 0.0


def peeking(stream: Stream, share: Share, alpha: float, ratio: float = 2.0, least: int = 20, by_factory: bool = False, at_end: bool = False, sides: int = 2, shared: bool = False, apart: bool = False, always: bool = False) -> tuple[str, int]:
    """A test at a fixed level, asked again after every inspection.

    Units: `least` inspections before the first look; `sides` of the test; `shared`: alpha is divided by the number of looks;
           `apart`: each model's rate has its own variance; `always`: at 5%, whatever alpha
    """
    alpha = 0.05 if always else alpha
    counts: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([0, 0], [0, 0]))
    limit = NormalDist().inv_cdf(1 - alpha / sides / (max(len(stream), 1) if shared else 1))
    for number, (factory, model, right) in enumerate(stream, 1):
        wrong, n = counts[factory if by_factory else "all"]
        n[model == "new"] += 1
        wrong[model == "new"] += not right
        if number < least or at_end and number < len(stream):
            continue
        z = _mantel(counts) if by_factory else _z(*counts["all"], apart)
        if abs(z) >= limit:
            return (BACK if z > 0 else PROMOTE), number
    return GO_ON, len(stream)


def _rates(stream: Stream, share: Share, alpha: float, ratio: float = 2.0, *, both: bool = False) -> tuple[str, int]:
    """The lower rate of errors wins; `both`: where both models have inspected."""
    rate = {model: fmean([not right for _, one, right in stream if one == model] or [0]) for model in ("new", "old")}
    if both and len({model for _, model, _ in stream}) < 2:
        return GO_ON, len(stream)
    return (PROMOTE if rate["new"] < rate["old"] else BACK if rate["new"] > rate["old"] else GO_ON), len(stream)


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [partial(_bet, replace(Rules(), **way)) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _tests(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [partial(peeking, **way) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _by_the_sum(better: float, worse: float, alpha: float) -> str | None:
    return BACK if worse >= 1 / alpha else PROMOTE if worse <= alpha else None


def _by_the_better(better: float, worse: float, alpha: float) -> str | None:
    return PROMOTE if better >= 1 / alpha else BACK if better <= alpha else None


def _against_each_other(better: float, worse: float, alpha: float) -> str | None:
    return PROMOTE if better >= worse / alpha else BACK if worse >= better / alpha else None


def _seen_so_far(share: Share, factory: str, past: Stream) -> float:
    return fmean(model == "new" for place, model, _ in past if place == factory)


def _too_early(want: Any, got: Any) -> bool:
    """Whether it decided sooner than the evidence allows, or saw too few inspections to look at all."""
    pair = isinstance(got, (tuple, list)) and len(got) == 2 and isinstance(got[1], int)
    if not pair or got[0] == GO_ON:
        return pair and want[1] < 40
    return got[0] in (PROMOTE, BACK) and (got[1] < want[1] or got[0] != want[0])


KINDS: tuple[dict[str, Any], ...] = ({}, {"by_factory": True}, {"apart": True}, {"apart": True, "always": True}, {"always": True}, {"sides": 1})
LOOKS = tuple({"least": least, **kind} for least in (1, 10, 20, 30, 50, 100) for kind in KINDS)
MISCONCEPTIONS = (
    Misconception(
        "a fixed test, again and again",
        says="That decides before there is proof. If it is a test at a fixed level: asked again after every inspection, it finds a difference sooner or later though there is none; wait until the evidence is 1 / alpha.",
        **_tests({}, *LOOKS),
        seen=_too_early,
    ),
    Misconception(
        "one look at the end",
        says="The stream was judged once, at its end: whoever waits for it lets a bad model inspect all the while; look after every inspection, and decide at the first with which the evidence is 1 / alpha.",
        answer=partial(_bet, Rules(at_end=True)),
        variants=tuple(partial(peeking, at_end=True, least=1, **way) for way in ({}, {"by_factory": True}, {"sides": 1})),
    ),
    Misconception(
        "the lower rate wins",
        says="The two rates of errors were compared as they are: they always differ, and in all factories together they differ by who got the hard pictures.",
        answer=_rates,
        variants=(partial(_rates, both=True),),
    ),
    Misconception(
        "alpha divided by the looks",
        says="A fixed test with alpha divided by the number of looks: it does not deceive, but needs to know how long the stream gets, and hardly ever decides; multiply evidence up instead.",
        **_tests({"shared": True}, {"shared": True, "by_factory": True}, {"shared": True, "least": 1}, {"shared": True, "apart": True, "least": 1}),
    ),
    Misconception(
        "one share for all",
        says="One share was used for all factories: where the new model gets more pictures it makes more errors, without being worse; take the share of the error's own factory.",
        **_ways(
            {"of": lambda share, factory, past: fmean(share.values())},
            {"of": lambda share, factory, past: fmean(model == "new" for _, model, _ in past)},
            {"of": lambda share, factory, past: fmean([share[place] for place, _, _ in past])},
        ),
    ),
    Misconception(
        "a fair coin",
        says="An error was taken for a fair coin, one half for each model: its bias is the share that the new model gets in that factory.",
        **_ways({"of": lambda share, factory, past: 0.5}),
    ),
    Misconception(
        "the share that was seen",
        says="The share was counted from the inspections so far: it is known in advance, and counted from few it is far off.",
        **_ways({"of": _seen_so_far}),
    ),
    Misconception(
        "the old model's share",
        says="Shares were exchanged: share is the chance of the new model, 1 − share that of the old one.",
        **_ways({"of": lambda share, factory, past: 1 - share[factory]}),
    ),
    Misconception(
        "not divided by the chance without a difference",
        says="Only the chances with t were multiplied, so that evidence can but shrink: divide each by the chance that the same has if both err equally often.",
        **_ways({"each": lambda new, s, t: (s * t if new else 1 - s) / (s * t + 1 - s)}),
    ),
    Misconception(
        "t without its sum",
        says="The chance of an error of the new model was taken as s · t: the chances of both must add up to 1; divide by s · t + 1 − s.",
        **_ways(
            {"each": lambda new, s, t: t if new else 1.0},
            {"each": lambda new, s, t: t if new else (1 - s * t) / (1 - s) if s < 1 else 1.0},
            {"each": lambda new, s, t: t if new else 1 / t},
        ),
    ),
    Misconception(
        "only the new model's errors",
        says="Errors of the old model were not counted: each of them is evidence as well, that the new one is no worse.",
        **_ways({"counts": lambda model, right: not right and model == "new"}),
    ),
    Misconception(
        "right answers counted",
        says="Right answers were counted as evidence too: only an error is a throw of this coin.",
        **_ways({"counts": lambda model, right: True}, {"counts": lambda model, right: bool(right)}, {"counts": lambda model, right: True, "is_new": lambda model, right: (model == "new") != right}),
    ),
    Misconception(
        "each factory by itself",
        says="Each factory was decided by itself, so that four chances to err are taken, and proof is slow: multiply the evidence of all of them.",
        **_ways({"group": str, "sums": max}, {"group": str, "sums": min}),
    ),
    Misconception(
        "evidence added",
        says="The factories' evidence was added or averaged: independent evidence multiplies.",
        **_ways({"group": str, "sums": fmean}, {"group": str, "sums": sum}),
    ),
    Misconception(
        "begun anew when it falls",
        says="Evidence below 1 was raised to 1 again: then it reaches 1 / alpha sooner or later by chance alone; what was lost stays lost.",
        **_ways({"floor": 1.0}),
    ),
    Misconception(
        "another limit",
        says="The evidence was compared with another number: Ville's limit is 1 / alpha, for each of both verdicts.",
        **_ways(
            *({"limit": limit} for limit in (lambda a: 2 / a, lambda a: 1 / (1 - a), lambda a: 1 / a - 1, lambda a: (1 - a) / a * 1.0001, lambda a: -math.log(a), lambda a: 1 / math.sqrt(a))),
            {"limit": lambda a: 20.0}, {"limit": lambda a: 1.0}, {"limit": lambda a: NormalDist().inv_cdf(1 - a / 2)},
        ),
    ),
    Misconception(
        "one bet for both",
        says="Evidence for one t was used for both verdicts: that it is small does not prove the contrary; bet on t = 1 / ratio for promoting and on t = ratio for rolling back.",
        **_ways({"strictly": _by_the_sum}, {"strictly": _by_the_better}, {"strictly": _against_each_other}),
    ),
    Misconception(
        "promoted and rolled back",
        says="The verdicts are exchanged: with evidence that it errs 1 / ratio times as often the new model is promoted, with ratio it is rolled back.",
        **_ways({"names": (BACK, PROMOTE)}),
    ),
    Misconception(
        "always twice",
        says="The ratio that was given was not used: the two bets are on t = 1 / ratio and t = ratio.",
        **_ways({"ratios": lambda ratio: (0.5, 2.0)}),
    ),
    Misconception(
        "errors counted, not inspections",
        says="Right verdicts, but the number is that of the errors: say after how many inspections, right answers included.",
        **_ways({"number": "errors"}),
    ),
    Misconception(
        "counted from 0",
        says="The number of inspections is one too small: the first one is number 1.",
        **_ways({"number": "from 0"}, {"number": "from 0", "end": lambda stream: len(stream) - 1}),
    ),
    Misconception(
        "no number for \"go on\"",
        says="If it goes on, the number is that of all inspections so far.",
        **_ways({"end": lambda stream: 0}, {"end": lambda stream: None}),
    ),
)
