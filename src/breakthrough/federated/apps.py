"""The two apps as Flower's engine looks for them, by name. They are those of the simulation.

A node finds its number, its data and its keys in its configuration; the server finds the plan, what it
scores on and where it keeps the run in the run's configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakthrough.federated.client import client_app
from breakthrough.federated.flower import flower
from breakthrough.federated.history import Round
from breakthrough.federated.local import scorer
from breakthrough.federated.plan import Plan
from breakthrough.federated.server import federate
from breakthrough.federated.tasks import load_data, task_of

if TYPE_CHECKING:
    from flwr.serverapp import ServerApp


def server_app() -> ServerApp:
    """A ServerApp that runs the plan of the run's configuration: `plan`, `folder`, and, if given, `test`, `public`, `nodes`."""
    app = flower("serverapp").ServerApp()

    @app.main()
    def main(grid: Any, context: Any) -> None:
        said = context.run_config
        plan = Plan.load(said["plan"])
        score = None
        if said.get("test"):
            score = scorer(plan, {"": load_data(task_of(plan.task, plan.task_options), said["test"])})
        public = Path(said["public"]).read_bytes() if said.get("public") else None
        expect = int(said.get("nodes", plan.least))

        def tell(one: Round) -> None:
            print(line(one, plan.rounds), flush=True)

        federate(grid, plan, score=score, folder=said["folder"], public=public, on_round=tell, expect=expect)

    return app


def line(one: Round, rounds: int) -> str:
    """A round in one line: who took part, the loss, the accuracy where it is measured, who was left out and why."""
    names = ", ".join(map(str, one.names))
    accuracy = f", accuracy {100 * one.scores['accuracy']:.1f}%" if "accuracy" in one.scores else ""
    lost = "".join(f"; without {name}: {why}" for name, why in one.lost.items())
    return f"round {one.number}/{rounds}: nodes {names}, loss {one.loss:.3f} nats{accuracy}, {one.seconds:.1f} s{lost}"


client = client_app()
server = server_app()
