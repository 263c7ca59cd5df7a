"""What a line does, from what every version of its net said: plain, finite data that everything else is written from.

`facts_of(line)["measured"]` is what a clock or a meter told, and differs from run to run; all else is equal for equal
arrays. A share is {"value", "low", "high", "n"}, from 0 to 1, with its interval of 95%; its numbers are None where no
picture tells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from breakthrough.capstone.cost import Assumptions, best_throughput, decided
from breakthrough.capstone.decision import Told, odds, probability
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, VALID, VERSIONS, Line
from breakthrough.capstone.measures import GOAL, apart, judged, plain
from breakthrough.capstone.view import FIRST, SERVED, SOUND, View
from breakthrough.errors import ShapeError, expected
from breakthrough.quant.inspecting import Share, change, share

ACCURACY, DETECTION = "per-image accuracy", "detection of any defect"  # readings of the claim, beside the recall of each defect
LEAST_ACCURACY, MOST_LOST = 0.99, 0.005  # goals: the lower bound of accuracy, what may be lost from first to served
SHOWN_ERRORS = 24


def facts_of(line: Line, assumptions: Assumptions | None = None) -> dict[str, Any]:
    """Everything that the report, the model card and the data sheet say of a line, as plain finite data.

    Units:  shares from 0 to 1, differences from −1 to 1; `_eur` in euros a thousand inspections; thresholds in log-odds
    Raises: ShapeError when the line's arrays do not belong together; InputError when VALID cannot give a threshold
    """
    assumptions = assumptions or Assumptions()
    views = {domain: View(line, domain) for domain in DOMAINS}
    each: dict[str, Any] = {
        "counts": _counts, "accuracy": _accuracy, "recall": _recall, "precision": lambda view: _plain(view.precision()),
        "recall_by_factory": _recall_by_factory, "confusion": lambda view: view.confusion().tolist(), "detection": _detection,
        "claim": _claim, "tradeoff": lambda view: view.told.curve(), "errors": _errors,
    }  # fmt: skip
    found: dict[str, Any] = {name: {domain: read(view) for domain, view in views.items()} for name, read in each.items()}
    valid = _valid(line)
    found |= {
        "classes": list(views[SYNTHETIC].classes), "factories": {one.name: one.words for one in line.spec.factories},
        "versions": list(VERSIONS), "domains": list(DOMAINS), "spec": _spec(line), "valid": _valid_counts(line),
        "served": _served(views[SYNTHETIC]), "gap": _gap(views), "operating": _operating(views, valid),
        "cost": _cost(views, valid, assumptions),
    }  # fmt: skip
    found["goals"] = _goals(found)
    return json.loads(json.dumps(found | {"measured": _measured(line, assumptions)}, allow_nan=False))


def _plain(shares: Mapping[str, Share]) -> dict[str, Any]:
    return {name: plain(one) for name, one in shares.items()}


def _counts(view: View) -> dict[str, dict[str, int]]:
    return {name: {kind: int((mine & shown).sum()) for kind, shown in view.kinds()} for name, mine in view.factories()}


def _accuracy(view: View) -> dict[str, Any]:
    first, found = view.right(FIRST), {}
    for version in VERSIONS:
        right = view.right(version)
        found[version] = {
            "all": plain(share(right)),
            "factories": {name: plain(share(right[mine])) for name, mine in view.factories()},
            "gained": None if version == FIRST else plain(change(first, right)),
            "factories_gained": None if version == FIRST else {name: plain(change(first[mine], right[mine])) for name, mine in view.factories()},
        }
    return found


def _served(view: View) -> dict[str, Any]:
    said = np.asarray(view.line.served)
    if said.shape != view.labels.shape:
        raise ShapeError(expected(f"an answer over HTTP to each of {len(view.labels)} pictures", said.shape))
    right = said == view.labels
    found = {"agreement": share(said == view.said()), "accuracy": share(right), "gained": change(view.right(FIRST), right)}
    return _plain(found)


def _recall(view: View) -> dict[str, Any]:
    return _plain(view.recall())


def _recall_by_factory(view: View) -> dict[str, Any]:
    return {name: _plain(view.recall(mine)) for name, mine in view.factories()}


def _detection(view: View) -> dict[str, Any]:
    return _plain(view.detection()) | {"factories": {name: _plain(view.detection(mine)) for name, mine in view.factories()}}


def _claim(view: View) -> dict[str, Any]:
    readings = {ACCURACY: share(view.right()), DETECTION: view.detection()["recall"]}
    readings |= {f"recall of {name}": one for name, one in view.recall().items() if name != SOUND}
    return {name: judged(one) for name, one in readings.items()}


def _errors(view: View) -> dict[str, Any]:
    """The wrong answers, the surest of them first."""
    scores = np.asarray(view.line.scores[view.domain][SERVED], np.float64)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    sure, wrong = (powers / powers.sum(1, keepdims=True)).max(1), np.flatnonzero(~view.right())
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:SHOWN_ERRORS]
    names, said = view.line.spec.names, view.said()
    told = [
        {"index": int(i), "was": view.classes[view.labels[i]], "said": view.classes[said[i]], "factory": names[view.owner[i]], "probability": float(sure[i])}
        for i in shown
    ]
    return {"count": len(wrong), "shown": told}


def _valid(line: Line) -> Told:
    labels, scores = np.asarray(line.valid_labels), line.scores[VALID][SERVED]
    if len(labels) != len(scores):
        raise ShapeError(expected(f"scores of {len(labels)} pictures of the part {VALID}", np.shape(scores)))
    sound = line.sets[SYNTHETIC].classes.index(SOUND)
    return Told(odds(scores, sound), labels != sound)


def _valid_counts(line: Line) -> dict[str, int]:
    return {name: int((np.asarray(line.valid_labels) == place).sum()) for place, name in enumerate(line.sets[SYNTHETIC].classes)}


def _gap(views: Mapping[str, View]) -> dict[str, Any]:
    """How much less is right on the path-traced line; a negative gap says that more is."""
    there, here = views[SYNTHETIC], views[LINE]

    def apart_on(read: Any) -> dict[str, Any]:
        return {name: plain(apart(share(there.right()[mine]), share(here.right()[other]))) for (name, mine), (_, other) in zip(read(there), read(here))}

    versions = {one: plain(apart(share(there.right(one)), share(here.right(one)))) for one in VERSIONS}
    return {"versions": versions, "all": versions[SERVED], "factories": apart_on(View.factories), "classes": apart_on(View.kinds)}


def _at(told: Told, threshold: float, view: View | None = None) -> dict[str, Any]:
    recall, alarms = told.at(threshold)
    found = {"recall": judged(recall), "false_alarms": plain(alarms)}
    if view is not None:
        stopped = told.stopped(threshold)
        found["kinds"] = {name: plain(share(stopped[shown])) for name, shown in view.kinds() if name != SOUND}
        found["factories"] = {name: _plain(dict(zip(("recall", "false_alarms"), Told(told.values[mine], told.faulty[mine]).at(threshold)))) for name, mine in view.factories()}
    return found


def _operating(views: Mapping[str, View], valid: Told) -> dict[str, Any]:
    """Where the line stops a part so that the claim is met on VALID, and what that does on the domains."""
    threshold = valid.threshold_for(GOAL)
    chosen = {"goal": GOAL, "threshold": threshold, "probability": probability(threshold), VALID: _at(valid, threshold)}
    return chosen | {domain: _at(view.told, threshold, view) for domain, view in views.items()}


def _cost(views: Mapping[str, View], valid: Told, assumptions: Assumptions) -> dict[str, Any]:
    threshold = valid.cheapest(assumptions.decided_eur)
    found: dict[str, Any] = {"assumptions": asdict(assumptions), "threshold": threshold, "probability": probability(threshold)}
    goal = valid.threshold_for(GOAL)
    for domain, view in views.items():
        usual = view.detection()
        found[domain] = {
            "default": decided(assumptions, usual["recall"], usual["false_alarms"]),
            "at the goal": decided(assumptions, *view.told.at(goal)),
            "cheapest": decided(assumptions, *view.told.at(threshold)),
            "rates": _at(view.told, threshold),
        }
    return found


def _goals(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the line was to reach: accuracy on synthetic pictures, and how little it may lose on the way to being served."""
    accuracy, gained = found["accuracy"][SYNTHETIC][SERVED]["all"], found["served"]["gained"]
    reached = accuracy["n"] > 0 and accuracy["value"] >= GOAL and accuracy["low"] >= LEAST_ACCURACY
    return {
        "accuracy": {"goal": GOAL, "least": LEAST_ACCURACY, "met": bool(reached)},
        "lost": {"goal": MOST_LOST, "met": bool(accuracy["n"] > 0 and -gained["value"] <= MOST_LOST)},
    }


