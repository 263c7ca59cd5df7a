import json

import pytest

from breakthrough.deploy.database import Database, Record, isa, pack, shipped
from breakthrough.errors import InputError


def record(task="t", candidate="a", run_s=1.0, isa="x86-64-v4", **more):
    return Record(task, "name", isa, candidate, rule="elementwise", params={"vec": 16}, run_s=run_s, **more)


def test_what_is_added_is_read_again(tmp_path):
    database = Database(tmp_path / "deep" / "r.jsonl")
    added = [record(candidate="a", run_s=2.0), record(candidate="b", run_s=1.0), record(task="u", run_s=None, error="crash")]
    for one in added:
        database.add(one)
    again = Database(database.path)
    assert again.records == added and again.damaged == 0
    assert [r.candidate for r in again.of("t")] == ["b", "a"]
    assert again.has("u", "x86-64-v4", "a") and not again.has("u", "x86-64-v3", "a")
    assert again.best("u", "x86-64-v4") is None


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_torn_last_line_costs_that_line_alone(tmp_path, cut):
    path = tmp_path / "r.jsonl"
    for candidate in "abc":
        Database(path).add(record(candidate=candidate))
    path.write_bytes(path.read_bytes()[:-cut])
    torn = Database(path)
    kept = 3 if cut == 1 else 2  # without its newline alone the line is whole
    assert [r.candidate for r in torn.records] == list("abc")[:kept] and torn.damaged == 3 - kept
    torn.add(record(candidate="d"))
    assert [r.candidate for r in Database(path).records] == [*"abc"[:kept], "d"]


def test_the_own_instruction_set_comes_first_then_the_nearest(tmp_path):
    database = Database(tmp_path / "r.jsonl")
    database.add(record(candidate="far", run_s=0.1, isa="aarch64"))
    database.add(record(candidate="near", run_s=0.5, isa="x86-64-v3"))
    assert database.best("t", "x86-64-v4").candidate == "near"
    database.add(record(candidate="own", run_s=9.0, isa="x86-64-v4"))
    assert database.best("t", "x86-64-v4").candidate == "own"
    assert database.best("t", "aarch64").candidate == "far"
    assert database.best("t", "riscv").run_s is not None


def test_packing_keeps_the_best_of_each_set_byte_for_byte(tmp_path):
    one, two = Database(tmp_path / "1.jsonl"), Database(tmp_path / "2.jsonl")
    one.add(record(candidate="slow", run_s=2.0))
    two.add(record(candidate="fast", run_s=1.0))
    two.add(record(candidate="other", run_s=3.0, isa="x86-64-v3"))
    two.add(record(candidate="failed", run_s=None, error="crash"))
    packed = [tmp_path / name for name in ("a.jsonl.gz", "b.jsonl.gz")]
    assert [pack([one.path, two.path], path) for path in packed] == [2, 2]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    found = Database(packed[0])
    assert {r.candidate for r in found.records} == {"fast", "other"}
    with pytest.raises(InputError, match="jsonl"):
        found.add(record())


def test_what_is_not_written_in_json_is_no_record(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("not json\n" + json.dumps({"task": "t"}) + "\n\n")
    assert Database(path).damaged == 2 and not Database(path).records


def test_instruction_sets_of_targets():
    target = pytest.importorskip("tvm").target.Target
    names = {"x86-64-v4": "x86-64-v4", "x86-64-v3": "x86-64-v3", "x86-64": "x86-64-v2"}
    for cpu, name in names.items():
        assert isa(target({"kind": "llvm", "mcpu": cpu, "mtriple": "x86_64-linux-gnu"})) == name
    assert isa(target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"})) == "aarch64"


def test_the_shipped_database_is_small_and_whole():
    path = shipped()
    assert path is not None and path.stat().st_size < 2_000_000
    found = Database(path)
    assert found.damaged == 0 and all(r.ok for r in found.records)
    assert {r.isa for r in found.records} >= {"x86-64-v4", "x86-64-v3"}
