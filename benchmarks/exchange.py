"""Peers' scores combined: the effort model against mean, median and PG1, and whom the flags find.

1. Scores: RMSE of a work's score, its ratio to the plain mean's, how many 90% intervals hold the true score. Goal: at 30% lazy
   and 10% colluding, half the plain mean's RMSE at most.
2. Flags at a stated rate of false alarms (1% of honest reviewers): whom they find, and of whom they should not.
3. Rings over five modules: friends meet by lot, so that more modules show more of them; false alarms add up as well.
4. Spot checks: RMSE once the instructor has read a tenth of the works, chosen or by lot.
5. Sizes from 3 to 3,000 learners: seconds, intervals; and the assignment's seconds and balance.
6. A figure: RMSE against the share of lazy reviewers.

Who the reviewers are: `_exchange_simulation.py`. PG1 is the same model with effort left out.

Run: breakthrough bench exchange [--seeds 20] [--learners 100] [--only scores,sizes] [--workers 2] [--out PATH without ending].
About a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from _exchange_report import draw, kept, write
from _exchange_simulation import CRITERIA, KINDS, SPECIMENS, WEIGHTS, Cohort, cohort, mean, median, pairs_of

from breakthrough.course.exchange import assigning, flags, quality, spotcheck
from breakthrough.course.exchange.effort_model import combine
from breakthrough.seeds import numpy_generator

RATE, MODULES, READ, NULLS = 0.01, 5, 0.1, 3
TIMED = 5  # cohorts of a size
PARTS = ("scores", "rings", "spots", "sizes", "shares")
SCENARIOS = {
    "honest": {},
    "30% noisy": {"noisy": 0.3},
    "30% lazy, 10% pact": {"lazy": 0.3, "pact": 0.1},
    "30% lazy, 10% ring": {"lazy": 0.3, "ring": 0.1},
    "20% lazy, 10% each of harsh, noisy, pact, ring": {"lazy": 0.2, "harsh": 0.1, "noisy": 0.1, "pact": 0.1, "ring": 0.1},
    "30% guessing": {"guess": 0.3},
    "30% sly": {"sly": 0.3},
    "70% odd, 30% lazy": {"odd": 0.7, "lazy": 0.3},
}
SIZES = (3, 12, 40, 200, 3000)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def rmse(estimate: np.ndarray, made: Cohort) -> float:
    """The root of the mean squared error over the learners' works."""
    return float(np.sqrt(np.mean((estimate[: len(made.true)] - made.total) ** 2)))


def combined(made: Cohort, generator: np.random.Generator) -> tuple[dict, flags.Module]:
    """The errors and coverage of every way to combine, and what the effort model found."""
    reviews, count = made.reviews, len(made.true)
    plain = combine(reviews, WEIGHTS, generator, effort=False)
    full = combine(reviews, WEIGHTS, generator)
    found = {"mean": rmse(mean(reviews), made), "median": rmse(median(reviews), made), "PG1": rmse(plain.scores, made), "effort": rmse(full.scores, made)}
    for name, one in (("PG1", plain), ("effort", full)):
        inside = (one.low[:count] <= made.total) & (made.total <= one.high[:count])
        found[f"{name} covers"] = float(inside.mean())
    return found | {"sd": float(full.sd[:count].mean())}, flags.Module(reviews, full, made.author, WEIGHTS)


def scores(scenario: str, learners: int, seed: int) -> dict:
    """One cohort: errors, coverage, flags and qualities by kind of reviewer."""
    generator = numpy_generator(seed, "scores", scenario)
    made = cohort(learners, SCENARIOS[scenario], generator)
    found, module = combined(made, generator)
    flagged = flags.find([module], generator, rate=RATE, cohorts=NULLS)
    due = np.bincount(made.reviews.reviewer, minlength=learners)
    grades = quality.grade(made.reviews, module.combined, WEIGHTS, due, completeness=np.ones(learners))
    kinds = {name: float(grades.score[made.are(name)].mean()) for name in KINDS if made.are(name).any()}
    return found | {"flags": _flagged(flagged, made, made.met), "quality": kinds}


def rings(learners: int, seed: int) -> dict:
    """Five modules of one cohort with rings: whom flags find in the first, and in any of them."""
    generator = numpy_generator(seed, "rings")
    made, before, modules, met, flagged, found = None, (), [], np.zeros(learners, bool), {}, {}
    for number in range(1, MODULES + 1):
        made = cohort(learners, {"lazy": 0.1, "ring": 0.12}, generator, people=made, before=before)
        before, met = before + pairs_of(made), met | made.met
        modules.append(flags.Module(made.reviews, combine(made.reviews, WEIGHTS, generator), made.author, WEIGHTS))
        flagged |= {(one.reviewer, one.kind): one for one in flags.find(modules, generator, rate=RATE, cohorts=NULLS)}
        if number in (1, MODULES):
            found[str(number)] = _flagged(tuple(flagged.values()), made, met)
    return found


