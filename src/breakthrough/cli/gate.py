"""`breakthrough gate`: how often the grader errs, by exercise."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.errors import InputError, expected

if TYPE_CHECKING:
    from breakthrough.exercises.exercise import Exercise
    from breakthrough.exercises.gate import Counts, Part

PAGE = "docs/grader.md"


def gate(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Exercises (moe.route) or modules (01, moe, 01_moe); all when none.")] = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="Also mutate references, and judge every mutant.")] = False,
    report: Annotated[bool, typer.Option("--report", help=f"Put the rows into the table of {PAGE}; with --mutants.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes of one thread each; one per core unless given.")] = None,
) -> None:
    """Measure how often the grader errs (maintainers).

    \b
    Every misconception has to fail and to be named; every right answer, however it is written, has to
    pass; a mutant of a reference, one operator or number changed by cosmic-ray, has to fail unless
    exercises/equivalent.yml says why it does the same. Exit code 1 and a line for each that does not.
    Seconds for an exercise, minutes for one that trains.
      breakthrough gate moe.route
      breakthrough gate 01 --mutants
      breakthrough gate quant.pack --report      its row anew, the others as they stand
      breakthrough gate --report                 the whole table: most of an hour on two cores
    """
    from breakthrough import devices
    from breakthrough.exercises import gate_table

    exercises = _chosen(names or [])
    page = _page() if report else None
    rows, faults = _measured(exercises, workers or devices.cores(), mutants or report)
    if page:
        gate_table.write(page, rows)
        print(page)
    for line in gate_table.table(list(rows.values()), mutants or report):
        print(line)
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(1)


def _page():
    from breakthrough.course import syllabus

    page = syllabus.load().root / PAGE
    if not page.is_file():
        raise InputError(expected(f"the page {PAGE} of the project", "none", "breakthrough gate in a checkout of the project"))
    return page


def _chosen(names: Sequence[str]) -> list[Exercise]:
    """Exercises by their names, or by their modules'."""
    from breakthrough.course import syllabus
    from breakthrough.exercises import every, load

    if not names:
        return list(every())
    found: dict[str, Exercise] = {}
    for name in names:
        if "." in name:
            exercises = (name,)
        else:
            module = syllabus.load().find_built(name)
            exercises = (*module.exercises, *module.questions)
        found |= {each: load(each) for each in exercises}
    return list(found.values())


def _measured(exercises: Sequence[Exercise], workers: int, mutants: bool) -> tuple[dict[str, Counts], list[str]]:
    from tqdm import tqdm

    from breakthrough.exercises import gate as gates, gate_table

    rows = {exercise.name: gates.Counts(exercise.name) for exercise in exercises}
    faults: list[str] = []
    shares = sum(len(gates.jobs_of(exercise, mutants)) for exercise in exercises)
    with tqdm(total=shares, unit="share", disable=not sys.stderr.isatty()) as bar:

        def take(part: Part) -> None:
            name = part.counts.exercise
            rows[name] = gate_table.add(rows[name], part.counts)
            faults.extend(part.faults)
            bar.set_postfix_str(name)
            bar.update()

        gates.measure(exercises, workers, mutants, take)
    return rows, faults
