"""The site's pages: what they are made from, what they say, and what they leave out."""

import json
import re

import pytest

from breakthrough import files
from breakthrough.course import results, runs, syllabus
from breakthrough.course.plan import Plan
from breakthrough.course.site import build, checks, course_map, layout, ledger, links, measured, notebook_pages, plots, reference, sources
from breakthrough.errors import InputError, NotebookError


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The whole site but for the reference, of which one room is enough; built once."""
    site = layout.Site(syllabus.load(), build=tmp_path_factory.mktemp("site"), rooms=("moe",))
    return site, build.build(site)


def page(built, name):
    return (built[1].folder / name).read_text()


def test_the_project_builds_without_a_warning_and_without_a_fault(built):
    site, made = built
    assert made == build.Built(site.folder, unchanged=False, faults=())  # the checks have run: links, network, solutions
    names = set(checks.read(site.folder))
    assert {f"lessons/{module.id}.html" for module in site.course.built} < names
    assert {f"labs/{module.id}.html" for module in site.course.labs} < names
    assert {f"guides/{path.stem}.html" for path in (site.root / "docs").glob("*.md") if path.stem != "index"} < names
    assert {f"measured/{path.stem}.html" for path in (site.root / layout.RESULTS).glob("*.md")} < names
    assert {"index.html", "claims.html", "api/moe.html", "search.html"} < names


def test_with_nothing_changed_nothing_is_built(built):
    before = (built[1].folder / "index.html").stat().st_mtime_ns
    assert build.build(built[0]).unchanged
    assert (built[1].folder / "index.html").stat().st_mtime_ns == before


def test_a_lab_shows_its_statement_and_its_first_hints_and_no_more(built):
    from breakthrough import exercises

    text = " ".join(" ".join(checks.read(built[1].folder)["labs/01_moe.html"].text).split())
    concept, shapes, pseudocode = exercises.load("moe.route").hints
    assert "YOUR CODE HERE" in text and "7 h" in text and "70 in 12 exercises" in text
    assert " ".join(concept.split()) in text and shapes.split()[-1] in text
    assert not any(line.strip() in text for line in pseudocode.splitlines() if len(line) > 25)
    assert len(re.findall(r"<details[^>]*sd-dropdown", page(built, "labs/01_moe.html"))) == 2 * 12  # folded, two for each exercise


def test_a_lesson_shows_its_figures_and_cards_with_words(built):
    found = page(built, "lessons/01_moe.html")
    assert found.count("<img") >= 12
    assert "vnd.breakthrough" not in found


def test_docstrings_of_ours_are_fields(built):
    found = page(built, "api/moe.html")
    for label in reference.SECTIONS:
        assert f"{label}<span class=\"colon\">" in found


def test_what_is_said_can_be_searched(built):
    found = page(built, "searchindex.js")
    assert '"upcycl"' in found and "lessons/01_moe" in found


@pytest.mark.parametrize(("text", "turned"), [
    ("[lab](labs/01_moe/01_moe.ipynb#top)", "[lab](/labs/01_moe.ipynb#top)"),
    ("[the folder](labs/01_moe)", "[the folder](/labs/01_moe.ipynb)"),
    ("[`docs/grader.md`](docs/grader.md) and [x](https://example.org)", "[`docs/grader.md`](/guides/grader.md) and [x](https://example.org)"),
    ("[course.yml](course.yml)", "`course.yml`"),
    ("see [the list](course.yml)", "see the list (`course.yml`)"),
    ("`[a](gone.md)` and\n```\n[a](gone.md)\n```\n", "`[a](gone.md)` and\n```\n[a](gone.md)\n```\n"),
    ("[![Open in Colab](https://example.org/b.svg)](https://example.org/c)", "[Open in Colab](https://example.org/c)"),
])
def test_links_lead_to_pages_or_become_code(text, turned):
    assert links.turn(layout.Site(syllabus.load()), text, "README.md") == turned


def test_a_link_to_a_file_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"docs/x.md to link to files of the project, got '../gone.md'"):
        links.turn(layout.Site(syllabus.load()), "[a](../gone.md)", "docs/x.md")


def test_with_a_repository_set_files_without_a_page_lead_there(course, course_folder):
    (course_folder / "pyproject.toml").write_text('[project.urls]\nRepository = "https://example.org/us/course/"\n')
    site = layout.Site(course)
    assert links.turn(site, "[a](course.yml) [b](solutions)", "README.md") == (
        "[a](https://example.org/us/course/blob/HEAD/course.yml) [b](https://example.org/us/course/tree/HEAD/solutions)")


def test_a_lab_somebody_worked_in_is_refused(course):
    path = course.root / "labs" / "01_toy" / "01_toy.ipynb"
    cell = {"cell_type": "code", "id": "a", "source": "x = 1", "outputs": [], "metadata": {"nbgrader": {"solution": True, "grade": False}}}
    files.write_text(path, json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    with pytest.raises(NotebookError, match="expected 01_toy.ipynb as released, got work in the cell 'a'"):
        notebook_pages.lab(layout.Site(course), course.find("01"), {})


def test_text_is_shown_as_a_terminal_leaves_it():
    assert notebook_pages.settled("10%\r 50%\r100%\nnext\r\n\x1b[31mred\x1b[0m\r") == "100%\nnext\nred"


def test_a_figures_words_come_from_its_output_else_from_the_heading():
    def alt(**output):
        cell = {"metadata": {}, "outputs": [{"output_type": "display_data", "data": {"image/png": "AA"}, **output}]}
        notebook_pages._describe(cell, "Routing")
        return cell["metadata"]["mystnb"]["image"]["alt"]

    assert alt(metadata={"image/png": {"alt": "Six tokens"}}) == "Six tokens"
    assert alt(data={"image/png": "AA", "text/html": '<img src="x" alt="Five &amp; more">'}) == "Five & more"
    assert alt() == "Figure of the section “Routing”"


def test_docstrings_become_text_where_no_sign_means_anything():
    given = ["Do *this* to x_.", "", "- one `a_b`", "  goes on", "after", "", "    kept  as is", "Shapes: x (T, k) →", "        y (T)", "Raises: E"]
    assert reference.as_rst(given) == [
        "Do \\*this\\* to x\\_.", "", "- one ``a_b``", "  goes on", "", "after", "", "", "::", "", "       kept  as is", "",
        ":Shapes: x (T, k) →", "   y (T)", ":Raises: E", ""]


def test_the_map_names_every_module_and_what_it_hands_on():
    drawn = course_map.svg(syllabus.load())
    assert "01 Mixture-of-Experts gives moe_lm to 03" in drawn and 'role="img"' in drawn
    assert all(f"lessons/{module.id}.html" in drawn for module in syllabus.load().built)


def test_every_plot_finds_its_figures_and_every_page_says_when():
    root = syllabus.load().root / layout.RESULTS
    for plot in measured.PLOTS:
        for path in sorted(root.glob(plot.page)):
            text = path.read_text()
            points = list(plot.read(plots.section(text, plot.section)))
            assert len(points) >= 2, (path.name, plot.title)
            assert all(point.low <= point.high for point in points), plot.title
            assert any(point.low < point.high for point in points), plot.title
            assert measured.DATE.match(measured._made(text, plot)), path.name
    assert all(list(root.glob(plot.page)) for plot in measured.PLOTS)


@pytest.mark.parametrize(("text", "found"), [
    ("2.6 (2.4 to 2.6) (goal 3)", (2.6, 2.4, 2.6)), ("0.93 (0.69–1.11)", (0.93, 0.69, 1.11)), ("93.2% ± 7.6", (93.2, 85.6, 100.8)),
    ("−0.14 (−0.31 to +0.03)", (-0.14, -0.31, 0.03)), ("1,419 (1,000 to 2,000)", (1419, 1000, 2000)), ("–", None), ("5,000", None),
])
def test_a_figure_and_its_spread_are_read(text, found):
    assert plots.spread(text) == (pytest.approx(found) if found else None)


def test_a_plot_is_the_same_each_time_and_its_words_have_its_figures():
    plot = plots.Plot("a.md", "", "Speed", "× theirs", plots.table(("net",), ("a", "b")))
    points = list(plot.read("| net | a | b |\n|---|---|---|\n| x | 2 (1 to 3) | – |\n| y | 4 (3 to 5) | 1 ± 0.5 |\n"))
    assert [(point.row, point.series, point.value) for point in points] == [("x", "a", 2), ("y", "a", 4), ("y", "b", 1)]
    assert plots.svg(plot, points) == plots.svg(plot, points)
    assert plots.alt(plot, points) == "Speed: × theirs, for 2 rows; a: 2 (x) to 4 (y); b: 1 (y). The figures stand below."


def result(profile):
    record = {"claim": "C01", "verdict": "does not hold", "measured": "1.5 ± 0.1 of 2", "reason": "", "profile": profile, "figures": {"ratio": 1.5}}
    return results.Result("01_toy lab", "01_toy", "lab", "passed", 1.0, 70, 70, claims={"C01": record})


def test_what_a_run_measured_is_kept_and_shown_with_day_and_machine(course):
    plan = Plan(course, "quick")
    files.write_text(plan.folder / runs.ENVIRONMENT, json.dumps({"date": "2026-01-02 03:04:05 UTC", "device": "cpu", "cores": "2", "torch": "2"}))
    results.keep(plan, result("quick"))
    path, names = ledger.keep(plan)
    assert names == ["C01"] and path == course.root / layout.CLAIMS
    shown = ledger.page(layout.Site(course))
    for said in ("1 of 4 are measured", "✗ does not hold", "1.5 ± 0.1 of 2", "2026-01-02, profile quick, 01_toy lab, cpu, 2 cores, torch 2", "| ratio | 1.5 |"):
        assert said in shown, said
    assert "not recorded yet" in shown and ledger.FILLS in shown


def test_a_run_that_measured_nothing_or_is_cut_short_is_not_kept(course):
    with pytest.raises(InputError, match="expected a run at profile quick with claims, got none; try breakthrough run --profile quick"):
        ledger.keep(Plan(course, "quick"))
    results.keep(Plan(course, "tiny"), result("tiny"))
    with pytest.raises(InputError, match="cut to a few steps"):
        ledger.keep(Plan(course, "tiny"))
    assert not (course.root / layout.CLAIMS).exists()


def test_sources_that_no_longer_belong_are_removed(monkeypatch, course, tmp_path):
    site = layout.Site(course, build=tmp_path / "out")
    monkeypatch.setattr(sources, "make", lambda site: {"a/b.md": "one", "c.md": "two"})
    folder = sources.write(site)
    kept = (folder / "c.md").stat().st_mtime_ns
    monkeypatch.setattr(sources, "make", lambda site: {"c.md": "two"})
    sources.write(site)
    assert not (folder / "a" / "b.md").exists() and (folder / "c.md").stat().st_mtime_ns == kept


def test_no_exercise_with_its_reference_is_in_the_library_reference():
    rooms = reference._rooms(layout.Site(syllabus.load()))
    assert "breakthrough.exercises.exercise" in rooms["exercises"] and "breakthrough.exercises.moe_routing" not in rooms["exercises"]
    assert rooms["moe"][0] == "breakthrough.moe" and "breakthrough.errors" in rooms["base"]
