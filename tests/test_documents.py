"""What is read outside notebooks: headings in order, links and pictures that say what they are, tables with a head, folders that are there."""

import ast
import re
import subprocess
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


def section(page, heading):
    """What stands under a heading of the second level."""
    return re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]


def test_the_readme_names_every_folder():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}
    named = re.findall(r"(?:^|  )([\w.]+)/(?:breakthrough/)? ", section("README.md", "Where things are"), re.MULTILINE)
    assert sorted(named) == sorted(folders)


def test_every_room_is_in_the_table_with_its_own_words():
    home = ROOT / "src" / "breakthrough"
    rooms = {path.parent.name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0] for path in home.glob("*/__init__.py")}
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section("CONTRIBUTING.md", "Rooms"), re.MULTILINE))
    folders = {path.name for path in home.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert told.keys() == folders
    assert {room: told[room] for room in rooms} == rooms


def test_upkeep_names_its_files():
    path = ROOT / "src" / "breakthrough" / "upkeep" / "__init__.py"
    named = re.findall(r"^    (\w+\.py) ", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted({one.name for one in path.parent.glob("*.py")} - {path.name})
