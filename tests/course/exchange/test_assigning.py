"""Who reviews whom: every work its reviews, nobody their own, no pair twice, balanced; few, many, late and gone."""

import random
import time
from collections import Counter

import pytest

from breakthrough.course.exchange.assigning import assign
from breakthrough.errors import InputError


def names(count):
    return [f"learner{place:04}" for place in range(count)]


def look(given, works, k):
    """Faults of an assignment: none where all is well."""
    had = Counter(work for many in given.values() for work in many)
    loads = [len(many) for many in given.values()]
    return [*(f"{work} has {had[work]}" for work in works if had[work] != k),
            *(f"{one} reads their own" for one, many in given.items() if one in many),
            *(f"{one} reads one twice" for one, many in given.items() if len(set(many)) < len(many)),
            *([f"from {min(loads)} to {max(loads)} works"] if max(loads) - min(loads) > 1 else [])]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 12, 40, 201])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_every_work_gets_its_reviews(count, k):
    for seed in range(5):
        assert look(assign(names(count), names(count), k=k, seed=seed), names(count), min(k, count - 1)) == []


def test_three_thousand_learners_take_seconds():
    started = time.process_time()
    given = assign(names(3000), names(3000))
    assert look(given, names(3000), 3) == []
    assert time.process_time() - started < 10


def test_over_modules_no_pair_comes_again_while_that_can_be():
    before, learners = set(), names(24)
    for module in range(6):
        given = assign(learners, learners, seed=module, before=before)
        pairs = {(one, work) for one, many in given.items() for work in many}
        assert look(given, learners, 3) == [] and not pairs & before
        before |= pairs


def test_where_all_pairs_were_made_before_reviews_are_made_all_the_same():
    before = {(one, work) for one in names(4) for work in names(4)}
    assert look(assign(names(4), names(4), before=before), names(4), 3) == []


def test_the_lot_depends_on_the_seed_and_on_nothing_else():
    learners = names(30)
    first = assign(learners, learners, seed=1)
    assert first == assign(learners[::-1], learners + learners[:3], seed=1)
    assert first != assign(learners, learners, seed=2)


@pytest.mark.parametrize("count", [3, 6, 12, 40, 200])
def test_late_comers_are_worked_in_and_the_works_of_those_who_left_are_spread(count):
    kept = held = 0
    for seed in range(10):
        given = assign(names(count), names(count), seed=seed)
        gone = set(random.Random(seed).sample(names(count), count // 10 if count > 3 else 0))
        now = [one for one in names(count) if one not in gone] + [f"late{place}" for place in range(max(1, count // 10))]
        again = assign(now, now, seed=seed, given=given)
        assert look(again, now, min(3, len(now) - 1)) == []
        stays = [(one, work) for one in again for work in given.get(one, ()) if work in now]
        kept, held = kept + sum(work in again[one] for one, work in stays), held + len(stays)
    assert kept >= 0.75 * held


def test_people_who_handed_in_nothing_may_review():
    given = assign(names(10), names(6), seed=0)
    assert look(given, names(6), 3) == []


def test_a_second_call_changes_nothing():
    given = assign(names(20), names(20))
    assert assign(names(20), names(20), given=given) == given


@pytest.mark.parametrize(("people", "works", "k"), [(1, 1, 3), (0, 5, 3), (5, 1, 3), (5, 5, 0)])
def test_too_few_are_refused(people, works, k):
    with pytest.raises(InputError, match="two learners"):
        assign(names(people), names(works), k=k)
