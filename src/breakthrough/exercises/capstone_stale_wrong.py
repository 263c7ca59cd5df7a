"""Module 6: plans that do too much or too little again, for capstone.stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from breakthrough.exercises.exercise import Misconception

Record = dict[str, Any]


@dataclass
class At:
    """A stage that is to be settled: its record of needs, settings and code, the contents of its needs, and what was run so far."""

    name: str
    stage: dict[str, Any]
    inputs: dict[str, str]
    ran: list[str]
    stages: dict[str, dict]
    made: list[Record] = field(default_factory=list)


Check = Callable[[At, Record], bool]
CHECKS: dict[str, Check] = {
    "stage": lambda at, old: old["stage"] == at.name,
    "settings": lambda at, old: old["settings"] == at.stage["settings"],
    "code": lambda at, old: old["code"] == at.stage["code"],
    "inputs": lambda at, old: old["inputs"] == at.inputs,
    "disk": lambda at, old: old["on_disk"] == old["content"],
}


def _but(*without: str, **instead: Check) -> dict[str, Check]:
    return {name: check for name, check in {**CHECKS, **instead}.items() if name not in without}


def _in_order(stages: dict[str, dict]) -> list[str]:
    settled: list[str] = []
    while len(settled) < len(stages):
        settled += [name for name in stages if name not in settled and all(need in settled for need in stages[name]["needs"])][:1]
    return settled


def _fits(checks: dict[str, Check]) -> Callable[[At], Record | None]:
    return lambda at: next((old for old in at.made if all(check(at, old) for check in checks.values())), None)


def _wrong(
    checks: dict[str, Check] = CHECKS, find: Callable[[At], Record | None] | None = None, stale: Callable[[At], bool] = lambda at: False,
    keep: Callable[[list[Record]], list[Record]] = lambda made: made, old_content: bool = False, order: Callable[[dict[str, dict]], list[str]] = lambda stages: _in_order(stages), silent: bool = False, listed: str = "ran", say: Callable[..., Any] = lambda ran, stages: ran,
) -> Callable[..., list[str]]:  # fmt: skip
    """A plan that differs in what is given.

    `stale`: is to be run whatever the records say. `old_content`: what run returns is not looked at where there is an
    older record. `silent`: run is not called. `listed`: "ran", "changed" (only those whose content is new) or "fresh".
    """
    search = find or _fits(checks)

    def answer(stages, made, run):
        content: dict[str, str] = {}
        ran: list[str] = []
        told: list[str] = []
        for name in order(stages):
            stage = stages[name]
            at = At(name, stage, {need: content[need] for need in stage["needs"]}, ran, stages, keep(made))
            found = None if stale(at) else search(at)
            content[name] = found["content"] if found else f"new {name}" if silent else run(name, at.inputs)
            mine = [old["content"] for old in made if old["stage"] == name]
            if (found and listed == "fresh") or (not found and (listed == "ran" or (listed == "changed" and content[name] not in mine))):
                told.append(name)
            if not found:
                ran.append(name)
                content[name] = mine[-1] if old_content and mine else content[name]
        return say(told, stages)

    return answer


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [_wrong(**way) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _after(at: At) -> bool:
    """Something it needs was run."""
    return any(need in at.ran for need in at.stage["needs"])


def _mixed(at: At) -> Record | None:
    """Settings, code and inputs, each as in some record."""
    mine = [old for old in at.made if old["stage"] == at.name and old["on_disk"] == old["content"]]
    return mine[-1] if all(any(CHECKS[name](at, old) for old in mine) for name in ("settings", "code", "inputs")) else None


def _last(made: list[Record]) -> list[Record]:
    return list({old["stage"]: old for old in made}.values())


def _first(made: list[Record]) -> list[Record]:
    return _last(made[::-1])


def _last_of_key(made: list[Record]) -> list[Record]:
    return list({str([old["stage"], sorted(old["settings"].items()), old["code"], sorted(old["inputs"].items())]): old for old in made}.values())


def _first_of_key(made: list[Record]) -> list[Record]:
    return _last_of_key(made[::-1])


def _one_step(at: At) -> bool:
    """It or one of its needs differs in itself from all records."""
    own = _fits(_but("inputs"))
    return any(own(At(name, at.stages[name], {}, [], at.stages, at.made)) is None for name in (at.name, *at.stage["needs"]))


def _by_needs(at: At, old: Record) -> bool:
    return all(old["inputs"].get(need) == content for need, content in at.inputs.items())


def _by_record(at: At, old: Record) -> bool:
    return all(at.inputs.get(need) == content for need, content in old["inputs"].items())


def _any_input(at: At, old: Record) -> bool:
    return not at.inputs or any(old["inputs"].get(need) == content for need, content in at.inputs.items())


def _as_text(part: Callable[[At], Any], key: str) -> Check:
    return lambda at, old: str(part(at)) == str(old[key])


def _asking(ends: bool = False, see: bool = False) -> Callable[..., list[str]]:
    """Asks the needs each time anew; from the last stages alone, or running all to see whether something differs."""

    def answer(stages, made, run):
        needed = {need for stage in stages.values() for need in stage["needs"]} if ends else set()
        ran: list[str] = []
        known: dict[str, str] = {}

        def content(name):
            if see and name in known:
                return known[name]
            at = At(name, stages[name], {need: content(need) for need in stages[name]["needs"]}, ran, stages, made)
            found = _fits(CHECKS)(at)
            ran.extend([] if found else [name])
            known[name] = run(name, at.inputs) if see or not found else found["content"]
            return known[name]

        for name in stages:
            content(name) if name not in needed else None
        return ran

    return answer


SETTINGS_AS_TEXT = _as_text(lambda at: at.stage["settings"], "settings")
INPUTS_AS_TEXT = _as_text(lambda at: at.inputs, "inputs")

MISCONCEPTIONS = (
    Misconception(
        "everything again",
        says="Every stage was run: a fresh one, with a record of the same settings, code and inputs and its file whole, is not.",
        **_ways({"stale": lambda at: True}),
    ),
    Misconception(
        "all that follows",
        says="Whatever follows a stage that was run was run as well: if the stage made the same content again, what reads it reads the same as before; compare contents, not whether something was run.",
        **_ways(*({"stale": _after, "checks": checks, "keep": keep} for checks in (CHECKS, _but("inputs"), _but("inputs", "disk"), _but("disk"), _but("code", "inputs")) for keep in (lambda made: made, _last)), *({"silent": True, "checks": checks} for checks in (CHECKS, _but("disk"))), *({"silent": True, "stale": _after, "checks": checks} for checks in (_but("inputs"), _but("inputs", "disk")))),
    ),
    Misconception(
        "its own change alone",
        says="A stage's inputs were not looked at: its own settings and code may be the same while what it reads has changed.",
        **_ways({"checks": _but("inputs")}, {"checks": _but("inputs", "disk")}, {"checks": _but("inputs"), "keep": _last}, {"checks": _but("inputs", "disk"), "keep": _last}),
    ),
    Misconception(
        "one step far",
        says="Only what directly needs a changed stage was run: settle the stages in order, so that each compares the contents its needs have now, after they were run.",
        **_ways({"stale": _one_step, "checks": _but("inputs")}, {"stale": _one_step, "checks": _but("inputs", "settings", "code")}),
    ),
    Misconception(
        "what came out was not looked at",
        says="After a run the content of the old record was kept: run returns what the stage's content is now, and that is what the next ones read.",
        **_ways({"old_content": True}, {"old_content": True, "keep": _last}),
    ),
    Misconception(
        "settings forgotten",
        says="Settings were not compared: a stage with other settings is another stage.",
        **_ways({"checks": _but("settings")}, {"checks": _but("settings", "disk")}, {"checks": _but("settings"), "stale": _after}),
    ),
    Misconception(
        "code forgotten",
        says="The code was not compared: the same settings in new code may make something else.",
        **_ways({"checks": _but("code")}, {"checks": _but("code", "disk")}),
    ),
    Misconception(
        "the record, not the file",
        says="The record was believed: the file may be gone or changed since; its hash, on_disk, has to be content still.",
        **_ways({"checks": _but("disk")}, {"checks": _but("disk"), "keep": _last}),
    ),
    Misconception(
        "there, but not whole",
        says="Any file that is there was taken for what was made: somebody may have written into it; on_disk has to equal content.",
        **_ways({"checks": _but(disk=lambda at, old: old["on_disk"] is not None)}, {"checks": _but(disk=lambda at, old: bool(old["on_disk"])), "keep": _last}),
    ),
    Misconception(
        "whole or gone",
        says="A file that is gone was taken for whole: with on_disk None there is nothing to read, so the stage is run.",
        **_ways({"checks": _but(disk=lambda at, old: old["on_disk"] in (None, old["content"]))}),
    ),
    Misconception(
        "the last record alone",
        says="Only the last record of a stage was looked at: an edit that is taken back finds its output in an older one.",
        **_ways({"keep": _last}),
    ),
    Misconception(
        "the first record alone",
        says="Only the first record of a stage was looked at: a later one may be the one that fits.",
        **_ways({"keep": _first}),
    ),
    Misconception(
        "one copy alone",
        says="Of several records with the same settings, code and inputs one was kept, whose file is gone: look for one that is whole.",
        **_ways({"keep": _last_of_key}),
    ),
    Misconception(
        "out of several records",
        says="Settings, code and inputs were each found in some record, but not in the same one: nothing was ever made of these three together.",
        **_ways({"find": _mixed}),
    ),
    Misconception(
        "another stage's record",
        says="The record of another stage was taken, with the same settings, code and inputs: what south makes is not what north made; compare the stage's name, too.",
        **_ways({"checks": _but("stage")}),
    ),
    Misconception(
        "as text",
        says="Dicts were compared as text, where the order of their keys counts: compare the dicts, or sort the keys.",
        **_ways({"checks": _but(settings=SETTINGS_AS_TEXT)}, {"checks": _but(inputs=INPUTS_AS_TEXT)}, {"checks": _but(settings=SETTINGS_AS_TEXT, inputs=INPUTS_AS_TEXT)}, {"checks": _but(inputs=lambda at, old: list(at.inputs.values()) == list(old["inputs"].values()))}),
    ),
    Misconception(
        "a need less is no change",
        says="Only the inputs that are needed now were compared: a record that read more was made of something else; the inputs have to be the same dict.",
        **_ways({"checks": _but(inputs=_by_needs)}),
    ),
    Misconception(
        "a need more is no change",
        says="Only the inputs in the record were compared: the stage needs one more now, which the record never read; the inputs have to be the same dict.",
        **_ways({"checks": _but(inputs=_by_record)}),
    ),
    Misconception(
        "one input is enough",
        says="A record was taken when one of its inputs fits: all have to be the contents of now.",
        **_ways({"checks": _but(inputs=_any_input)}),
    ),
    Misconception(
        "another order",
        says="The right stages, not in the order in which they can be run: a stage comes after all that it hangs on.",
        **_ways({"say": lambda ran, stages: [name for name in stages if name in ran]}, {"say": lambda ran, stages: sorted(ran)}, {"say": lambda ran, stages: ran[::-1]}),
    ),
    Misconception(
        "run to see",
        _asking(see=True),
        "The list is right, but run was called for fresh stages as well, to see what comes out: that is the very time to be saved.",
    ),
    Misconception(
        "in the dict's order",
        says="Stages were taken in the dict's order, where a need may come later: settle those first whose needs are settled, and go round until none is left.",
        **_ways({"order": list}, {"order": list, "checks": _but("disk")}),
    ),
    Misconception(
        "run more than once",
        _asking(),
        "A stage that several others need was run for each of them: keep its content once it is known.",
        variants=(_asking(ends=True),),
    ),
    Misconception(
        "the same is not listed",
        says="A stage that was run and made the same as before is missing from the list: it was run, and took its time.",
        **_ways({"listed": "changed"}),
    ),
    Misconception(
        "the fresh ones",
        says="Those are the stages that need not be run: asked for are those that were.",
        **_ways({"listed": "fresh"}),
    ),
)
