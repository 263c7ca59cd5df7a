"""Questions are drawn for each learner: other numbers, another order, judged as strictly and explained as well."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from breakthrough import events, learner
from breakthrough.course import notebooks, syllabus
from breakthrough.errors import ConfigError, InputError, UnknownNameError
from breakthrough.exercises import answering, card, every, gate, judge, load, numbers, statement
from breakthrough.exercises.draws import Draw
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn

QUESTIONS = [exercise for exercise in every() if exercise.question]
COHORT = [f"student{number:02d}" for number in range(40)]
FACTORS = {"light", "material", "camera", "distractors", "more of the same"}
each = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)


def is_choice(question):
    return isinstance(question.reference, str)


# every question, as several learners get it


@each
def test_every_learner_is_judged_alike(question):
    part = gate.facts(question)
    assert part.faults == ()
    assert part.counts.wrong == part.counts.killed == part.counts.diagnosed >= 4 * (1 + len(gate.LEARNERS))


@each
def test_a_cohort_gets_different_answers(question):
    answers = Counter(str(question.redraw(one).reference) for one in COHORT)
    assert len(answers) >= (3 if is_choice(question) else 4), answers
    assert max(answers.values()) <= len(COHORT) / 2, answers


@each
def test_what_is_asked_decides_what_is_right(question):
    mine = [question.redraw(one) for one in COHORT]
    right = {one.asks: one.reference for one in mine}
    assert all(right[one.asks] == one.reference for one in mine)
    assert len(right) >= 4


@each
def test_name_points_and_mistakes_are_the_same_for_all(question):
    for one in map(question.redraw, COHORT):
        assert (one.name, one.title, one.points, one.minutes) == (question.name, question.title, question.points, question.minutes)
        names = {misconception.name for misconception in one.misconceptions}
        if question.name == "scenes.q_gap":  # the factor that is missing is the right answer
            assert names < FACTORS and len(names) == 4
        else:
            assert names == {misconception.name for misconception in question.misconceptions}
        assert all(20 <= len(misconception.says) <= 300 for misconception in one.misconceptions)


@each
def test_sentences_refer_to_no_letter(question):
    for misconception in question.misconceptions:
        assert not re.search(r"\b(option|answer)s? [A-E]\b", misconception.says)


@each
def test_the_standard_draw_is_what_an_empty_id_gets(question):
    assert question.redraw("").asks == question.asks
    assert question.redraw("").reference == question.reference


@each
def test_one_learner_gets_the_same_again_and_the_hints_fit(question):
    one, other = question.redraw("ada"), question.redraw(" ada\n")
    assert (one.asks, one.reference, one.hints) == (other.asks, other.reference, other.hints)
    assert one.hint(4) == str(one.reference)


@each
def test_the_card_shows_all_that_is_asked(question):
    mine = question.redraw("ada")
    shown = statement.bundle(mine, "ada")
    for text in shown.values():
        assert mine.title in re.sub(r"&#x27;", "'", text) and "ada" in text and "**" not in text
    words = set(re.findall(r"\w+", re.sub(r"<[^>]*>", " ", shown["text/html"])))
    assert set(re.findall(r"\w+", mine.asks)) <= words | {"quot"}


# draws


def test_a_draw_is_the_same_in_every_process_and_on_every_machine():
    # what stands here has been asked: when it changes, cohorts that run get other questions in the middle
    assert [load(f"moe.q_{name}").redraw("bitdiddle").reference for name in ("active", "collapse", "capacity", "bias", "parallel")] == [151, "D", 4, "E", 10]
    code = "from breakthrough.exercises import load; print(load('moe.q_active').redraw('bitdiddle').asks)"
    told = [subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
            for seed in ("1", "2")]
    assert told[0] == told[1] == load("moe.q_active").redraw("bitdiddle").asks + "\n"


def test_the_standard_draw_takes_the_first_and_keeps_the_order():
    draw = Draw("", "a question")
    assert draw.standard and [draw.pick("xyz") for _ in range(3)] == ["x", "x", "x"]
    assert draw.shuffled([3, 1, 2]) == [3, 1, 2]


def test_draws_are_spread_and_orders_are_whole():
    picked = Counter(Draw(f"learner{number}", "q").pick("abcd") for number in range(400))
    assert set(picked) == set("abcd") and min(picked.values()) > 60
    firsts = Counter(tuple(Draw(f"learner{number}", "q").shuffled("abc")) for number in range(600))
    assert len(firsts) == 6 and min(firsts.values()) > 60
    with pytest.raises(ConfigError, match="expected values to draw from in q"):
        Draw("ada", "q").pick([])


def number(draw, **more):
    return Number(asks="?", answer=draw.pick([4, 5]), wrong=tuple(Wrong(f"w{value}", value, "no") for value in (5, 7, 8, 9)), hints=("a", "b", "c"), **more)


def test_a_draw_whose_answers_are_the_same_is_thrown_away():
    question = drawn("toy.q_number", "Toy", number)
    assert {question.redraw(one).reference for one in COHORT} == {4}  # 5 is a wrong answer, too
    with pytest.raises(ConfigError, match="answers of toy.q_number that can be told apart"):
        drawn("toy.q_number", "Toy", lambda draw: number(draw, tolerance=1))


@pytest.mark.parametrize("options", [
    (Wrong("a", "one", "no"), Wrong("b", "two", "no")), (Right("one"), Right("two")), (Right("one"), Wrong("a", "one", "no")),
])
def test_a_choice_has_one_right_option_and_no_twins(options):
    with pytest.raises(ConfigError, match="can be told apart"):
        drawn("toy.q_choice", "Toy", lambda draw: Choice("?", options, ("a", "b", "c")))


# how answers are read


@pytest.mark.parametrize(("written", "meant"), [
    (4, 4), (4.0, 4), ("4", 4), (" 4. ", 4), ("352,321,536", 352321536), ("352_321_536", 352321536), ("0,8", 0.8), ("1,234", 1234), ("12,5", 12.5),
    ("0,375", 0.375), ("1/3", 1 / 3), ("1 / 3", 1 / 3), ("−0.16", -0.16), ("-0.16", -0.16), ("1e3", 1000), ("≈ 33", 33), ("33 %", 33), ("33%", 33),
    ("33 per cent", 33), (np.float64(4), 4), (np.int64(4), 4), (np.array([4]), 4), (torch.tensor(4), 4), (torch.tensor([4.0]), 4),
])
def test_a_number_is_read_as_people_write_it(written, meant):
    assert numbers.read(written, "%|per ?cent") == pytest.approx(meant)


@pytest.mark.parametrize("written", [
    True, None, "", "two", "33 mm", "nan", "inf", "1/0", "1/2/3", "four 4", [4], {}, "3 4", "%", torch.zeros(3), np.zeros(3), 10**400, object(),
])
def test_what_is_no_number_is_none(written):
    assert numbers.read(written, "%|per ?cent") is None


def test_numbers_in_questions():
    assert [numbers.write(value) for value in (4096, 12.5, -0.16, 0.1 + 0.2, 1e6)] == ["4,096", "12.5", "−0.16", "0.3", "1,000,000"]
    assert (numbers.power(2e12), numbers.power(1e11), numbers.word(4), numbers.word(40)) == ("2 · 10¹²", "10¹¹", "four", "40")
    assert (numbers.listed(["a"]), numbers.listed(["a", "b", "c"])) == ("a", "a, b and c")


@pytest.mark.parametrize(("answer", "says"), [
    ("the third", "write the letter"), (3, "write the letter"), ("F", "not the answer"), ("", "write the letter"), (True, "write the letter"),
    (torch.zeros(3), "write the letter"), (float("nan"), "write the letter"), ("x" * 5000, "write the letter"),
])
def test_what_is_no_letter_is_told(answer, says):
    text = card.plain(judge(load("moe.q_collapse"), answer, 0), 1)
    assert says in text.splitlines()[0] and len(text) < 600


@pytest.mark.parametrize("answer", [torch.zeros(3), np.zeros(3), float("nan"), float("inf"), [352], object(), print, "x" * 5000, 10**400, pytest.param(10**5000, id="long")])
def test_any_object_is_judged_and_wrong(answer):
    verdict = judge(load("moe.q_active"), answer, 0)
    assert verdict.status == "wrong" and verdict.kind == "value"


def test_near_is_forgiven_within_the_tolerance_only():
    found = {answer: judge(load("scenes.q_zbuffer"), answer, 0).status for answer in (180.9, 181, 181.8, 183, 183.1)}
    assert found == {180.9: "wrong", 181: "passed", 181.8: "passed", 183: "passed", 183.1: "wrong"}
    rounded = judge(load("capstone.q_base_rate"), "66.7%", 0)  # 66.67
    assert rounded.diagnosis.name == "the false ones"


def test_an_answer_from_the_web_is_recognised():
    verdict = judge(load("moe.q_active").redraw("bitdiddle"), "352 million", 0)
    assert verdict.status == "wrong" and verdict.difference.text.startswith("That answers the question as it is printed on the web")
    assert judge(load("moe.q_active"), 352, 0).status == "passed"
    mistaken = judge(load("moe.q_capacity").redraw("bitdiddle"), 0, 0)
    assert mistaken.diagnosis.name == "moved on"


def test_formulas_by_hand_for_other_numbers():
    def asked(name, pattern, most=200):
        """The first learners' questions: the numbers in what is asked, and what is right."""
        for one in (load(name).redraw(f"hand{number}") for number in range(most)):
            yield [float(text.replace(",", "").replace("−", "-")) for text in re.search(pattern, one.asks).groups()], one.reference

    n = r"(−?[\d,]*\.?\d+)"
    for (tokens, factor, *loads), right in asked("moe.q_capacity", rf"{n} tokens.*factor {n}\..*experts {n}, {n}, {n} and {n} "):
        assert sum(loads) == 2 * tokens and right == sum(max(0, load - math.ceil(factor * tokens * 2 / 4)) for load in loads)
    for (near, far, value), right in asked("scenes.q_zbuffer", rf"at {n} m and .* at {n} m\. .*holds {n} "):
        assert right == pytest.approx(1000 * far * near / (far - (far - near) * value), abs=0.5)
    for (speed, limit, rate), right in asked("scenes.q_physics", rf"at {n} mm.*beyond {n} µm.*1/{n} s"):
        assert right == pytest.approx(limit / (1000 * speed) * rate)
    for (steep, optimum), right in asked("federated.q_drift", rf"½ · {n} \(w − {n}\)"):
        grid = np.linspace(0, optimum, 100001)
        least = grid[np.argmin(grid**2 / 2 + steep * (grid - optimum) ** 2 / 2)]
        assert right == pytest.approx(abs(least - optimum / 2), abs=1e-4 * optimum)
    for (first, second, third, bias), right in asked("federated.q_leak", rf"\({n}, {n}, {n}\) and ∂L/∂b = {n}\."):
        assert right == pytest.approx(second / bias) and 0 < first / bias < 1 and 0 < third / bias < 1
    for (weights, gradients, moments), right in asked("quant.q_memory", rf"{n} GB of weights, {n} GB of gradients, {n} GB"):
        assert right == weights / 8 + gradients + moments
    for (within, largest), right in asked("quant.q_outlier", rf"±{n}, the last one is {n}\. "):
        weights = np.linspace(-within, within, 10001)
        assert right == len(np.unique(np.round(weights / (largest / 127) * (1 - 1e-12))))
    for (alone, batch, full), right in asked("deploy.q_batching", rf"takes {n} ms, one at batch {n} takes {n} ms"):
        assert right == pytest.approx(batch / full * alone)
    for (parts,), right in asked("capstone.q_interval", rf"shown {n} faulty"):
        assert (1 - right / 100) ** parts == pytest.approx(0.05, rel=0.04)
    for (one_in, found, false), right in asked("capstone.q_base_rate", rf"in {n} is faulty.* for {n}% of the faulty.* for {n}% of"):
        real, other = found / one_in, false * (1 - 1 / one_in)
        assert right == pytest.approx(100 * real / (real + other), abs=0.01)


