"""`breakthrough capstone`, `lineage` and `leaderboard`: the whole line, where it comes from, whose is best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breakthrough.language import counted

Profile = Annotated[str, typer.Option(help="tiny (a minute), quick (8 minutes on two cores) or full (a GPU, or an hour).")]


def capstone(
    profile: Profile = "quick",
    begin: Annotated[str | None, typer.Option("--from", metavar="STAGE", help="Make this stage and all that hang on it again.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="STAGE", help="End with this stage, without a report.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Stages at a time; one per core unless given.")] = None,
    spec: Annotated[Path | None, typer.Option("--spec", metavar="FILE", help="YAML of what differs from the profile.")] = None,
    address: Annotated[str | None, typer.Option("--address", metavar="HOST:PORT", help="A Ray cluster; its machines see the store.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where the report goes; build/capstone/<profile> unless given.")] = None,
    stages: Annotated[bool, typer.Option("--stages", help="Only list the stages, what each does and needs.")] = False,
) -> None:
    """Build the whole line of four factories, and report.

    \b
    From a scene to a served decision: pictures of every factory, training where they lie, int8, machine
    code, a service under load. What has not changed is not done again: a stage's key is made of its
    settings, its code and the content of what it needs. A run that was killed goes on. The same stages
    run on a Ray cluster by its address.
      breakthrough capstone
      breakthrough capstone --from compiled
      breakthrough capstone --spec mine.yml        train: 3000
                                                   factories: {north: {light_power: [0.7, 0.9]}}
      breakthrough capstone --stages
    """
    from breakthrough.capstone import delivery, pipeline, spec as specs, stages as graphs
    from breakthrough.events import project_root

    if stages:
        for stage in graphs.graph(specs.spec_of(profile, spec)).values():
            print(f"{stage.name:14} {stage.kind.does:40} " + ", ".join(dict.fromkeys(need.partition(".")[0] for need in stage.needs)))
        return
    built = pipeline.build(profile, changes=spec, workers=workers, address=address, begin=begin, until=until, watch=pipeline.Bar())
    print(f"{counted(len(built.made_s), 'stage')} made, {len(built.artifacts) - len(built.made_s)} already there")
    if "line" in built.artifacts:
        for line in delivery.deliver(pipeline.open_line(built), out or project_root() / "build" / "capstone" / profile):
            print(line)


def lineage(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="A folder, an id, or a kind: then the newest.")] = "line",
    full: Annotated[bool, typer.Option("--full", help="Every seed and range.")] = False,
    draw: Annotated[Path | None, typer.Option("--draw", metavar="FILE", help="Also draw it: .svg or .png.")] = None,
) -> None:
    """Show what an artifact was made from; verify hashes.

    \b
    Back to seeds and ranges, a line for each artifact. Exit code 1 when a file was altered or an artifact
    is missing; it is named.
      breakthrough lineage
      breakthrough lineage compiled
      breakthrough lineage artifacts/inspector/20261121-184532-000001-1a2b3c4d
      breakthrough lineage line --draw build/lineage.svg
    """
    from breakthrough import lineage as lineages

    link = lineages.trace(artifact)
    for line in lineages.lines(link, full):
        print(line)
    if draw is not None:
        from breakthrough.capstone import lineage_figure

        lineage_figure.save(link, draw)
        print(draw)
    if link.broken:
        raise typer.Exit(1)


def leaderboard(
    submissions: Annotated[list[str], typer.Argument(metavar="ARTIFACT...", help="Folders of artifacts of kind line or inspector.")],
    profile: Profile = "quick",
    seed: Annotated[int, typer.Option(help="Of the pictures that are measured on; an instructor's own is told to nobody.")] = 2026,
    baseline: Annotated[str | None, typer.Option("--baseline", metavar="ARTIFACT", help="What to be better than; the newest line unless given.")] = None,
    traced: Annotated[int | None, typer.Option("--traced", min=1, metavar="N", help="Path-traced pictures a factory, half a second each; the profile's unless given.")] = None,
) -> None:
    """Measure submissions again, and rank them.

    \b
    What they print themselves counts for nothing. Weights are read from safetensors into the course's own
    net, compiled here in int8, and asked for pictures that nobody has seen, drawn by SEED: rendered, and
    path traced, as many of every factory and defect. Ranked by the accuracy on path-traced pictures; one
    point better than the baseline, by an interval of paired pictures, is what the open project asks for.
    Speed and bytes stand beside it.
      breakthrough leaderboard artifacts/stages/line/2026…
      breakthrough leaderboard cohort/*/line --seed 71234 --traced 500
    """
    from breakthrough.capstone import leaderboard as boards

    board = boards.measure(submissions, profile, seed, baseline, traced=traced)
    for line in board.lines():
        print(line)
