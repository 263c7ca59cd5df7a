"""The article's claims: a lab records what it measured, the ledger shows where each one stands."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from breakthrough import events
from breakthrough.course import syllabus
from breakthrough.course.notebooks import CLAIM_MIME
from breakthrough.course.schema import Claim, Syllabus
from breakthrough.errors import InputError, expected
from breakthrough.palette import BAD, GOOD, NOTE, QUIET, framed, toned

# the sign and the word carry the meaning, the colour only repeats it
VERDICTS = {
    "holds": ("✓", GOOD),
    "holds under conditions": ("◐", NOTE),
    "does not hold": ("✗", BAD),
    "cannot be tested here": ("○", QUIET),
}
UNTESTABLE = "cannot be tested here"
YOURS, COURSES = "yours", "the course's own run"
_PROFILES = ("tiny", "quick", "full")  # a better profile's record stands above a later one of a lesser


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: the claim, and its record when there is one."""

    claim: Claim
    state: str  # recorded; else why not: not recorded yet, module 03 in preparation, elective …
    verdict: str = ""
    measured: str = ""
    reason: str = ""
    profile: str = ""
    figures: Mapping[str, float] | None = None
    source: str = ""  # whose record it is: yours, or the course's own run

    @property
    def recorded(self) -> bool:
        """Whether something was measured."""
        return bool(self.verdict)


def record(
    claim: str,
    verdict: str,
    measured: str,
    *,
    reason: str = "",
    figures: Mapping[str, float] | None = None,
    profile: str = "quick",
) -> None:
    """Record what was measured about a claim, and show it as a card.

    `measured` is one sentence with figures and error bars; `figures` are the same numbers by name.

    Raises: UnknownNameError for an unknown claim; InputError for an unknown verdict, a sentence
            without figures, a figure that is no finite number, or a missing reason
    """
    try:
        found = syllabus.load().find_claim(claim)
        _validate(verdict, measured, reason, profile)
        numbers = _numbers(figures or {})
    except InputError as error:
        # IPython shows this in place of the library's frames: what to mend is all in the sentence
        said = [f"{type(error).__name__}: {error}"]
        error._render_traceback_ = lambda: said  # type: ignore[method-assign]  # for this one error
        raise
    event = events.append("claim", claim=claim, verdict=verdict, measured=measured, reason=reason,
                          profile=profile, figures=numbers)
    shown = {key: value for key, value in event.items() if key not in ("kind", "time_s")}
    _show({"text/plain": plain(found, shown), "text/html": html(found, shown), CLAIM_MIME: shown})


def ledger(course: Syllabus, records: Iterable[Mapping[str, Any]] | None = None) -> list[Entry]:
    """Where every claim stands: from records, else from the learner's own log and, below it, the last runs."""
    if records is not None:
        best = {name: (one, "") for name, one in _best(records).items()}
    else:
        best = {name: (one, COURSES) for name, one in _best(_last_runs(course)).items()}
        best |= {name: (one, YOURS) for name, one in _best(_own()).items()}
    return [_entry(course, claim, *best.get(claim.id, (None, ""))) for claim in course.claims]


def plain(claim: Claim, record: Mapping[str, Any]) -> str:
    """A record as text."""
    sign, _ = VERDICTS[record["verdict"]]
    lines = [f"{sign} {claim.id}: {record['verdict']} (profile {record['profile']})", f"claim: {claim.claim}",
             f"measured: {record['measured']}"]
    return "\n".join(lines + ([f"reason: {record['reason']}"] if record["reason"] else []))


def html(claim: Claim, record: Mapping[str, Any]) -> str:
    """A record as a card."""
    sign, hue = VERDICTS[record["verdict"]]
    reason = f"<div><i>Reason:</i> {escape(record['reason'])}</div>" if record["reason"] else ""
    return framed(hue, (
        f'<div><b style="{toned("color:", hue)}">{sign} {escape(record["verdict"])}</b> · <b>{claim.id}</b>'
        f' <span style="opacity:.75">profile {escape(record["profile"])}</span></div>'
        f"<div><i>{escape(claim.claim)}</i></div><div>{escape(record['measured'])}</div>{reason}"
    ))


def _validate(verdict: str, measured: str, reason: str, profile: str) -> None:
    if verdict not in VERDICTS:
        raise InputError(expected(f"a verdict out of {', '.join(VERDICTS)}", repr(verdict)))
    if profile not in _PROFILES:
        raise InputError(expected(f"a profile out of {', '.join(_PROFILES)}", repr(profile)))
    if verdict == UNTESTABLE and not reason.strip():
        raise InputError(expected(f"the reason of {UNTESTABLE!r}", "none", "reason=…"))
    if verdict != UNTESTABLE and not any(character.isdigit() for character in measured):
        raise InputError(expected("a sentence with the figures that were measured", repr(measured)))


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    numbers = {}
    for name, value in figures.items():
        try:
            numbers[str(name)] = float(value)
        except (TypeError, ValueError):
            raise InputError(expected(f"a number for the figure {name!r}", repr(value))) from None
        if not math.isfinite(numbers[str(name)]):
            raise InputError(expected(f"a finite number for the figure {name!r}", value))
    return numbers


def _best(records: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    best: dict[str, Mapping[str, Any]] = {}
    for one in filter(_well_formed, records):
        before = best.get(one["claim"])
        if before is None or _rank(one) >= _rank(before):
            best[one["claim"]] = one
    return best


def _well_formed(record: Mapping[str, Any]) -> bool:
    texts = all(isinstance(record.get(key), str) for key in ("claim", "verdict", "measured"))
    return texts and record["verdict"] in VERDICTS


def _rank(record: Mapping[str, Any]) -> int:
    profile = record.get("profile")
    return _PROFILES.index(profile) if profile in _PROFILES else -1


def _own() -> list[Mapping[str, Any]]:
    return [event for event in events.read() if event["kind"] == "claim"]


def _last_runs(course: Syllabus) -> Iterable[Mapping[str, Any]]:
    from breakthrough.course import runs  # what runs the course is no input of a lab that records a claim

    for profile in _PROFILES:
        for result in runs.load_results(runs.Plan(course, profile)).values():
            yield from result.claims.values()


def _entry(course: Syllabus, claim: Claim, record: Mapping[str, Any] | None, source: str) -> Entry:
    if record is None:
        return Entry(claim, _state(course, claim))
    reason, profile = (record.get(key) or "" for key in ("reason", "profile"))
    return Entry(claim, "recorded", record["verdict"], record["measured"], str(reason), str(profile), record.get("figures") or None, source)


def _state(course: Syllabus, claim: Claim) -> str:
    homes = [module for module in course.modules if claim.id in module.claims]
    if any(module.built for module in homes):
        return "not recorded yet"
    if homes:
        return f"module {homes[0].id[:2]} in preparation"
    return "elective, in preparation"


def _show(bundle: dict[str, Any]) -> None:
    shell = sys.modules.get("IPython")  # a script that has not loaded IPython runs in no notebook
    if shell is None or type(shell.get_ipython()).__name__ != "ZMQInteractiveShell":
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True)
