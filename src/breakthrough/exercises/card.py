"""How a verdict looks: a card in JupyterLab, with a plain twin for terminals, nbval and screen readers."""

from __future__ import annotations

from html import escape
from typing import Any

from breakthrough.exercises.exercise import LADDER, Exercise
from breakthrough.exercises.judge import NOT_ATTEMPTED, PASSED, WRONG, Verdict
from breakthrough.language import say
from breakthrough.palette import BAD, GOOD, NOTE, QUIET, framed, prose, toned

MIME = "application/vnd.breakthrough.check+json"

# the sign and the word carry the meaning too
_LOOKS = {
    PASSED: ("✓", "passed", GOOD),
    NOT_ATTEMPTED: ("○", "not attempted yet", QUIET),
    "wrong": ("✗", "not yet", BAD),
}


def plain(verdict: Verdict, hint_level: int) -> str:
    """The card as text. A failure starts with the diagnosis; the traceback comes last."""
    exercise, (sign, word, _) = verdict.exercise, _LOOKS[verdict.status]
    head = f"{sign} {exercise.name}: " + say(f"{word}, {verdict.points} of {exercise.points} points")
    if verdict.status == PASSED:
        return head
    if verdict.status == NOT_ATTEMPTED:
        return f"{head}. {_invitation(exercise)}"
    lines = [headline(verdict), head, *_facts(verdict), _next_hint(exercise, hint_level)]
    lines += [say(f"warning from your code: {text}") for text in verdict.warnings]
    return "\n".join(lines + ([verdict.traceback] if verdict.traceback else []))


def html(verdict: Verdict, hint_level: int) -> str:
    """The card as HTML with inline style: it reads the same in JupyterLab, feedback and on the web."""
    exercise, (sign, word, colour) = verdict.exercise, _LOOKS[verdict.status]
    points, ink = say(f"{verdict.points} / {exercise.points} points"), toned("color:", colour)
    head = (
        f'<div style="display:flex;gap:.6em;align-items:baseline;flex-wrap:wrap">'
        f'<b style="{ink};font-size:1.15em">{sign}</b><b>{escape(say(exercise.title))}</b>'
        f'<code>{escape(exercise.name)}</code><span style="{ink}">{say(word)}</span>'
        f'<span style="margin-left:auto">{points}</span></div>'
    )
    return framed(colour, head + _body(verdict, hint_level))


def bundle(verdict: Verdict, hint_level: int) -> dict[str, Any]:
    """The MIME bundle that a notebook shows and that `breakthrough run` reads the score from."""
    record = {
        "exercise": verdict.exercise.name,
        "status": verdict.status,
        "points": verdict.points,
        "of": verdict.exercise.points,
        "diagnosis": verdict.diagnosis.name if verdict.diagnosis else None,
    }
    return {"text/html": html(verdict, hint_level), "text/plain": plain(verdict, hint_level), MIME: record}


def hint_bundle(exercise: Exercise, level: int, seen: int = 0) -> dict[str, Any]:
    """The MIME bundle of one hint, with those below it that were seen before folded away above it.

    A solution is folded as well: it is read by a click, not by a glance.
    """
    text, title = _hint(exercise, level), _hint_title(exercise, level)
    before = "".join(_folded(exercise, one) for one in range(1, level) if one <= seen)
    return {
        "text/html": framed(NOTE, before + _folded(exercise, level, is_open=level < len(LADDER))),
        "text/plain": f"{title}\n{text}",
    }


def headline(verdict: Verdict) -> str:
    """The one sentence of a verdict: the diagnosis, else what was seen."""
    if verdict.status != WRONG:
        return say(verdict.status)
    if verdict.diagnosis:
        return say(verdict.diagnosis.says)
    return say(verdict.difference.text) if verdict.difference else say("wrong")


def _hint_title(exercise: Exercise, level: int) -> str:
    return say(f"{exercise.name}, hint {level} of {len(LADDER)}: {LADDER[level - 1]}")


def _hint(exercise: Exercise, level: int) -> str:
    text = exercise.hint(level)
    return text if level == len(LADDER) else say(text)  # the solution is code


def _folded(exercise: Exercise, level: int, is_open: bool = False) -> str:
    text = _hint(exercise, level)
    body = f"<pre style='margin:.4em 0;overflow-x:auto'>{escape(text)}</pre>" if level >= 3 else f"<div style='margin:.4em 0'>{prose(text)}</div>"
    return f"<details{' open' * is_open}><summary><b>{escape(_hint_title(exercise, level))}</b></summary>{body}</details>"


def _facts(verdict: Verdict) -> list[str]:
    found = verdict.difference
    if found is None:
        return []
    seed = "" if verdict.seed is None else say(f" (seed {verdict.seed})")  # a grader's seed is not told
    case = f"{say(verdict.case)}{seed}" if verdict.case and not verdict.exercise.question else ""
    rows = [(say("what"), say(found.text) if verdict.diagnosis else ""), (say("case"), case)]
    rows += [(say("expected"), say(found.expected)), (say("got"), say(found.got)), (say("first at"), found.where), (say("also"), say(verdict.also))]
    return [f"{name}: {text}" for name, text in rows if text]


def _next_hint(exercise: Exercise, level: int) -> str:
    return say(f'next: hint("{exercise.name}", {level}) gives the {LADDER[level - 1]}')


def _invitation(exercise: Exercise) -> str:
    if exercise.question:
        return say("Put your answer in the cell above.")
    return say("Replace the `raise NotImplementedError()` above with your answer, then run this cell again.")


def _body(verdict: Verdict, hint_level: int) -> str:
    if verdict.status == PASSED:
        return ""
    if verdict.status == NOT_ATTEMPTED:
        return f"<div>{prose(_invitation(verdict.exercise))}</div>"
    parts = [f"<div style='margin:.45em 0'><b>{prose(headline(verdict))}</b></div>", _table(_facts(verdict))]
    parts += [f"<div>{escape(say(f'warning from your code: {text}'))}</div>" for text in verdict.warnings]
    parts += [f"<div style='margin-top:.4em'>{_code_next_hint(verdict.exercise, hint_level)}</div>"]
    if verdict.traceback:
        trace = f"<pre style='margin:.4em 0;overflow-x:auto'>{escape(verdict.traceback)}</pre>"
        parts.append(f"<details><summary>{say('traceback')}</summary>{trace}</details>")
    return "".join(parts)


def _table(facts: list[str]) -> str:
    cells = (fact.split(": ", 1) for fact in facts)
    style = "display:grid;grid-template-columns:max-content 1fr;gap:.1em .9em;margin:.3em 0"
    rows = (f"<span style='opacity:.75'>{escape(k)}</span><span>{prose(v)}</span>" for k, v in cells)
    return f"<div style='{style}'>{''.join(rows)}</div>"


def _code_next_hint(exercise: Exercise, level: int) -> str:
    call = f'hint("{exercise.name}", {level})'
    return escape(_next_hint(exercise, level), quote=False).replace(call, f"<code>{call}</code>")
