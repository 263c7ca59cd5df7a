"""`breakthrough exchange assign`, `collect`, `score`, …: peer review in a cohort, at the command line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.cli.cohort_folder import named
from breakthrough.errors import InputError, expected
from breakthrough.language import counted

if TYPE_CHECKING:
    from breakthrough.grading.peers.scoring import Scores

Module = Annotated[str, typer.Argument(metavar="MODULE", help="01, moe or 01_moe.")]
Student = Annotated[str, typer.Argument(metavar="STUDENT", help="The id of the work's author.")]


def assign(
    module: Module,
    k: Annotated[int, typer.Option("--reviews", min=1, metavar="K", help="Reviews for each work; of the first call, later ones keep it.")] = 3,
    drop: Annotated[list[str] | None, typer.Option("--drop", metavar="ID", help="Reviews no more, others do it; may be given again.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Drop all who have handed no reviews in.")] = False,
) -> None:
    """Assign reviews and make the packets to hand out.

    \b
    Every work that was collected gets K reviews by lot, everybody K works and one calibration specimen,
    whose right levels only the grader knows; nobody their own, no pair twice over the course where that can
    be. reviews/<module>/packets/<id>.zip is for that learner: a review notebook and the works as A, B, C, D,
    without names, ids, addresses or home folders. Again, it works in who came late, and makes only the
    packets that are new or have grown.
      breakthrough exchange assign 01
      breakthrough exchange assign 01 --drop bob
      breakthrough exchange assign 01 --missing
    """
    from tqdm import tqdm

    from breakthrough.grading.peers import handing_out

    cohort, name = named(module)
    with tqdm(unit="step", desc=name) as bar:

        def watch(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = handing_out.assign(cohort, name, k=k, drop=drop or (), missing=missing, watch=watch)
    for line in made.lines():
        print(line)


def collect(
    module: Module,
    source: Annotated[Path, typer.Option("--from", metavar="DIR|ZIP", help="A folder, or a zip of a learning platform, with files review.json.")],
) -> None:
    """Collect reviews: the newest of each reviewer.

    \b
    Each review.json is matched by the name of its packet, read as data and never run. One that comes from
    another learner's name, or is not of this module, is refused with the reason; one that leaves something
    out is taken, and what it lacks is said. Exit code 1 when something was refused.
      breakthrough exchange collect 01 --from ~/Downloads/reviews.zip
    """
    from breakthrough.grading.peers import rounds, taking_in

    cohort, name = named(module)
    found = taking_in.collect(cohort, name, source)
    for one in sorted(found, key=lambda one: (one.state, one.student, one.label)):
        print(one.line())
    handed = taking_in.handed(cohort, name)
    missing = [one for one in rounds.read(cohort, name).reviewers if one not in handed]
    refused = sum(one.state == "refused" for one in found)
    shown = f", as {', '.join(missing[:5])}" if missing else ""
    print(f"handed in by {counted(len(handed), 'reviewer')}, not yet by {len(missing)}{shown}; {counted(refused, 'file')} refused")
    if refused:
        raise typer.Exit(1)


def score(
    module: Module,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that try out the evidence.")] = 1,
) -> None:
    """Score works and reviews; say where to look.

    \b
    A published model of peer grading (Piech et al. 2013; Zarkoob et al. 2023) weighs each review by what the
    calibration specimen and the others say about its reviewer, and gives every work a score with a 90%
    interval. Reviews are graded too. A flag is a reason to look, not a verdict: 1 to 2 honest
    reviewers in 100 get one.
      breakthrough exchange score 01 --workers 4
    """
    from tqdm import tqdm

    from breakthrough.grading.peers import scoring

    cohort, name = named(module)
    with tqdm(total=4, desc=name, bar_format="{desc}: {postfix} {elapsed}") as bar:
        found = scoring.score(cohort, name, workers=workers, say=bar.set_postfix_str)
    _print_scores(found)


def spot_checks(module: Module) -> None:
    """List the works that the instructor should read, and why.

    \b
    Where reviewers disagree most, where little is known, where a score hangs on somebody with a flag. Read the
    work in submitted/<id>/, then tell what you found; the next `score` knows it.
      breakthrough exchange spot-checks 01
      breakthrough exchange read 01 ada code=3 baseline=4 … --because "the control does fail: see …"
    """
    from breakthrough.grading.peers import scoring

    cohort, name = named(module)
    for one in scoring.read(cohort, name).spots:
        print(f"{one.author}: {one.says}")


def appeals(
    module: Module,
    add: Annotated[str | None, typer.Option("--add", metavar="ID", help="Whose appeal to open.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What the learner says that reviewers overlooked.")] = "",
    from_csv: Annotated[Path | None, typer.Option("--from-csv", metavar="FILE", help="Appeals with the columns id and reason, of a form say.")] = None,
) -> None:
    """List the appeals, or open one.

    \b
      breakthrough exchange appeals 01
      breakthrough exchange appeals 01 --add ada --reason "control: section 12 shows the collapse"
      breakthrough exchange appeals 01 --from-csv form.csv
    """
    from breakthrough.grading.peers import readings

    cohort, name = named(module)
    for author, text in [*([(add, reason)] if add else []), *(_appeals(from_csv) if from_csv else [])]:
        readings.appeal(cohort, name, author, text)
    read = readings.readings(cohort, name)
    for one in readings.appeals(cohort, name):
        print(f"{one.author}: {'open' if one.open else 'read: ' + read[one.author].because}: {one.reason}")


def read(
    module: Module,
    student: Student,
    levels: Annotated[list[str], typer.Argument(metavar="CRITERION=LEVEL...", help="A level from 0 to 4 for each criterion.")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why: the author reads it.")] = "",
) -> None:
    """Give a work the levels that you have read out of it, and decide its author's appeal.

    \b
    They count as known from then on, and say something about the work's reviewers too: run `score` again.
      breakthrough exchange read 01 ada code=3 baseline=4 control=4 spread=2 verdict=3 proofs=4 --because "…"
    """
    from breakthrough.course.exchange import rubric
    from breakthrough.grading.peers import readings

    cohort, name = named(module)
    made = readings.read(cohort, name, student, readings.parse_levels(rubric.load(name), levels), because)
    print(f"{made.author}: read; next: breakthrough exchange score {name}")


def export(module: Module) -> None:
    """Put the exchange's points into the gradebook: the 20%.

    \b
    <module>_exchange stands beside the lab, with two scores: for one's reviews, and for one's work as its
    reviewers see it, shared as course.yml says. What is missing gets no score and is listed; a score that you
    changed by hand stays.
      breakthrough exchange export 01
      breakthrough cohort grades 01 --csv grades.csv
    """
    from breakthrough.grading.peers import export as exporting

    cohort, name = named(module)
    count, lacking = exporting.export(cohort, name)
    for line in lacking:
        print(f"missing: {line}")
    print(f"points in {name}_exchange: {counted(count, 'learner')}")


def _appeals(path: Path) -> list[tuple[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        return [(row["id"].strip(), row["reason"]) for row in rows]
    except (OSError, UnicodeDecodeError, KeyError, AttributeError) as error:
        raise InputError(expected(f"a CSV file with the columns id and reason at {path}", repr(error))) from None


def _print_scores(found: Scores) -> None:
    from statistics import median

    works, reviewers = found.works, found.reviewers
    if works:
        wide = median(one.high - one.low for one in works)
        print(f"{counted(len(works), 'work')}: median {median(one.score for one in works):.0%} of the rubric, 90% intervals {wide:.0%} wide in the middle")
    if reviewers:
        print(f"{counted(len(reviewers), 'reviewer')}: median quality {median(one.quality for one in reviewers):.0%}")
    for flag in found.flags:
        print(f"look at {flag.reviewer}: {flag.says}" + (f" ({', '.join(flag.about)})" if flag.about else ""))
    for spot in found.spots:
        print(f"read {spot.author}: {spot.says}")


COMMANDS = (assign, collect, score, spot_checks, appeals, read, export)
