from dataclasses import fields, replace

import numpy as np
import pytest

from breakthrough import artifacts
from breakthrough.errors import ArtifactError, ConfigError, InputError, UnknownNameError
from breakthrough.federated import factories
from breakthrough.federated.factories import FACTORIES, QUARTERS, camera_of, from_scenes, light_of, make_factories
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.handover import save_scenes
from breakthrough.scenes.ranges import PRESETS
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import numpy_generator
from breakthrough.train.pictures import Pictures
from breakthrough.train.sets import together

PART = np.tile(np.repeat([0, 0, 0, 2, 2, 1], 2), 5)  # of module 2's pictures, by scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("factories")


@pytest.fixture(scope="module")
def sites(folder):
    return make_factories(20, 0, size=24, folder=folder, held_out=10)


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.name)
def test_a_factory_is_a_corner_of_all_ranges(factory):
    every = PRESETS["all"]
    changed = 0
    for field in fields(every):
        whole, corner = getattr(every, field.name), getattr(factory.ranges, field.name)
        changed += field.name != "defects" and whole != corner
        if isinstance(whole[0], str):
            assert set(corner) <= set(whole), field.name
        else:
            assert whole[0] <= corner[0] <= corner[1] <= whole[1], field.name
    assert changed > 6
    assert sum(factory.mix.values()) == pytest.approx(1) and min(factory.mix.values()) > 0


def test_factories_differ_in_light_camera_and_defects():
    drawn = {f.name: [sample(f.ranges, numpy_generator(i, f.name)) for i in range(30)] for f in FACTORIES}
    assert len(drawn) == len(FACTORIES) == 4
    power = {name: np.array([np.sum([x.power_linear for x in s.lights], 0) for s in specs]) for name, specs in drawn.items()}
    assert power["north"][:, 1].min() > power["east"][:, 1].max()
    assert (power["north"][:, 0] > power["north"][:, 2]).all() and (power["east"][:, 0] < power["east"][:, 2]).all()
    roll = {name: [s.camera.roll_rad for s in specs] for name, specs in drawn.items()}
    assert min(roll["east"]) > max(roll["north"]) > max(roll["south"])
    usual = {f.name: max(DEFECTS[1:], key=f.mix.get) for f in FACTORIES}
    assert sorted(usual.values()) == sorted(DEFECTS[1:])


def test_a_factory_has_its_mix_to_train_on_and_all_classes_alike_to_be_measured_on(sites):
    assert [site.name for site in sites] == [f.name for f in FACTORIES]
    for site, factory in zip(sites, FACTORIES):
        assert np.bincount(site.train.labels, minlength=5).tolist() == [round(20 * share) for share in factory.mix.values()]
        assert np.bincount(site.test.labels).tolist() == [2] * 5
        assert site.train.images.shape == (20, 24, 24, 3) and site.train.parts.shape == (20, 24, 24)
        assert site.train.classes == DEFECTS


def test_no_scene_is_in_two_sets(sites):
    sets = [one for site in sites for one in (site.train, site.test)]
    numbers = np.concatenate([one.scenes for one in sets])
    assert len(np.unique(numbers)) == len(numbers) == 4 * 30
    pictures = {one.tobytes() for group in sets for one in group.images}
    assert len(pictures) == 4 * 30


def test_factories_look_different(sites):
    means = {site.name: light_of(site.train.images).mean(0) for site in sites}
    assert means["north"][0] > means["east"][0] + 15
    assert means["north"][1] > means["east"][1] + 0.2


def test_pictures_are_made_once_and_read_after_that(folder, sites, monkeypatch):
    assert len(list(folder.glob("*.npz"))) == 8 and not [path for path in folder.iterdir() if path.is_dir()]

    def never(*args, **kwargs):
        raise AssertionError("made again")

    monkeypatch.setattr(factories, "make", never)
    again = make_factories(20, 0, size=24, folder=folder, held_out=10)
    assert [s.train.digest for s in again] == [s.train.digest for s in sites]
    assert [s.test.scenes.tolist() for s in again] == [s.test.scenes.tolist() for s in sites]
    for other in ({"seed": 1}, {"n": 21}, {"size": 25}, {"factories": (replace(FACTORIES[0], ranges=PRESETS["all"]),)}):
        with pytest.raises(AssertionError, match="made again"):
            make_factories(**{"n": 20, "seed": 0, "size": 24, "folder": folder, "held_out": 10} | other)


