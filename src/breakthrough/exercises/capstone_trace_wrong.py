"""Module 6: wrong ways back from a bad prediction, for capstone.trace."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from breakthrough.exercises.exercise import Misconception

Manifest = dict[str, Any]
Manifests = dict[str, Manifest]


def _lineage(artifacts: Manifests, of: str) -> list[str]:
    found, todo = [], deque([of])
    while todo:
        name = todo.popleft()
        if name not in found:
            found.append(name)
            todo.extend(artifacts[name]["parents"])
    return found


def _by(key: str, whole: bool = False) -> Callable[[Manifests, str], dict[str, str]]:
    """Partners by a field of the manifest: of the right lineage, or of all artifacts."""
    return lambda artifacts, right: {artifacts[name][key]: name for name in (artifacts if whole else _lineage(artifacts, right))}


OWN: dict[str, Callable[[Manifest, Manifest | None, Any, Any, bool], bool]] = {
    "new": lambda one, other, mine, theirs, alone: other is None,
    "damaged": lambda one, other, mine, theirs, alone: one["disk"] != one["files"],
    "settings": lambda one, other, mine, theirs, alone: other is not None and one["settings"] != other["settings"],
    "wired": lambda one, other, mine, theirs, alone: other is not None and mine != theirs,
    "made": lambda one, other, mine, theirs, alone: alone,  # it differs, and no parent does
}


@dataclass(frozen=True)
class Rules:
    """How somebody goes back; the defaults are right.

    `own`: what makes a difference an artifact's own. `turns_back`: the walk, where nothing differs. `felt`: only what differs
    is a cause. `unasked`: the bad model is taken to differ. `asked_first`: nothing is looked at where it does not.
    `itself`: whether that none of its parents differs counts only where it does. `missing`: what becomes of an artifact without a partner: "cause", "passed", "left out" or "raises".
    """

    partners: Callable[[Manifests, str], dict[str, str]] = _by("stage")
    key: str = "stage"
    differs: Callable[[str, Manifest, Manifest | None, str | None], bool] = lambda name, one, other, twin: other is None or one["disk"] != other["disk"]
    own: tuple[str, ...] | None = tuple(OWN)
    parents: Callable[[list[str]], list[str]] = lambda parents: parents
    turns_back: bool = True
    felt: bool = True
    itself: bool = True
    unasked: bool = False
    asked_first: bool = False
    stop_at_cause: bool = False
    missing: str = "cause"
    order: Callable[[list[str], Manifests], list[str]] = lambda causes, artifacts: sorted(causes, key=lambda name: artifacts[name]["created_s"])
    depth: int = 99
    once: bool = True
    whole: bool = False
    turned: bool = False


def _trace(rules: Rules, artifacts: Manifests, right: str, wrong: str) -> list[str]:
    if rules.turned:
        right, wrong = wrong, right
    partner = rules.partners(artifacts, right)

    def other(name: str) -> tuple[Manifest | None, str | None]:
        twin = partner.get(artifacts[name][rules.key])
        if twin is None and rules.missing == "raises":
            raise KeyError(artifacts[name][rules.key])
        return (artifacts[twin], twin) if twin else (None, None)

    def differs(name: str) -> bool:
        return rules.differs(name, artifacts[name], *other(name))

    def caused(name: str) -> bool:
        one, twin = artifacts[name], other(name)[0]
        mine, theirs = [{artifacts[parent][rules.key] for parent in manifest["parents"]} if manifest else set() for manifest in (one, twin)]
        alone = (differs(name) or not rules.itself) and not any(map(differs, rules.parents(one["parents"])))
        if rules.felt and not differs(name) or twin is None and rules.missing == "passed":
            return False
        return rules.own is None or any(OWN[what](one, twin, mine, theirs, alone) for what in rules.own)

    if rules.asked_first and not differs(wrong):
        return []
    causes, seen, todo = [], set(), deque((name, 0) for name in (artifacts if rules.whole else [wrong]))
    while todo:
        name, depth = todo.popleft()
        left_out = other(name)[0] is None and rules.missing == "left out"
        if rules.once and name in seen or depth > rules.depth or left_out or rules.turns_back and not differs(name) and not (rules.unasked and name == wrong):
            continue
        seen.add(name)
        found = caused(name)
        if found:
            causes.append(name)
        if not (found and rules.stop_at_cause) and not rules.whole:
            todo.extend((parent, depth + 1) for parent in rules.parents(artifacts[name]["parents"]))
    return rules.order(causes, artifacts)


def _ways(*ways: dict[str, Any], base: Rules = Rules()) -> dict[str, Any]:
    answers = [partial(_trace, replace(base, **way)) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in OWN if name not in names)


def _as_saved(name: str, one: Manifest, other: Manifest | None, twin: str | None) -> bool:
    return other is None or one["files"] != other["files"]


def _another_id(name: str, one: Manifest, other: Manifest | None, twin: str | None) -> bool:
    return name != twin


def _of_those_there(name: str, one: Manifest, other: Manifest | None, twin: str | None) -> bool:
    return other is None or any(other["disk"].get(file) != digest for file, digest in one["disk"].items())


def _of_those_saved(name: str, one: Manifest, other: Manifest | None, twin: str | None) -> bool:
    return other is None or any(one["disk"][file] != other["disk"][file] for file in one["files"])


def _found(causes: list[str], artifacts: Manifests) -> list[str]:
    return causes


def _in_time(causes: list[str], artifacts: Manifests) -> list[str]:
    return sorted(causes, key=lambda name: artifacts[name]["created_s"])


SETTINGS, DAMAGED = ("settings",), ("damaged",)
EVERYWHERE = {"turns_back": False, "felt": False}  # with causes that had no effect

MISCONCEPTIONS = (
    Misconception(
        "all that differ",
        says="Everything that differs was reported: most of it differs only because a parent does; ask of each whether the difference is its own.",
        **_ways(*({"own": None, "turns_back": turns, **way} for turns in (True, False) for way in ({}, {"order": _found}, {"missing": "left out"}, {"missing": "passed"}, {"differs": _as_saved}))),
    ),
    Misconception(
        "another id",
        says="Ids were compared, or whole manifests: every run gives new ids and times, also where the files are the same; compare what lies on the disk.",
        **_ways({"own": None, "differs": _another_id}, {"differs": _another_id}, {"own": ("settings", "damaged", "wired"), "differs": _another_id}, {"own": ("made",), "differs": _another_id}),
    ),
    Misconception(
        "excused by a parent",
        says="Whatever has a parent that differs was excused: it may be changed itself as well, by its settings, its parents' stages or a damaged file; then it is another cause.",
        **_ways(*({"own": own, "turns_back": turns} for turns in (True, False) for own in (("made",), ("new", "made")))),
    ),
    Misconception(
        "the nearest one",
        says="The search ended at the first cause that it met: there may be others, before it and beside it; go on with its parents.",
        **_ways({"stop_at_cause": True}, {"order": lambda causes, artifacts: causes[:1]}, {"order": lambda causes, artifacts: _in_time(causes, artifacts)[-1:]}),
    ),
    Misconception(
        "the earliest one",
        says="Only one cause was returned, the earliest: there may be several; return them all, the earliest first.",
        **_ways({"order": lambda causes, artifacts: _in_time(causes, artifacts)[:1]}),
    ),
    Misconception(
        "parents, not ancestors",
        says="Only the served model and its own parents were looked at: the cause may lie further back; go on with their parents.",
        **_ways({"depth": 1}, {"depth": 2}, {"depth": 0}),
    ),
    Misconception(
        "one parent followed",
        says="Of several parents only one was followed: the cause may lie behind any of them.",
        **_ways({"parents": lambda parents: parents[:1]}, {"parents": lambda parents: parents[-1:]}),
    ),
    Misconception(
        "settings alone",
        says="Only settings were compared: another program or a damaged file changes what is made without changing a setting.",
        **_ways({"own": SETTINGS}, {"own": SETTINGS, **EVERYWHERE}, {"own": ("settings", "new")}, {"own": ("settings", "wired")}, {"own": ("settings", "wired"), **EVERYWHERE}),
    ),
    Misconception(
        "damage alone",
        says="Only files that no longer have their hash were reported: a whole file may be the wrong one, by other settings, other parents or another program.",
        **_ways({"own": DAMAGED}, {"own": DAMAGED, **EVERYWHERE}, {"own": ("damaged", "new")}),
    ),
    Misconception(
        "settings not looked at",
        says="A difference was excused by a parent though the settings differ too: then it is the artifact's own as well.",
        **_ways({"own": _without("settings")}),
    ),
    Misconception(
        "damage not looked at",
        says="A file that no longer has the hash it was saved with was excused by a parent that differs: the damage is the artifact's own.",
        **_ways({"own": _without("damaged")}),
    ),
    Misconception(
        "parents' stages not looked at",
        says="An artifact that was made of other stages than its partner was excused by one that differs: a parent left out is a change of its own.",
        **_ways({"own": _without("wired")}),
    ),
    Misconception(
        "another program not looked at",
        says="An artifact whose parents and settings are as they were, and whose files differ all the same, was passed over: something else made it, such as another program.",
        **_ways({"own": _without("made")}, {"own": _without("made"), **EVERYWHERE}, {"own": ("new", "settings", "damaged")}),
    ),
    Misconception(
        "a new stage passed over",
        says="An artifact of a stage that the right lineage has not was passed over, or its look-up failed: it has no partner, so it is a cause itself.",
        **_ways({"missing": "passed"}, {"missing": "left out"}, {"missing": "raises"}),
    ),
    Misconception(
        "as it was saved",
        says="The hashes of the manifests were compared, not those on the disk: a file damaged later differs, and what was made of it was made of the damaged one.",
        **_ways({"differs": _as_saved}, {"differs": _as_saved, "own": _without("damaged")}),
    ),
    Misconception(
        "a file that is gone",
        says="A file that is gone from the disk was passed over, or its look-up failed: compare the whole dicts, not only the files that are there.",
        **_ways({"differs": _of_those_there}, {"differs": _of_those_saved}),
    ),
    Misconception(
        "a change without effect",
        says="Settings that differ were called a cause though the files are the same: what changed nothing is no cause.",
        **_ways({"differs": lambda name, one, other, twin: other is None or one["disk"] != other["disk"] or one["settings"] != other["settings"]}, EVERYWHERE),
    ),
    Misconception(
        "a difference that ended on its way",
        says="A difference was reported from which nothing follows: what was made of it came out the same; go back only through artifacts that differ.",
        **_ways({"turns_back": False}),
    ),
    Misconception(
        "no difference of its own",
        says="An artifact with its partner's files was reported, as none of its parents differs: neither does it; ask first whether it differs itself.",
        **_ways({"itself": False, **EVERYWHERE}, {"itself": False, "asked_first": True, **EVERYWHERE}, {"itself": False, "unasked": True, "felt": False}),
    ),
    Misconception(
        "the whole store",
        says="All artifacts were looked at: other runs are no ancestors of the bad model; walk back along its parents.",
        **_ways({"whole": True}, {"whole": True, "own": DAMAGED, **EVERYWHERE}, {"whole": True, "own": None}, {"whole": True, "turns_back": False, "felt": False}),
    ),
    Misconception(
        "a partner from any run",
        says="The partner was taken from all artifacts of that stage, whatever their run: take the one of the right model's own lineage.",
        **_ways({"partners": _by("stage", whole=True)}, {"partners": lambda artifacts, right: {artifacts[name]["stage"]: name for name in reversed(artifacts)}}),
    ),
    Misconception(
        "partners by kind",
        says="Partners were found by their kind: the pictures of four factories are of one kind; each has a stage of its own.",
        **_ways({"partners": _by("kind"), "key": "kind"}),
    ),
    Misconception(
        "in another order",
        says="The causes are right, their order is not: the earliest first, by created_s.",
        **_ways({"order": _found}, {"order": lambda causes, artifacts: _in_time(causes, artifacts)[::-1]}, {"order": lambda causes, artifacts: sorted(causes)}),
    ),
    Misconception(
        "found twice",
        says="A cause is there twice, as two ways lead back to it: keep what was visited, or a set of causes.",
        **_ways({"once": False}, {"once": False, "order": _found}),
    ),
    Misconception(
        "the other way round",
        says="Those are artifacts of the right model's lineage: walk back from wrong, and compare with right.",
        **_ways({"turned": True}),
    ),
)
