import json
import subprocess
import sys

import pytest

from breakthrough import events


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "log"))
    return tmp_path / "log" / events.FILE


def test_what_is_appended_is_read_back_in_order(log):
    events.append("hint", exercise="moe.route", level=1)
    events.append("check", exercise="moe.route", status="passed")
    assert [(event["kind"], event["exercise"]) for event in events.read()] == [("hint", "moe.route"), ("check", "moe.route")]


def test_no_log_is_no_events(log):
    assert list(events.read()) == []


@pytest.mark.parametrize("damage", [
    b"{cut short", b"\xff\xfe\x00", b"[1, 2]", b'"text"', b"{}", b'{"kind": 3, "time_s": 1}', b'{"kind": "check", "time_s": "x"}',
    b"[" * 100_000, b"\n\n\n",
])
def test_a_damaged_line_is_skipped_and_the_rest_is_read(log, damage):
    events.append("hint", exercise="a.b", level=1)
    with log.open("ab") as file:
        file.write(damage)
    events.append("hint", exercise="a.b", level=2)
    assert [event["level"] for event in events.read()] == [1, 2]
    assert events.damaged() == (0 if damage.isspace() else 1)


def test_a_whole_log_and_no_log_have_no_damaged_lines(log):
    assert events.damaged() == 0
    events.append("hint", exercise="a.b", level=1)
    events.append("hint", exercise="a.b", level=2)
    assert events.damaged() == 0


def test_text_of_any_language_survives(log):
    events.append("claim", measured="1,3 ± 0,1 → größer 更大\n second line")
    [event] = events.read()
    assert event["measured"] == "1,3 ± 0,1 → größer 更大\n second line"


def test_a_number_that_is_not_json_is_refused_and_nothing_is_written(log):
    with pytest.raises(ValueError):
        events.append("check", points=float("nan"))
    assert list(events.read()) == []


def test_notebooks_that_write_at_once_lose_nothing(log):
    code = "import sys\nfrom breakthrough import events\nfor i in range(200): events.append('w', who=sys.argv[1], i=i, pad='x' * 5000)"
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = [(event["who"], event["i"]) for event in events.read()]
    assert sorted(found) == [(name, i) for name in "abc" for i in range(200)]
    for name in "abc":
        assert [i for who, i in found if who == name] == list(range(200))


def test_the_log_lies_in_the_project_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv(events.VARIABLE, raising=False)
    (tmp_path / "course.yml").touch()
    (tmp_path / "labs" / "01").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "labs" / "01")
    assert events.folder() == tmp_path / ".progress"


def test_one_event_is_one_line(log):
    events.append("check", text="a\nb")
    assert [json.loads(line)["text"] for line in log.read_text().split("\n") if line] == ["a\nb"]
