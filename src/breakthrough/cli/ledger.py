"""`breakthrough claims`: the ledger of the article's claims."""

from __future__ import annotations

from typing import Annotated

import typer


def claims(
    keep: Annotated[bool, typer.Option("--keep", help="Put what the last run measured into the project, for the site (maintainers).")] = False,
    profile: Annotated[str, typer.Option(help="With --keep: the run's profile, quick or full.")] = "quick",
) -> None:
    """Show each claim of the article with what was measured.

    \b
    Your own records stand above those of the course's own run (breakthrough run). With --keep the
    verdicts and figures of that run go to benchmarks/results/claims-cpu.json, with day and machine;
    the site's ledger is made from that file and from nothing else.
      breakthrough claims
      breakthrough run && breakthrough claims --keep
    """
    from breakthrough.course import claims as ledgers, syllabus, terminal

    course = syllabus.load()
    if keep:
        from breakthrough.course.plan import Plan
        from breakthrough.course.site import ledger

        path, names = ledger.keep(Plan(course, profile))
        print(f"{path}: {', '.join(names)}")
        return
    terminal.print_damaged()
    terminal.print_ledger(ledgers.ledger(course))
