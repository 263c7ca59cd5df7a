"""The sizes of lab 02's experiment, and what is read from it: does made-up data carry to another domain?

An inspector is trained on one set of ranges at a time and measured twice: on held-out pictures of the
same ranges, its own domain, and on the line, path traced, which nobody trains on.

Two things are uncertain: which inspector a seed gives, and which pictures happen to be in the test set.
The first is Student's interval over seeds; `difference` adds the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from breakthrough.errors import unknown
from breakthrough.train.comparison import Estimate
from breakthrough.train.inspection_results import InspectionRun, Inspections

SETS = ("naive", "light", "material", "camera", "distractors", "all", "no_physics")
LEFT_OUT = ("no_light", "no_material", "no_camera", "no_distractors")
OWN, LINE = "its own domain", "the line"


@dataclass(frozen=True)
class Plan:
    """One size of the experiment.

    Units:  pictures of each set, before it is split, `shots` of every scene, `supersample`² samples a
            pixel; line is the number of path-traced pictures, spp their paths a pixel; steps of training;
            shares are parts of `all`'s training pictures
    """

    name: str
    pictures: int
    line: int
    spp: int
    steps: int
    sets: tuple[str, ...] = SETS
    shares: tuple[float, ...] = (0.25, 0.5)
    shots: int = 2
    supersample: int = 2

    @property
    def drawn(self) -> dict[str, int]:
        """How the training sets are drawn, as the keywords of a dataset's settings."""
        return {"shots": self.shots, "supersample": self.supersample}


PLANS = {
    "tiny": Plan("tiny", pictures=120, line=15, spp=4, steps=20),
    "quick": Plan("quick", pictures=1300, line=250, spp=16, steps=320),
    "full": Plan("full", pictures=10_000, line=1000, spp=36, steps=4000, sets=(*SETS, *LEFT_OUT), shares=(0.05, 0.1, 0.25, 0.5)),
}


def by_domain(found: Inspections, own: Mapping[str, str], line: str) -> Inspections:
    """The same inspections with two tests each: the set's own domain, and the line.

    `own` names the test set that is a training set's own.

    Raises: UnknownNameError for a set or a test that is not there
    """
    for name in found.runs:
        if name not in own:
            raise unknown("training set", name, own)
    for test in (line, *own.values()):
        if test not in found.tests:
            raise unknown("test set", test, found.tests)

    def two(run: InspectionRun, name: str) -> InspectionRun:
        return replace(run, scores={OWN: run.scores[own[name]], LINE: run.scores[line]})

    runs = {name: tuple(two(run, name) for run in runs) for name, runs in found.runs.items()}
    return replace(found, tests=(OWN, LINE), runs=runs)


def only(found: Inspections, names: Iterable[str]) -> Inspections:
    """The same inspections of some training sets alone, in this order.

    Raises: UnknownNameError for a set that is not there
    """
    names = tuple(names)
    for name in names:
        if name not in found.runs:
            raise unknown("training set", name, found.runs)
    return replace(found, runs={name: found.runs[name] for name in names}, sizes={name: found.sizes[name] for name in names})


def difference(found: Inspections, name: str, other: str, test: str) -> Estimate:
    """Accuracy after one set minus that after another, paired by seed; its interval covers the choice of test pictures too.

    The two parts add as the sides of a right angle. The second is that of two shares from separate sets of
    pictures; here the pictures are the same, so it is rather too wide than too narrow.
    """
    seeds = found.difference(name, other, test)
    pictures = [share_half(found.accuracy(one, test).mean, test_size(found, test)) for one in (name, other)]
    return replace(seeds, half=math.hypot(seeds.half, *pictures))


def share_half(share: float, n: int) -> float:
    """Half the width of the 95% interval of a share that was counted on n pictures.

    Source: Agresti and Coull 1998: two more of each outcome, so that 0 and 1 are not taken for certain
    """
    n, share = n + 4, (share * n + 2) / (n + 4)
    return 1.96 * math.sqrt(share * (1 - share) / n)


def test_size(found: Inspections, test: str) -> int:
    """How many pictures a test set has."""
    run = next(iter(found.runs.values()))[0]
    if test not in run.scores:
        raise unknown("test set", test, run.scores)
    return sum(map(sum, run.scores[test].confusion))
