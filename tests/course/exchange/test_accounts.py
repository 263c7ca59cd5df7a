"""Accounts: figures drawn and derived, texts filled, and every account and flaw of the course told fifty times."""

from __future__ import annotations

import random
import re
from functools import cache

import numpy as np
import pytest

from breakthrough.course.exchange import accounts, rubric
from breakthrough.course.exchange.rubric import Account, Flaw
from breakthrough.errors import ConfigError

MODULES = ["01_moe", "02_scenes", "03_federated", "04_quant", "05_deploy", "06_capstone"]
FLAW = {"kind": "k", "criterion": "baseline", "level": 1, "section": "result", "changes": {"result": "Only {steps} steps."}, "says": "Why."}


@cache
def tellings(module):
    """Every account of a module, sound and with each flaw, for fifty seeds: flaw or None, texts."""
    found = rubric.load(module).account
    return [(flaw, accounts.tell(found, random.Random(seed), flaw)) for seed in range(50) for flaw in (None, *found.flaws)]


def account(text="Loss {loss} after {steps} steps.", derived=None, **figures):
    known = {"loss": {"low": 1.2, "high": 1.8, "digits": 3}, "steps": {"low": 1200, "high": 1900}} | figures
    return Account.model_validate({"figures": known, "derived": derived or {}, "sections": {"setup": "Seed 0.", "result": text}, "flaws": [FLAW, *({**FLAW, "kind": f"k{i}"} for i in range(3))]})


def told(text, derived=None, seed=0, **figures):
    return accounts.tell(account(text, derived, **figures), random.Random(seed))["result"]


def test_figures_have_their_digits_and_lie_in_their_range():
    for seed in range(20):
        loss, steps = re.fullmatch(r"Loss (\d\.\d{3}) after (1,\d{3}) steps\.", told("Loss {loss} after {steps} steps.", seed=seed)).groups()
        assert 1.2 <= float(loss) <= 1.8 and 1200 <= int(steps.replace(",", "")) <= 1900


def test_the_same_generator_gives_the_same_account_and_another_another():
    one = account()
    assert accounts.tell(one, random.Random(1)) == accounts.tell(one, random.Random(1)) != accounts.tell(one, random.Random(2))
    assert accounts.tell(one, np.random.default_rng(1)) == accounts.tell(one, np.random.default_rng(1))


def test_a_flaw_changes_its_sections_and_no_figure():
    one = account()
    sound, flawed = (accounts.tell(one, random.Random(5), flaw) for flaw in (None, Flaw.model_validate(FLAW)))
    assert list(sound) == list(flawed) == ["setup", "result"] and sound["setup"] == flawed["setup"]
    steps = re.search(r"after (\S+) steps", sound["result"]).group(1)
    assert flawed["result"] == f"Only {steps} steps."


def test_derived_figures_are_worked_out_from_what_is_shown():
    text = told("{loss} {other} {gap} {half} {rounded} {sign:+}", {
        "gap": "other - loss", "half": "steps / 2", "rounded": "round(gap * 100, 1)", "sign": "0 - loss",
    }, other={"low": 2, "high": 3, "digits": 1})  # fmt: skip
    loss, other, gap, half, rounded, sign = (float(one.replace("−", "-").replace(",", "")) for one in text.split())
    assert gap == round(other - loss, 3) and half == int(half) and rounded == round(gap * 100, 1) and sign == -loss
    assert len(text.split()[2].partition(".")[2]) == 3 and "." not in text.split()[3]


@pytest.mark.parametrize(("text", "value"), [
    ("1 + 2 * 3", 7), ("-(a - b) / 4", 0.5), ("round(a / 3, 2)", 0.33), ("round(b * 1.4)", 4), ("min(a, b, 2)", 1), ("max(a, b)", 3), ("sqrt(a + b)", 2), ("round(b * 411, -2)", 1200),
])  # fmt: skip
def test_arithmetic(text, value):
    assert accounts.evaluate(text, {"a": 1, "b": 3}) == pytest.approx(value)


