"""`breakthrough ci`: all that a pipeline wants, with one exit code, one summary and one JUnit file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.cli import gate as gates, run as running
from breakthrough.errors import BreakthroughError, InputError, expected

if TYPE_CHECKING:
    from breakthrough.course.junit import Suite
    from breakthrough.course.plan import Plan
    from breakthrough.course.schema import Module

STEPS = ("run", "validate", "gate")
OUT = Path("build/ci")
SHOWN = 3000  # letters of a failure in the summary


def ci(
    modules: Annotated[list[str] | None, typer.Argument(metavar="[MODULE]...", help="01, moe or 01_moe; all when none.")] = None,
    profile: Annotated[str, typer.Option(help="tiny (a smoke test), quick (the results that are shown) or full (a GPU).")] = "tiny",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes CUDA when there is one.")] = "auto",
    changed_since: running.Since = None,
    jobs: running.Jobs = None,
    steps: Annotated[str, typer.Option(help="Which steps, of run,validate,gate; the report is written in any case.")] = ",".join(STEPS),
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where junit.xml, summary.md and report.html go.")] = OUT,
) -> None:
    """Run, validate and gate, for a pipeline.

    \b
    Every step runs, whatever became of the one before; exit code 1 when anything failed. An option
    that is given empty counts as not given, so that templates can pass variables through. Where
    GitHub says where a summary goes ($GITHUB_STEP_SUMMARY), it goes there too. docs/ci.md has more.
      breakthrough ci
      breakthrough ci 04 05 --changed-since origin/main
      breakthrough ci --device cuda --profile quick --steps run
    """
    from breakthrough.course import junit, syllabus
    from breakthrough.course.plan import Plan

    course = syllabus.load()
    plan, asked = Plan(course, profile, device), _asked(steps)
    chosen = [course.find_built(name) for name in modules] if modules else list(course.built)
    only = running.selected(plan, chosen, changed_since) if changed_since else None
    if only is not None:
        chosen = [module for module in chosen if any(task.name in only for task in plan.tasks([module]))]
    suites = [_tried(step, plan, chosen, only, jobs) for step in asked] if chosen else []
    junit.write(out / "junit.xml", suites)
    _tell("\n".join(_summary(plan, chosen, changed_since, suites)) + "\n", out)
    _copy_report(plan, out)
    if any(suite.failed for suite in suites):
        raise typer.Exit(1)


def _asked(steps: str) -> list[str]:
    asked = [step.strip() for step in steps.split(",") if step.strip()] or list(STEPS)
    for step in asked:
        if step not in STEPS:
            raise InputError(expected(f"steps out of {', '.join(STEPS)}", repr(step)))
    return asked


def _tried(step: str, plan: Plan, modules: Sequence[Module], only: set[str] | None, jobs: int | None) -> Suite:
    """The results of a step; what stops it is its failure, and the others go on."""
    from breakthrough.course.junit import Case, Suite

    print(f"== {step}", flush=True)
    try:
        steps: dict[str, Callable[..., Suite]] = {"run": _run, "validate": _validate, "gate": _gate}
        return steps[step](plan, modules, only, jobs)
    except InputError:
        raise
    except BreakthroughError as error:
        return Suite(f"breakthrough {step}", (Case(step, step, failure=str(error)),))


def _run(plan: Plan, modules: Sequence[Module], only: set[str] | None, jobs: int | None) -> Suite:
    from breakthrough.course import junit

    return junit.of_results(running.executed(plan, modules, only, fresh=False, jobs=jobs))


def _validate(plan: Plan, modules: Sequence[Module], *_: object) -> Suite:
    from breakthrough.course import validate

    return validate.suite(plan.course, modules)


def _gate(plan: Plan, modules: Sequence[Module], *_: object) -> Suite:
    exercises = gates.chosen([name for module in modules for name in (*module.exercises, *module.questions)])
    return gates.suite(exercises, gates.measured(exercises))


def _summary(plan: Plan, modules: Sequence[Module], since: str | None, suites: Sequence[Suite]) -> Iterator[str]:
    failed = [case for suite in suites for case in suite.failed]
    yield f"## {plan.course.title}: {f'{len(failed)} failed' if failed else 'all passed' if suites else 'nothing to run'}"
    yield ""
    yield f"{', '.join(module.id for module in modules) or 'no module'}; profile {plan.profile}, device {plan.device}" + (f"; changed since {since}" if since else "")
    if suites:
        yield from ("", "| step | passed | failed | seconds |", "|---|---:|---:|---:|")
    for suite in suites:
        yield f"| {suite.name} | {len(suite.cases) - len(suite.failed)} | {len(suite.failed)} | {suite.seconds:.0f} |"
    for case in failed:
        yield from ("", f"<details><summary>{case.name}: {_escaped(case.failure.splitlines()[0])}</summary>", "", "```text", _fenced(case.failure), "```", "", "</details>")


def _escaped(text: str) -> str:
    from html import escape

    return escape(text[:200])


def _fenced(text: str) -> str:
    return text[:SHOWN].replace("```", "'''")


def _tell(summary: str, out: Path) -> None:
    from breakthrough import files

    print(summary, flush=True)
    files.write_text(out / "summary.md", summary)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        with Path(page).open("a", encoding="utf-8") as file:
            file.write(summary)


def _copy_report(plan: Plan, out: Path) -> None:
    from breakthrough.course import report

    shutil.copyfile(report.write(plan), out / "report.html")
