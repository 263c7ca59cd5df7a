"""`breakthrough learner`: whose questions are asked."""

from __future__ import annotations

from typing import Annotated

import typer


def learner(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="Your student id, as your instructor knows it.", show_default=False)] = None,
) -> None:
    """Show or set the id by which your questions are drawn.

    \b
    Each learner gets other numbers in the lessons' questions, and the options in another order. In a
    cohort set your student id before the first lesson, so that your instructor's grader draws the
    same questions. Alone you need not care: an id was made for you. Setting another one loses
    nothing: points stay, only the questions are drawn anew.
      breakthrough learner
      breakthrough learner bitdiddle
    """
    from breakthrough import learner as learners

    if name is None:
        print(learners.describe())
        return
    before = learners.kept()
    learners.choose(name)
    now = learners.cleaned(name)
    was = "" if before in (None, now) else f" (it was {before})"
    print(f"questions are drawn for {now}{was}")
    if learners.current() != now:
        print(f"but ${learners.VARIABLE} is set and comes first: {learners.describe()}")
