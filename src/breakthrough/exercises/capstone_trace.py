"""Module 6: from a bad prediction to its cause, along the manifests of two served models."""

from __future__ import annotations

import random
from collections import ChainMap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Generator

from breakthrough.exercises.capstone_trace_store import Store
from breakthrough.exercises.capstone_trace_wrong import MISCONCEPTIONS
from breakthrough.exercises.compare import Difference
from breakthrough.exercises.exercise import Case, Exercise


def root_causes(artifacts: dict[str, dict], right: str, wrong: str) -> list[str]:
    """The artifacts behind a served model's wrong answer, found by comparison with one that answered rightly.

    Why:    nearly every artifact of the two lineages differs, most of them only because something before them does;
            who mends those mends nothing
    Units:  artifacts: manifests by id. One has "stage" and "kind", both strings; "parents", a list of the ids it was made
            of; "settings", a dict; "files", file name → hash when it was saved; "disk", file name → hash of what lies on
            the disk now (a file that is gone is missing); "created_s", when it was saved, no two at the same time.
            right, wrong: ids of the served models. A lineage is a served model, its parents, their parents, and so on;
            it has each stage once at most, while artifacts holds other runs as well. The files of right's lineage are whole.
            An artifact's partner is the one of the same stage in the lineage of right. An artifact differs when it has
            no partner, or its "disk" is not its partner's. Wherever two artifacts have the same "disk", what was made of
            either is the same. So an artifact has an effect only if it differs, and if a way leads to it from wrong, from an
            artifact to one of its parents, on which all differ, wrong too. Of those that have one, an artifact is a cause
            when the difference is its own, that is: it has no partner, or its "disk" is not its "files", or its "settings"
            are not its partner's, or the stages of its parents are not those of its partner's parents (in any order), or
            none of its parents differs.
            Returned: the ids of the causes, the earliest first, each once
    """
    lineage = {}  # of right: by stage
    todo = [right]
    while todo:
        one = artifacts[todo.pop()]
        lineage[one["stage"]] = one
        todo += one["parents"]

    def differs(name):
        other = lineage.get(artifacts[name]["stage"])
        return other is None or artifacts[name]["disk"] != other["disk"]

    def stages(one):
        return {artifacts[parent]["stage"] for parent in one["parents"]}

    causes, todo = set(), [wrong]
    while todo:
        name = todo.pop()
        if not differs(name):  # nothing before it has an effect through it
            continue
        one, other = artifacts[name], lineage.get(artifacts[name]["stage"])
        inherited = any(differs(parent) for parent in one["parents"])
        if other is None or one["disk"] != one["files"] or one["settings"] != other["settings"] or stages(one) != stages(other) or not inherited:
            causes.add(name)
        todo += one["parents"]
    return sorted(causes, key=lambda name: artifacts[name]["created_s"])


def _recursively(artifacts, right, wrong):
    def ancestors(name: str) -> set[str]:
        return {name}.union(*map(ancestors, artifacts[name]["parents"]))

    partner = {artifacts[name]["stage"]: artifacts[name] for name in ancestors(right)}

    @cache
    def causes(name: str) -> frozenset[str]:
        """The causes of an artifact's difference; none if it does not differ."""
        mine, theirs = artifacts[name], partner.get(artifacts[name]["stage"], {})
        if theirs and mine["disk"] == theirs["disk"]:
            return frozenset()
        before = frozenset().union(*map(causes, mine["parents"]))
        wired = sorted(artifacts[i]["stage"] for i in mine["parents"]) == sorted(artifacts[i]["stage"] for i in theirs.get("parents", ()))
        own = not theirs or not wired or mine["settings"] != theirs["settings"] or mine["files"] != mine["disk"]
        return before | {name} if own or not before else before

    return sorted(causes(wrong), key=lambda name: artifacts[name]["created_s"])


