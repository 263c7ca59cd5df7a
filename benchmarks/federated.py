"""What federation costs: accuracy, time a round, masks, ciphertexts.

1. Accuracy lost against training in one place: digits, α 0.1, 0.3, 1.0, 10 nodes, 80 rounds; plain, masked, encrypted,
   and private for ε 1, 4, 8; 3 seeds. Goals: under 1 point at α ≥ 0.3, protected within 0.1 point of plain.
2. The same for feature skew: inspectors of four factories with light, camera and defects of their own.
3. Time a round: the same nodes' bare training in one process, then a round of the simulation, in turns. With one
   worker it is the overhead, with all cores what one gets. Goal: 1.5. Ray's start apart.
4. Masking of 1M parameters for 10 clients: `_federated_masking.py`. Goal: 2 s.
5. CKKS of 100k parameters for 10 clients, by packing: `_federated_ckks.py`.

Run: OMP_NUM_THREADS=1 python benchmarks/federated.py [--only 1,3] [--study full] [--folder DIR to go on with].
About half an hour on two cores; 3 and 4 want a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from breakthrough import devices
from breakthrough.federated.digits import digits
from breakthrough.federated.factories import make_factories
from breakthrough.federated.local import centralised, initial_state, scorer, state_of, train_round
from breakthrough.federated.partition import even
from breakthrough.federated.plan import Plan
from breakthrough.federated.simulation import Job, place, simulate
from breakthrough.federated.study import STUDIES, run_study
from breakthrough.federated.tasks import load_data, task_of
from breakthrough.seeds import numpy_generator
from breakthrough.train.comparison import estimate
from breakthrough.train.sets import together

SEEDS = (0, 1, 2)
GOAL_OVERHEAD = 1.5


def accuracy(folder: Path, study: str) -> None:
    """Print the table of a study, and what the protections change."""
    found = run_study(study, SEEDS, folder=folder)
    print(found)
    for setting in found.settings:
        for protection in ("masked", "encrypted"):
            if (setting, protection) in found.runs:
                change = found.lost(setting, protection, against="plain")
                print(f"{protection} against plain, {setting}: {change.mean:+.2f} ± {change.half:.2f} points lost")


def features(folder: Path, pictures: int, rounds: int, workers: int) -> None:
    """Print accuracies of federated inspectors of four factories, and of one trained on everything."""
    rows: dict[str, list[float]] = {}
    for seed in SEEDS:
        sites = make_factories(pictures, seed, folder=folder / "pictures", workers=workers, progress=True, held_out=pictures // 2)
        home = place(folder / f"nodes-{seed}", {"factories": [site.train for site in sites]})
        test, every = together([site.test for site in sites]), together([site.train for site in sites])
        options = {"config": {"experts": 4}}
        plan = Plan("inspector", "factories", rounds, epochs=1, lr=0.3, lr_end=0.02, most=len(every), seed=seed, task_options=options)
        score = scorer(plan, {"": test})
        ways = ("plain", "masked", "encrypted")
        jobs = {way: Job(replace(plan, protection=way), score, folder / f"runs-{pictures}-{seed}-{way}") for way in ways}
        found = simulate(jobs, home, len(sites), engine="ray")
        for way, run in found.items():
            rows.setdefault(way, []).append(run.history.last(over=3))
        rows.setdefault("central", []).append(score(state_of(centralised(plan, every)))["accuracy"])
        alone = [score(state_of(centralised(plan, site.train)))["accuracy"] for site in sites]
        rows.setdefault("each alone", []).append(float(np.mean(alone)))
        print({name: round(100 * x[-1], 1) for name, x in rows.items()}, f"of {len(test)}", flush=True)
    for name, x in rows.items():
        lost = estimate(100 * (c - v) for c, v in zip(rows["central"], x))
        print(f"feature skew, {name:12} {100 * np.mean(x):5.1f}%  lost {lost.mean:5.2f} ± {lost.half:.2f} points")


def overhead(folder: Path, turns: int) -> None:
    """Print the time of a simulated round over that of its bare training, small and large tasks, one and all cores."""
    train, _ = digits()
    parts = [train.take(p) for p in even(len(train), 10, numpy_generator(0)).parts]
    place(folder, {"digits": parts})
    sites = make_factories(120, 0, folder=folder / "pictures")
    place(folder / "inspector", {"factories": [site.train for site in sites]})
    options = {"config": {"experts": 4}}
    tasks = {
        "digits, 10 nodes, 2 passes": (Plan("digits", "digits", 6, epochs=2), folder, 10),
        "digits, 10 nodes, 20 passes": (Plan("digits", "digits", 6, epochs=20), folder, 10),
        "inspector, 4 nodes, 1 pass": (Plan("inspector", "factories", 6, lr=0.3, task_options=options), folder / "inspector", 4),
    }
    for name, (plan, home, nodes) in tasks.items():
        for workers in dict.fromkeys((1, devices.cores())):
            ratios, starts, bare_s = [], [], []
            for _ in range(turns):
                bare = statistics.median(bare_round(plan, home, nodes) for _ in range(3))
                start, rounds = simulated(plan, home, nodes, workers)
                bare = statistics.median((bare, *(bare_round(plan, home, nodes) for _ in range(3))))
                ratios.append(statistics.median(rounds[1:]) / bare)  # the first round imports torch in the workers
                starts.append(start + rounds[0] - statistics.median(rounds[1:]))
                bare_s.append(bare)
            low, mid, high = min(ratios), statistics.median(ratios), max(ratios)
            goal = "" if workers > 1 else f", goal {GOAL_OVERHEAD}"
            print(f"{name}, {workers} worker(s): bare {1000 * statistics.median(bare_s):6.0f} ms a round, "
                  f"simulated / bare {mid:.2f} ({low:.2f} to {high:.2f}){goal}; Ray's start {statistics.median(starts):.1f} s", flush=True)  # fmt: skip


def bare_round(plan: Plan, home: Path, nodes: int) -> float:
    """Seconds of all nodes' training of one round, one after the other in this process, and nothing else."""
    start, task = initial_state(plan), task_of(plan.task, plan.task_options)
    data = [load_data(task, home / plan.data / f"node-{k}.npz") for k in range(nodes)]
    begin = time.perf_counter()
    for name, one in enumerate(data):
        train_round(plan, start, one, name, 1)
    return time.perf_counter() - begin