def test_a_bit_halves_the_error_measured():
    for one in (load("quant.q_bits").redraw(f"hand{number}") for number in range(20)):
        before, after = map(int, re.search(r"from (\d+) bits to (\d+)", one.asks).groups())
        values = np.random.default_rng(0).uniform(-1, 1, 100_000)
        errors = [np.mean((np.round(values * 2 ** (bits - 1)) / 2 ** (bits - 1) - values) ** 2) for bits in (before, after)]
        assert one.reference == pytest.approx(errors[0] / errors[1], rel=0.02)


# in a notebook


@pytest.fixture
def shown(tmp_path, monkeypatch):
    monkeypatch.setenv(events.VARIABLE, str(tmp_path))
    monkeypatch.setenv(learner.VARIABLE, "bitdiddle")
    monkeypatch.setattr(answering, "_in_notebook", lambda: True)
    bundles = []
    monkeypatch.setattr(answering, "_show", lambda bundle, *_: bundles.append(bundle))
    return bundles


def test_ask_check_and_hint_are_about_the_same_draw(shown):
    mine, standard = load("moe.q_active").redraw("bitdiddle"), load("moe.q_active")
    assert mine.reference != standard.reference
    answering.ask("moe.q_active")
    answering.check("moe.q_active", mine.reference)
    answering.check("moe.q_active", standard.reference)
    answering.hint("moe.q_active", 2)
    assert "drawn for bitdiddle" in shown[0]["text/plain"] and mine.asks[:40].replace("*", "") in shown[0]["text/plain"]
    assert [bundle[card.MIME]["status"] for bundle in shown[1:3]] == ["passed", "wrong"]
    assert mine.hints[1] in shown[3]["text/plain"]