def _from_the_beginning(artifacts, right, wrong):
    """By time: first which artifacts differ and why, then from the end which of them have an effect."""
    order = sorted(artifacts, key=lambda name: artifacts[name]["created_s"])

    def line(of: str) -> list[str]:
        found = {of}
        for name in reversed(order):  # whoever was made of it came later
            if name in found:
                found.update(artifacts[name]["parents"])
        return [name for name in order if name in found]

    partner = {artifacts[name]["stage"]: name for name in line(right)}
    differing: set[str] = set()
    own: list[str] = []
    for name in line(wrong):
        mine, other = artifacts[name], partner.get(artifacts[name]["stage"])
        theirs = artifacts[other] if other else None
        if theirs and mine["disk"] == theirs["disk"]:
            continue
        inherited = differing & set(mine["parents"])
        differing.add(name)
        changed = not theirs or any([
            mine["settings"] != theirs["settings"],
            dict(ChainMap(mine["disk"])) != mine["files"],
            {artifacts[i]["stage"] for i in mine["parents"]} ^ {artifacts[i]["stage"] for i in theirs["parents"]},
        ])  # fmt: skip
        if changed or not inherited:
            own.append(name)
    felt = {wrong} & differing
    for name in reversed(order):
        if name in felt:
            felt |= differing & set(artifacts[name]["parents"])
    return [name for name in own if name in felt]


def _until_nothing_is_new(artifacts, right, wrong):
    """Sets that grow until they stay: the good lineage, then what the difference reaches from."""

    def grown(start, allowed):
        found = {name for name in start if allowed(name)}
        while more := {parent for name in found for parent in artifacts[name]["parents"] if allowed(parent)} - found:
            found |= more
        return found

    good = {artifacts[name]["stage"]: name for name in grown({right}, lambda name: True)}

    def other(name):
        return artifacts.get(good.get(artifacts[name]["stage"]), {})

    bad = grown({wrong}, lambda name: other(name).get("disk") != artifacts[name]["disk"])

    def wiring(manifest):
        return sorted(artifacts[parent]["stage"] for parent in manifest.get("parents", []))

    facts = {
        name: (not other(name), one["disk"] != one["files"], one["settings"] != other(name).get("settings"),
               wiring(one) != wiring(other(name)), bad.isdisjoint(one["parents"]))
        for name, one in artifacts.items() if name in bad
    }
    return [name for _, name in sorted((artifacts[name]["created_s"], name) for name in bad if any(facts[name]))]


def _by_hand() -> tuple[dict[str, dict[str, Any]], str, str]:
    def one(stage: str, at: float, parents: list[str], digest: str, **settings: Any) -> dict[str, Any]:
        files = {f"{stage}.npz": digest}
        return {"stage": stage, "kind": stage, "parents": parents, "settings": settings, "files": files, "disk": dict(files), "created_s": at}

    return {
        "p1": one("pictures", 1.0, [], "c0ffee", seed=0),
        "m1": one("model", 2.0, ["p1"], "beef", epochs=8),
        "s1": one("served", 3.0, ["m1"], "f00d", batch=8),
        "p2": one("pictures", 4.0, [], "c0ffee", seed=0),
        "m2": one("model", 5.0, ["p2"], "dead", epochs=1),
        "s2": one("served", 6.0, ["m2"], "fade", batch=8),
    }, "s1", "s2"


def _named(artifacts: dict[str, dict]) -> Callable[[Any], Any]:
    """Ids with their stages, so that a card says more than a number."""

    def look(output: Any) -> Any:
        if not isinstance(output, (list, tuple)):
            return output
        return [f"{artifacts[name]['stage']} {name}" if isinstance(name, str) and name in artifacts else repr(name) for name in output]

    return look


def _alike(want: list[str], got: Any) -> Difference | None:
    if want == got:
        return None
    if got is None:
        return Difference("missing", "the output is None: is there a `return`?")
    if not isinstance(got, list):
        return Difference("type", "the output is no list of ids", "a list of ids", type(got).__name__)
    lost, extra = ([name for name in one if name not in other] for one, other in ((want, got), (got, want)))
    text = "the order of the causes is another, or one is there twice"
    if lost or extra:
        text = "; ".join(f"{what}: {', '.join(names)}" for what, names in (("not found", lost), ("no cause", extra)) if names)
    return Difference("value", text, ", ".join(want) or "none", ", ".join(got) or "none")


