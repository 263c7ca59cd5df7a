"""The claims ledger: what a whole run of the course measured, kept with the project, and its page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breakthrough import events, files
from breakthrough.course import claims
from breakthrough.course.claims import Entry
from breakthrough.course.plan import Plan
from breakthrough.course.results import load_results
from breakthrough.course.runs import ENVIRONMENT
from breakthrough.course.schema import Syllabus
from breakthrough.course.site.layout import CLAIMS, Site
from breakthrough.errors import InputError, expected

FILLS = "breakthrough run && breakthrough claims --keep"
PROFILES = ("quick", "full")  # tiny cuts experiments to a few steps: its figures are no evidence
_FACTS = ("cpu", "device", "cores", "memory", "python", "torch", "platform")


def keep(plan: Plan) -> tuple[Path, list[str]]:
    """Put the claims that the last run of a profile measured into the project; the file, and the claims' names.

    A claim that this run did not measure keeps the record it has.

    Raises: InputError for profile tiny, and when the run measured none
    """
    if plan.profile not in PROFILES:
        raise InputError(expected(f"a profile out of {', '.join(PROFILES)}", f"{plan.profile}, whose experiments are cut to a few steps"))
    measured = dict(_measured(plan))
    if not measured:
        raise InputError(expected(f"a run at profile {plan.profile} with claims", "none", f"breakthrough run --profile {plan.profile}"))
    target = plan.course.root / CLAIMS
    records = load(plan.course) | measured
    files.write_text(target, json.dumps(dict(sorted(records.items())), indent=1, ensure_ascii=False) + "\n")
    return target, sorted(measured)


def load(course: Syllabus) -> dict[str, dict[str, Any]]:
    """The kept records by claim, none when nothing was kept.

    Raises: InputError for a file that does not hold them
    """
    path = course.root / CLAIMS
    if not path.is_file():
        return {}
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        return {name: {**record, "claim": name} for name, record in records.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(expected(f"records of claims in {CLAIMS}", repr(error), FILLS)) from None


def page(site: Site) -> str:
    """The ledger as a page: every claim of the article, and what the course measured."""
    records = load(site.course)
    entries = claims.ledger(site.course, records.values())
    found = sum(entry.recorded for entry in entries)
    lines = [
        "# The claims", "",
        "The course grew from an industry article full of numbers. Each number is a claim; a lab measures it, and the verdict "
        f"stands here, also when the claim does not hold. {found} of {len(entries)} are measured so far.", "",
        "| | verdict | claim |", "|---|---|---|", *(_row(entry) for entry in entries), "",
    ]
    if found < len(entries):
        lines += [f"What is not recorded is filled by `{FILLS}`: a whole run at profile quick, and its figures kept.", ""]
    for entry in entries:
        lines += _section(site, entry, records.get(entry.claim.id, {}))
    return "\n".join(lines) + "\n"


def _measured(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    facts = json.loads((plan.folder / ENVIRONMENT).read_text()) if (plan.folder / ENVIRONMENT).is_file() else {}
    days = {event["claim"]: _day(event) for event in events.read(plan.log) if event["kind"] == "claim"}
    for result in load_results(plan).values():
        for name, record in result.claims.items():
            if record.get("profile") == plan.profile:
                yield name, {
                    **{key: record.get(key) for key in ("verdict", "measured", "reason", "profile", "figures")},
                    "notebook": result.name, "date": days.get(name) or str(facts.get("date", ""))[:10],
                    "machine": {key: facts[key] for key in _FACTS if key in facts},
                }


def _day(event: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(event["time_s"]))


def _row(entry: Entry) -> str:
    name = entry.claim.id
    return f"| [{name}](#claim-{name.lower()}) | {_verdict(entry)} | {entry.claim.claim.replace('|', '∣')} |"


def _verdict(entry: Entry) -> str:
    return f"{claims.VERDICTS[entry.verdict][0]} {entry.verdict}" if entry.recorded else entry.state


def _section(site: Site, entry: Entry, record: dict[str, Any]) -> list[str]:
    claim = entry.claim
    lines = [f"(claim-{claim.id.lower()})=", f"## {claim.id}: {_verdict(entry)}", "", f"> {claim.claim}", ""]
    if entry.recorded:
        lines += [f"**Measured:** {entry.measured}", ""]
        lines += [f"**Reason:** {entry.reason}", ""] if entry.reason else []
        lines += [f"*{_made(record, entry)}*", "", *_figures(entry)]
    lines += [f"How: {claim.measures}. {_where(site, claim.id)}".rstrip(), ""]
    return lines


def _made(record: dict[str, Any], entry: Entry) -> str:
    machine = record.get("machine", {})
    parts = [record.get("date") or "undated", f"profile {entry.profile}", record.get("notebook", "")]
    parts += [str(machine[key]) + (" cores" if key == "cores" else "") for key in ("cpu", "device", "cores", "memory") if machine.get(key)]
    parts += [f"torch {machine['torch']}"] if machine.get("torch") else []
    return ", ".join(part for part in parts if part)


def _figures(entry: Entry) -> list[str]:
    if not entry.figures:
        return []
    rows = [f"| {name} | {value:g} |" for name, value in entry.figures.items()]
    return [":::{dropdown} The figures by name", "| figure | value |", "|---|---|", *rows, ":::", ""]


def _where(site: Site, claim: str) -> str:
    homes = [module for module in site.course.built if claim in module.claims]
    pages = [f"[{'lab' if module.has_lab else 'lesson'} {module.id[:2]}](/{'labs' if module.has_lab else 'lessons'}/{module.id}.ipynb)" for module in homes]
    return f"Measured in {' and '.join(pages)}." if pages else ""
