"""`breakthrough gate`: how often the grader errs, by exercise."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.errors import InputError, expected

if TYPE_CHECKING:
    from breakthrough.course.junit import Suite
    from breakthrough.exercises.exercise import Exercise
    from breakthrough.exercises.gate import Counts, Part

PAGE = "docs/grader.md"


def gate(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Exercises (moe.route) or modules (01, moe, 01_moe); all when none.")] = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="Also mutate references, and judge every mutant.")] = False,
    report: Annotated[bool, typer.Option("--report", help=f"Put the rows into the table of {PAGE}; with --mutants.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes of one thread each; one per core unless given.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write the results as JUnit XML.")] = None,
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
    from breakthrough.course import junit as junits
    from breakthrough.exercises import gate_table

    exercises = chosen(names or [])
    page = _page() if report else None
    parts = measured(exercises, workers, mutants or report)
    rows, faults = _rows(exercises, parts), [fault for part in parts for fault in part.faults]
    if junit:
        junits.write(junit, [suite(exercises, parts)])
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


def chosen(names: Sequence[str]) -> list[Exercise]:
    """Exercises by their names, or by their modules'."""
    from breakthrough.course import syllabus
    from breakthrough.exercises import every, load

    if not names:
        return list(every())
    found: dict[str, Exercise] = {}
    for name in names:
        if "." in name:
            exercises: tuple[str, ...] = (name,)
        else:
            module = syllabus.load().find_built(name)
            exercises = (*module.exercises, *module.questions)
        found |= {each: load(each) for each in exercises}
    return list(found.values())


def measured(exercises: Sequence[Exercise], workers: int | None = None, mutants: bool = False) -> list[Part]:
    """What the gate counted, a share of an exercise's work at a time, behind a bar."""
    from tqdm import tqdm

    from breakthrough import devices
    from breakthrough.exercises import gate as gates

    parts: list[Part] = []
    shares = sum(len(gates.jobs_of(exercise, mutants)) for exercise in exercises)
    with tqdm(total=shares, unit="share", disable=not sys.stderr.isatty()) as bar:

        def take(part: Part) -> None:
            parts.append(part)
            bar.set_postfix_str(part.counts.exercise)
            bar.update()

        gates.measure(exercises, workers or devices.cores(), mutants, take)
    return parts


def suite(exercises: Sequence[Exercise], parts: Sequence[Part]) -> Suite:
    """The gate's results as a suite: a case for each exercise, which fails with its faults."""
    from breakthrough.course.junit import Case, Suite

    def case(name: str) -> Case:
        own = [part for part in parts if part.counts.exercise == name]
        return Case(name.partition(".")[0], name, sum(part.seconds for part in own), "\n".join(fault for part in own for fault in part.faults))

    return Suite("breakthrough gate", tuple(case(exercise.name) for exercise in exercises))


def _rows(exercises: Sequence[Exercise], parts: Sequence[Part]) -> dict[str, Counts]:
    from breakthrough.exercises import gate as gates, gate_table

    rows = {exercise.name: gates.Counts(exercise.name) for exercise in exercises}
    for part in parts:
        rows[part.counts.exercise] = gate_table.add(rows[part.counts.exercise], part.counts)
    return rows
