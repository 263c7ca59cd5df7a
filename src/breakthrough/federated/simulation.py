"""Runs on one machine: by Flower's simulation engine on Ray, or node by node in this process.

    data/<set>/node-<number>.npz    what a node trains on; the plan's `data` names the set
    keys/                           the CKKS keys, where a plan asks for encryption
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from breakthrough import devices, files
from breakthrough.cluster import start_ray
from breakthrough.errors import BreakthroughError, ConfigError, expected, unknown
from breakthrough.federated import encryption
from breakthrough.federated.ckks_parameters import Parameters, choose
from breakthrough.federated.client import client_app
from breakthrough.federated.flower import flower
from breakthrough.federated.grids import LocalGrid
from breakthrough.federated.history import Round
from breakthrough.federated.local import initial_state
from breakthrough.federated.plan import Plan
from breakthrough.federated.server import Score, Trained, federate
from breakthrough.federated.vectors import Layout

ENGINES = ("local", "ray")
KEYS = "keys"
CKKS_ERROR = 1e-6  # of a number of a summed update


@dataclass(frozen=True)
class Job:
    """One run of a simulation: a plan, how its weights are scored, where it is kept.

    `folder` None keeps nothing.
    """

    plan: Plan
    score: Score | None = None
    folder: str | Path | None = None


def place(data: str | Path, sets: Mapping[str, Sequence[Any]]) -> Path:
    """Give every node its data: the parts of each set, in order of the nodes' numbers.

    Raises: ConfigError when the sets have not as many parts as each other
    """
    counts = {name: len(parts) for name, parts in sets.items()}
    if len(set(counts.values())) != 1:
        raise ConfigError(expected("sets with the same number of parts", counts))
    for name, parts in sets.items():
        for number, part in enumerate(parts):
            part.save(Path(data, name, f"node-{number}.npz"))
    return Path(data)


def simulate(
    jobs: Mapping[str, Job],
    data: str | Path,
    nodes: int,
    *,
    engine: str = "ray",
    progress: bool = True,
    workers: int | None = None,
) -> dict[str, Trained]:
    """Run plans one after the other on nodes with data, and return what each ended with.

    Ray is started once for all of them. A run that its folder holds whole is read, not run.

    Units:  the bar counts rounds; workers are Ray's processes, one per core by default
    Raises: UnknownNameError for another engine; errors of `federate`
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    data = Path(data).resolve()
    public = prepare_keys(data / KEYS, [job.plan for job in jobs.values()], nodes)
    app = client_app(data, data / KEYS)
    total = sum(job.plan.rounds for job in jobs.values())
    with tqdm(total=total, disable=not progress, file=sys.stdout, unit="round", mininterval=2) as bar:
        run = _all(jobs, public, bar)
        return run(LocalGrid(app, nodes), nodes) if engine == "local" else _by_ray(run, app, nodes, workers or devices.cores())


def prepare_keys(folder: Path, plans: Sequence[Plan], nodes: int) -> bytes | None:
    """The public part of the CKKS keys in a folder, made if a plan asks for them and they are not there.

    In a simulation node 0 holds the secret key, and all find the public one in this folder; in a deployment
    each node is given a folder of its own.
    """
    wanted = [plan for plan in plans if plan.protection == "encrypted"]
    if not wanted:
        return None
    public = folder / "public.ckks"
    parameters = ckks_parameters(wanted, nodes)
    if not public.exists() or encryption.parameters_of(public.read_bytes()) != parameters:
        secret, shared = encryption.make_keys(parameters)
        write_key(folder / "secret-0.ckks", secret)
        write_key(public, shared)
    return public.read_bytes()


def ckks_parameters(plans: Sequence[Plan], nodes: int) -> Parameters:
    """Parameters for the updates of some plans, summed over so many nodes."""
    size = max(Layout.of(initial_state(plan)).size + 1 for plan in plans)
    return choose(size, nodes, CKKS_ERROR, limit=max(plan.limit for plan in plans))


def write_key(target: Path, key: bytes) -> None:
    """Write a key for its owner's eyes only."""
    with files.aside(target) as path:
        path.touch(mode=0o600)
        path.write_bytes(key)


def _all(jobs: Mapping[str, Job], public: bytes | None, bar: tqdm) -> Callable[[Any, int], dict[str, Trained]]:
    def run(grid: Any, nodes: int) -> dict[str, Trained]:
        found = {}
        for name, job in jobs.items():
            bar.set_description_str(name)
            found[name] = federate(grid, job.plan, score=job.score, folder=job.folder, public=public, on_round=_shown(bar), expect=nodes)
        return found

    return run


def _shown(bar: tqdm) -> Callable[[Round], None]:
    def show(one: Round) -> None:
        text = f"loss {one.loss:.3f} nats"
        if "accuracy" in one.scores:
            text += f", accuracy {100 * one.scores['accuracy']:.1f}%"
        bar.set_postfix_str(text + (f", without {', '.join(one.lost)}" if one.lost else ""))
        bar.update()

    return show


def _by_ray(run: Callable[[Any, int], dict[str, Trained]], app: Any, nodes: int, workers: int) -> dict[str, Trained]:
    """Flower gives a ServerApp no way to return anything, so what it makes is put into a list here."""
    results: list[dict[str, Trained]] = []
    errors: list[BaseException] = []
    server = flower("serverapp").ServerApp()

    @server.main()
    def main(grid: Any, context: Any) -> None:
        try:
            results.append(run(grid, nodes))
        except Exception as error:  # noqa: BLE001 - told apart from the engine's own failures
            errors.append(error)

    flower("simulation")
    start_ray(workers)
    gpus = 1 / workers if devices.choose().type == "cuda" else 0.0
    # Flower puts a worker that died back among the idle ones, where it fails whatever it is given: Ray starts it anew
    config = {"client_resources": {"num_cpus": 1, "num_gpus": gpus, "max_restarts": -1}}
    flower("simulation").run_simulation(server, app, nodes, backend_config=config)
    if errors:
        raise errors[0]
    if not results:
        raise BreakthroughError(expected("a run that ends", "a simulation that stopped", "engine='local' to see where"))
    return results[0]
