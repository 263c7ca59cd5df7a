"""Scoring a review of specimens: work pays, and neither silence, praise nor guessing does."""

import random

import pytest

from breakthrough.course.exchange import plain, scoring, specimens
from breakthrough.course.exchange.reviews import EXPERIMENT, Finding, Handed, Review
from breakthrough.course.exchange.rubric import load
from breakthrough.exercises import plants, showing
from breakthrough.exercises.exercise import load as exercise_of

RUBRIC = load("01_moe")
SEEDS = range(6)


def evidence_for(one, flaw):
    if flaw.exercise == EXPERIMENT:
        return flaw.section
    exercise = exercise_of(flaw.exercise)
    wrong = plants.answer(one.code[flaw.exercise], exercise)
    for drawn in showing.inputs(exercise, 3).values():
        told = plain.encode(drawn.args)
        if showing.shows(exercise, wrong, plain.decode(told)).differs:
            return told
    raise LookupError(flaw)


def perfect(made):
    return [Review(work=one.name, ratings=one.key.levels, findings=tuple(
        Finding(exercise=flaw.exercise, kind=flaw.kind, evidence=evidence_for(one, flaw)) for flaw in one.key.flaws)) for one in made]


def scored(made, reviews):
    return scoring.score(Handed(module="01_moe", packet="solo", reviews=tuple(reviews)), made, RUBRIC)


def praise(made):
    return {one.id: 4 for one in RUBRIC.criteria}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_perfect_review_earns_all(seed):
    made = specimens.make("01_moe", seed)
    found = scored(made, perfect(made))
    assert found.share == pytest.approx(1.0) and found.points == 20.0
    assert {item.status for item in found.items} <= {scoring.FOUND, scoring.SOUND}


@pytest.mark.parametrize("seed", SEEDS)
def test_praise_for_all_earns_little(seed):
    made = specimens.make("01_moe", seed)
    found = scored(made, [Review(work=one.name, ratings=praise(made)) for one in made])
    assert found.ratings == 0 and found.share <= 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_guessing_everything_earns_little(seed):
    made, lot = specimens.make("01_moe", seed), random.Random(seed)

    def guesses(one, each):
        for name in one.code:
            kinds = [m.name for m in exercise_of(name).misconceptions]
            drawn = plain.encode(next(iter(showing.inputs(exercise_of(name)).values())).args)
            yield from (Finding(exercise=name, kind=kind, evidence=drawn) for kind in (kinds[:4] if each else [lot.choice(kinds)]))
        yield from (Finding(exercise=EXPERIMENT, kind=kind, evidence="setup") for kind in RUBRIC.kinds[: 4 if each else 1])

    for each in (True, False):
        low = [Review(work=one.name, ratings=dict.fromkeys(praise(made), 2), findings=tuple(guesses(one, each))) for one in made]
        assert scored(made, low).share <= 0.2


def test_an_empty_review_earns_nothing_and_says_so():
    made = specimens.make("01_moe", 1)
    for reviews in ([], [Review(work=one.name) for one in made]):
        found = scored(made, reviews)
        assert found.empty and found.share == 0


def flawed_one(made):
    return next(one for one in made if any(flaw.exercise != EXPERIMENT for flaw in one.key.flaws))


def of(found, work, exercise):
    return next(item for item in found.items if (item.work, item.exercise) == (work, exercise))


@pytest.mark.parametrize(("change", "earned", "said"), [
    ({"kind": "something else"}, 0.7, "not its kind"),
    ({"evidence": None}, 0.7, "none was given"),
    ({"evidence": {"tuple": []}}, 0.7, "the arguments of"),
    ({"evidence": "nonsense"}, 0.7, "as a tuple, got str"),
    ({"evidence": {"no": 1}}, 0.7, "expected evidence"),
    ({"kind": "something else", "evidence": None}, 0.4, "the right place"),
])
def test_place_kind_and_evidence_count_each(change, earned, said):
    made = specimens.make("01_moe", 2)
    one = flawed_one(made)
    flaw = next(flaw for flaw in one.key.flaws if flaw.exercise != EXPERIMENT)
    finding = Finding(exercise=flaw.exercise, kind=flaw.kind, evidence=evidence_for(one, flaw)).model_copy(update=change)
    item = of(scored(made, [Review(work=one.name, findings=(finding,))]), one.name, flaw.exercise)
    assert item.earned == pytest.approx(earned) and item.status == scoring.PARTLY
    assert said in " ".join(item.notes) and item.says == flaw.says


def test_evidence_on_which_right_and_wrong_agree_or_right_ones_raise_does_not_count():
    import torch

    exercise = exercise_of("moe.capacity")
    text = plants.source(next(p for p in plants.table()["moe.capacity"] if p.kind == "rounded down" and p.of == "keep"))
    key = specimens.Key((specimens.Planted("moe.capacity", "rounded down", "says"),), {one.id: 4 for one in RUBRIC.criteria})
    one = specimens.Specimen({"moe.capacity": text}, {}, "A", key)
    experts = torch.tensor([[0], [0], [1], [2]])
    for args, counts in [((experts, 4, 1.0), False), ((experts, 4, 1.25), True), ((experts, 0, 1.0), False)]:
        finding = Finding(exercise="moe.capacity", kind="rounded down", evidence=plain.encode(args))
        assert of(scored([one], [Review(work="A", findings=(finding,))]), "A", "moe.capacity").earned == pytest.approx(1.0 if counts else 0.7), args
    assert exercise.name in one.code


def test_a_false_alarm_takes_from_what_was_earned():
    made = specimens.make("01_moe", 2)
    reviews = perfect(made)
    sound = next(i for i, one in enumerate(made) if one.key.faultless)
    name = next(iter(made[0].code))
    reviews[sound] = reviews[sound].model_copy(update={"findings": (Finding(exercise=name, kind="x"),)})
    found, worth = scored(made, reviews), sum(len(one.key.flaws) for one in made) + 1
    assert found.findings == pytest.approx((worth - 1 - scoring.ALARM) / worth)
    assert of(found, made[sound].name, name).status == scoring.FALSE


def test_the_faultless_one_counts_only_when_it_was_rated():
    made = specimens.make("01_moe", 2)
    reviews = [review.model_copy(update={"ratings": {}}) if one.key.faultless else review for one, review in zip(made, perfect(made))]
    item = next(item for item in scored(made, reviews).items if item.status == scoring.NOT_RATED)
    assert item.earned == 0 and "rate every criterion" in item.says


def test_levels_nearer_the_key_earn_more_and_a_far_one_costs_most():
    made = specimens.make("01_moe", 2)
    one = flawed_one(made)
    name = min(one.key.levels, key=one.key.levels.get)
    skills = []
    for off in range(3):
        reviews = [Review(work=other.name, ratings=other.key.levels | ({name: other.key.levels[name] + off} if other is one else {})) for other in made]
        skills.append(scored(made, reviews).ratings)
    assert skills[0] == 1 and skills[0] - skills[1] < skills[1] - skills[2]
