"""The progress panel: what it shows of the log, how it follows it, and that it holds its tongue outside of notebooks."""

import re
from html.parser import HTMLParser

import pytest

from breakthrough import events
from breakthrough.course import board, notebooks, panel, panel_widget, syllabus
from breakthrough.errors import UnknownNameError

COURSE = syllabus.load()
MOE = COURSE.find("01")
VOID = {"br", "hr", "img", "input"}


def event(name, time_s, status="wrong", points=0, kind="check"):
    return {"kind": kind, "exercise": name, "time_s": time_s, "status": status, "points": points}


LOG = [event("moe.route", 0), event("moe.route", 120, "passed", 6), event("moe.combine", 180, "not attempted"),
       event("moe.combine", 240), event("moe.route", 300), event("scenes.rle", 330, "passed", 5)]


def row(found, name):
    return next(one for one in found.rows if one.name == name)


def test_a_board_has_every_exercise_and_question_with_its_points():
    found = board.read(COURSE, MOE, [])
    assert [one.name for one in found.rows] == [*MOE.exercises, *MOE.questions]
    assert (found.earned, found.of) == (0, MOE.points.lab + MOE.points.lesson)
    assert {one.state for one in found.rows} == {board.OPEN} and found.next.name == "moe.route"


def test_a_row_counts_the_best_score_attempts_and_minutes():
    found = board.read(COURSE, MOE, LOG)
    route, combine = row(found, "moe.route"), row(found, "moe.combine")
    assert (route.state, route.earned, route.attempts, route.spent_min) == (board.PASSED, 6, 3, 3)
    assert (combine.state, combine.earned, combine.attempts, combine.spent_min) == (board.NOT_YET, 0, 1, 2)
    assert found.earned == 6 and found.next.name == "moe.combine"


@pytest.mark.parametrize("points", [None, "6", True, float("nan"), -1, 10**6])
def test_a_log_that_was_tampered_with_gives_no_more_than_there_is(points):
    assert 0 <= board.read(COURSE, MOE, [event("moe.route", 0, "passed", points)]).earned <= 6


def test_the_text_has_a_line_an_exercise():
    lines = str(board.read(COURSE, MOE, LOG)).splitlines()
    assert lines[0] == "01 · Mixture-of-Experts: 6 of 79 points"
    assert re.search(r"✓ moe.route .* passed .* 6 / 6 points  3 attempts, 3 of 20 min", lines[1])
    assert lines[-1] == "next: Weighted combination, `moe.combine`" and len(lines) == 2 + len(MOE.exercises) + len(MOE.questions)


class Elements(HTMLParser):
    """Every element with its attributes, and whether what was opened was closed in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


def test_a_screen_reader_gets_a_bar_with_a_name_and_a_table_with_heads():
    page = Elements(board.html(board.read(COURSE, MOE, LOG)))
    assert page.open == []
    [bar] = [attributes for _, attributes in page.found if attributes.get("role") == "progressbar"]
    assert (bar["aria-valuemin"], bar["aria-valuenow"], bar["aria-valuemax"]) == ("0", "6", "79")
    assert bar["aria-label"] and bar["aria-valuetext"] == "01 · Mixture-of-Experts: 6 of 79 points"
    scopes = [attributes["scope"] for attributes in page.all("th")]
    assert scopes.count("col") == 5 and scopes.count("rowgroup") == 2 and scopes.count("row") == len(MOE.exercises) + len(MOE.questions)
    assert {"passed", "not yet", "open"} <= {word.strip() for word in page.words}
    fill = next(attributes for _, attributes in page.found if "data-fill" in attributes)
    assert "width:7.6%" in fill["style"]


def test_a_title_is_text_and_never_markup():
    from dataclasses import replace

    found = board.read(COURSE, MOE, [])
    hostile = replace(found.rows[0], title="<img src=x onerror=alert(1)>")
    assert "<img" not in board.html(replace(found, rows=(hostile, *found.rows[1:])))


def test_news_name_what_changed_and_nothing_else():
    before, after = board.read(COURSE, MOE, LOG[:1]), board.read(COURSE, MOE, LOG)
    assert board.said(before, after) == "moe.route passed, moe.combine not yet; 01 · Mixture-of-Experts: 6 of 79 points"
    assert board.said(after, after) == ""


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(events.VARIABLE, str(tmp_path))
    return tmp_path


def test_the_panel_follows_the_log_and_is_quiet_while_nothing_changes(log):
    shown = panel_widget.Panel(COURSE, MOE)
    changes = []
    shown.observe(lambda change: changes.append(change["name"]), ["html", "said"])
    assert shown.look() is False and changes == []
    events.append("check", exercise="moe.route", status="passed", points=6, of=6)
    assert shown.look() is True and set(changes) == {"html", "said"}
    assert "6 of 79 points" in shown.html and shown.said.startswith("moe.route passed")
    assert shown.look() is False


def test_another_notebooks_checks_and_a_new_kernel_show_the_same(log):
    first = panel_widget.Panel(COURSE, MOE)
    events.append("check", exercise="moe.zloss", status="passed", points=4, of=4)
    first.look()
    assert panel_widget.Panel(COURSE, MOE).html == first.html and "4 of 79" in first.html
    (log / events.FILE).unlink()
    assert first.look() is True and "0 of 79" in first.html


def test_a_front_end_without_widgets_gets_html_and_text(log):
    shown = panel_widget.Panel(COURSE, MOE)
    events.append("check", exercise="moe.route", status="passed", points=6, of=6)
    data, _ = shown._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert data["text/plain"] == str(board.read(COURSE, MOE)) and "6 of 79 points" in data["text/html"]


def test_one_panel_a_module_and_a_thread_that_ends_with_the_kernel(log, monkeypatch):
    monkeypatch.setattr(panel_widget, "_PANELS", {})
    started = []
    monkeypatch.setattr(panel_widget.threading.Thread, "start", lambda thread: started.append(thread.daemon))
    assert panel_widget.of(COURSE, MOE) is panel_widget.of(COURSE, MOE)
    assert panel_widget.of(COURSE, COURSE.find("02")) is not panel_widget.of(COURSE, MOE)
    assert started == [True, True]


def test_outside_of_a_notebook_nothing_is_shown_or_loaded(capsys, monkeypatch):
    monkeypatch.setattr(syllabus, "load", lambda *_: pytest.fail("a student's sandbox has no course.yml"))
    panel.show("01")
    assert capsys.readouterr() == ("", "")


def test_in_a_notebook_a_wrong_module_is_named(monkeypatch, log):
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", type("ZMQInteractiveShell", (), {}))
    with pytest.raises(UnknownNameError, match="expected the name of a known module, got '17'"):
        panel.show("17")


@pytest.mark.parametrize("module", COURSE.labs, ids=lambda module: module.id)
def test_a_labs_first_code_shows_its_own_panel(module):
    for path in (COURSE.solution(module), COURSE.lab(module)):
        first = notebooks.code_cells(notebooks.read(path))[0]
        assert first["id"] == "panel" and f'panel.show("{module.id[:2]}")' in first["source"]


def test_in_another_python_the_first_cell_names_the_right_one(tmp_path):
    import subprocess
    import sys

    cell = notebooks.code_cells(notebooks.read(COURSE.lab(MOE)))[0]["source"]
    # -S: an interpreter without the environment's packages, as a foreign kernel is one
    done = subprocess.run([sys.executable, "-I", "-S", "-c", cell], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert said == (f"ImportError: expected the Python of the course's .venv, got {sys.executable}; "
                    "try make lab, or another one by the menu Kernel, Change Kernel")
    assert "ModuleNotFoundError" not in done.stderr