def simulated(plan: Plan, home: Path, nodes: int, workers: int) -> tuple[float, list[float]]:
    """Seconds of Ray's start, and of every round."""
    begin = time.perf_counter()
    found = simulate({"run": Job(plan)}, home, nodes, engine="ray", progress=False, workers=workers)["run"]
    rounds = [one.seconds for one in found.history.rounds]
    return time.perf_counter() - begin - sum(rounds), rounds


def other(name: str) -> Callable[[], None]:
    """A benchmark in a file of its own."""
    return lambda: subprocess.run([sys.executable, str(Path(__file__).with_name(name))], check=True) and None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="1,2,3,4,5")
    parser.add_argument("--study", default="full", choices=sorted(STUDIES))
    parser.add_argument("--pictures", type=int, default=600, help="of every factory, in 2")
    parser.add_argument("--rounds", type=int, default=24, help="of the inspectors, in 2")
    parser.add_argument("--turns", type=int, default=3, help="of 3")
    parser.add_argument("--folder", type=Path, help="where runs are kept, to go on with; else a temporary one")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {devices.cores()} cores, {devices.choose().type}; 95% t-intervals over {len(SEEDS)} seeds")
    with tempfile.TemporaryDirectory() as temporary:
        home = (chosen.folder or Path(temporary)).resolve()
        parts = {
            "1": lambda: accuracy(home / "study", chosen.study),
            "2": lambda: features(home / "features", chosen.pictures, chosen.rounds, devices.cores()),
            "3": lambda: overhead(home / "time", chosen.turns),
            "4": other("_federated_masking.py"),
            "5": other("_federated_ckks.py"),
        }
        for number in chosen.only.split(","):
            print(f"\n{number}.", flush=True)
            parts[number]()


if __name__ == "__main__":
    main()
