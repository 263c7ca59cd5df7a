from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from inspection_toys import CLASSES, toy_pictures

from breakthrough.errors import ArtifactError, ConfigError, DtypeError, InputError, ShapeError
from breakthrough.seeds import numpy_generator, torch_generator
from breakthrough.train.pictures import Augmentation, Augmenter, Pictures, to_input

NONE = Augmentation.none()
ON = list(asdict(NONE))


@pytest.fixture
def toys():
    return toy_pictures(12, 0)


def batch(toys):
    return torch.from_numpy(toys.images), torch.from_numpy(toys.parts)


def altered(config, toys, seed=1):
    return Augmenter(config, torch_generator(0))(*batch(toys), torch_generator(seed))


def test_what_is_no_set_of_pictures_is_refused(toys):
    good = {"images": toys.images, "labels": toys.labels, "classes": CLASSES}
    wrong = [
        (ShapeError, {"images": toys.images[..., :2]}), (ShapeError, {"images": toys.images[:0]}),
        (DtypeError, {"images": toys.images / 255}), (ShapeError, {"labels": toys.labels[1:]}),
        (InputError, {"labels": toys.labels + 1}), (InputError, {"labels": toys.labels - 1}),
        (ShapeError, {"scenes": np.zeros(3)}), (ShapeError, {"parts": toys.parts[:, 1:]}),
        (DtypeError, {"parts": toys.parts > 0}),
    ]  # fmt: skip
    for error, change in wrong:
        with pytest.raises(error, match="expected"):
            Pictures(**{**good, **change})


def test_a_split_keeps_scenes_whole(toys):
    rest, held = toys.split(0.33, numpy_generator(0))
    assert (len(rest), len(held)) == (8, 4)
    assert not set(rest.scenes) & set(held.scenes)
    assert np.array_equal(held.images, toys.images[np.isin(toys.scenes, held.scenes)])
    assert held.parts.shape == (4, 32, 32)
    for share in (0.0, 0.05, 1.0):
        with pytest.raises(InputError, match="both sides"):
            toys.split(share, numpy_generator(0))


def test_subsets_are_nested_and_take_scenes_whole(toys):
    found = toys.nested((6, 2, 9), numpy_generator(3))
    assert [len(found[n]) for n in found] == [2, 6, 9] == list(found)
    pictures = [{x.tobytes() for x in found[n].images} for n in (2, 6, 9)]
    assert pictures[0] < pictures[1] < pictures[2]
    assert len(set(found[6].scenes)) == 3 and len(set(found[9].scenes)) == 5
    other = toys.nested((6,), numpy_generator(4))[6]
    assert set(other.scenes) != set(found[6].scenes)
    for counts in ((), (0,), (13,)):
        with pytest.raises(InputError, match="from 1 to 12"):
            toys.nested(counts, numpy_generator(0))


def test_a_file_gives_the_same_set_back(toys, tmp_path):
    bare = replace(toys, parts=None)
    for name, data in (("a", toys), ("b", bare)):
        data.save(tmp_path / f"{name}.npz")
        again = Pictures.load(tmp_path / f"{name}.npz")
        assert again.digest == data.digest and again.classes == CLASSES
        assert np.array_equal(again.scenes, data.scenes) and (again.parts is None) == (data.parts is None)
    digests = {x.digest for x in (toys, bare, toys.take(slice(6)), replace(toys, labels=2 - toys.labels))}
    assert len(digests) == 4
    (tmp_path / "c.npz").write_bytes(b"PK")
    for name in ("c", "d"):
        with pytest.raises(ArtifactError, match=f"{name}.npz"):
            Pictures.load(tmp_path / f"{name}.npz")


def test_without_augmentation_nothing_changes(toys):
    x, parts = altered(NONE, toys)
    assert torch.equal(x, to_input(torch.from_numpy(toys.images)))
    assert torch.equal(parts, torch.from_numpy(toys.parts))
    assert Augmenter(NONE, torch_generator(0))(batch(toys)[0], None, torch_generator(1))[1] is None


@pytest.mark.parametrize("name", ON)
def test_each_strength_alters_by_itself_and_by_the_generator_alone(toys, name):
    config = replace(NONE, **{name: True if name == "flip" else 0.8})
    plain = altered(NONE, toys)[0]
    first, same, other = (altered(config, toys, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert first.shape == plain.shape and first.dtype == torch.float32
    assert 0 <= first.min() and first.max() <= 1
    changed = (first - plain).abs().amax((1, 2, 3)) > 1e-4
    assert changed.float().mean() > (0.2 if name == "flip" else 0.7)
    if name in ("exposure", "contrast", "gamma", "temperature", "noise", "blur", "cutout"):
        assert torch.equal(altered(config, toys)[1], altered(NONE, toys)[1])  # nothing has moved


def test_parts_move_with_the_picture(toys):
    defects = toys.take(toys.labels == 1)
    config = replace(NONE, flip=True, rotate_rad=0.2, shift=0.1, zoom=0.1)
    x, parts = altered(config, defects)
    assert parts.dtype == torch.uint8 and set(parts.unique().tolist()) == {0, 1}
    assert not torch.equal(parts, altered(NONE, defects)[1])
    for picture, shown in zip(x.mean(1), parts):
        assert picture[shown == 1].mean() > picture[shown == 0].mean() + 0.2


def test_tones_follow_light(toys):
    grey = replace(toys, images=np.full_like(toys.images, 100))
    brighter = altered(replace(NONE, exposure=1.0), grey)[0][:, 0, 0, 0]
    assert brighter.max() <= 100 / 255 * 2 ** (1 / 2.2) + 1e-5 and brighter.max() > 110 / 255
    red, green, blue = altered(replace(NONE, temperature=0.4), grey)[0][:, :, 0, 0].T
    assert torch.allclose(green, torch.full_like(green, 100 / 255), atol=1e-5)
    assert ((red > green) == (blue < green)).all() and (red - blue).abs().max() > 0.02


def test_noise_is_as_strong_as_said_and_blur_keeps_the_mean(toys):
    grey = replace(toys, images=np.full_like(toys.images, 128))
    spread = altered(replace(NONE, noise=0.1), grey)[0].std((1, 2, 3))
    assert 0 < spread.min() and spread.max() <= 0.105 and spread.max() > 0.06
    sharp, soft = altered(NONE, toys)[0], altered(replace(NONE, blur=1.0), toys)[0]
    torch.testing.assert_close(soft.mean((2, 3)), sharp.mean((2, 3)), atol=0.01, rtol=0)
    assert (soft.std((1, 2, 3)) <= sharp.std((1, 2, 3)) + 1e-6).all()


def test_a_negative_strength_is_refused():
    with pytest.raises(ConfigError, match="noise of at least 0"):
        Augmentation(noise=-0.1)
