"""What federation costs: accuracy lost against the same training in one place, over skews and protections, seeds and all.

Digits, because a hundred rounds of them take seconds. Every run is a federation of its own through the same
apps and messages, node by node in one process; runs go to worker processes and are kept by what they were
made of, so a study that is stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from breakthrough import devices, files
from breakthrough.digests import digest_of
from breakthrough.errors import ConfigError, UnknownNameError, expected, unknown
from breakthrough.federated.digits import Samples, digits
from breakthrough.federated.local import centralised, scorer, state_of
from breakthrough.federated.partition import Partition, dirichlet, even
from breakthrough.federated.plan import Plan
from breakthrough.federated.privacy import multiplier_for
from breakthrough.federated.simulation import Job, place, simulate
from breakthrough.federated.vectors import State
from breakthrough.seeds import numpy_generator
from breakthrough.train.comparison import Estimate, estimate
from breakthrough.workers import run_all

FOLDER = Path("build/experiments/federated")
SEEDS = (0, 1, 2)
CENTRAL, ALONE = "central", "one node alone"
LAST = 5  # rounds whose accuracies are averaged: single rounds jump


@dataclass(frozen=True)
class Study:
    """One size of the study.

    `alphas` are the skews, `protected` those of them at which the protections run too. The private runs have
    nodes and rounds of their own: noise for one node in ten drowns what ten nodes learn.

    Units:  rounds × epochs passes over the data; epsilons at delta, for clients
    """

    name: str
    rounds: int
    alphas: tuple[float, ...] = (0.1, 0.3, 1.0)
    protected: tuple[float, ...] = (0.3,)
    nodes: int = 10
    epochs: int = 2
    lr: float = 0.1
    epsilons: tuple[float, ...] = (1.0, 4.0, 8.0)
    delta: float = 1e-3
    private_nodes: int = 100
    private_rounds: int = 20
    clip: float = 1.0
    private_lr: float = 0.2


STUDIES = {
    "tiny": Study("tiny", rounds=2, alphas=(0.1, 1.0), protected=(1.0,), nodes=4, epsilons=(8.0,), private_nodes=6, private_rounds=2),
    "quick": Study("quick", rounds=40, epsilons=(1.0, 8.0), private_nodes=60, private_rounds=12),
    "full": Study("full", rounds=80, protected=(0.1, 0.3, 1.0)),
}


@dataclass(frozen=True)
class Losses:
    """The accuracies of a study: for every setting and protection one a seed.

    Units:  accuracies from 0 to 1; what is lost in percentage points
    """

    study: Study
    seeds: tuple[int, ...]
    runs: Mapping[tuple[str, str], tuple[float, ...]]
    central_runs: tuple[float, ...]

    @property
    def central(self) -> Estimate:
        """Accuracy of training in one place."""
        return estimate(self.central_runs)

    @property
    def settings(self) -> tuple[str, ...]:
        """The skews, and the private setting."""
        return tuple(dict.fromkeys(setting for setting, _ in self.runs))

    @property
    def protections(self) -> tuple[str, ...]:
        """All protections, in order."""
        return tuple(dict.fromkeys(protection for _, protection in self.runs))

    def accuracy(self, setting: str, protection: str = "plain") -> Estimate:
        """Accuracy over the seeds.

        Raises: UnknownNameError for a run that is not in the study
        """
        return estimate(self._values(setting, protection))

    def lost(self, setting: str, protection: str = "plain", against: str = CENTRAL) -> Estimate:
        """Points of accuracy lost against central training, or against another protection, seed by seed.

        Raises: UnknownNameError for a run that is not in the study
        """
        base = self.central_runs if against == CENTRAL else self._values(setting, against)
        return estimate(100 * (b - x) for b, x in zip(base, self._values(setting, protection)))

    def __str__(self) -> str:
        """The table: accuracy, and points lost, mean and half of the 95% interval over seeds."""
        lines = [f"{'setting':22} {'protection':18} {'accuracy':>14} {'points lost':>14}"]
        lines += [f"{'all in one place':22} {'':18} {_percent(self.central):>14}"]
        for setting, protection in self.runs:
            lost = self.lost(setting, protection)
            accuracy = _percent(self.accuracy(setting, protection))
            lines.append(f"{setting:22} {protection:18} {accuracy:>14} {lost.mean:6.2f} ± {lost.half:5.2f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        runs = [{"setting": s, "protection": p, "accuracies": list(x)} for (s, p), x in self.runs.items()]
        return {"study": asdict(self.study), "seeds": list(self.seeds), "central": list(self.central_runs), "runs": runs}

    def _values(self, setting: str, protection: str) -> tuple[float, ...]:
        if (setting, protection) not in self.runs:
            raise UnknownNameError(expected("a run of the study", f"{setting!r}, {protection!r}", f"one of {list(self.runs)}"))
        return self.runs[setting, protection]


def run_study(
    study: Study | str = "quick",
    seeds: Sequence[int] = SEEDS,
    *,
    folder: str | Path = FOLDER,
    workers: int | None = None,
    progress: bool = True,
) -> Losses:
    """Run a study, or what is left of it.

    Units:  the bar counts runs; workers are processes, one per core by default
    Raises: UnknownNameError for a study that does not exist; ConfigError without seeds; BreakthroughError when
            a run fails
    """
    study = _named(study)
    if not seeds:
        raise ConfigError(expected("at least one seed", "none"))
    home = Path(folder).resolve()
    arms = _arms(study)
    jobs = [_job(home, study, seed, arm) for seed in seeds for arm in arms]
    with tqdm(total=len(jobs), disable=not progress, file=sys.stdout, unit="run", mininterval=2) as bar:
        found = run_all("breakthrough.federated.study:run_one", jobs, workers or devices.cores(), bar.update)
    values = {arm: tuple(found[i * len(arms) + k]["accuracy"] for i in range(len(seeds))) for k, arm in enumerate(arms)}
    central = values.pop((CENTRAL, CENTRAL))
    return Losses(study, tuple(seeds), values, central)


def run_one(job: dict[str, Any], report: Callable[[int], None]) -> dict[str, float]:
    """One run of a study, unless it is there."""
    kept = Path(job["path"])
    if not kept.exists():
        plain: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in job["study"].items()}
        study = Study(**plain)
        files.write_text(kept, json.dumps({"accuracy": _accuracy(study, job["seed"], (job["setting"], job["protection"]), kept.with_suffix(""))}))
    report(1)
    return json.loads(kept.read_text(encoding="utf-8"))


def partition_of(study: Study, seed: int, alpha: float) -> Partition:
    """How a study's training digits are dealt out."""
    train, _ = digits()
    return dirichlet(train.y, study.nodes, alpha, numpy_generator(seed, "skew", str(alpha)))


