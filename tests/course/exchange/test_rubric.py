"""Rubrics: one for each module with a lab, whole, and each of their words where it belongs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from breakthrough.course import syllabus
from breakthrough.course.exchange import rubric
from breakthrough.errors import ConfigError, UnknownNameError

PROJECT = Path(__file__).parents[3]
MODULES = [one.id for one in syllabus.load().modules if one.exercises]
COMMON = {"unfair baseline", "control does not fail", "chosen after the result", "verdict beyond the figures", "verdict cannot fail"}
WHOLE = {
    "module": "01_moe", "intro": "Read.",
    "criteria": [{"id": name, "title": name, "asks": "?", "where": "here", "levels": ["a", "b", "c", "d", "e"]} for name in ("code", "baseline", "control", "verdict")],
    "prompts": ["a", "b", "c", "d"],
    "account": {
        "figures": {"loss": {"low": 1, "high": 2, "digits": 2}}, "sections": {"setup": "s", "result": "{loss}"},
        "flaws": [{"kind": f"kind {i}", "criterion": "baseline", "level": 1, "section": "setup", "changes": {"setup": f"t{i}"}, "says": "Why."} for i in range(4)],
    },
}  # fmt: skip


def headings(module: str) -> list[str]:
    import nbformat

    cells = nbformat.read(PROJECT / "solutions" / module / f"{module}.ipynb", as_version=4).cells
    return [line.lstrip("#").strip() for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines() if line.startswith("#")]


def changed(**changes):
    whole = {**WHOLE, **changes}
    return rubric.Rubric.model_validate(whole)


def flaw(**changes):
    return {**WHOLE["account"], "flaws": [{**WHOLE["account"]["flaws"][0], **changes}, *WHOLE["account"]["flaws"][1:]]}


def test_every_module_with_a_lab_has_one():
    assert MODULES == ["01_moe", "02_scenes", "03_federated", "04_quant", "05_deploy", "06_capstone"]
    for module in MODULES:
        assert rubric.load(module).module == module


def test_a_module_without_is_named_with_those_that_have_one():
    with pytest.raises(UnknownNameError, match="module with a rubric"):
        rubric.load("00_start")


@pytest.mark.parametrize("module", MODULES)
def test_the_experiment_is_asked_about_and_not_the_code_alone(module):
    found = rubric.load(module)
    names = {one.id for one in found.criteria}
    assert {rubric.CODE, "baseline", "control", "verdict"} <= names
    assert 6 <= len(names) <= 8 and 5 <= len(found.prompts) <= 7
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.weights[rubric.CODE] < 0.35  # the experiment weighs more than twice as much


@pytest.mark.parametrize("module", MODULES)
def test_where_to_look_is_a_heading_of_the_lab(module):
    known = set(headings(module))
    for one in rubric.load(module).criteria:
        if one.id != rubric.CODE:
            places = [re.sub(r" \([^()]*\)$", "", place) for place in one.where.split("; ")]
            assert {heading for place in places for heading in place.split(" › ")} <= known, one.where


@pytest.mark.parametrize("module", MODULES)
def test_levels_differ_and_are_sentences(module):
    for one in rubric.load(module).criteria:
        assert len(set(one.levels)) == rubric.LEVELS
        assert all(level[0].isupper() and level.endswith(".") for level in one.levels), one.id
        assert (one.title.endswith("?") and one.asks.endswith("?")) or one.id == rubric.CODE
        assert one.levels[4].startswith("As 3") or one.id == rubric.CODE, "the best level adds to the one before"


@pytest.mark.parametrize("module", MODULES)
def test_every_criterion_of_the_experiment_has_a_flaw(module):
    found = rubric.load(module)
    hit = {one.criterion for one in found.account.flaws}
    assert hit == {one.id for one in found.criteria} - {rubric.CODE}
    assert len(found.account.flaws) >= 6 and COMMON <= set(found.kinds)
    assert all(one.says.endswith(".") and "{" not in one.says for one in found.account.flaws)


def test_kinds_that_are_the_same_are_named_alike():
    often = Counter(kind for module in MODULES for kind in rubric.load(module).kinds)
    assert sum(n == len(MODULES) for n in often.values()) >= 5
    assert often["measured on training data"] >= 3 and often["interval over the wrong thing"] >= 4


@pytest.mark.parametrize("module", MODULES)
def test_prompts_say_how_a_discussion_ends(module):
    prompts = rubric.load(module).prompts
    assert all(re.match(r"\*\*.+?\*\* ", one) and "good discussion ends" in one for one in prompts)
    assert any("by hand" in one.lower() for one in prompts)


def test_the_open_project_asks_the_questions_of_its_lab():
    import nbformat

    cells = nbformat.read(PROJECT / "solutions/06_capstone/06_capstone.ipynb", as_version=4).cells
    table = next(cell.source for cell in cells if "| question | full marks if |" in cell.source)
    asked = re.findall(r"^\| (.+?\?) \|", table, re.MULTILINE)
    titles = [one.title for one in rubric.load("06_capstone").criteria]
    assert len(asked) == len(titles) and set(asked) == set(titles)


@pytest.mark.parametrize(("changes", "said"), [
    ({"criteria": WHOLE["criteria"][1:] * 2}, "code among them"),
    ({"account": flaw(kind="kind 1")}, "a kind of its own"),
    ({"account": flaw(criterion="spread")}, "a criterion and sections that the rubric has"),
    ({"account": flaw(section="result")}, "a changed section"),
    ({"account": flaw(criterion="code")}, "another criterion than code"),
    ({"account": flaw(level=4)}, "less than or equal to 3"),
    ({"account": {**WHOLE["account"], "figures": {"loss": {"low": 2, "high": 1}}}}, "low, at most high"),
    ({"criteria": [{**WHOLE["criteria"][0], "levels": ["a"]}, *WHOLE["criteria"][1:]]}, "at least 5 items"),
    ({"more": 1}, "Extra inputs"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes, said):
    assert changed()
    with pytest.raises(ValueError, match=said):
        changed(**changes)


def test_a_file_that_does_not_fit_is_named(monkeypatch, tmp_path):
    (tmp_path / "rubrics").mkdir()
    (tmp_path / "rubrics" / "09_odd.yml").write_text("module: 09_odd\nprompts: [", encoding="utf-8")
    monkeypatch.setattr(rubric.resources, "files", lambda _: tmp_path)
    with pytest.raises(ConfigError, match=r"rubrics/09_odd.yml: expected a rubric"):
        rubric.load.__wrapped__("09_odd")


def test_a_criterion_is_found_by_name():
    found = rubric.load("01_moe")
    assert rubric.criterion(found, "proofs").title.startswith("Do the six proofs")
    with pytest.raises(UnknownNameError, match="criterion.*prooofs.*proofs"):
        rubric.criterion(found, "prooofs")