def test_a_damaged_set_is_made_again(folder, sites, tmp_path):
    one = FACTORIES[:1]
    made = make_factories(5, 3, size=16, folder=tmp_path, held_out=2, factories=one)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:200])
    again = make_factories(5, 3, size=16, folder=tmp_path, held_out=2, factories=one)
    assert again[0].train.digest == made[0].train.digest and again[0].test.digest == made[0].test.digest
    with pytest.raises(ConfigError, match="n of at least 1"):
        make_factories(0, 3, folder=tmp_path)


def test_sets_go_together_for_a_centralised_control(sites):
    every = together([site.train for site in sites])
    assert len(every) == 80 and (every.images[20:40] == sites[1].train.images).all()
    assert (every.parts[60:] == sites[3].train.parts).all() and len(np.unique(every.scenes)) == 80
    assert together([replace(sites[0].train, parts=None), sites[1].train]).parts is None
    with pytest.raises(ConfigError, match="same classes"):
        together([sites[0].train, Pictures(sites[1].train.images, np.zeros(20, int), ("none", "bad"))])
    with pytest.raises(InputError, match="one size"):
        together([sites[0].train, Pictures(np.zeros((1, 8, 8, 3), np.uint8), [0], DEFECTS)])
    with pytest.raises(ConfigError):
        together([])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "set", Settings(n=60, shots=2, size=24))


@pytest.fixture
def artifact(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    return save_scenes(dataset, PART, "tiny")


@pytest.mark.parametrize("by", QUARTERS)
def test_module_2s_pictures_are_shared_out_each_once(artifact, dataset, by):
    shared = from_scenes(artifact, by)
    whole = dataset.arrays()
    assert (len(shared.train), len(shared.valid), len(shared.test)) == (30, 10, 20) and shared.train.parts is not None
    assert (shared.train.images == whole.rgb[PART == 0]).all()
    assert sorted(np.concatenate(shared.partition.parts).tolist()) == list(range(30))
    assert len(shared.names) == len(shared.partition) == 4 and set(shared.partition.sizes.tolist()) <= {7, 8}
    again = from_scenes(artifact, by)
    assert (again.partition.owner == shared.partition.owner).all()


def test_pictures_are_shared_out_by_their_light(artifact):
    shared = from_scenes(artifact, "light")
    brightness, warmth = light_of(shared.train.images).T
    dim_cold, dim_warm, bright_cold, bright_warm = shared.partition.parts
    dim, bright = np.concatenate((dim_cold, dim_warm)), np.concatenate((bright_cold, bright_warm))
    assert brightness[dim].max() <= brightness[bright].min()
    assert warmth[dim_cold].max() <= warmth[dim_warm].min() and warmth[bright_cold].max() <= warmth[bright_warm].min()
    test_brightness = light_of(shared.test.images)[:, 0]
    assert ((test_brightness > np.median(brightness)) == (shared.test_owner >= 2)).all()  # cut where training was


def test_the_sites_hold_what_the_split_says(artifact):
    shared = from_scenes(artifact, "light")
    for i, site in enumerate(shared.sites):
        assert site.name == QUARTERS["light"][i]
        assert (site.train.images == shared.train.images[shared.partition.parts[i]]).all()
    assert sum(len(site.test) for site in shared.sites) == 20


def test_the_cameras_place_is_read_from_the_record(dataset):
    from breakthrough.scenes.pipeline import replay

    places = camera_of(dataset)
    for i in (0, 3):
        spec, _ = replay(dataset.settings, i // 2, i % 2)
        x, y, z = spec.camera.eye_m
        assert places[i] == pytest.approx([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], abs=1e-5)


def test_light_is_brightness_and_warmth():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1], images[2] = 100, (200, 100, 50)
    assert light_of(images) == pytest.approx(np.array([[0, 0], [100, 0], [350 / 3, np.log(201 / 51)]]))


def test_what_cannot_be_shared_out_is_refused(artifact, dataset, tmp_path):
    with pytest.raises(UnknownNameError, match="light"):
        from_scenes(artifact, "lights")
    with pytest.raises(ArtifactError):
        from_scenes(tmp_path / "nothing")
    no_test = save_scenes(dataset, np.repeat([0, 0, 1, 0, 0, 1], 10), "tiny")
    with pytest.raises(InputError, match="'test': 0"):
        from_scenes(no_test)
    few = np.full(60, 1)
    few[:2], few[-1] = 0, 2
    with pytest.raises(InputError, match="larger dataset"):
        from_scenes(save_scenes(dataset, few, "tiny"))