@pytest.mark.parametrize("text", [
    "a.real", "__import__('os')", "a ** 99", "[a]", "a if a else 1", "lambda: 1", "'x'", "True", "abs(a)", "round(a, ndigits=1)", "min()", "sqrt(a, 2)", "sqrt(0 - a)", "a / 0", "a +", "unknown", "a; a", "a\0",
])  # fmt: skip
def test_nothing_else_is_worked_out(text):
    with pytest.raises(ConfigError, match="expected"):
        accounts.evaluate(text, {"a": 1.0})


@pytest.mark.parametrize("text", ["{lost}", "{loss.real}", "{loss!r}", "{loss:x}", "{}", "{0}", "{loss", "loss}"])
def test_a_placeholder_that_is_no_figure_is_named(text):
    with pytest.raises(ConfigError, match="section result: expected.*figure"):
        told(text)


def test_an_unknown_placeholder_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match=r"got \{lost\}; try loss, steps"):
        told("{lost}")


@pytest.mark.parametrize("derived", [{"a": "b", "b": "a"}, {"a": "nothing"}, {"a": "a"}])
def test_figures_that_hang_on_themselves_or_nothing(derived):
    with pytest.raises(ConfigError, match="derived figure a: expected names of figures"):
        told("x", derived)


def test_braces_and_signs():
    assert told("{{x}} {zero} {zero:+} {low}", zero={"low": 0, "high": 0, "digits": 1}, low={"low": -2.5, "high": -2.5, "digits": 1}) == "{x} 0.0 +0.0 −2.5"
    assert told("{zero}", {"zero": "0 - 0 * loss"}) == "0.000"


@pytest.mark.parametrize("module", MODULES)
def test_every_account_is_told_whole_for_fifty_seeds(module):
    for flaw, texts in tellings(module):
        for name, text in texts.items():
            assert len(text) > 80 and not re.search(r"[{}]|nan|inf\b|−0(\.0+)?(?![\d.])", text), (flaw and flaw.kind, name, text)


@pytest.mark.parametrize("module", MODULES)
def test_a_flaw_reads_otherwise_in_every_section_that_it_changes(module):
    found = rubric.load(module).account
    sound = accounts.tell(found, random.Random(0))
    for flaw in found.flaws:
        flawed = accounts.tell(found, random.Random(0), flaw)
        assert {name for name in sound if sound[name] != flawed[name]} == set(flaw.changes), flaw.kind


@pytest.mark.parametrize("module", MODULES)
def test_every_figure_is_used(module):
    found = rubric.load(module).account
    texts = " ".join([*found.sections.values(), *(text for flaw in found.flaws for text in flaw.changes.values())])
    used = set(re.findall(r"\{(\w+)[:}]", texts)) | set(re.findall(r"[a-z_]+", " ".join(found.derived.values())))
    assert set(found.figures) | set(found.derived) <= used


@pytest.mark.parametrize("module", MODULES)
def test_no_account_says_that_it_is_flawed(module):
    words = re.compile(r"\b(unfair|cheat\w*|flaw\w*|biased?|wrongly,|mistaken\w*|leak(ed|s)? )\b", re.IGNORECASE)
    found = rubric.load(module).account
    for flaw in found.flaws:
        assert not any(words.search(text) for text in flaw.changes.values()), flaw.kind


@pytest.mark.parametrize("module", MODULES)
def test_intervals_are_read_as_they_lie(module):
    """Wherever a text says "undecided" or "below zero" or "above" of `x ± y`, it is so, for every draw, flaws included."""
    for flaw, texts in tellings(module):
        for text in texts.values():
            for mean, half, said in re.findall(r"([+−]?\d+\.\d+) ± (\d+\.\d+)(?:: |, )(undecided|below zero|above)\b", text):
                mean, half = float(mean.replace("−", "-")), float(half)
                right = "below zero" if mean + half < 0 else "above" if mean - half > 0 else "undecided"
                assert said == right, (flaw and flaw.kind, mean, half, said)