def spots(learners: int, seed: int) -> dict:
    """RMSE before and after an instructor reads some works."""
    generator = numpy_generator(seed, "spots")
    made = cohort(learners, SCENARIOS["20% lazy, 10% each of harsh, noisy, pact, ring"], generator)
    first = combine(made.reviews, WEIGHTS, generator)
    count = round(READ * learners)
    chosen = [one.submission for one in spotcheck.choose(made.reviews, first, WEIGHTS, count)]
    found = {"before": rmse(first.scores, made)}
    for name, works in (("chosen", chosen), ("by lot", generator.permutation(learners)[:count])):
        reviews = made.reviews
        for work in works:
            reviews = reviews.knowing(work, made.true[work])
        found[name] = rmse(combine(reviews, WEIGHTS, generator).scores, made)
    return found


def sizes(learners: int, seed: int) -> dict:
    """Errors and processor seconds of a cohort of a size; 30% lazy and 10% in a pact."""
    generator = numpy_generator(seed, "sizes", learners)
    names = [f"{place:05}" for place in range(learners)]
    started = time.process_time()
    given = assigning.assign(names, names, seed=seed)
    assigned_s = time.process_time() - started
    read = Counter(work for works in given.values() for work in works)
    made = cohort(learners, SCENARIOS["30% lazy, 10% pact"], generator)
    found, module = combined(made, generator)
    times = {"assign": assigned_s, "combine": _seconds(lambda: combine(made.reviews, WEIGHTS, generator))}
    times["flags"] = _seconds(lambda: flags.find([module], generator, rate=RATE))
    balance = {"reviews of a work": sorted(set(read.values())), "works of a reviewer": sorted({len(works) for works in given.values()})}
    return found | {"seconds": times, "balance": balance}


def shares(share: float, learners: int, seed: int) -> dict:
    """Errors at a share of lazy reviewers."""
    generator = numpy_generator(seed, "shares", str(share))
    return combined(cohort(learners, {"lazy": share}, generator), generator)[0]


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _flagged(found: tuple[flags.Flag, ...], made: Cohort, met: np.ndarray) -> dict[str, dict[str, list[int]]]:
    """By kind of reviewer and of flag: how many got one, of how many."""
    groups = {name: made.are(name) for name in KINDS} | {"ring, met a friend": made.are("ring") & met}
    counted = {}
    for name, inside in groups.items():
        if inside.any():
            each = {kind: sum(one.kind == kind and bool(inside[one.reviewer]) for one in found) for kind in (flags.EFFORT, flags.FAVOUR)}
            counted[name] = {kind: [number, int(inside.sum())] for kind, number in each.items()}
    return counted


def jobs(part: str, learners: int) -> dict[str, Callable[[int], dict]]:
    """What a part measures for a seed, by setting."""
    return {
        "scores": {name: functools.partial(scores, name, learners) for name in SCENARIOS},
        "rings": {f"{learners} learners": functools.partial(rings, learners)},
        "spots": {f"{learners} learners": functools.partial(spots, learners)},
        "sizes": {str(size): functools.partial(sizes, size) for size in SIZES},
        "shares": {f"{share:.1f}": functools.partial(shares, share, learners) for share in SHARES},
    }[part]


def measure(part: str, learners: int, seeds: int, pool: ProcessPoolExecutor) -> dict:
    """All results of a part, with how they were measured."""
    made = {name: [pool.submit(job, seed) for seed in range(_runs(part, name, seeds))] for name, job in jobs(part, learners).items()}
    found = {}
    for name, futures in made.items():
        found[name] = [one.result() for one in futures]
        print(f"done: {part}, {name}", flush=True)
    size = ", ".join(map(str, SIZES)) if part == "sizes" else learners
    seeds = f"{_runs(part, '3', seeds)} (1 for the largest)" if part == "sizes" else seeds
    return {"facts": {"learners": size, "seeds": seeds, "date": f"{datetime.date.today()}"}, "found": found}


def _runs(part: str, name: str, seeds: int) -> int:
    """Cohorts of a setting: fewer where seconds are the question, and one of thousands of learners."""
    return min(seeds, 1 if name == str(SIZES[-1]) else TIMED) if part == "sizes" else seeds


def main() -> int:
    """Measure, print, and keep the results where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--learners", type=int, default=100)
    parser.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="keep results here, with what is there of other parts: .json, .md and .png are added")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    facts = {"criteria": CRITERIA, "k": assigning.K, "specimens": SPECIMENS, "stated rate of false flags": RATE}
    parts = kept(chosen.out)
    with ProcessPoolExecutor(chosen.workers) as pool:
        for part in wanted:
            parts[part] = measure(part, chosen.learners, chosen.seeds, pool)
            text = write(parts, facts, chosen.out)
    print(text)
    if chosen.out and "shares" in parts:
        draw(parts["shares"]["found"], chosen.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
