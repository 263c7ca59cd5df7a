import json
import os

import pytest

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, InputError


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path / "store"


def text(content):
    return lambda path: path.write_text(content)


def test_what_is_saved_is_loaded(store):
    saved = artifacts.save("toy", {"a.json": text("{}")}, metrics={"loss": 1.5}, profile="tiny")
    loaded = artifacts.load(saved.folder)
    assert loaded == saved
    assert loaded.metrics == {"loss": 1.5} and loaded.path("a.json").read_text() == "{}"


def test_an_existing_file_is_copied(store, tmp_path):
    (tmp_path / "w.npz").write_bytes(b"1234")
    saved = artifacts.save("toy", {"w.npz": tmp_path / "w.npz"})
    assert saved.path("w.npz").read_bytes() == b"1234"


def test_files_may_lie_in_folders_of_their_own(store, tmp_path):
    (tmp_path / "0.tar").write_bytes(b"shard")
    saved = artifacts.save("toy", {"set/manifest.json": text("{}"), "set/shards/0.tar": tmp_path / "0.tar"})
    assert artifacts.load(saved.folder).path("set/shards/0.tar").read_bytes() == b"shard"
    saved.path("set/shards/0.tar").unlink()
    with pytest.raises(ArtifactError, match="set/shards/0.tar"):
        artifacts.load(saved.folder)


def test_a_changed_file_is_named(store):
    saved = artifacts.save("toy", {"a.json": text("{}"), "b.json": text("[]")})
    saved.path("b.json").write_text("[1]")
    with pytest.raises(ArtifactError, match="b.json") as caught:
        artifacts.load(saved.folder)
    assert "a.json" not in str(caught.value)


def test_a_missing_file_is_named(store):
    saved = artifacts.save("toy", {"a.json": text("{}")})
    saved.path("a.json").unlink()
    with pytest.raises(ArtifactError, match="a.json"):
        artifacts.load(saved.folder)


@pytest.mark.parametrize("manifest", ["", "{}", "[]", "null", '{"kind": "toy", "parents": [], "what": 1}'])
def test_a_damaged_manifest_is_one_clear_error(store, manifest):
    saved = artifacts.save("toy", {"a.json": text("{}")})
    (saved.folder / artifacts.MANIFEST).write_text(manifest)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        artifacts.load(saved.folder)


def test_an_interrupted_save_leaves_nothing(store):
    def interrupted(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artifacts.save("toy", {"a.json": text("{}"), "b.json": interrupted})
    assert list((store / "toy").iterdir()) == []


def test_the_latest_is_the_newest_whole_one(store):
    artifacts.save("toy", {"a.json": text("1")})
    newest = artifacts.save("toy", {"a.json": text("2")})
    (store / "toy" / "99999999-000000-000000-torn").mkdir()  # no manifest: never finished
    assert artifacts.latest("toy").id == newest.id


def test_parents_are_kept_by_id(store):
    parent = artifacts.save("toy", {"a.json": text("1")})
    child = artifacts.save("toy", {"a.json": text("2")}, parents=(parent, "other-id"))
    assert artifacts.load(child.folder).parents == (parent.id, "other-id")


def test_without_any_the_staff_builds_one(store, monkeypatch):
    class Entry:
        def load(self):
            return lambda: artifacts.save("toy", {"a.json": text("staff")}, staff=True)

    monkeypatch.setattr(artifacts, "staff_builders", lambda: {"toy": Entry()})
    assert artifacts.latest("toy").staff


def test_without_any_and_without_staff_it_says_so(store):
    with pytest.raises(ArtifactError, match="unheard_of"):
        artifacts.latest("unheard_of")


@pytest.mark.parametrize(("kind", "name"), [
    ("../toy", "a.json"), ("", "a.json"), ("toy", "../a.json"), ("toy", "a.pkl"), ("toy", "manifest.json"), ("toy", "x/../../a.json"),
    ("toy", "/a.json"), ("toy", "./a.json"), ("toy", "x//a.json"), ("toy", "x/a.pkl"), ("toy", "x/"),
])
def test_names_that_leave_the_store_or_carry_code_are_refused(store, kind, name):
    with pytest.raises(InputError):
        artifacts.save(kind, {name: text("1")})
    assert not store.exists() or not any(store.rglob("*"))


def test_an_artifact_without_files_is_refused(store):
    with pytest.raises(InputError, match="at least one file"):
        artifacts.save("toy", {})


def test_the_manifest_is_plain_json_without_paths_of_this_machine(store):
    saved = artifacts.save("toy", {"a.json": text("{}")})
    record = json.loads((saved.folder / artifacts.MANIFEST).read_text())
    assert os.fspath(store) not in json.dumps(record)
    assert record["files"] == {"a.json": artifacts.sha256(saved.path("a.json"))}


@pytest.mark.parametrize("loss", [float("nan"), {1, 2}, object()])
def test_a_metric_that_is_no_number_is_named_and_nothing_is_saved(store, loss):
    with pytest.raises(InputError, match="metric 'valid_loss'"):
        artifacts.save("toy", {"a.json": text("{}")}, metrics={"valid_loss": loss})
    assert not (store / "toy").exists()