def test_the_log_keeps_what_a_grader_needs_to_judge_again(shown):
    mine = load("moe.q_capacity").redraw("bitdiddle")
    given = [mine.reference, mine.misconceptions[0].answer, "a" * 500, [1, 2], None, float("nan"), 10**20, True, "4 assignments", 10**5000, "\ud800"]
    for answer in given:
        answering.check("moe.q_capacity", answer)
    told = [event for event in events.read() if event["kind"] == "check"]
    assert [event["answer"] for event in told] == [
        mine.reference, mine.misconceptions[0].answer, "a" * 200, "[1, 2]", None, "nan", str(10**20), True, "4 assignments", "an int", "?"]
    assert {event["learner"] for event in told} == {"bitdiddle"}
    for event in told:
        assert judge(load(event["exercise"]).redraw(event["learner"]), event["answer"]).status == event["status"]


def test_code_answers_are_not_logged(shown):
    answering.check("start.softmax", torch.sigmoid)
    [event] = events.read()
    assert "answer" not in event and "learner" not in event and json.dumps(event)


def test_ask_knows_questions_only(shown):
    with pytest.raises(UnknownNameError, match="expected the name of a question, got 'moe.route'"):
        answering.ask("moe.route")
    with pytest.raises(UnknownNameError, match="try moe.q_active"):
        answering.ask("moe.q_activ")


def test_an_exercise_is_the_same_for_all():
    assert load("moe.route").redraw("ada") is load("moe.route")
    with pytest.raises(InputError, match="expected an id of 1 to 128 printable characters"):
        load("moe.q_bias").redraw("a\nb")


@each
def test_a_lesson_asks_before_it_checks_and_shows_the_standard_question(question):
    course = syllabus.load()
    lesson = notebooks.read(course.lesson(next(module for module in course.modules if question.name in module.questions)))
    [cell] = [cell for cell in notebooks.code_cells(lesson) if f'check("{question.name}"' in cell["source"]]
    assert cell["source"].startswith(f'ask("{question.name}")\n') and "answer" in notebooks.tags(cell)
    kept = {kind: "".join(text) for kind, text in cell["outputs"][0]["data"].items()}
    assert kept == statement.bundle(question, learner.STANDARD)
