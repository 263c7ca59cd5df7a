"""What is read outside notebooks: headings in order, links and pictures that say what they are, tables with a head."""

import re
from pathlib import Path

import pytest

from breakthrough.course.shape import heading_faults

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/results/*.md")} - {ROOT / "docs/index.md"})  # that one includes the README
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def bare_tables(markdown):
    """First rows of tables that no line of dashes follows, or whose head is empty."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        rows = block.strip().splitlines()
        if len(rows) < 2 or not re.fullmatch(r"\|(?: *:?-+:? *\|)+", rows[1].strip()) or not rows[0].strip("| "):
            yield rows[0]


@each_page
def test_a_page_can_be_read_by_its_headings_and_links(page):
    assert list(heading_faults(page.read_text(encoding="utf-8"))) == []


@each_page
def test_tables_have_a_head(page):
    assert list(bare_tables(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(("text", "said"), [
    ("## a\n# b", "first level"), ("# a\n# b", "first level"), ("# a\n### b", "left out"), ("# a\n## b\n## B!", "names of their own"),
    ("# a\n[here](x.md)", "where it leads"), ("# a\n![](x.png)", "a description"), ("no heading", "first level"),
])
def test_what_a_page_lacks_is_said(text, said):
    [fault] = heading_faults(text)
    assert said in fault


def test_a_good_page_has_no_faults():
    text = "# a\n## b\n### c\n## d\n```\n# no heading\n[here](x)\n```\n[the guide](x.md) ![a line that rises from 1 to 2](x.png)"
    assert list(heading_faults(text)) == []
    assert list(bare_tables("| a | b |\n|---|---|\n| 1 | 2 |\n")) == []
    assert list(bare_tables("| a | b |\n| 1 | 2 |\n")) == ["| a | b |"]
