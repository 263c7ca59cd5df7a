"""Concept questions, drawn for each learner: a number to work out, or a choice whose order is shuffled.

A question is a function of a `Draw`. It returns what is asked, the right answer, and wrong answers with the
sentence that helps whoever gave them. Wrong numbers are computed from the same parameters by the mistake's own
formula, and their names are the same in every draw, so that a cohort's answers can be counted together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from breakthrough.errors import ConfigError, expected, type_of
from breakthrough.exercises import numbers
from breakthrough.exercises.compare import Difference
from breakthrough.exercises.draws import Draw
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.learner import STANDARD

LETTERS = "ABCDEFG"
TRIES = 200  # draws that may be thrown away, because two answers were the same
LONGEST = 200  # characters of an answer that are shown and kept
NEAR = 0.01  # a wrong number is recognised from so near, as a share of it


@dataclass(frozen=True)
class Wrong:
    """A wrong answer: its name, what is given (a number, several, or an option's text), and the sentence that helps."""

    name: str
    given: Any
    says: str

    @property
    def numbers(self) -> tuple[float, ...]:
        """What is given, as numbers; the first of them stands for all."""
        return tuple(map(float, self.given)) if isinstance(self.given, tuple) else (float(self.given),)


@dataclass(frozen=True)
class Right:
    """The right option of a choice."""

    given: str


@dataclass(frozen=True)
class Number:
    """A question whose answer is a number.

    Units: `tolerance` in those of the answer; `unit` is a pattern of the words that may follow it
    """

    asks: str
    answer: float
    wrong: tuple[Wrong, ...]
    hints: tuple[str, ...]
    tolerance: float = 0.0
    unit: str = ""
    printed: float | None = None  # the right answer to the standard question, which stands on the web

    def is_clear(self) -> bool:
        """Whether no wrong number could be taken for the right one, or for that of another mistake."""
        told = [(w.name, value) for w in self.wrong for value in w.numbers]
        apart = all(abs(value - self.answer) > max(self.tolerance, NEAR * abs(self.answer)) for _, value in told)
        return apart and all(name == other or abs(a - b) > NEAR * max(abs(a), abs(b))
                             for i, (name, a) in enumerate(told) for other, b in told[:i])

    def fields(self, order: Draw) -> dict[str, Any]:
        """What an exercise needs to ask and to judge this."""
        low, high = (round(self.answer + sign * 0.9 * self.tolerance, 9) for sign in (-1, 1))
        written, tidy = numbers.write(self.answer), round(self.answer, 9)
        return {
            "asks": self.asks,
            "reference": int(tidy) if tidy == int(tidy) else tidy,  # 0.3, not 0.30000000000000004
            "misconceptions": tuple(Misconception(w.name, w.numbers[0], w.says, variants=w.numbers[1:]) for w in self.wrong),
            "hints": self.hints,
            "alternatives": (float(self.answer), written, f" {written.replace(',', '')}.", low, high),
            "compare": self.compare,
        }

    def compare(self, want: Any, got: Any) -> Difference | None:
        """Whether two answers are the same: right within the tolerance, or nearest to the same wrong number."""
        theirs, mine = self._meant(want), self._meant(got)
        if theirs == mine:
            return None
        if not isinstance(mine, float):
            return Difference("value", "write a number, in digits", "", mine)
        if self.printed is not None and math.isclose(mine, self.printed, rel_tol=0.005):
            return Difference("value", "That answers the question as it is printed on the web: yours has other numbers, and `ask` shows it.", "", shown(got))
        return Difference("value", "that is not the answer", "", shown(got))

    def _meant(self, value: Any) -> float | str:
        number = numbers.read(value, self.unit)
        if number is None or math.isnan(number):
            return shown(value)
        if abs(number - self.answer) <= self.tolerance + 1e-9 * abs(self.answer):
            return float(self.answer)
        near = [w for one in self.wrong for w in one.numbers if abs(number - w) <= NEAR * abs(w)]
        return min(near, key=lambda w: abs(number - w), default=number)


@dataclass(frozen=True)
class Choice:
    """A question with options, of which one is right. They stand in the order of the standard draw."""

    asks: str
    options: tuple[Right | Wrong, ...]
    hints: tuple[str, ...]

    def is_clear(self) -> bool:
        """Whether exactly one option is right, and no two are the same."""
        texts = {option.given for option in self.options}
        return sum(isinstance(o, Right) for o in self.options) == 1 and len(texts) == len(self.options) <= len(LETTERS)

    def fields(self, order: Draw) -> dict[str, Any]:
        """What an exercise needs to ask and to judge this."""
        options = dict(zip(LETTERS, order.shuffled(self.options)))
        letter = next(letter for letter, option in options.items() if isinstance(option, Right))
        listed = "\n".join(f"- **{letter}** {option.given}" for letter, option in options.items())
        return {
            "asks": f"{self.asks}\n\n{listed}",
            "reference": letter,
            "misconceptions": tuple(Misconception(o.name, at, o.says) for at, o in options.items() if isinstance(o, Wrong)),
            "hints": self.hints,
            "alternatives": (letter.lower(), f" {letter} ", f"{letter})", f"{letter}."),
            "compare": compare_letters,
        }


def drawn(name: str, title: str, draw: Callable[[Draw], Number | Choice], *, points: int = 2, minutes: int = 3, difficulty: int = 1) -> Exercise:
    """A concept question from the function that draws it, as the standard learner gets it.

    Raises: ConfigError when no draw has answers that can be told apart
    """
    return _drawn_for(STANDARD, name, title, draw, points, minutes, difficulty)


def _drawn_for(learner: str, name: str, title: str, draw: Callable[[Draw], Number | Choice], points: int, minutes: int, difficulty: int) -> Exercise:
    return Exercise(
        name=name,
        title=title,
        points=points,
        minutes=minutes,
        difficulty=difficulty,
        cases=lambda generator: (Case("the question"),),
        call=lambda given, case: given,
        question=True,
        lesson=True,
        draw=partial(_drawn_for, name=name, title=title, draw=draw, points=points, minutes=minutes, difficulty=difficulty),
        **_clear(learner, name, draw).fields(Draw(learner, f"{name}, order")),
    )


def _clear(learner: str, name: str, draw: Callable[[Draw], Number | Choice]) -> Number | Choice:
    """The first draw whose answers can be told apart; the standard draw is always the same, so it has one try."""
    standard = draw(Draw(STANDARD, name))
    tries = (draw(Draw(learner, name, attempt)) for attempt in range(TRIES)) if learner != STANDARD else iter([standard])
    for made in tries:
        if made.is_clear():
            return replace(made, printed=standard.answer) if isinstance(made, Number) and isinstance(standard, Number) else made
    raise ConfigError(expected(f"answers of {name} that can be told apart", f"none in the draws of {learner or 'the standard learner'!r}"))


def compare_letters(want: Any, got: Any) -> Difference | None:
    """A comparison of letters, in any case, with a bracket or a full stop or without."""
    theirs, mine = _letter(want), _letter(got)
    if theirs == mine:
        return None
    text = "that is not the answer" if len(mine) == 1 and mine.isalpha() else "write the letter of one answer, in quotes"
    return Difference("value", text, "", shown(got))


def _letter(value: Any) -> str:
    return value.strip().strip("().").strip().upper() if isinstance(value, str) else shown(value)


def shown(value: Any) -> str:
    """Any object as Python writes it, cut to 200 characters; its type where it cannot be written."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a number of too many digits, or an object's own fault
        text = type_of(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
