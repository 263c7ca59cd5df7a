"""The engine: every sort of failure has a message of its own, and nothing reaches stderr."""

from __future__ import annotations

import itertools
import signal
import sys
import warnings

import pytest
import torch

from breakthrough import events
from breakthrough.errors import CheckFailed, UnknownNameError
from breakthrough.exercises import card, check, hint, judge, load
from breakthrough.exercises.compare import close, same


@pytest.fixture(autouse=True)
def own_log(tmp_path, monkeypatch):
    monkeypatch.setenv(events.VARIABLE, str(tmp_path))


@pytest.fixture
def warm_up():
    return load("start.softmax")


def in_place(logits):
    logits.sub_(logits.max(dim=-1, keepdim=True).values)
    return logits.softmax(-1)


def raises(logits):
    return logits.no_such_method()


WRONG = {
    "shape": (lambda x: x.softmax(-1)[:, :-1], "shape"),
    "dtype": (lambda x: x.double().softmax(-1), "float64, not float32"),
    "nan": (lambda x: x.softmax(-1) * float("nan"), "NaN"),
    "device": (lambda x: x.softmax(-1).to("meta"), "on meta, not on cpu"),
    "mutated": (in_place, "changed its own input"),
    "random": (lambda x: torch.rand_like(x), "two different outputs"),
    "missing": (lambda x: None, "is there a `return`"),
    "signature": (lambda x, y: x, "arguments do not fit"),
    "raised": (raises, "no_such_method"),
    "type": (lambda x: "probabilities", "not a tensor"),
    "value": (lambda x: x.softmax(-1) + 0.25, "differ"),
    "not-callable": (torch.zeros(2), "pass it without calling it"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_each_sort_of_failure_has_a_message_of_its_own(kind, warm_up):
    answer, says = WRONG[kind]
    verdict = judge(warm_up, answer, 0)
    assert (verdict.status, verdict.kind, verdict.points) == ("wrong", kind, 0)
    assert says in card.plain(verdict, 1).splitlines()[0]


def test_a_diagnosis_comes_first_and_the_traceback_last(warm_up):
    diagnosed = card.plain(judge(warm_up, warm_up.misconceptions[0].answer, 0), 1).splitlines()
    assert diagnosed[0] == warm_up.misconceptions[0].says
    assert any(line.startswith("first at: [0, 0]") for line in diagnosed)
    raised = card.plain(judge(warm_up, raises, 0), 1).splitlines()
    assert raised[-1].startswith("AttributeError")
    assert any('hint("start.softmax", 1)' in line for line in raised[:-1])


def test_not_attempted_is_not_wrong(warm_up):
    def stub(logits):
        raise NotImplementedError()

    def unsupported(logits):
        raise NotImplementedError("this operator is not implemented for 'Half'")

    assert judge(warm_up, stub).status == "not attempted"
    assert judge(warm_up, unsupported).status == "wrong"


def test_a_seed_repeats_the_inputs_that_a_card_names(warm_up):
    def seen(seed):
        heard = []
        judge(warm_up, lambda x: heard.append(x) or x.softmax(-1), seed)
        return heard

    assert all(map(torch.equal, seen(7), seen(7)))
    assert not torch.equal(seen(7)[0], seen(8)[0])
    assert judge(warm_up, raises).seed != judge(warm_up, raises).seed


def test_nothing_reaches_stderr_and_warnings_are_shown(warm_up, capsys):
    def noisy(logits):
        warnings.warn("careful", stacklevel=1)
        print("to stderr", file=sys.stderr)
        return logits

    verdict = judge(warm_up, noisy, 0)
    assert capsys.readouterr().err == ""
    assert "warning from your code: careful" in card.plain(verdict, 1)


def test_check_prints_when_right_raises_when_wrong_and_logs_both(warm_up, capsys):
    check("start.softmax", warm_up.reference)
    assert "1 of 1 points" in capsys.readouterr().out
    with pytest.raises(CheckFailed, match="over its experts"):
        check("start.softmax", warm_up.misconceptions[0].answer)
    logged = [(e["kind"], e["status"], e["points"], e["diagnosis"]) for e in events.read()]
    assert logged == [("check", "passed", 1, None), ("check", "wrong", 0, "over tokens")]


def test_hints_climb_the_ladder(capsys):
    for name in ("concept", "shapes", "pseudocode", "solution", "solution"):
        hint("start.softmax")
        assert f": {name}" in capsys.readouterr().out
    with pytest.raises(UnknownNameError, match="from 1 to 4"):
        hint("start.softmax", 5)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="start.softmax"):
        check("start.sotfmax", None)


def test_markup_in_an_answer_is_escaped(warm_up):
    def markup(logits):
        raise ValueError("<script>alert(1)</script>")

    shown = card.bundle(judge(warm_up, markup, 0), 1)
    assert "<script>" not in shown["text/html"]
    assert shown[card.MIME]["points"] == 0


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_answer_that_does_not_end_is_stopped_and_says_where(warm_up, stubborn):
    from dataclasses import replace

    def endless(logits):
        while True:
            try:
                all(logits.sum() is not None for _ in itertools.count())  # on one line: it is stopped wherever it is
            except Exception:
                if not stubborn:
                    raise
                stop.append(1)
                if len(stop) > 1:  # caught the first time, stopped the second
                    raise

    stop = []
    before = signal.getsignal(signal.SIGALRM)
    verdict = judge(replace(warm_up, patience_s=0.3), endless, 0)
    assert (verdict.status, verdict.kind, verdict.diagnosis) == ("wrong", "endless", None)
    assert "an output within 0.3 s, got none" in card.plain(verdict, 1) and "logits.sum()" in verdict.traceback
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_largest_error_decides_and_the_tolerance_is_not_the_learners():
    want = torch.zeros(10_000)
    got = want.clone()
    got[17] = 1e-2  # a mean would hide it
    assert close(atol=1e-4)(want, got).where == "[17]"
    assert close(rtol=1e-3, atol=0)(torch.ones(3), torch.full((3,), 1e6))


def test_equal_infinities_and_nans_agree():
    odd = torch.tensor([float("inf"), float("nan"), 1.0])
    assert close()(odd, odd.clone()) is None
    assert close()(odd, torch.tensor([-float("inf"), float("nan"), 1.0])) is not None


def test_same_sees_every_change():
    assert same((torch.zeros(2), {"a": 1}), (torch.zeros(2), {"a": 1}))
    assert not same([torch.zeros(2)], [torch.zeros(3)])
    assert not same(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))


def test_an_outcome_names_its_misconception_and_the_reference_is_not_run():
    from dataclasses import replace

    from breakthrough.exercises.compare import Outcome, by_fault

    def never(*args):
        raise RuntimeError("the reference takes long")

    measured = replace(
        load("start.softmax"), reference=never, call=lambda answer, case: answer, compare=by_fault, expected=Outcome()
    )
    assert judge(measured, Outcome(), 0).status == "passed"
    verdict = judge(measured, Outcome("over tokens", "too large", "1 or less", "2"), 0)
    assert (verdict.status, verdict.kind, verdict.diagnosis.name) == ("wrong", "measured", "over tokens")
    assert {"expected: 1 or less", "got: 2"} <= set(card.plain(verdict, 1).splitlines())
    assert judge(measured, Outcome("unheard of", "odd"), 0).diagnosis is None
    assert judge(measured, "no outcome", 0).status == "wrong"
