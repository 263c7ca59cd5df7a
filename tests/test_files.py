"""Files are there whole or not at all."""

from __future__ import annotations

import pytest

from breakthrough import files


def test_text_replaces_what_was_there_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "new" / "note.json"
    files.write_text(target, "one")
    files.write_text(target, "two")
    assert target.read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["note.json"]


def test_a_writer_that_fails_half_way_changes_nothing(tmp_path):
    target = tmp_path / "weights.safetensors"
    target.write_text("whole")
    with pytest.raises(RuntimeError), files.aside(target) as path:
        assert path.suffix == target.suffix
        path.write_text("hal")
        raise RuntimeError("the power went")
    assert target.read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
