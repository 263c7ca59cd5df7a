"""Specimens: one of three faultless, keys that are true, fresh by seed, and nothing in the looks that tells them apart."""

from collections import Counter

import pytest

from breakthrough.course.exchange import specimens
from breakthrough.course.exchange.reviews import EXPERIMENT
from breakthrough.course.exchange.rubric import CODE, load
from breakthrough.exercises import plants
from breakthrough.exercises.exercise import load as exercise_of
from breakthrough.exercises.judge import PASSED, WRONG, judge

MODULES = ("01_moe", "02_scenes", "03_federated", "04_quant", "05_deploy", "06_capstone")


@pytest.mark.parametrize("module", MODULES)
def test_the_key_is_what_the_judge_says_of_the_code(module):
    for one in specimens.make(module, 5):
        wrong = {flaw.exercise: flaw.kind for flaw in one.key.flaws if flaw.exercise != EXPERIMENT}
        for name, source in one.code.items():
            verdict = judge(exercise_of(name), plants.answer(source, exercise_of(name)), 1)
            found = (verdict.status, verdict.diagnosis.name if verdict.diagnosis else None)
            assert found == ((WRONG, wrong[name]) if name in wrong else (PASSED, None)), source


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_of_three_is_faultless_and_an_experiment_is_flawed(module, seed):
    made, rubric = specimens.make(module, seed), load(module)
    assert [one.name for one in made] == ["A", "B", "C"]
    assert sum(one.key.faultless for one in made) == 1
    assert len({tuple(one.code) for one in made}) == 1 and 5 <= len(made[0].code) <= 6
    assert any(flaw.exercise == EXPERIMENT for one in made for flaw in one.key.flaws)
    for one in made:
        assert set(one.account) == set(rubric.account.sections)
        in_code = [flaw for flaw in one.key.flaws if flaw.exercise != EXPERIMENT]
        assert len(in_code) <= 3 and (one.key.faultless or in_code)
        assert set(one.key.levels) == {c.id for c in rubric.criteria}
        assert one.key.faultless == (set(one.key.levels.values()) == {4})
        assert one.key.levels[CODE] in {0: (4,), 1: (2, 3), 2: (1,), 3: (0,)}[len(in_code)]
        assert all(flaw.says for flaw in one.key.flaws)


def test_a_seed_makes_the_same_and_another_others():
    assert specimens.make("01_moe", 7) == specimens.make("01_moe", 7)
    assert specimens.make("01_moe", 7) != specimens.make("01_moe", 8)
    assert specimens.specimen("01_moe", 7, "C") == specimens.specimen("01_moe", 7, "C")


def test_which_one_is_faultless_is_left_to_chance():
    rubric = load("01_moe")
    sound = Counter(one.name for seed in range(40) for one in specimens.make("01_moe", seed, rubric) if one.key.faultless)
    assert set(sound) == {"A", "B", "C"} and max(sound.values()) < 25


def test_a_single_specimen_has_the_flaws_that_are_asked_for():
    one = specimens.specimen("04_quant", 3, "D", code_flaws=2, experiment=True)
    assert one.name == "D" and [flaw.exercise for flaw in one.key.flaws][-1] == EXPERIMENT and len(one.key.flaws) == 3
    assert specimens.specimen("04_quant", 3, code_flaws=0, experiment=False).key.faultless


def test_right_and_wrong_code_is_written_alike():
    """Length, comments, docstrings and names of locals: over many specimens they say little of what is wrong."""
    right, wrong = [], []
    for seed in range(30):
        for one in specimens.make("01_moe", seed):
            bad = {flaw.exercise for flaw in one.key.flaws}
            for name, source in one.code.items():
                (wrong if name in bad else right).append(('"""' in source, "#" in source, "result" in source, '"' in source.replace('"""', "")))
    for place in range(4):
        shares = [sum(row[place] for row in rows) / len(rows) for rows in (right, wrong)]
        assert abs(shares[0] - shares[1]) < 0.2
