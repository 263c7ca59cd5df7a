"""Making datasets: the same on any number of workers, whole after any accident, and refusals that say why."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_scenes import NAME

from breakthrough.errors import ArtifactError, BreakthroughError, ConfigError, InputError, UnknownNameError
from breakthrough.scenes import manifest, ranges, shards
from breakthrough.scenes.dataset import Settings, finished, make, open_dataset

SMALL = Settings(n=22, size=16, shots=2, shard_images=8)
KEYS = [f"{i // 2:06d}-{i % 2:02d}" for i in range(22)]


def everything(folder):
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def whole(folder, toy_folder):
    """Whether a folder is the same, to the byte, as one made without accidents, with every picture once."""
    assert [picture.key for picture in open_dataset(folder)] == KEYS
    return everything(folder) == everything(toy_folder)


def orders(tmp_path, monkeypatch, text):
    path = tmp_path / "orders.txt"
    path.write_text(text)
    monkeypatch.setenv("TOY_SCENES", str(path))


def test_a_dataset_is_the_same_on_two_workers(toy_folder, tmp_path):
    make(tmp_path / "two", SMALL, workers=2, producer=NAME)
    assert whole(tmp_path / "two", toy_folder)
    assert sorted(everything(toy_folder)) == ["annotations.json", "manifest.json", *(f"shards/{i:06d}.tar" for i in range(3))]


def test_another_seed_is_another_dataset(toy_folder, tmp_path):
    other = make(tmp_path / "other", Settings(n=22, size=16, shots=2, shard_images=8, seed=1), producer=NAME)
    assert other[0].rgb.tolist() != open_dataset(toy_folder)[0].rgb.tolist()


def test_the_manifest_says_what_was_made(toy_folder):
    record = json.loads((toy_folder / "manifest.json").read_text())
    assert record["complete"] and record["settings"]["n"] == 22 and record["settings"]["ranges"] == "all"
    assert record["ranges"]["lights"] == [1, 3] and record["classes"][1] == "missing_bolt" and "tray" not in record["categories"]
    assert record["counts"]["images"] == 22 and sum(record["counts"]["classes"].values()) == 22
    assert [shard["images"] for shard in record["shards"]] == [8, 8, 6]
    assert manifest.read(toy_folder).settings == SMALL


def test_scenes_drawn_again_are_counted_by_reason(tmp_path, monkeypatch):
    orders(tmp_path, monkeypatch, "drop")
    counts = make(tmp_path / "data", SMALL, producer=NAME).manifest.counts()
    assert (counts["drawn"], counts["dropped"], counts["invalid"]) == (15, 4, {"out of view": 4})


def test_a_finished_dataset_is_left_as_it_is(toy_folder):
    before = {path: path.stat().st_mtime_ns for path in toy_folder.rglob("*")}
    assert finished(toy_folder, SMALL) is not None and finished(toy_folder, Settings()) is None
    assert len(make(toy_folder, SMALL, producer="nothing:at_all")) == 22
    assert {path: path.stat().st_mtime_ns for path in toy_folder.rglob("*")} == before


def test_pictures_are_reached_by_number_scene_and_all_at_once(toy_folder):
    data = open_dataset(toy_folder)
    assert [data[i].key for i in (0, 9, 21, -1)] == [KEYS[0], KEYS[9], KEYS[21], KEYS[21]]
    assert [picture.key for picture in data.scene(7)] == ["000007-00", "000007-01"]
    arrays = data.arrays()
    assert arrays.rgb.shape == (22, 16, 16, 3) and arrays.scenes.tolist() == [i // 2 for i in range(22)]
    assert arrays.classes.tolist() == [i // 2 % 5 for i in range(22)] and (arrays.rgb[9] == data[9].rgb).all()
    with pytest.raises(IndexError, match="below 22"):
        data[22]
    with pytest.raises(InputError, match="a scene from 0 to 10"):
        data.scene(11)


def run_aside(folder, environment):
    code = f"from breakthrough.scenes.dataset import *; make({str(folder)!r}, Settings(n=22, size=16, shots=2, shard_images=8), workers=2, producer={NAME!r})"
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environment}, stderr=subprocess.DEVNULL)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def test_a_run_killed_by_force_goes_on_without_a_lost_or_doubled_picture(toy_folder, tmp_path):
    (tmp_path / "orders.txt").write_text("slow 0.1")
    folder = tmp_path / "data"
    process = run_aside(folder, {"TOY_SCENES": str(tmp_path / "orders.txt")})
    wait_for(lambda: list(folder.glob("shards/000*.tar")))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    state = manifest.read(folder)
    assert not state.complete and state.images < 22
    assert len(list(open_dataset(folder, unfinished=True))) == state.images
    with pytest.raises(ArtifactError, match=f"got {state.images} of 22 pictures; try .*--resume"):
        open_dataset(folder)
    with pytest.raises(InputError, match=rf"an unfinished one \({state.images} of 22 pictures\); try --resume"):
        make(folder, SMALL, producer=NAME)
    make(folder, SMALL, resume=True, producer=NAME)
    wait_for(lambda: not list(folder.glob("shards/.*")))  # an orphan may still be at its last shard
    assert whole(folder, toy_folder)


def test_a_killed_worker_is_told_with_its_shard_and_finished_shards_are_kept(toy_folder, tmp_path, monkeypatch):
    orders(tmp_path, monkeypatch, "die 9")
    folder = tmp_path / "data"
    with pytest.raises(BreakthroughError, match=r"shard 000002\.tar of .*data to finish, got a worker that was killed by signal 9"):
        make(folder, SMALL, workers=2, producer=NAME)
    state = manifest.read(folder)
    assert state.images in (8, 16) and not list(folder.glob("shards/.*"))
    make(folder, SMALL, workers=2, resume=True, producer=NAME)
    assert whole(folder, toy_folder)


def fills_up(monkeypatch, after):
    """The disk has room for so many shards."""
    real, count = shards.write, iter(range(100))

    def write(path, pictures):
        def until_full():
            for i, picture in enumerate(pictures):
                if full and i == 2:
                    raise OSError(errno.ENOSPC, "No space left on device")
                yield picture

        full = next(count) >= after
        return real(path, until_full())

    monkeypatch.setattr(shards, "write", write)


def test_a_full_disk_is_told_and_the_rest_is_made_later(toy_folder, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    with monkeypatch.context() as patch:
        fills_up(patch, after=1)
        with pytest.raises(ArtifactError, match=r"expected room to write .*000001\.tar, got No space left on device; try .*kept"):
            make(folder, SMALL, producer=NAME)
    assert len(list(open_dataset(folder, unfinished=True))) == 8
    assert sorted(everything(folder)) == ["manifest.json", "shards/000000.tar"]
    make(folder, SMALL, resume=True, producer=NAME)
    assert whole(folder, toy_folder)


def test_a_disk_too_full_for_the_manifest_leaves_the_one_that_was(toy_folder, tmp_path, monkeypatch):
    folder = tmp_path / "data"

    def full(self, where, real=manifest.Manifest.write):
        if self.images:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, where)

    with monkeypatch.context() as patch:
        patch.setattr(manifest.Manifest, "write", full)
        with pytest.raises(ArtifactError, match="No space left on device"):
            make(folder, SMALL, producer=NAME)
    assert manifest.read(folder).images == 0
    make(folder, SMALL, resume=True, producer=NAME)
    assert whole(folder, toy_folder)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_shard_is_told_by_name_and_made_again(toy_folder, tmp_path, damage):
    folder = tmp_path / "data"
    make(folder, SMALL, producer=NAME)
    path = folder / "shards" / "000001.tar"
    data = path.read_bytes()
    path.write_bytes(data[:3000] if damage == "cut" else data[:3000] + b"!" + data[3001:])
    if damage == "gone":
        path.unlink()
    with pytest.raises(ArtifactError, match=r"000001\.tar"):
        list(open_dataset(folder))
    with pytest.raises(ArtifactError, match=r"whole shards in .*, got 000001\.tar missing or altered; try --resume"):
        make(folder, SMALL, producer=NAME)
    make(folder, SMALL, resume=True, producer=NAME)
    assert whole(folder, toy_folder)


def test_a_lost_annotation_file_is_written_again(toy_folder, tmp_path):
    make(tmp_path / "data", SMALL, producer=NAME)
    (tmp_path / "data" / "annotations.json").unlink()
    make(tmp_path / "data", SMALL, resume=True, producer=NAME)
    assert whole(tmp_path / "data", toy_folder)


@pytest.mark.parametrize(("changed", "said"), [
    ({"seed": 7}, "seed = 0, not 7"),
    ({"n": 30}, "n = 22, not 30"),
    ({"physics": False, "renderer": "egl"}, "renderer = tiny, not egl; physics = True, not False"),
    ({"ranges": "naive"}, "ranges = all, not naive; try"),
    ({"ranges": ranges.Ranges(**{**vars(ranges.preset("all")), "lights": (2, 2)})}, r"ranges = all, not custom; ranges.lights = \[1, 3\], not \[2, 2\]"),
])
@pytest.mark.parametrize("resume", [False, True])
def test_other_settings_are_refused_by_name(toy_folder, changed, said, resume):
    before = everything(toy_folder)
    with pytest.raises(ConfigError, match=said):
        make(toy_folder, Settings(**{**vars(SMALL), **changed}), resume=resume, producer=NAME)
    assert everything(toy_folder) == before


def test_ranges_of_ones_own_are_kept_in_the_manifest(tmp_path):
    own = ranges.Ranges(lights=(2, 3), light_power=(0.25, 1.1))
    settings = Settings(n=2, size=16, shots=2, ranges=own)
    make(tmp_path / "data", settings, producer=NAME)
    assert manifest.read(tmp_path / "data").settings == settings
    assert len(make(tmp_path / "data", settings, producer="nothing:at_all")) == 2


@pytest.mark.parametrize(("wrong", "error", "said"), [
    ({"n": 0}, ConfigError, "n of at least 1, got 0"),
    ({"n": 2.5}, ConfigError, "n of at least 1, got 2.5"),
    ({"shots": 0}, ConfigError, "shots of at least 1"),
    ({"size": 4}, ConfigError, "size of at least 8"),
    ({"renderer": "tinny"}, UnknownNameError, "renderer, got 'tinny'; try tiny"),
    ({"ranges": "alll"}, UnknownNameError, "a known set of ranges, got 'alll'; try all"),  # codespell:ignore alll
])
def test_wrong_settings_are_refused(wrong, error, said):
    with pytest.raises(error, match=said):
        Settings(**wrong)


def test_wrong_folders_are_refused(tmp_path):
    (tmp_path / "file").write_text("here first")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="a file in its way"):
            make(path, SMALL, producer=NAME)
    with pytest.raises(InputError, match="an empty folder, or a dataset, in .*, got other files"):
        make(tmp_path, SMALL, producer=NAME)
    with pytest.raises(ConfigError, match="at least one worker, got 0"):
        make(tmp_path / "new", SMALL, workers=0, producer=NAME)
    with pytest.raises(ArtifactError, match="a dataset in .*, got no manifest.json"):
        open_dataset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch, number):
    def refuse(self, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=f"a path that can be written at .*new, got {os.strerror(number)}"):
        make(tmp_path / "new", SMALL, producer=NAME)


def test_two_commands_never_write_one_folder(toy_folder, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    holder = os.open(toy_folder, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another command that writes it"):
            make(toy_folder, SMALL, producer=NAME)
    finally:
        os.close(holder)


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', '{"format": 99}', "[]"])
def test_a_manifest_that_cannot_be_read_is_told(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match="manifest.json|format 1"):
        open_dataset(tmp_path)


def test_shots_of_a_scene_are_never_parted():
    settings = Settings(n=101, shots=4, shard_images=10)
    assert settings.scenes() == 26 and settings.shots_of(25) == 1 and settings.shots_of(24) == 4
    assert [list(part) for part in settings.shards()][:2] == [[0, 1], [2, 3]] and settings.shards()[-1] == range(24, 26)
    assert Settings(n=3, shots=4, shard_images=2).shards() == [range(1)]
