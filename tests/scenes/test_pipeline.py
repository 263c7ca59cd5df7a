"""The whole way from a seed to a shard, with physics and renderer: the same for everyone, and true."""

import numpy as np
import pytest

from breakthrough.errors import BreakthroughError, InputError
from breakthrough.scenes import pipeline, ranges, validity
from breakthrough.scenes.camera import extrinsics, intrinsics
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.poses import rotation_matrix
from breakthrough.scenes.spec import CATEGORIES, DEFECTS

pytest.importorskip("pybullet")
SETTINGS = Settings(n=44, seed=3, size=32, shots=2, shard_images=12)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make(tmp_path_factory.mktemp("real") / "data", SETTINGS)


@pytest.fixture(scope="module")
def pictures(data):
    return list(data)


def test_two_workers_make_the_same_bytes_as_one(data, tmp_path):
    other = make(tmp_path / "two", SETTINGS, workers=2)
    assert other.manifest == data.manifest
    assert (other.folder / "annotations.json").read_bytes() == (data.folder / "annotations.json").read_bytes()


def test_a_shard_alone_is_what_it_is_among_others(data, pictures):
    with pipeline.Pipeline(SETTINGS) as made:
        alone = [picture for scene in made.shard(SETTINGS.shards()[2]) for picture in scene.pictures]
    assert [(p.key, p.png, p.depth, p.json) for p in alone] == [(p.key, p.png, p.depth, p.json) for p in pictures[24:36]]


def test_classes_are_balanced_and_not_in_a_fixed_order(data, pictures):
    classes = [picture.labels["class"] for picture in pictures[::2]]
    assert all(set(classes[i : i + 5]) == set(range(5)) for i in range(0, 20, 5))
    assert len({tuple(classes[i : i + 5]) for i in range(0, 20, 5)}) > 1
    assert sum(data.manifest.counts()["classes"].values()) == 44


def test_shots_of_a_scene_show_the_same_things_in_another_look(pictures):
    for first, second in zip(pictures[::2], pictures[1::2]):
        a, b = first.labels, second.labels
        assert (a["scene"], a["class"], a["variant"]) == (b["scene"], b["class"], b["variant"])
        assert a["camera"]["extrinsics"] != b["camera"]["extrinsics"] and first.png != second.png
        both = {one["name"]: one["world"] for one in a["instances"]}
        assert all(one["world"] == both.get(one["name"], one["world"]) for one in b["instances"])


def matrix(pose):
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation_matrix(np.array(pose[3:])), pose[:3]
    return made


def test_poses_agree_in_both_frames_and_with_depth(pictures):
    looked_at = 0
    for picture in pictures:
        labels, depth = picture.labels, picture.depth_m
        camera = np.vstack([np.reshape(labels["camera"]["extrinsics"], (3, 4)), [0, 0, 0, 1]])
        focal, _, cx, cy = labels["camera"]["intrinsics"]
        for one, mask in zip(labels["instances"], picture.masks, strict=True):
            assert np.allclose(camera @ matrix(one["world"]), matrix(one["camera"]), atol=2e-5)
            assert one["area"] == mask.sum() and 0 < one["visible"] <= 1
            x, y, z = one["camera"][:3]
            column, row = int(focal * x / z + cx), int(focal * y / z + cy)
            if one["category"] in ("cap", "bolt") and 0 <= row < 32 and 0 <= column < 32 and mask[row, column]:
                assert abs(depth[row, column] - z) < 0.009  # no farther from its middle than the thing is high
                looked_at += 1
    assert looked_at > 100


def test_labels_name_what_the_class_says(pictures):
    for picture in pictures:
        labels = picture.labels
        categories = [one["category"] for one in labels["instances"]]
        kind = DEFECTS[labels["class"]]
        assert labels["defect"]["kind"] == kind and set(categories) <= set(CATEGORIES) - {"tray"}
        assert "bracket" in categories and "cap" in categories
        assert ("scratch" in categories) <= (kind == "scratch")
        assert categories.count("bolt") <= (3 if kind == "missing_bolt" else 4)


def test_a_scene_can_be_made_again_for_export(pictures):
    for i in (0, 15, 43):
        labels = pictures[i].labels
        spec, poses = pipeline.replay(SETTINGS, labels["scene"], labels["shot"])
        camera = labels["camera"]
        assert np.allclose(extrinsics(spec.camera)[:3].ravel(), camera["extrinsics"], atol=1e-8)
        assert np.allclose(intrinsics(spec.camera)[[0, 1, 0, 1], [0, 1, 2, 2]], camera["intrinsics"])
        for one in labels["instances"]:
            assert spec.bodies[one["body"]].name == one["name"]
            assert np.allclose(poses.position_m[one["body"]], one["world"][:3], atol=1e-6)


@pytest.mark.parametrize(("scene", "shot"), [(22, 0), (-1, 0), (0, 2)])
def test_a_scene_that_is_not_there_is_refused(scene, shot):
    with pytest.raises(InputError, match="a scene from 0 to 21 and a shot below 2"):
        pipeline.replay(SETTINGS, scene, shot)


def test_without_physics_things_float(tmp_path):
    settings = Settings(n=20, seed=3, size=32, shots=1, physics=False)
    heights = {True: [], False: []}
    for physics in heights:
        same = Settings(**{**vars(settings), "physics": physics})
        for scene in range(20):
            spec, poses = pipeline.replay(same, scene)
            if spec.defect.kind == "none":
                heights[physics].append(poses.position_m[spec.index("cap"), 2])
    assert np.ptp(heights[True]) < 0.001 < np.ptp(heights[False])


def test_invalid_scenes_are_drawn_again_and_counted(monkeypatch):
    real, calls = validity.validity, []

    def judge(spec, settled):
        found = real(spec, settled)
        calls.append(spec)
        return validity.Validity(*(getattr(found, name) for name in ("speed_m_s", "spin_rad_s", "deepest_m", "unsupported", "energy_gain_j", "outside")),
                                 reasons=("made up",) if len(calls) % 3 else ())

    monkeypatch.setattr(validity, "validity", judge)
    with pipeline.Pipeline(Settings(n=2, size=32, shots=1, ranges="naive")) as made:
        scenes = list(made.shard(range(2)))
    assert [scene.drawn for scene in scenes] == [3, 3] and [scene.invalid["made up"] for scene in scenes] == [2, 2]
    assert all(len({spec.defect.kind for spec in calls[i : i + 3]}) == 1 for i in (0, 3))  # the class stays
    assert len({spec.bodies[1].position_m for spec in calls}) == 6


def test_ranges_that_give_no_valid_scene_are_told_with_the_reasons(monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_DRAWS", 5)
    away = ranges.Ranges(part_offset_m=(0.15, 0.16))
    with pytest.raises(BreakthroughError, match="a valid scene 0 within 5 draws, got .*out of view 5×"), pipeline.Pipeline(Settings(n=1, size=32, ranges=away)) as made:
        list(made.shard(range(1)))


def test_quaternions_of_matrices():
    generator = np.random.default_rng(0)
    axes = [np.eye(4)[i] for i in range(4)]  # half turns and none: one number is all there is
    for q in [*axes, *generator.normal(size=(100, 4))]:
        q = q / np.linalg.norm(q)
        found = pipeline.quaternion(rotation_matrix(q))
        assert np.isclose(abs(found @ q), 1)
