"""The command line: `breakthrough`. Every command imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.cli import (
    capstone as capstones,
    ci as continuous,
    cohort,
    compile as compiling,
    docs as site,
    exchange,
    federate,
    gate as gates,
    lab,
    learner,
    ledger,
    links,
    quantize,
    release,
    run as running,
    scenes,
    serve,
    translate,
    upkeep,
)
from breakthrough.cli.groups import Language, group
from breakthrough.errors import BreakthroughError, InputError, MissingDependency, expected

if TYPE_CHECKING:
    from breakthrough.course.schema import Module, Syllabus

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def _with_groups(app: typer.Typer) -> typer.Typer:
    for name, room in (("scenes", scenes), ("federate", federate), ("exchange", exchange), ("cohort", cohort)):
        app.add_typer(room.app, name=name)
    return app


app = _with_groups(group())

Modules = Annotated[list[str] | None, typer.Argument(metavar="[MODULE]...", help="01, moe or 01_moe; all when none.")]
Profile = Annotated[str, typer.Option(help="tiny (tests), quick (minutes on two cores) or full (a GPU).")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes CUDA when there is one.")]


@app.callback()
def _start(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False) -> None:
    """Breakthrough: a hands-on AI systems course, graded and executable end to end.

    \b
    A learner's day:
      breakthrough doctor              is this machine ready? what is missing?
      breakthrough lab 01              do the lab; every check answers within a second
      breakthrough hint moe.route      stuck? the next hint of the ladder
      breakthrough check 01            run your lab from the top: points by exercise
      breakthrough progress            how far, and what to do next
      breakthrough exchange solo 01    three works to review, with mistakes to find
      breakthrough handin 01           pack it for your instructor: breakthrough cohort --help
    \b
    The whole course:
      breakthrough run                 execute every lesson and every solved lab, then report
      breakthrough run 01              only module 01; what is unchanged since its last run stays
      breakthrough ci                  run, validate and gate: one exit code, one JUnit file
      breakthrough release --check     are labs/ in step with solutions/?
    \b
    Each module's library by itself:
      breakthrough scenes make --out data/all            labelled pictures of simulated scenes
      breakthrough federate up data/factories            a SuperLink and nodes as processes, over TLS
      breakthrough quantize moe_lm --out build/moe-nf4   a quarter of float16's bytes, perplexity before and after
      breakthrough compile inspector --out build/edge    runs without torch; error and time beside PyTorch's
      breakthrough serve build/edge                      over HTTP, requests answered in batches, with a page
      breakthrough capstone                              all of them as one pipeline, with a report
    """


@app.command()
def doctor(deep: Annotated[bool, typer.Option(help="Also import torch and ask it about CUDA (seconds).")] = False) -> None:
    """Say what this machine has and lacks, and what mends it.

    \b
    Python, packages, CUDA, cores, memory, disk, sandbox: each OK, or missing with the command that
    mends it. Exit code 1 when something that every module needs is missing.
      breakthrough doctor
      breakthrough doctor --deep
    """
    from breakthrough.course import doctor as doctors, terminal

    findings = doctors.examine(deep=deep)
    terminal.print_findings(findings)
    _exit(any(finding.status == doctors.MISSING and finding.needed for finding in findings))


@app.command()
def validate(
    modules: Modules = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write the results as JUnit XML.")] = None,
) -> None:
    """Check the structure of notebooks; run lessons with nbval.

    \b
    nbval executes each lesson and compares what it shows with what is kept in the file.
      breakthrough validate
      breakthrough validate 00 --junit build/validate.xml
    """
    from breakthrough.course import junit as junits, validate as validation

    course = _course()
    suite = validation.suite(course, _chosen(course, modules))
    for line in suite.cases[0].failure.splitlines():
        print(line, flush=True)
    if junit:
        junits.write(junit, [suite])
    _exit(bool(suite.failed))


@app.command()
def keep(modules: Modules = None, device: Device = "cpu") -> None:
    """Execute lessons in place; keep outputs (maintainers).

    \b
    Questions stay unanswered and the parameters as they stand; log and artifacts are fresh, times and
    machines left out of the metadata. A lesson that fails stays as it was; the exit code is then 1.
      breakthrough keep
      breakthrough keep 00
    """
    from breakthrough.course import keeping, terminal

    failed = False
    course = _course()
    for one in keeping.keep_lessons(course, _chosen(course, modules), device, terminal.CellBar):
        print(one.line(), flush=True)
        failed |= bool(one.error)
    _exit(failed)


@app.command(name="check")
def check_lab(
    module: Annotated[str, typer.Argument(help="01, moe or 01_moe.")],
    profile: Profile = "tiny",
    limit: Annotated[float | None, typer.Option(metavar="SECONDS", min=1, help="Most for one cell: 120 (tiny), 1200 (quick), 14400 (full).")] = None,
    lang: Language = "en",
) -> None:
    """Run your own lab from the top: points by exercise.

    \b
    It runs a copy: your file stays as it is. A cell over its limit is interrupted and the rest goes
    on, with a quarter of the limit for a cell from then on, and three times the limit in all. Exit
    code 0 when all points are earned.
      breakthrough check 01
      breakthrough check moe --profile quick
      breakthrough check 01 --lang zh      your lab in zh/labs
    """
    from breakthrough import language
    from breakthrough.course import answers, runs, terminal

    course, spoken = _course(), language.cleaned(lang)
    lab = answers.find_lab(course, module, spoken)
    with terminal.CellBar(lab.id, runs.count_cells(course.lab(lab, spoken))) as bar:
        checked = answers.run_lab(course, lab, profile, limit_s=limit, on_cell=bar.cell, language=spoken)
    terminal.print_checked(checked)
    _exit(not checked.passed)


@app.command()
def hint(
    exercise: Annotated[str | None, typer.Argument(help="The exercise, as in its heading: moe.route.", show_default=False)] = None,
    level: Annotated[int | None, typer.Argument(help="1 concept, 2 shapes, 3 pseudocode, 4 solution.")] = None,
) -> None:
    """Print the next hint of an exercise, or one of a level.

    \b
      breakthrough hint moe.route
      breakthrough hint moe.route 3
    """
    course = _course()
    if exercise is None:
        from breakthrough.course import progress as progresses

        raise InputError(expected("an exercise", "none", f"breakthrough hint {progresses.next_exercise(course) or course.exercises[0]}"))
    course.owner(exercise)
    from breakthrough import exercises

    exercises.hint(exercise, level)


@app.command()
def progress() -> None:
    """Show points, hints, minutes, what to do next."""
    from breakthrough.course import progress as progresses, terminal

    terminal.print_damaged()
    terminal.print_progress(progresses.measure(_course()))


@app.command()
def report(profile: Profile = "quick") -> None:
    """Write the report again from the last run.

    \b
      breakthrough report
      breakthrough report --profile tiny
    """
    from breakthrough.course import report as reports, runs, terminal

    plan = runs.Plan(_course(), profile)
    terminal.print_damaged(plan.log)
    print(reports.write(plan))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context, room: Annotated[str, typer.Argument(help="A file of benchmarks/: cli, moe, …")]) -> None:
    """Run the benchmark of a room; other arguments go to it.

    \b
      breakthrough bench moe
      breakthrough bench moe --help
    """
    from breakthrough.course import bench as benches

    _exit(bool(benches.run(_course().root, room, context.args)))


ROOMS = (running.run, continuous.ci, quantize.quantize, compiling.compile, serve.serve, capstones.capstone, capstones.lineage, capstones.leaderboard, cohort.handin, gates.gate,
         learner.learner, links.links, release.release, translate.translate, ledger.claims, site.docs, upkeep.lock, upkeep.latest)
commands = [*(app.command()(one) for one in ROOMS), app.command(context_settings=lab.PASSING_ON)(lab.lab)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 something failed, 2 wrong input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given, prog_name="breakthrough")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except BreakthroughError as error:
        if "--debug" in given:
            raise
        print(f"breakthrough: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, InputError | MissingDependency) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `breakthrough claims | head`
        sys.stderr.close()
    return 0


def _course() -> Syllabus:
    from breakthrough.course import syllabus

    return syllabus.load()


def _chosen(course: Syllabus, names: Sequence[str] | None) -> list[Module] | None:
    return [course.find_built(name) for name in names] if names else None


def _exit(failed: bool) -> None:
    if failed:
        raise typer.Exit(FAILED)