def _spec(line: Line) -> dict[str, Any]:
    names = ("size", "train", "valid", "test", "traced", "spp", "rounds", "steps", "passes", "batch_size", "lr", "lr_end", "protection", "strategy", "server_momentum", "average", "batches", "clients", "seconds", "seed")
    told = {name: getattr(line.spec, name) for name in names}
    return told | {"net": dict(line.spec.net), "augmentation": dict(line.spec.augmentation), "mix": {one.name: one.mix for one in line.spec.factories}}


def _measured(line: Line, assumptions: Assumptions) -> dict[str, Any]:
    compiled, load = line.artifacts["compiled"].metrics, [_finite(one) for one in line.load]
    throughput = best_throughput(load)
    return {
        "machine": compiled.get("machine"), "threads": compiled.get("threads"), "load": load,
        "latency": {name: one["latency"] for name, one in compiled.items() if isinstance(one, Mapping) and "latency" in one},
        "bytes": {name: dict(one["bytes"]) for name, one in compiled.items() if isinstance(one, Mapping) and "bytes" in one},
        "throughput": throughput, "box": assumptions.box_for(throughput), "seconds": line.seconds,
        "artifacts": {stage: {"kind": one.kind, "id": one.id} for stage, one in line.artifacts.items()},
        "profile": line.artifacts["compiled"].profile,
    }  # fmt: skip


def _finite(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()}
