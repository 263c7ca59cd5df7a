"""`breakthrough exchange`: what is learned from reviewing others' work. Alone with specimens, or in a cohort with each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breakthrough.cli import exchange_cohort
from breakthrough.cli.groups import group

app = group(help="Review specimens alone, or others' works in a cohort.")
Module = Annotated[str, typer.Argument(metavar="MODULE", help="01, moe or 01_moe.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Another folder than exchange/MODULE.")]


@app.command()
def solo(
    module: Module,
    seed: Annotated[int | None, typer.Option(min=0, help="Specimens of a seed; the next unused one unless given.")] = None,
    out: Out = None,
    again: Annotated[bool, typer.Option("--again", help="Fresh specimens; the review that is there is kept aside.")] = False,
) -> None:
    """Make three specimens to review, for a learner alone.

    \b
    Three works of a module: one is faultless, the others have mistakes that people make, in their code
    and in their experiment. Open review.ipynb, run their functions, rate them by the module's rubric and
    say what is wrong, of which kind, with an input that shows it. The notebook scores the review.
      breakthrough exchange solo 01
      jupyter lab exchange/01_moe/review.ipynb
      breakthrough exchange solo 01 --again      three others, when you have scored these
    """
    from breakthrough.course import syllabus
    from breakthrough.course.exchange import solo as solos

    course = syllabus.load()
    folder, kept = solos.prepare(course, course.find_built(module, offer=course.labs), seed, out, again=again)
    if kept:
        print(f"the review that was there is in {kept}")
    print(f"next: jupyter lab {folder / 'review.ipynb'}")


@app.command("solo-score")
def solo_score(module: Module, out: Out = None) -> None:
    """Score your review of specimens, as its notebook does.

    \b
    Reads review.json, which `desk.write()` in the notebook writes. The first score of these specimens
    counts: it tells what was wrong.
      breakthrough exchange solo-score 01
    """
    from breakthrough.course import syllabus
    from breakthrough.course.exchange import solo as solos

    course = syllabus.load()
    print(solos.score(out or solos.home(course, course.find_built(module, offer=course.labs))))


@app.command()
def prompts(module: Module) -> None:
    """Print what a group may talk about after its reviews.

    \b
      breakthrough exchange prompts 01
    """
    from breakthrough.course import syllabus
    from breakthrough.course.exchange import rubric as rubrics

    course = syllabus.load()
    for number, text in enumerate(rubrics.load(course.find_built(module, offer=course.labs).id).prompts, start=1):
        print(f"{number}. {' '.join(text.split())}")


in_a_cohort = [app.command()(one) for one in exchange_cohort.COMMANDS]
