"""`breakthrough cohort grade`, `regrade` and `canary`: the split grader at the command line."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.cli.cohort_folder import named

if TYPE_CHECKING:
    from breakthrough.grading.run import Done

Module = Annotated[str, typer.Argument(metavar="MODULE", help="01, moe or 01_moe.")]
Students = Annotated[list[str] | None, typer.Option("--student", metavar="ID", help="Only this one; may be given again.")]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="So many at a time; each wants a core and about 1.5 GB.")]
Ray = Annotated[str | None, typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster that shares this folder, HOST:PORT.")]
Unsandboxed = Annotated[bool, typer.Option("--unsandboxed", help="Without bubblewrap: submissions may do what you may. Recorded with each grade.")]


def grade(module: Module, workers: Workers = 1, ray: Ray = None, students: Students = None, unsandboxed: Unsandboxed = False) -> None:
    """Grade the submissions that are not graded yet.

    \b
    Each runs in a process of its own, in a sandbox without network, files or neighbours; a second
    process draws inputs from the cohort's secret seed, sends them, and judges what comes back. Grades go
    into nbgrader's gradebook, the notebook as it ran to autograded/, the whole record to records/. A run
    that was killed goes on where it was. Exit code 1 when the grader failed on a submission.
      breakthrough cohort grade 01 --workers 4
      breakthrough cohort grade 01 --student ada
      breakthrough cohort grade 01 --workers 32 --ray 10.0.0.5:6379
    """
    _report(_run(module, workers, ray, students, unsandboxed, again=False))


def regrade(module: Module, workers: Workers = 1, ray: Ray = None, students: Students = None, unsandboxed: Unsandboxed = False) -> None:
    """Grade again, and say what changed.

    \b
    Same submission, same release, same seed: the same points, unless the library or a check changed.
      breakthrough cohort regrade 01 --workers 4
      breakthrough cohort regrade 01 --student ada
    """
    from breakthrough.grading import gradebook

    cohort, name = named(module)
    before = {graded.student: graded.points for graded in gradebook.graded_of(cohort, name)}
    done = _run(module, workers, ray, students, unsandboxed, again=True)
    for graded in done.graded:
        if graded.student in before and before[graded.student] != graded.points:
            print(f"{graded.student}: {before[graded.student]:g} → {graded.points:g}")
    same = sum(before.get(graded.student) == graded.points for graded in done.graded)
    print(f"{same} of {len(done.graded)} as before")
    _report(done)


def canary(module: Module, workers: Workers = 1, ray: Ray = None) -> None:
    """Try the grader on submissions whose points are known.

    \b
    A solved lab, the untouched one, and some that want a mark without work, secrets or the machine; as
    the cohort's are graded, here and with its seed, and nothing is written. Before a grading run, and
    after every change of the machine. Exit code 1 when one comes out otherwise than it should.
      breakthrough cohort canary 01
    """
    from tqdm import tqdm

    from breakthrough.grading import canary as canaries
    from breakthrough.grading.run import Way

    cohort, name = named(module)
    with tqdm(total=2 + len(canaries.HOSTILE), unit="canary", desc=name) as bar:
        sung = canaries.sing(cohort, name, Way(workers, ray), bar.update)
    for one in sung:
        print(one.line())
    if not all(one.alive for one in sung):
        raise typer.Exit(1)


def _run(module: str, workers: int, ray: str | None, students: list[str] | None, unsandboxed: bool, again: bool) -> Done:
    from tqdm import tqdm

    from breakthrough.grading import run
    from breakthrough.grading.records import Graded

    cohort, name = named(module)
    with tqdm(unit="submission", desc=name, smoothing=0.1) as bar:

        def watch(graded: Graded, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(f"{graded.student} {graded.points:g}" if not graded.failure else f"{graded.student} failed")
            bar.update()

        return run.run(cohort, name, run.Way(workers, ray, unsandboxed), students=students or None, again=again, watch=watch)


def _report(done: Done) -> None:
    for name in done.finished:
        print(f"{name}: what a killed run had left was finished")
    points = [graded.points for graded in done.graded]
    middle = f", median {median(points):g} of {done.graded[0].of:g}" if points else ""
    print(f"{len(done.graded)} graded{middle}; {len(done.before)} were graded before; {len(done.failed)} failed")
    for graded in done.graded:
        if graded.refused:
            print(f"{graded.student}: could not be read: {graded.refused}")
    for student, why in done.failed.items():
        print(f"{student}: not graded: {why}")
    if done.failed:
        raise typer.Exit(1)