def _arms(study: Study) -> list[tuple[str, str]]:
    arms = [(CENTRAL, CENTRAL)]
    for alpha in study.alphas:
        ways = ("plain", "masked", "encrypted") if alpha in study.protected else ("plain",)
        arms += [(f"α = {alpha:g}", way) for way in ways]
    arms += [(f"α = {max(study.alphas):g}", ALONE)]
    private = f"{study.private_nodes} nodes, even"
    arms += [(private, "clipped")] + [(private, f"ε = {epsilon:g}") for epsilon in study.epsilons]
    return [*arms, (f"{study.nodes} nodes, even", f"ε = {max(study.epsilons):g}")]


def _accuracy(study: Study, seed: int, arm: tuple[str, str], folder: Path) -> float:
    setting, protection = arm
    train, test = digits()
    plan = Plan(rounds=study.rounds, epochs=study.epochs, lr=study.lr, data="digits", most=len(train.y), seed=seed)
    score = scorer(plan, {"": test})
    if protection == CENTRAL:
        return _central(plan, train, score)
    if setting.startswith("α"):
        parts, nodes = partition_of(study, seed, float(setting.removeprefix("α = "))), study.nodes
        plan = replace(plan, protection="plain" if protection == ALONE else protection)
    else:
        nodes = int(setting.split()[0])
        parts = even(len(train.y), nodes, numpy_generator(seed, "even"))
        noise = 0.0 if protection == "clipped" else multiplier_for(float(protection.removeprefix("ε = ")), study.delta, study.private_rounds)
        plan = replace(plan, rounds=study.private_rounds, lr=study.private_lr, clip=study.clip, noise=noise)
    if protection == ALONE:
        return _central(plan, train.take(max(parts.parts, key=len)), score)
    place(folder, {"digits": [train.take(part) for part in parts.parts]})
    job = Job(plan, score)
    return simulate({"run": job}, folder, nodes, engine="local", progress=False)["run"].history.last(over=min(LAST, plan.rounds))


def _central(plan: Plan, data: Samples, score: Callable[[State], dict[str, float]]) -> float:
    """The mean accuracy after the last rounds of training in one place."""
    accuracies: list[float] = []
    centralised(plan, data, lambda _, model: accuracies.append(score(state_of(model))["accuracy"]))
    last = accuracies[-LAST:]
    return sum(last) / len(last)


def _job(home: Path, study: Study, seed: int, arm: tuple[str, str]) -> dict[str, Any]:
    facts = {"study": asdict(study), "seed": seed, "setting": arm[0], "protection": arm[1]}
    name = digest_of(facts, 16)
    return facts | {"path": str(home / f"{name}.json"), "name": f"{arm[0]}, {arm[1]}, seed {seed}"}


def _named(study: Study | str) -> Study:
    if isinstance(study, Study):
        return study
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    return STUDIES[study]


def _percent(found: Estimate) -> str:
    return f"{100 * found.mean:.1f} ± {100 * found.half:.1f}%"
