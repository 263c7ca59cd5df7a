"""`breakthrough run`: the notebooks of the course, executed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from breakthrough.course.plan import Plan
    from breakthrough.course.schema import Module

Since = Annotated[str | None, typer.Option("--changed-since", metavar="REV", help="Only notebooks whose inputs differ from a git revision's.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Notebooks at a time; by cores and memory unless given. Those that measure time run alone.")]
JUnit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write the results as JUnit XML.")]


def run(
    modules: Annotated[list[str] | None, typer.Argument(metavar="[MODULE]...", help="01, moe or 01_moe; all when none.")] = None,
    profile: Annotated[str, typer.Option(help="tiny (tests), quick (minutes on two cores) or full (a GPU).")] = "quick",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes CUDA when there is one.")] = "auto",
    seed: Annotated[int, typer.Option(help="The SEED every notebook gets.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run everything again, also what is whole and unchanged.")] = False,
    changed_since: Since = None,
    jobs: Jobs = None,
    junit: JUnit = None,
    resume: Annotated[bool, typer.Option("--resume", hidden=True)] = False,  # what it asked for is the rule now
) -> None:
    """Execute lessons and solved labs, then report.

    \b
    A notebook whose result is whole stays as it is until something that it depends on changes: its
    file, the library rooms it imports, packages, settings, the artifacts it takes. Executed notebooks
    go to build/run/<profile>/, the report to build/report/index.html. A notebook that fails does not
    hide the rest; the exit code is then 1.
      breakthrough run
      breakthrough run moe --profile tiny --fresh
      breakthrough run --device cuda --profile full --jobs 1
      breakthrough run --changed-since origin/main --junit build/run.xml
    """
    from breakthrough.course import junit as reports_for_ci, report as reports, syllabus
    from breakthrough.course.plan import Plan

    course = syllabus.load()
    plan = Plan(course, profile, device, seed)
    chosen = [course.find_built(name) for name in modules] if modules else None
    only = selected(plan, chosen, changed_since) if changed_since is not None else None
    results = executed(plan, chosen, only, fresh, jobs) if only or only is None else []
    if junit:
        reports_for_ci.write(junit, [reports_for_ci.of_results(results)])
    if results:
        print(reports.write(plan))
    if not all(result.whole for result in results):
        raise typer.Exit(1)


def selected(plan: Plan, modules: Sequence[Module] | None, revision: str) -> set[str]:
    """The names of the notebooks that changed since a revision; each gets a line that says why."""
    from breakthrough.course import changes

    decisions = changes.decide(plan, plan.tasks(modules), revision)
    for one in decisions:
        print(one.line(), flush=True)
    names = {one.task.name for one in decisions if one.runs}
    if not names:
        print(f"nothing to run: no notebook's inputs changed since {revision}")
    return names


def executed(plan: Plan, modules: Sequence[Module] | None, only: Collection[str] | None, fresh: bool, jobs: int | None):
    """The results of a run, with a line for each notebook that ends."""
    from breakthrough.course import lanes, runs, terminal

    with terminal.RunWatcher() as watcher:
        return runs.run(plan, modules, resume=not fresh, watcher=watcher, jobs=jobs or lanes.sensible(plan.device), only=only)
