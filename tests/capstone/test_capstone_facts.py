"""The facts of a small made-up line, against counts made another way."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from capstone_lines import COUNT, NAMES, made_line

from breakthrough.capstone.cost import Assumptions
from breakthrough.capstone.facts import ACCURACY, DETECTION, facts_of
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, VALID, VERSIONS
from breakthrough.errors import ShapeError
from breakthrough.quant.inspecting import share
from breakthrough.scenes.spec import DEFECTS


@pytest.fixture(scope="module")
def line():
    return made_line()


@pytest.fixture(scope="module")
def facts(line):
    return facts_of(line)


def counted(line, domain, version="compiled"):
    """Pairs of what a picture shows and what was said, one at a time."""
    scores = line.scores[domain][version]
    return [(int(label), max(range(5), key=lambda c: scores[i][c]), int(line.factory[domain][i])) for i, label in enumerate(line.sets[domain].labels)]


@pytest.mark.parametrize("domain", DOMAINS)
def test_accuracy_by_version_and_factory(line, facts, domain):
    for version in VERSIONS:
        pairs = counted(line, domain, version)
        found = facts["accuracy"][domain][version]
        assert found["all"]["value"] == pytest.approx(sum(a == b for a, b, _ in pairs) / 120) and found["all"]["n"] == 120
        for place, name in enumerate(NAMES):
            assert found["factories"][name]["value"] == pytest.approx(sum(a == b for a, b, f in pairs if f == place) / COUNT)
    before, after = counted(line, domain, "central"), counted(line, domain, "federated")
    won = sum(a[0] == a[1] for a in after) - sum(a[0] == a[1] for a in before)
    assert facts["accuracy"][domain]["federated"]["gained"]["value"] == pytest.approx(won / 120)
    assert facts["accuracy"][domain]["central"]["gained"] is None


@pytest.mark.parametrize("domain", DOMAINS)
def test_classes_confusion_and_detection(line, facts, domain):
    pairs = counted(line, domain)
    for place, name in enumerate(DEFECTS):
        mine, named = [b for a, b, _ in pairs if a == place], [a for a, b, _ in pairs if b == place]
        assert facts["recall"][domain][name]["value"] == pytest.approx(mine.count(place) / len(mine))
        assert facts["precision"][domain][name]["value"] == pytest.approx(named.count(place) / len(named))
        assert facts["confusion"][domain][place] == [mine.count(other) for other in range(5)]
        own = [b for a, b, f in pairs if a == place and f == 1]
        assert facts["recall_by_factory"][domain][NAMES[1]][name]["value"] == pytest.approx(own.count(place) / len(own))
    faulty, sound = [b for a, b, _ in pairs if a], [b for a, b, _ in pairs if not a]
    assert facts["detection"][domain]["recall"]["value"] == pytest.approx(sum(b > 0 for b in faulty) / len(faulty))
    assert facts["detection"][domain]["false_alarms"]["value"] == pytest.approx(sum(b > 0 for b in sound) / len(sound))
    assert facts["claim"][domain][DETECTION]["value"] == facts["detection"][domain]["recall"]["value"]
    assert facts["claim"][domain][ACCURACY]["verdict"] == "does not hold"
    assert set(facts["claim"][domain]) == {ACCURACY, DETECTION, *(f"recall of {name}" for name in DEFECTS[1:])}


def test_the_gap_is_between_the_domains(line, facts):
    first, second = (np.array([a == b for a, b, _ in counted(line, domain)]) for domain in DOMAINS)
    assert facts["gap"]["all"]["value"] == pytest.approx(first.mean() - second.mean())
    assert facts["gap"]["all"]["low"] < facts["gap"]["all"]["value"] < facts["gap"]["all"]["high"]
    assert facts["gap"]["factories"][NAMES[2]]["value"] == pytest.approx(first[80:].mean() - second[80:].mean())
    assert facts["gap"]["classes"]["scratch"]["value"] == pytest.approx(facts["recall"][SYNTHETIC]["scratch"]["value"] - facts["recall"][LINE]["scratch"]["value"])


def test_what_was_served(line, facts):
    assert facts["served"]["agreement"]["value"] == 1
    other = replace(line, served=np.where(np.arange(120) < 30, (line.served + 1) % 5, line.served))
    found = facts_of(other)["served"]
    assert found["agreement"]["value"] == 0.75
    assert found["accuracy"]["value"] == float(np.mean(other.served == line.sets[SYNTHETIC].labels))
    assert found["gained"]["value"] == pytest.approx(found["accuracy"]["value"] - facts["accuracy"][SYNTHETIC]["central"]["all"]["value"])


def test_the_operating_point_is_chosen_on_the_valid_part_alone(line, facts):
    at = facts["operating"]
    assert at[VALID]["recall"]["value"] >= 0.995 and at[VALID]["recall"]["n"] == 48
    scores = np.asarray(line.scores[LINE]["compiled"], float)
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    stopped, labels = 1 - p[:, 0] >= at["probability"], line.sets[LINE].labels
    assert at[LINE]["recall"]["value"] == pytest.approx(stopped[labels > 0].mean())
    assert at[LINE]["false_alarms"]["value"] == pytest.approx(stopped[labels == 0].mean())
    assert at[LINE]["kinds"]["scratch"]["value"] == pytest.approx(stopped[labels == 4].mean())
    other = made_line(seed=5)
    moved = facts_of(replace(line, sets=other.sets, scores={**other.scores, VALID: line.scores[VALID]}, served=other.served))
    assert moved["operating"]["threshold"] == at["threshold"] and moved["cost"]["threshold"] == facts["cost"]["threshold"]


def test_costs_follow_the_rates_and_the_assumptions(line, facts):
    prices = Assumptions()
    for domain in DOMAINS:
        told = facts["detection"][domain]
        assert facts["cost"][domain]["default"]["total_eur"] == pytest.approx(prices.decided_eur(told["recall"]["value"], told["false_alarms"]["value"]))
    dear = facts_of(line, Assumptions(escape_eur=5000))["cost"]
    assert dear["threshold"] <= facts["cost"]["threshold"] and dear["assumptions"]["escape_eur"] == 5000
    assert dear[SYNTHETIC]["rates"]["recall"]["value"] >= facts["cost"][SYNTHETIC]["rates"]["recall"]["value"]


def test_the_surest_errors_come_first(line, facts):
    found = facts["errors"][SYNTHETIC]
    wrong = [i for i, (a, b, _) in enumerate(counted(line, SYNTHETIC)) if a != b]
    assert found["count"] == len(wrong) and len(found["shown"]) == min(24, len(wrong))
    sure = [one["probability"] for one in found["shown"]]
    assert sure == sorted(sure, reverse=True) and {one["index"] for one in found["shown"]} <= set(wrong)
    assert all(one["was"] != one["said"] and one["factory"] == NAMES[one["index"] // COUNT] for one in found["shown"])


def test_a_class_without_pictures_leaves_none_and_no_verdict():
    facts = facts_of(made_line(without=2))
    assert facts["recall"][LINE]["raised_bolt"] == {"value": None, "low": None, "high": None, "n": 0}
    assert facts["claim"][LINE]["recall of raised_bolt"]["verdict"] == "cannot be told from 0 pictures"
    assert facts["gap"]["classes"]["raised_bolt"]["value"] is None
    sound = facts_of(made_line(without=0))
    assert sound["detection"][LINE]["false_alarms"]["n"] == 0 and sound["cost"][LINE]["default"] is None and sound["tradeoff"][LINE]["recall"] == []


def test_a_line_without_a_mistake():
    line = made_line(right=1.0)
    perfect = {domain: {version: 30.0 * np.eye(5)[labels] for version in VERSIONS} for domain, labels in ((SYNTHETIC, line.sets[SYNTHETIC].labels), (LINE, line.sets[LINE].labels), (VALID, line.valid_labels))}
    facts = facts_of(replace(line, scores=perfect, served=line.sets[SYNTHETIC].labels))
    assert facts["claim"][SYNTHETIC][ACCURACY]["verdict"] == "cannot be told from 120 pictures" and facts["claim"][SYNTHETIC][ACCURACY]["needed"] == 765
    assert facts["errors"][SYNTHETIC] == {"count": 0, "shown": []} and facts["goals"]["lost"]["met"] is True
    assert facts["goals"]["accuracy"]["met"] is False  # of 120 pictures the lower bound stays below 99%: share(1) is 0.969
    assert share(np.ones(120, bool)).low < 0.99


def test_facts_are_plain_and_equal_for_equal_arrays(facts):
    again = facts_of(made_line())
    other = facts_of(made_line(seed=1))
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    known = {key: value for key, value in facts.items() if key != "measured"}
    assert known == {key: value for key, value in again.items() if key != "measured"}
    assert known != {key: value for key, value in other.items() if key != "measured"}
    told = json.dumps(known)
    assert "seconds\": 12.5" not in told and "p99_ms" not in told
    assert facts["measured"]["throughput"] == 900 and facts["measured"]["load"][0]["cpu_ms"] is None and facts["measured"]["seconds"]["compiled"] == 12.5


def test_counts_are_of_the_pictures(line, facts):
    assert facts["counts"][SYNTHETIC][NAMES[0]] == dict.fromkeys(DEFECTS, 8) and facts["valid"] == dict.fromkeys(DEFECTS, 12)


def test_arrays_that_do_not_belong_together_are_refused(line):
    short = {**line.scores, SYNTHETIC: {**line.scores[SYNTHETIC], "federated": line.scores[SYNTHETIC]["federated"][:-1]}}
    for wrong, what in (({"scores": short}, "scores of federated"), ({"served": line.served[1:]}, "over HTTP"), ({"valid_labels": line.valid_labels[1:]}, "part valid"), ({"factory": {**line.factory, LINE: line.factory[LINE][1:]}}, "a factory for each")):
        with pytest.raises(ShapeError, match=what):
            facts_of(replace(line, **wrong))
