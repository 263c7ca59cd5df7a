"""`breakthrough federate`: one SuperLink and a node for every factory, as processes of this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from breakthrough.cli.groups import group
from breakthrough.language import counted

app = group(help="Train across processes: a SuperLink and its nodes, over TLS.")
Folder = Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where the federation keeps its keys, logs and pids.")]
HOME = Path("build/federation")
LOOK_S = 2.0  # between two looks at the nodes


@app.command()
def split(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")],
    nodes: Annotated[int, typer.Option("--nodes", help="Parts, 2 or more.")] = 4,
    alpha: Annotated[float, typer.Option("--alpha", help="Label skew: 0.1 is strong, 100 is nearly none.")] = 0.3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same parts.")] = 0,
) -> None:
    """Share out the digits among nodes, to have something to train on.

    \b
    DIR gets node-0.npz, node-1.npz, …, test.npz for the server, and plan.json, a plan to begin with.
      breakthrough federate split --out data/factories
      breakthrough federate split --out data/factories --nodes 10 --alpha 0.1
    """
    from breakthrough.federated import deployment

    for line in deployment.share_digits(out, nodes, alpha, seed):
        print(line)
    print(f"next: breakthrough federate up {out}")


@app.command()
def up(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="node-0.npz, node-1.npz, …: a node for each file.")],
    nodes: Annotated[int | None, typer.Option("--nodes", help="Only so many of the files; 2 or more.")] = None,
    folder: Folder = HOME,
    port: Annotated[int | None, typer.Option("--port", help="Of the SuperLink; a free one is chosen unless given.")] = None,
    stranger: Annotated[bool, typer.Option("--stranger", help="Also start a node whose key nobody registered, to see it refused.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay, tell of nodes that are lost, and end everything on Ctrl-C.")] = False,
) -> None:
    """Start a SuperLink and a node for every data file.

    \b
    Everything listens on 127.0.0.1 only and speaks TLS, with certificates made here for this federation.
    Each node has a key of its own, registered before it comes, and is told of its own file only.
    A node without a registered key is refused. What fails to start takes the rest down with it.
      breakthrough federate up data/factories
      breakthrough federate up data/factories --nodes 3 --stranger
      breakthrough federate up data/factories --wait
    """
    from breakthrough.federated import deployment, processes, supernodes

    files = deployment.data_files(data, nodes)
    with processes.interrupts():
        federation = deployment.up(files, folder, port=port, strangers=files[:1] if stranger else (), say=_say)
    if not wait:
        print(f"{counted(len(federation.members), 'node')} online; next: breakthrough federate run PLAN{_flag(folder)}, then down")
        return
    with deployment.ended_on_interrupt(federation, _say):
        print("Ctrl-C ends everything", flush=True)
        before = {one.node: one.status for one in supernodes.look(federation)}
        while federation.running():
            time.sleep(LOOK_S)
            for one in supernodes.look(federation):
                if before[one.node] != one.status:
                    before[one.node] = one.status
                    _say(supernodes.line(one))
    _say(f"the SuperLink has ended; {counted(deployment.down(folder), 'process', 'processes')} ended after it")
    raise typer.Exit(1)


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help='JSON, as {"task": "digits", "rounds": 3, "least": 2, "timeout_s": 60}.')],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the server writes history, checkpoints and model.")] = Path("build/federated"),
    folder: Folder = HOME,
    test: Annotated[Path | None, typer.Option("--test", metavar="FILE", help="Samples on which the server scores the model after every round.")] = None,
    apps: Annotated[str, typer.Option("--apps", metavar="MODULE", help="A module with the apps `client` and `server`.")] = "breakthrough.federated.apps",
) -> None:
    """Run a plan on the federation and follow it to the end.

    \b
    The apps are those of the simulation. A round asks every node that is online and waits for its answer,
    timeout_s at most. A node that dies is told at once; Flower goes on asking it until two heartbeats of
    30 s are missing. The run ends with those that are left, and is stopped when they are fewer than
    the plan's `least`. Exit code 1 when it did not complete. Ctrl-C ends the federation too.
    A folder that holds a part of the same run is gone on with. For an encrypted plan keys are made here:
    node 0 gets the secret one, all get the public one.
      breakthrough federate run data/factories/plan.json --test data/factories/test.npz
      breakthrough federate run plan.json --out build/federated/first
    """
    from breakthrough.federated import dealing, deployment, federation as federations, submission

    federation = federations.load(folder)
    settings = dealing.settings(federation, plan, test) if apps == submission.APPS else None
    with deployment.ended_on_interrupt(federation, _say):
        outcome = submission.run(federation, plan, out, apps=apps, settings=settings, say=_say)
    print(outcome.summary())
    for number, count in outcome.answered.items():
        print(f"node {number}: {counted(count, 'message')} answered")
    print(f"log: {outcome.log}")
    if not outcome.completed:
        raise typer.Exit(1)


@app.command()
def status(folder: Folder = HOME) -> None:
    """Say how the SuperLink, the nodes and the runs are.

    \b
    A node is online, starting, refused (its key is not registered), left (asked to), failed or lost.
    Exit code 1 when the SuperLink or a registered node is not there.
      breakthrough federate status
    """
    from breakthrough.federated import federation as federations, supernodes

    federation = federations.read(folder)
    if federation is None or not federation.running():
        print(f"{folder}: " + ("no federation" if federation is None else "its SuperLink has ended; breakthrough federate down clears up"))
        raise typer.Exit(1)
    print(f"SuperLink online at 127.0.0.1:{federation.port}, {federation.superlink / 'log.txt'}")
    seen = supernodes.look(federation)
    for one in seen:
        print(supernodes.line(one))
    for one in federations.flwr(federation, "list", federations.CONNECTION)["runs"]:
        print(f"run {one['run-id']} {one['status']}")
    if any(one.node.registered and one.status != supernodes.ONLINE for one in seen):
        raise typer.Exit(1)


@app.command()
def down(folder: Folder = HOME) -> None:
    """End every process of the federation; its keys are removed, logs stay.

    \b
    It finds the processes by a mark that they carry, those too whose parents have died.
      breakthrough federate down
    """
    from breakthrough.federated import deployment, federation as federations

    if federations.read(folder) is None:
        print(f"{folder}: no federation, nothing to end")
        return
    print(f"{folder}: {counted(deployment.down(folder), 'process', 'processes')} ended")


def _say(text: str) -> None:
    print(text, flush=True)


def _flag(folder: Path) -> str:
    return "" if folder == HOME else f" --folder {folder}"
