"""A submission as its reviewers see it: the answers to some exercises, the account of the experiment, and nobody's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakthrough.course.exchange import written
from breakthrough.errors import NotebookError
from breakthrough.grading.normalize import normalize
from breakthrough.grading.peers.anonymous import People
from breakthrough.grading.reading import notebooks_in, read_cells
from breakthrough.grading.records import ANSWER

NOTHING = "*(nothing was written here)*"


@dataclass(frozen=True)
class Shown:
    """One work: the source of every exercise that is shown, the account by section; and what a person should look at."""

    code: dict[str, str]
    account: dict[str, str]
    notes: tuple[str, ...] = ()


def shown(lab: Path, submission: Path, exercises: Sequence[str], sections: Sequence[str], people: People) -> Shown:
    """What reviewers see of a submission. One that cannot be read is shown empty, with the reason as a note."""
    try:
        program = normalize(lab, submission)
        cells = read_cells(_notebook(submission, lab.name))
    except NotebookError as error:
        return Shown(dict.fromkeys(exercises, ""), dict.fromkeys(sections, NOTHING), (str(error),))
    answers = {cell.exercise: cell.source for cell in program.cells if cell.kind == ANSWER}
    code = {name: people.without_in_code(answers.get(name, "")) for name in exercises}
    texts = written.account((cell.source for cell in cells if cell.type == "markdown"), sections)
    account = {name: people.without(text) or NOTHING for name, text in texts.items()}
    suspects = sorted({word for source in code.values() for word in people.suspects(source)})
    return Shown(code, account, (f"names in the code that look like a student's: {', '.join(suspects)}",) if suspects else ())


def _notebook(submission: Path, name: str) -> Path:
    found = notebooks_in(submission)
    return next((path for path in found if path.name == name), found[0])
