import json
import sys

import pytest

from breakthrough import events
from breakthrough.course import claims, runs
from breakthrough.errors import InputError, UnknownNameError


def own():
    return [event for event in events.read() if event["kind"] == "claim"]


def entry(course, claim="C01", records=None):
    return next(one for one in claims.ledger(course, records) if one.claim.id == claim)


def record(verdict="holds", profile="quick", measured="1 of 2", claim="C01"):
    return {"claim": claim, "verdict": verdict, "measured": measured, "reason": "", "profile": profile, "figures": {}}


def test_a_record_is_an_event_and_in_a_script_one_text(course, capsys):
    claims.record("C01", "holds", "1.30 ± 0.01 against 1.35", figures={"moe": 1.30}, profile="tiny")
    [event] = own()
    assert {key: value for key, value in event.items() if key not in ("kind", "time_s")} == {
        "claim": "C01", "verdict": "holds", "measured": "1.30 ± 0.01 against 1.35", "reason": "", "profile": "tiny", "figures": {"moe": 1.3}}
    assert capsys.readouterr().out.startswith("✓ C01: holds (profile tiny)\nclaim: Doubling is <fast>\nmeasured: 1.30")


@pytest.mark.parametrize(("arguments", "options", "said"), [
    (("C01", "true", "1"), {}, "expected a verdict out of holds, holds under conditions"),
    (("C01", "holds", "it was much better"), {}, "expected a sentence with the figures"),
    (("C01", "cannot be tested here", ""), {}, "expected the reason"),
    (("C01", "holds", "1"), {"figures": {"x": float("nan")}}, "expected a finite number for the figure 'x'"),
    (("C01", "holds", "1"), {"figures": {"x": "one"}}, "expected a number for the figure 'x'"),
    (("C01", "holds", "1"), {"profile": "fast"}, "expected a profile"),
])
def test_what_is_no_record_is_refused_and_not_written(course, arguments, options, said):
    with pytest.raises(InputError, match=said) as caught:
        claims.record(*arguments, **options)
    assert own() == []
    [shown] = caught.value._render_traceback_()  # what a notebook shows: no frames
    assert shown.startswith("InputError: expected") and "\n" not in shown


def test_an_unknown_claim_is_refused(course):
    with pytest.raises(UnknownNameError, match="C99"):
        claims.record("C99", "holds", "1")


def test_numbers_of_other_libraries_become_plain(course):
    import numpy as np

    claims.record("C01", "holds", "1", figures={"x": np.float32(0.5), "n": np.int64(3)})
    assert own()[0]["figures"] == {"x": 0.5, "n": 3.0}


def test_the_ledger_has_every_claim_and_says_why_it_is_empty(course):
    states = {one.claim.id: one.state for one in claims.ledger(course, [])}
    assert states == {"C01": "not recorded yet", "C03": "module 02 in preparation", "C14": "not recorded yet", "C28": "elective, in preparation"}


def test_the_last_record_counts_but_a_lesser_profile_never_hides_a_better_one(course):
    assert entry(course, records=[record("holds"), record("does not hold")]).verdict == "does not hold"
    assert entry(course, records=[record("holds", "quick"), record("does not hold", "tiny")]).verdict == "holds"


@pytest.mark.parametrize("damaged", [{}, {"claim": "C01"}, record("maybe"), record() | {"measured": None}, record() | {"verdict": ["holds"]}])
def test_damaged_records_are_skipped(course, damaged):
    assert not entry(course, records=[damaged]).recorded


def test_the_learners_own_record_stands_above_the_courses(course):
    plan = runs.Plan(course, "quick")
    plan.folder.mkdir(parents=True)
    kept = runs.Result("01_toy lab", "01_toy", "lab", "passed", 1.0, 70, 70, claims={"C01": record("does not hold")})
    (plan.folder / runs.RESULTS).write_text(json.dumps({"01_toy lab": vars(kept)}))
    assert (entry(course).verdict, entry(course).source) == ("does not hold", claims.COURSES)
    claims.record("C01", "holds", "1 of 1", profile="tiny")  # whatever the profile: it is the learner's
    assert (entry(course).verdict, entry(course).source) == ("holds", claims.YOURS)
    assert entry(course, "C14").source == ""


def test_a_card_escapes_what_it_shows(course):
    shown = claims.html(course.find_claim("C01"), record(measured="<script>1</script>"))
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "<fast>" not in shown


def test_in_a_notebook_the_record_is_a_bundle_that_a_run_reads(course, monkeypatch):
    import IPython
    import IPython.display

    shown = []
    kernel = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr(IPython, "get_ipython", lambda: kernel)
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: shown.append(bundle))
    assert "IPython" in sys.modules
    claims.record("C01", "holds", "1 of 1", figures={"x": 1})
    [bundle] = shown
    assert set(bundle) == {"text/plain", "text/html", claims.CLAIM_MIME}
    assert bundle[claims.CLAIM_MIME]["claim"] == "C01" and "time_s" not in bundle[claims.CLAIM_MIME]
