"""Whose questions are asked: the id, where it comes from, and how it is kept."""

from __future__ import annotations

import pytest

from breakthrough import cli, events, learner
from breakthrough.errors import ConfigError, InputError


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Nothing is set; the progress folder is empty, and not even there."""
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "progress"))
    for name in (learner.VARIABLE, learner.HUB):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "progress" / learner.FILE


def test_the_order_in_which_an_id_is_looked_for(alone, monkeypatch):
    monkeypatch.setenv(learner.HUB, "hubname")
    assert learner.current() == "hubname" and not alone.exists()
    learner.choose(" ada ")
    assert learner.current() == "ada"
    monkeypatch.setenv(learner.VARIABLE, "grace")
    assert learner.current() == "grace"
    monkeypatch.setenv(learner.VARIABLE, "")
    assert learner.current() == learner.STANDARD


def test_alone_an_id_is_made_once(alone):
    first = learner.current()
    assert first.startswith("learner-") and learner.current() == first
    assert alone.read_text() == first + "\n" and [path.name for path in alone.parent.iterdir()] == [learner.FILE]
    assert learner._first("learner-late") == first  # another notebook, which began at the same moment


def test_a_file_system_without_links_will_do(alone, monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(learner.os, "link", refused)
    assert learner.current() == learner.current() == alone.read_text().strip()
    assert [path.name for path in alone.parent.iterdir()] == [learner.FILE]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\tb", "x" * 129, "a\x00b", "\u202e"])
def test_what_is_no_id_is_refused(alone, name):
    with pytest.raises(InputError, match="expected an id of 1 to 128 printable characters on one line, got .*; try breakthrough learner"):
        learner.choose(name)
    assert not alone.exists()


def test_what_was_set_wrongly_names_its_place(alone, monkeypatch):
    alone.parent.mkdir()
    alone.write_text("two\nlines\n")
    with pytest.raises(ConfigError, match=f"{learner.FILE}: expected an id"):
        learner.current()
    monkeypatch.setenv(learner.VARIABLE, "a\nb")
    with pytest.raises(ConfigError, match=r"\$BREAKTHROUGH_LEARNER: expected an id"):
        learner.current()


def test_two_ways_to_write_a_letter_are_one_id():
    assert learner.cleaned("Noe\u0308l") == learner.cleaned("No\u00ebl")  # codespell:ignore noe


def test_the_command_shows_sets_and_says_what_was(alone, capsys, monkeypatch):
    def run(*arguments):
        code = cli.main(["learner", *arguments])
        return code, capsys.readouterr()

    code, shown = run()
    made = learner.current()
    assert code == 0 and shown.out == f"{made}, made just now and kept in {alone}\n"
    assert run("bitdiddle")[1].out == f"questions are drawn for bitdiddle (it was {made})\n"
    assert run("bitdiddle")[1].out == "questions are drawn for bitdiddle\n"
    assert run()[1].out == f"bitdiddle, from {alone}\n"
    code, shown = run("")
    assert code == 2 and shown.err.startswith("breakthrough: expected an id") and learner.current() == "bitdiddle"
    monkeypatch.setenv(learner.VARIABLE, "grace")
    assert run("ada")[1].out.splitlines()[1] == "but $BREAKTHROUGH_LEARNER is set and comes first: grace, from $BREAKTHROUGH_LEARNER"
    monkeypatch.setenv(learner.VARIABLE, "")
    assert run()[1].out == "the standard questions, from $BREAKTHROUGH_LEARNER\n"


def test_a_damaged_id_is_replaced_by_setting_another(alone, capsys):
    alone.parent.mkdir()
    alone.write_bytes(b"\xff\xfe\n\n")
    assert cli.main(["learner", "ada"]) == 0 and learner.current() == "ada"
