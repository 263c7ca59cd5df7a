"""Module 5: dishonest or careless readings of a latency table, for deploy.table."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from statistics import fmean, geometric_mean, median, stdev
from typing import Any

from breakthrough.exercises.deploy_table_verdicts import (
    HOLDS,
    NOT,
    OPEN,
    UNFAIR,
    all_pairs,
    apart,
    at_least,
    bell,
    coin,
    larger,
    mean_ratio,
    medians_apart,
    middle,
    most_pairs,
    one_side_strict,
    ratio_of,
    ratios_of,
    turned,
    welch,
)
from breakthrough.exercises.exercise import Misconception

PARTS = ("the verdict", "the ratio")
Row = dict[str, Any]
Pair = tuple[list[float], list[float]]  # seconds that count, of one and of other
CHECKS = {
    "threads": lambda one, other, what, tolerance: one["threads"] == other["threads"],
    "batch": lambda one, other, what, tolerance: what == "throughput" or one["batch"] == other["batch"],
    "one's error": lambda one, other, what, tolerance: one["max_error"] <= tolerance,
    "other's error": lambda one, other, what, tolerance: other["max_error"] <= tolerance,
    "calls": lambda one, other, what, tolerance: len(one["seconds"]) == len(other["seconds"]),
}
ERRORS = ("one's error", "other's error")


def _without(*names: str, **instead: Any) -> dict[str, Any]:
    return {name: check for name, check in CHECKS.items() if name not in names} | instead


def _below_tolerance(*names: str) -> dict[str, Any]:
    checks = dict(zip(ERRORS, (
        lambda one, other, what, tolerance: one["max_error"] < tolerance,
        lambda one, other, what, tolerance: other["max_error"] < tolerance,
    )))  # fmt: skip
    return CHECKS | {name: checks[name] for name in names}


def _together(one: Row, other: Row) -> Pair:
    first = max(one["warmup"], other["warmup"])
    return one["seconds"][first:], other["seconds"][first:]


def _per_picture(seconds: list[float], row: Row, what: str) -> list[float]:
    return [value / row["batch"] for value in seconds] if what == "throughput" else seconds


def _wrong(
    checks: dict[str, Any] = CHECKS, keep: Callable[[Row, Row], Pair] = _together, ratio: Callable[..., float] = middle,
    verdict: Callable[..., str] = coin(), per: Callable[..., list[float]] = _per_picture, when_unfair: bool = False,
) -> Callable[..., tuple[str, float | None]]:  # fmt: skip
    """A reading that differs in what is given."""

    def answer(one, other, what, tolerance):
        fair = all(check(one, other, what, tolerance) for check in checks.values())
        if not fair and not when_unfair:
            return UNFAIR, None
        mine, theirs = keep(one, other)
        mine, theirs = per(mine, one, what), per(theirs, other, what)
        return (verdict(mine, theirs) if fair else UNFAIR), ratio(mine, theirs)

    return answer


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [_wrong(**way) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _all_calls(one: Row, other: Row) -> Pair:
    return one["seconds"], other["seconds"]


def _each_its_own(one: Row, other: Row) -> Pair:
    return one["seconds"][one["warmup"] :], other["seconds"][other["warmup"] :]


def _by_one(one: Row, other: Row) -> Pair:
    return one["seconds"][one["warmup"] :], other["seconds"][one["warmup"] :]


def _by_fewer(one: Row, other: Row) -> Pair:
    first = min(one["warmup"], other["warmup"])
    return one["seconds"][first:], other["seconds"][first:]


def _by_batch(seconds: list[float], row: Row, what: str) -> list[float]:
    return [value / row["batch"] for value in seconds]


def _a_call(seconds: list[float], row: Row, what: str) -> list[float]:
    return seconds


RATIOS = (ratio_of(fmean), ratio_of(median), lambda mine, theirs: fmean(ratios_of(mine, theirs)))
FAIR: tuple[dict[str, Any], ...] = (CHECKS, {}, _without("calls"), _without(*ERRORS), _without(*ERRORS, "calls"), _without("batch"))

MISCONCEPTIONS = (
    Misconception(
        "two averages side by side",
        says="The verdict compares two averages, which always differ: what counts is how many pairs `one` won, and whether a fair coin would do as well.",
        **_ways(
            *({"verdict": larger(ratio), "ratio": ratio, "checks": checks, "keep": keep} for ratio, checks, keep in product(RATIOS, FAIR, (_together, _each_its_own, _all_calls))),
            *({"verdict": larger(ratio), "ratio": ratio, "checks": checks, "keep": keep, "per": _a_call} for ratio, checks, keep in product(RATIOS, (CHECKS, {}), (_together, _each_its_own, _all_calls))),
            {"verdict": larger(ratio_of(fmean))},
        ),
    ),
    Misconception(
        "most of the pairs",
        says="Winning more than half of the pairs was enough: a coin does that half of the time; it holds when a coin would win as many with a chance of 0.025 at the most.",
        **_ways(
            *({"verdict": most_pairs, "checks": checks} for checks in (*FAIR, _without("threads"))),
            *({"verdict": larger(middle), "checks": checks, "keep": keep} for checks, keep in product(FAIR, (_each_its_own, _all_calls))),
        ),
    ),
    Misconception(
        "every pair",
        says="One lost pair was enough to say no: 10 of 12 are few enough for a coin already; ask how probable so many wins are.",
        **_ways({"verdict": all_pairs}),
    ),
    Misconception(
        "a gain that seems large enough",
        says="The verdict depends on how large the ratio is: a small gain may be sure, and a large one chance; count the pairs.",
        **_ways(*({"verdict": at_least(gain)} for gain in (1.05, 1.1, 1.02, 1.2))),
    ),
    Misconception(
        "not in pairs",
        says="Each row was summed up by itself, so that the machine's own ups and downs hide the difference: both of a pair met the same machine, compare them with each other.",
        **_ways(
            {"verdict": medians_apart},
            {"verdict": welch},
            {"verdict": lambda mine, theirs: apart(mine, theirs, stdev)},
            {"verdict": lambda mine, theirs: apart(mine, theirs, lambda row: 2 * stdev(row))},
            {"verdict": lambda mine, theirs: apart(mine, theirs, lambda row: 1.96 * stdev(row) / math.sqrt(len(row)))},
            {"verdict": welch, "ratio": ratio_of(fmean)},
            {"verdict": medians_apart, "ratio": ratio_of(median)},
        ),
    ),
    Misconception(
        "the mean and its error",
        says="That is the mean of the ratios ± 1.96 errors, right for many normal ones: a few slow calls move it; count wins and compare with a coin.",
        **_ways({"verdict": mean_ratio}, {"verdict": mean_ratio, "ratio": RATIOS[2]}),
    ),
    Misconception(
        "a bell for a coin",
        says="The normal curve stands for the coin: with 5 pairs it calls all wins proof, though a coin does that one time in 32; add up the binomial's chances.",
        **_ways({"verdict": bell}),
    ),
    Misconception(
        "5% on each side",
        says="Each side was allowed 0.05: as both \"holds\" and \"does not hold\" may err, each has 0.025.",
        **_ways({"verdict": coin(0.05)}),
    ),
    Misconception(
        "more wins than these",
        says="The chance of more wins than W was taken: it is that of W or more, P(B ≥ W), so W itself counts; of losses likewise, P(B ≤ W).",
        **_ways({"verdict": coin(wins=lambda wins: wins + 1)}, {"verdict": one_side_strict(HOLDS)}, {"verdict": one_side_strict(NOT)}),
    ),
    Misconception(
        "never that it does not hold",
        says="Losses enough to be no chance were called \"not shown\": then the opposite is shown, and the statement does not hold.",
        **_ways({"verdict": coin(other_side=OPEN)}),
    ),
    Misconception(
        "not shown is not refuted",
        says="What is not shown was said not to hold: too few pairs show neither; \"does not hold\" needs as many losses as a coin would not throw.",
        **_ways({"verdict": lambda mine, theirs: HOLDS if coin()(mine, theirs) == HOLDS else NOT}),
    ),
    Misconception(
        "the other way round",
        says="The slower one was called faster: `one` wins a pair when its seconds are fewer than those of `other`.",
        **_ways({"verdict": turned}, {"verdict": turned, "ratio": lambda mine, theirs: 1 / middle(mine, theirs)}, {"verdict": turned, "ratio": lambda mine, theirs: middle(theirs, mine)}),
    ),
    Misconception(
        "the ratio upside down",
        says="The ratio is other's seconds / one's, above 1 when `one` is faster: this one is upside down.",
        **_ways({"ratio": lambda mine, theirs: middle(theirs, mine)}, {"ratio": lambda mine, theirs: median(mine) / median(theirs)}),
    ),
    Misconception(
        "another average",
        says="The verdict is right, the ratio is another average: asked for is the median of the pairs' ratios, other's seconds / one's, pair by pair.",
        **_ways(*({"ratio": ratio} for ratio in (ratio_of(median), ratio_of(fmean), RATIOS[2], ratio_of(min), lambda mine, theirs: geometric_mean(ratios_of(mine, theirs)), lambda mine, theirs: max(ratios_of(mine, theirs))))),
    ),
    Misconception(
        "warm-up counted",
        says="Calls that only warmed up were counted: drop the first ones of both rows, as many as the longer warm-up has.",
        **_ways({"keep": _all_calls}, {"keep": _by_fewer}, {"keep": _by_one}, {"keep": _all_calls, "ratio": ratio_of(median)}, {"keep": _all_calls, "ratio": ratio_of(fmean)}),
    ),
    Misconception(
        "pairs pulled apart",
        says="Each row lost its own warm-up only, so call i of one met call i + 5 of the other: drop the same number from both, the longer warm-up.",
        **_ways({"keep": _each_its_own}, {"keep": _each_its_own, "checks": _without("calls")}),
    ),
    Misconception(
        "seconds for a call",
        says="Throughput was judged by the seconds of a call: a call of batch 8 answers 8 pictures, so divide each row's seconds by its batch.",
        **_ways({"per": _a_call}),
    ),
    Misconception(
        "multiplied by the batch",
        says="Seconds were multiplied by the batch: a call's seconds are shared by its pictures, so divide.",
        **_ways({"per": lambda seconds, row, what: [value * row["batch"] for value in seconds] if what == "throughput" else seconds}),
    ),
    Misconception(
        "the same batch always",
        says="Throughput of different batches was called unfair: batching is there for just that; only latency needs the same batch.",
        **_ways({"checks": _without(batch=lambda one, other, what, tolerance: one["batch"] == other["batch"])}),
    ),
    Misconception(
        "any batch",
        says="A latency was compared between different batches: who sends one picture waits for the whole call; unfair, unless what is \"throughput\".",
        **_ways({"checks": _without("batch")}, {"checks": _without("batch"), "per": _by_batch}),
    ),
    Misconception(
        "any number of threads",
        says="Rows with different numbers of threads were compared: that is a larger machine, not a faster model; unfair.",
        **_ways({"checks": _without("threads")}),
    ),
    Misconception(
        "wrong answers, quickly",
        says="Nobody asked whether the outputs are right: a max_error beyond the tolerance makes the comparison unfair, in either row.",
        **_ways({"checks": _without(*ERRORS)}, {"checks": _without(ERRORS[0])}, {"checks": _without(ERRORS[1])}),
    ),
    Misconception(
        "an error as large as allowed",
        says="An error that is the tolerance itself was refused: at most the tolerance is right, so <=, as eager's own 0.0 is at a tolerance of 0.",
        **_ways({"checks": _below_tolerance(*ERRORS)}, {"checks": _below_tolerance(ERRORS[0])}, {"checks": _below_tolerance(ERRORS[1])}),
    ),
    Misconception(
        "NaN passes",
        says="Outputs of NaN passed as right: NaN > tolerance is false like every comparison with NaN, so ask whether max_error <= tolerance, and turn that round.",
        **_ways({"checks": _without(ERRORS[0], right=lambda one, other, what, tolerance: not one["max_error"] > tolerance)}),
    ),
    Misconception(
        "another number of calls",
        says="Rows with different numbers of calls were compared: they were not measured in turns, and zip silently forgets the rest; unfair.",
        **_ways({"checks": _without("calls")}),
    ),
    Misconception(
        "anything is comparable",
        says="Nothing was called unfair: threads, the batch (for latency), right outputs and the number of calls come before any seconds.",
        **_ways({"checks": {}}),
    ),
    Misconception(
        "a ratio all the same",
        says="The verdict is unfair, yet a ratio was given: somebody would print it; give None.",
        **_ways({"when_unfair": True}),
    ),
)
