"""The dataset as an artifact."""

from __future__ import annotations

import numpy as np
import pytest

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, InputError, ShapeError, UnknownNameError
from breakthrough.scenes import staff
from breakthrough.scenes.dataset import Settings, make, open_dataset
from breakthrough.scenes.handover import FOLDER, NAMES, load_scenes, save_scenes


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return tmp_path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "set", Settings(n=12, shots=2, shard_images=8))


PART = np.repeat([0, 0, 1, 0, 2, 0], 2)


def test_what_is_saved_is_loaded_whole(store, dataset):
    saved = save_scenes(dataset, PART, "tiny", metrics={"note": 1})
    found = load_scenes(saved)
    assert [p.key for p in found.dataset] == [p.key for p in dataset] and found.part.tolist() == PART.tolist()
    assert saved.metrics["note"] == 1 and saved.metrics["drawn"] == dataset.manifest.counts()["drawn"]
    assert open_dataset(saved.folder / FOLDER).settings == dataset.settings
    parts = [found.arrays(name) for name in NAMES]
    assert [len(part.rgb) for part in parts] == [8, 2, 2] and len(found.arrays().rgb) == 12
    assert set(parts[2].scenes) == {4} and not set(parts[0].scenes) & set(parts[2].scenes)
    with pytest.raises(UnknownNameError, match="validation"):
        found.arrays("validation")


@pytest.mark.parametrize(("part", "error", "says"), [
    (np.zeros(11, int), ShapeError, r"\(12,\)"),
    (np.full(12, 3), InputError, "from 0 to 2"),
    (np.zeros(12), InputError, "float64"),
])
def test_a_split_of_another_form_is_refused(store, dataset, part, error, says):
    with pytest.raises(error, match=says):
        save_scenes(dataset, part, "tiny")
    assert not (store / "store").exists()


def test_a_changed_shard_and_a_strange_split_are_named(store, dataset):
    saved = save_scenes(dataset, PART, "tiny")
    saved.path(f"{FOLDER}/shards/000001.tar").write_bytes(b"")
    with pytest.raises(ArtifactError, match="000001.tar"):
        load_scenes(saved)
    files = {name: dataset.folder / name.partition("/")[2] for name in saved.files if name.startswith(FOLDER)}
    for junk in (b"junk", None):
        write = (lambda path: path.write_bytes(b"junk")) if junk else (lambda path: np.savez(path, part=np.zeros(3, np.int8)))
        with pytest.raises(ArtifactError, match="parts.npz"):
            load_scenes(artifacts.save("scenes", files | {"parts.npz": write}))


def test_the_staffs_dataset_is_split_by_scene(store, monkeypatch):
    monkeypatch.setattr(staff, "SETTINGS", Settings(n=40, shots=2))
    saved = staff.scenes()
    found = load_scenes(saved)
    assert saved.staff and saved.kind == "scenes" and set(found.part.tolist()) == {0, 1, 2}
    scenes = [set(found.arrays(name).scenes.tolist()) for name in NAMES]
    assert sum(map(len, scenes)) == len(set.union(*scenes)) == 20
