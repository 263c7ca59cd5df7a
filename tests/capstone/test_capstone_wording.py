"""What facts say in words, at the places where another number would ask for another word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from capstone_lines import made_line

from breakthrough.capstone import wording
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, VALID, VERSIONS
from breakthrough.capstone.measures import judged, plain
from breakthrough.quant.inspecting import Share, share


def of(right: int, n: int) -> dict:
    return judged(share(np.arange(n) < right))


def test_numbers_as_people_read_them():
    assert wording.percent(of(3, 4)) == "75.00%" and wording.interval(of(0, 0)) == "–" and wording.points(of(0, 0)) == "–"
    assert wording.points(plain(Share(-0.0012, -0.003, 0.0006, 9))) == "−0.12 (−0.30 to +0.06)"
    assert [wording.euros(x) for x in (0.0, 1234.5, 0.0123, None)] == ["€0.00", "€1,234.50", "€0.012", "–"]
    assert [wording.duration(x) for x in (0.44, 48.2, 200)] == ["0.4 s", "48 s", "3 min 20 s"]
    assert [wording.size(x) for x in (412_345, 2_345_678)] == ["412 kB", "2.35 MB"]
    assert [wording.number(x) for x in (1234.5, 12.345, None)] == ["1,234", "12.3", "–"]
    assert wording.listed({"experts": 4, "widths": [1, 2]}) == "experts 4, widths 1, 2" and wording.listed({}) == "none"


@pytest.mark.parametrize(("right", "n", "said"), [
    (765, 765, "holds"), (0, 10, "does not hold"), (60, 60, "cannot be told from 60 defects; 765 would tell, if the rate stayed"), (0, 0, "cannot be told from 0 defects"),
    (4975, 5000, "cannot be told from 5,000 defects"),
])
def test_a_verdict_in_words(right, n, said):
    assert wording.verdict(of(right, n), "defects") == said


@pytest.fixture(scope="module")
def facts():
    return facts_of(made_line())


def test_the_answer_has_three_sentences_with_the_verdict_of_each_domain(facts):
    told = wording.summary(facts)
    assert len(told) == 3 and "300 simulated pictures of 3 factories" in told[0]
    for sentence, domain in zip(told[1:], DOMAINS):
        claim = facts["claim"][domain]["detection of any defect"]
        assert claim["verdict"] in sentence and f"{100 * claim['value']:.2f}%" in sentence and f"{claim['n']} defects" in sentence


@pytest.mark.parametrize(("low", "high", "begins"), [(0.01, 0.03, "Fewer"), (-0.03, -0.01, "More"), (-0.01, 0.02, "Whether")])
def test_a_gap_is_called_one_only_where_it_is(facts, low, high, begins):
    told = facts | {"gap": {"all": plain(Share((low + high) / 2, low, high, 9))}}
    assert wording.gap(told).startswith(begins)


@pytest.mark.parametrize(("low", "high", "says"), [(0.01, 0.03, "more answers became right"), (-0.03, -0.01, "more answers became wrong"), (-0.01, 0.02, "cannot be told")])
def test_a_change_is_called_one_only_where_it_is(facts, low, high, says):
    last = facts["accuracy"][SYNTHETIC][VERSIONS[-1]] | {"gained": plain(Share((low + high) / 2, low, high, 9))}
    told = facts | {"accuracy": {SYNTHETIC: facts["accuracy"][SYNTHETIC] | {VERSIONS[-1]: last}}}
    assert says in wording.changed(told, SYNTHETIC)


def test_a_line_without_a_mistake_is_said_to_make_none():
    line = made_line()
    labels = {SYNTHETIC: line.sets[SYNTHETIC].labels, LINE: line.sets[LINE].labels, VALID: line.valid_labels}
    scores = {domain: dict.fromkeys(VERSIONS, 30.0 * np.eye(5)[mine]) for domain, mine in labels.items()}
    told = facts_of(replace(line, scores=scores, served=labels[SYNTHETIC]))
    assert wording.mistake(told, LINE) == "On path-traced pictures no answer was wrong."
    assert wording.hardest(told, LINE) == "On path-traced pictures no defect was harder to name than another."
    assert "is missed" in wording.goals(told) and "is kept" in wording.goals(told)
    assert "for each of 120 pictures" in wording.served(told)


def test_the_hardest_defect_and_the_usual_mistake(facts):
    shares = {name: one["value"] for name, one in facts["recall"][LINE].items() if name != "none"}
    assert wording.words(min(shares, key=shares.get)) in wording.hardest(facts, LINE)
    assert f"{facts['errors'][LINE]['count']} answers were wrong" in wording.mistake(facts, LINE)


def test_a_cost_is_called_less_only_where_it_is(facts):
    for default, cheapest, says in ((10.0, 9.0, "less than"), (9.0, 10.0, "more than"), (9.0, 9.0, "as much as")):
        cost = facts["cost"] | {LINE: {"default": {"total_eur": default}, "cheapest": {"total_eur": cheapest}}}
        assert says in wording.cheapest(facts | {"cost": cost}, LINE)
    assert "nothing can be said" in wording.cheapest(facts | {"cost": {LINE: {"default": None}}}, LINE)


def test_requests_that_failed_are_said(facts):
    assert "none failed or was lost" in wording.loaded(facts) and "At most it answered 900" in wording.loaded(facts)
    load = [facts["measured"]["load"][0] | {"failed": 2, "lost": 1}]
    assert "3 failed or were lost" in wording.loaded(facts | {"measured": {"load": load}})
    assert wording.loaded(facts | {"measured": {"load": []}}) == "No load was put on the service."
