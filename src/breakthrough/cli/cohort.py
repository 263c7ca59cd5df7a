"""`breakthrough cohort`: release labs to a cohort, collect and grade its submissions, hand grades and feedback back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from breakthrough.cli import cohort_grade
from breakthrough.cli.cohort_folder import current, module_of
from breakthrough.cli.groups import Language, group
from breakthrough.errors import InputError, expected
from breakthrough.language import counted

app = group(help="Teach a cohort: release, collect, grade, give back.")
Module = Annotated[str, typer.Argument(metavar="MODULE", help="01, moe or 01_moe.")]
Modules = Annotated[list[str], typer.Argument(metavar="MODULE...", help="01, moe or 01_moe; one or more.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder, or a cohort's to add to.")],
    from_csv: Annotated[Path | None, typer.Option("--from-csv", metavar="FILE", help="Students: id, and any of first_name, last_name, email, lms_user_id.")] = None,
    db_url: Annotated[str | None, typer.Option("--db-url", metavar="URL", help="The gradebook, postgresql://user@host/name; SQLite in DIR unless given.")] = None,
    course_id: Annotated[str | None, typer.Option("--course-id", metavar="NAME", help="As nbgrader and its exchange know the course.")] = None,
) -> None:
    """Make a cohort's course folder, which nbgrader works on.

    \b
    DIR gets nbgrader_config.py, source/ (the masters of this project), a gradebook with the assignments
    and the students, and cohort.json. Run it inside the project. Again on the same DIR it adds what is
    new and leaves what is yours. The secret seed that the grader draws cases from lies outside DIR, in
    $BREAKTHROUGH_SEEDS or ~/.config/breakthrough/seeds: keep a copy of it.
      breakthrough cohort init ~/moe-2027 --from-csv students.csv
      breakthrough cohort init ~/moe-2027 --from-csv late.csv
      breakthrough cohort init /srv/course --course-id moe27 --db-url postgresql://nb@db/grades
    """
    from breakthrough.course import syllabus
    from breakthrough.grading import setting_up

    made = setting_up.init(folder, syllabus.load(), course_id=course_id, students_csv=from_csv, db_url=db_url)
    for line in made.lines():
        print(line)
    print(f"next: cd {folder} && breakthrough cohort release 01")


@app.command()
def release(modules: Modules) -> None:
    """Release labs from the cohort's masters.

    \b
    The lab goes to release/, its cells into the gradebook, itself into nbgrader's exchange when one is
    set. Every version is kept by its hash: a submission is graded against what it was given.
      breakthrough cohort release 01
      breakthrough cohort release 01 02 03
    """
    from breakthrough.grading import releasing

    cohort = current()
    for module in modules:
        print(releasing.release(cohort, module_of(cohort, module)).line(), flush=True)


@app.command()
def collect(
    module: Module,
    source: Annotated[Path | None, typer.Option("--from", metavar="DIR|ZIP", help="A folder, or a zip of a learning platform; nbgrader's exchange unless given.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Take a newer submission in the place of one that is there.")] = False,
) -> None:
    """Collect submissions: the newest of each student.

    \b
    A folder or zip holds a folder or file a student, named by id, name, e-mail or the platform's number,
    as Moodle and Canvas name them, each with the notebook or with the zip of `breakthrough handin`.
    What fits no student, or more than one, is listed and never guessed. Archives are not unpacked by the
    names in them, links are not followed, and what comes out is counted. Exit code 1 when something was
    not taken.
      breakthrough cohort collect 01
      breakthrough cohort collect 01 --from ~/Downloads/submissions.zip
      breakthrough cohort collect 01 --from handed-in/ --update
    """
    from breakthrough.grading import collecting

    cohort = current()
    found = collecting.collect(cohort, module_of(cohort, module), source, update=update)
    for one in sorted(found, key=lambda one: (one.state, one.student, one.label)):
        print(one.line())
    taken = sum(one.state in ("collected", "updated") for one in found)
    lost = [one for one in found if one.state in ("unmatched", "refused")]
    print(f"{taken} collected, {len(found) - taken - len(lost)} kept, {len(lost)} not taken")
    if lost:
        raise typer.Exit(1)


graders = [app.command()(one) for one in (cohort_grade.grade, cohort_grade.regrade, cohort_grade.canary)]


@app.command()
def feedback(
    module: Module,
    students: Annotated[list[str] | None, typer.Option("--student", metavar="ID", help="Only this one; may be given again.")] = None,
) -> None:
    """Write feedback pages for learners.

    \b
    One page a graded submission, in feedback/<student>/<module>/, for nbgrader release_feedback or for
    the platform: scores and comments as they stand in the gradebook, the diagnosis and the failing case
    of each exercise, the notebook as it ran. No seed and no other input; nothing on it runs.
      breakthrough cohort feedback 01
      breakthrough cohort feedback 01 --student ada
      nbgrader release_feedback 01_moe
    """
    from breakthrough.grading import feedback as pages

    cohort = current()
    written = pages.write(cohort, module_of(cohort, module), students or ())
    print(f"{counted(len(written), 'page')}, as {written[0]}")


@app.command()
def lessons(module: Module) -> None:
    """Judge the answers to a lesson's questions.

    \b
    They stand in the logs that were handed in with the lab. Each is judged again, against the question as it
    is drawn for that student's id, and goes into the gradebook as <module>_lesson: the 10%. Who answered under
    another id, or handed no log in, is listed and has no score.
      breakthrough cohort lessons 01
    """
    from breakthrough.grading import lessons as judging

    cohort = current()
    name = module_of(cohort, module)
    found = judging.grade(cohort, name)
    for one in found:
        if one.missing:
            print(f"missing: {one.student}: {one.missing}")
    scored = sum(any(value is not None for value in one.points.values()) for one in found)
    print(f"points in {name}_lesson: {scored} of {counted(len(found), 'student')}")


@app.command()
def grades(
    modules: Modules,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="A row for every student.")] = None,
    lti_csv: Annotated[Path | None, typer.Option("--lti-csv", metavar="FILE", help="A row for every score, named as LTI's grade service names it.")] = None,
) -> None:
    """Write grades as tables.

    \b
    Labs, and what exchange export and cohort lessons have put beside them; late penalties are taken off and
    manual scores count. grade_percent weighs the three as course.yml says, 70/20/10; what is not there yet is
    empty, its share of the grade in missing_percent and its name in missing. --lti-csv has userId (lms_user_id), resourceId,
    scoreGiven, scoreMaximum, timestamp, activityProgress and gradingProgress; students without an
    lms_user_id are left out, and named.
      breakthrough cohort grades 01 02 --csv grades.csv
      breakthrough cohort grades 01 --lti-csv scores.csv
    """
    from breakthrough.grading import grades as tables

    if csv is None and lti_csv is None:
        raise InputError(expected("a file to write", "none", "--csv grades.csv or --lti-csv scores.csv"))
    cohort = current()
    chosen = [module_of(cohort, module) for module in modules]
    found = tables.graded(cohort, chosen)
    if csv is not None:
        print(f"{csv}: {counted(tables.write_csv(csv, found), 'student')}")
    if lti_csv is not None:
        rows, without = tables.write_lti_csv(lti_csv, [result for one in found for result in one.results])
        print(f"{lti_csv}: {counted(rows, 'score')}")
        if without:
            print(f"left out, without lms_user_id: {', '.join(without)}", file=sys.stderr)


@app.command()
def items(
    module: Module,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table there too.")] = None,
) -> None:
    """Analyse a lab's exercises, without names.

    \b
    Per exercise: the share passed, discrimination, hints, minutes and attempts from the logs that were
    handed in, and the misconceptions met. Low discrimination: those who know the rest fail it too, or
    all pass.
      breakthrough cohort items 01
      breakthrough cohort items 01 --csv items.csv
    """
    from breakthrough.grading import items as analysis, tables

    cohort = current()
    found = analysis.analyse(cohort, module_of(cohort, module))
    tables.print_items(found)
    if csv is not None:
        analysis.to_csv(csv, found)
        print(csv)


def handin(
    module: Module,
    log: Annotated[bool, typer.Option("--log/--no-log", help="With your checks, hints and times for this module, or without.")] = True,
    lang: Language = "en",
) -> None:
    """Pack your lab to hand it in: one folder, one zip.

    \b
    build/handin/<module>/ and build/handin/<module>.zip get your notebook, your newest artifact of each
    kind that the lab makes, what it was made from (an experiment is measured again, against that), and
    this module's lines of your log: your answers to the lesson's questions, which are graded, and attempts,
    hints and times, which help to mend the course and change no grade. Upload the zip, or use nbgrader.
      breakthrough handin 01
      breakthrough handin moe --no-log
      cd build/handin && nbgrader submit 01_moe
    """
    from breakthrough import language
    from breakthrough.course import syllabus
    from breakthrough.grading import handin as packing

    course = syllabus.load()
    for line in packing.pack(course, course.find_built(module, offer=course.labs), log=log, language=language.cleaned(lang)).lines():
        print(line)