def _cases(generator: Generator) -> Iterator[Case]:
    def case(label: str, change: Any = None, share: tuple[str, ...] = (), **right: Any) -> Case:
        """A store of runs: one that answered rightly, one changed in some stages, and others."""
        store = Store(random.Random(int(torch.randint(2**31, (), generator=generator))))
        store.run({"pictures-north": {"settings": {"seed": 99}}, "calibration": {"damage": "wrong"}})
        first = store.run(right)
        store.run({"quantized": {"settings": {"bits": 4}}, "pictures-east": {"damage": "gone"}}, shared=first, share=share)
        second = store.run(change or {}, shared=first, share=share)
        store.run({"federated": {"code": "later"}, "pictures-west": {"settings": {"seed": 5}}})
        return made(label, store.artifacts(), first["served"], second["served"])

    def made(label: str, artifacts: dict[str, dict], right: str, wrong: str) -> Case:
        return Case(label, (artifacts, right, wrong), look=_named(artifacts))

    factories = ("pictures-north", "pictures-east", "pictures-south", "pictures-west")
    dark = {"settings": {"light": 0.2}}
    yield made("by hand: pictures, model, served; the model was trained for 1 epoch, not 8", *_by_hand())
    yield case("other settings of the calibration", {"calibration": dark})
    yield case("the fourth factory's pictures are dark", {"pictures-west": dark})
    yield case("another program trained: the same settings, the same parents", {"federated": {"code": "new"}})
    yield case("a file was altered on the disk before it was read", {"pictures-south": {"damage": "wrong"}}, share=factories[:2])
    yield case("a file was gone from the disk", {"calibration": {"damage": "gone"}}, share=factories)
    yield case("two causes side by side", {"pictures-east": dark, "calibration": {"settings": {"n": 8}}})
    yield case("two causes, one after the other", {"pictures-south": dark, "federated": {"settings": {"rounds": 1}}})
    yield case("a file altered, and a cause before it", {"pictures-north": dark, "quantized": {"damage": "wrong"}})
    yield case("a factory left out of the training", {"federated": {"parents": list(factories[:3])}}, share=factories)
    yield case("a factory left out, another one dark", {"federated": {"parents": list(factories[1:])}, "pictures-east": dark})
    yield case("a stage that the right one has not, after a cause", {"filter": {"parents": list(factories), "settings": {"sharp": 0.5}}, "federated": {"parents": ["filter"]}, "pictures-west": dark}, share=factories)
    yield case("pictures differ, and the stage that read them came out the same", {"pictures-north": dark, "federated": {"as": "right"}, "calibration": {"as": "right"}, "threshold": {"as": "right"}, "compiled": {"settings": {"target": "avx2"}}})
    yield case("a setting that changed nothing, and a cause elsewhere", {"federated": {"settings": {"workers": 4}}, "compiled": {"settings": {"workers": 4}}, "threshold": {"settings": {"miss": 7}}})
    yield case("the served model itself", {"served": {"settings": {"resize": 60}}}, share=("compiled", "threshold"))
    yield case("all ran again, and nothing differs", {"federated": {"settings": {"workers": 2}}})


EXERCISES = (
    Exercise(
        name="capstone.trace",
        title="From a bad prediction to its cause",
        points=10,
        minutes=60,
        difficulty=2,
        reference=root_causes,
        cases=_cases,
        compare=_alike,
        alternatives=(_recursively, _from_the_beginning, _until_nothing_is_new),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Go back from the bad model as long as things differ. At each artifact ask: would the same change have come of its parents alone? Where the parents are as they were, or something of its own was changed as well, you have found a cause; but go on, there may be others before it. Where nothing differs, turn back: whatever lies before it was of no consequence.",
            'partner: stage → manifest, of the lineage of right; differs(id): no partner, or artifacts[id]["disk"] != partner["disk"]; walk: a list of ids still to visit, beginning with [wrong]; causes: a set of ids; sort by "created_s" at the end',
            "partner = for each artifact of right's lineage: its stage → it\ntodo = [wrong]; causes = empty set\nwhile todo:\n    take one; if it does not differ: go on with the next\n    if it has no partner, or disk ≠ files, or settings differ, or its parents' stages differ, or no parent differs: it is a cause\n    add its parents to todo\nreturn the causes, sorted by created_s",
        ),
    ),
)
