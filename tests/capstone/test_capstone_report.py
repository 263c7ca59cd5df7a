"""The page and the cards: whole, escaped, in need of nothing beside them, the same for the same line."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from capstone_lines import NAMES, made_line
from jinja2 import UndefinedError

from breakthrough.capstone import cards, report
from breakthrough.capstone.cost import Assumptions
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.line import DOMAINS
from breakthrough.scenes.spec import DEFECTS

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page holds: addresses, alternative texts, headings, tags that were left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses, self.alts, self.headings, self.open, self.tags, self.texts = [], [], [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.addresses += [found[name] for name in ("src", "href", "action", "data") if name in found]
        if tag == "img":
            self.alts.append(found.get("alt", ""))
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def made():
    line = made_line()
    return line, facts_of(line)


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are not drawn: most of the time of a page."""
    blank = report.Image("data:image/png;base64,", "a figure", 100)
    names = ("accuracy", "recall", "confusion", "gap", "tradeoff", "load", "contact")
    monkeypatch.setattr(report, "_images", lambda line, facts: dict.fromkeys(names, blank) | {"errors": dict.fromkeys(DOMAINS, blank)})


@pytest.fixture(scope="module")
def page(made):
    return report.render(made[0], "served 1\n└─ compiled <2>", facts=made[1])


def test_the_page_needs_nothing_beside_it(page):
    found = Page(page)
    assert found.open == []
    assert len(found.addresses) == 9 and all(one.startswith("data:image/png;base64,") for one in found.addresses)
    assert "@import" not in page and "url(" not in page and "http://" not in page and "https://" not in page
    assert not {"script", "link", "iframe", "object"} & found.tags


def test_every_image_is_told_in_words_and_headings_are_in_order(page):
    found = Page(page)
    assert len(found.alts) == 9 and all(len(alt) > 30 for alt in found.alts)
    assert found.headings[0] == 1 and found.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(found.headings, found.headings[1:]))


def test_names_are_escaped(page):
    assert NAMES[1] not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "a &amp; b" in page
    assert "a &lt;machine&gt;" in page and "compiled &lt;2&gt;" in page
    assert NAMES[1] in Page(page).texts


def test_the_page_says_what_the_facts_say(made, page):
    text = " ".join(Page(page).texts)
    for told in made[1]["claim"].values():
        for one in told.values():
            assert f"{100 * one['value']:.2f}%" in text
    assert "the likeliest class says" in text and "reinspection_eur" in text and "nan" not in text.lower().split() and "None" not in text


def test_the_page_tells_what_the_ablation_measured(page):
    text, told = " ".join(Page(page).texts), report.ablation()
    assert told["seeds"] >= 3 and len(told["rows"]) >= 4
    for row in told["rows"]:
        assert row["name"] in text and f"{100 * row['traced']['mean']:.1f}%" in text
    assert f"−{-100 * min(row['gained']['mean'] for row in told['rows']):.1f} ±" in text


def test_the_page_is_the_same_for_the_same_line(made, page):
    assert report.render(made_line(), "served 1\n└─ compiled <2>") == page


@pytest.mark.parametrize("without", [0, 3])
def test_a_line_without_a_class_has_its_page_and_cards(without, unpainted):
    line = made_line(without=without)
    facts = facts_of(line)
    page = report.render(line, facts=facts)
    assert "cannot be told from 0 pictures" in page if without else "one kind of part is missing" in page
    assert "–" in cards.model_card(line, facts) and "–" not in cards.data_sheet(line, facts)


def test_assumptions_reach_the_page(made, unpainted):
    page = report.render(made[0], assumptions=Assumptions(escape_eur=777))
    assert "777" in page and "the lineage was not drawn" in page.lower()


def test_it_is_written_whole_or_not_at_all(made, tmp_path, unpainted):
    page = report.render(made[0], "served 1\n└─ compiled <2>", facts=made[1])
    target = report.write(made[0], tmp_path, "served 1\n└─ compiled <2>", facts=made[1])
    assert target == tmp_path / "report.html" and target.read_text(encoding="utf-8") == page
    with pytest.raises(UndefinedError):
        report.write(made[0], target, facts={"measured": {}})
    assert target.read_text(encoding="utf-8") == page and [path.name for path in tmp_path.iterdir()] == ["report.html"]


def tables(text: str) -> list[list[str]]:
    """The tables of a Markdown text, each a list of lines."""
    blocks = [block.splitlines() for block in text.split("\n\n")]
    return [block for block in blocks if block[0].startswith("|")]


@pytest.mark.parametrize("make", [cards.model_card, cards.data_sheet], ids=lambda make: make.__name__)
def test_cards_are_whole_tables_with_escaped_names(made, make):
    text = make(*made)
    assert "<script>" not in text and "&lt;script&gt;" in text and text.endswith("\n")
    assert len(tables(text)) >= 5
    for table in tables(text):
        columns = {line.replace(r"\|", "").count("|") for line in table}
        assert len(columns) == 1 and len(table) >= 3 and set(table[1]) <= set("|-:"), table[0]


def test_the_model_card_follows_mitchell(made):
    text = cards.model_card(*made)
    wanted = ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data", "Quantitative analyses", "Ethical considerations", "Caveats and recommendations"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == wanted
    for name in DEFECTS:
        assert f"{100 * made[1]['recall']['line'][name]['value']:.2f}%" in text


def test_the_data_sheet_follows_gebru(made):
    line, facts = made
    text = cards.data_sheet(line, facts)
    wanted = ["Motivation", "Composition", "Collection process", "Preprocessing, cleaning, labelling", "Uses", "Distribution", "Maintenance"]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == wanted
    for name in NAMES:
        for part in cards.PARTS:
            assert str(line.spec.settings(name, part).seed) in text
    assert "| 8 | 8 | 8 | 8 | 8 | 40 |" in text


def test_ranges_are_parted_by_whether_factories_share_them(made):
    from breakthrough.capstone.spec import Spec

    spec = Spec()
    alike, apart = {row[0] for row in cards.ranges_alike(spec)}, {row[0]: row[1] for row in cards.ranges_apart(spec)}
    assert "part_yaw_rad" in alike and "defects" in alike and not alike & set(apart)
    assert apart["lights"] == ("2", "2", "1", "3")
    assert cards.ranges_apart(made[0].spec) == [] and "ranges are the same" in cards.data_sheet(*made)
    assert "| `lights` | 2 | 2 | 1 | 3 |  |" in cards.data_sheet(replace(made[0], spec=spec), facts_of(replace(made[0], spec=spec)))


def test_cards_are_written_beside_each_other(made, tmp_path):
    paths = cards.write(made[0], tmp_path / "new", made[1])
    assert [path.name for path in paths] == ["model_card.md", "data_sheet.md"]
    assert paths[0].read_text(encoding="utf-8") == cards.model_card(*made)


def test_a_cell_stays_one_cell():
    assert cards.cell("a|b\n`c` *d*_e_") == r"a\|b \`c\` \*d\*\_e\_"


def test_templates_travel_with_the_package():
    home = Path(report.__file__).parent
    listed = tomllib.loads((home.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["breakthrough"]
    assert {"capstone/*.j2", "capstone/*.json"} <= set(listed) and len(list(home.glob("*.j2"))) == 3
