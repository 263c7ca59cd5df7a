"""A shard holds what was put in, for every reader of the format, and says when it is not whole."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from toy_scenes import labels

from breakthrough.errors import ArtifactError, ShapeError
from breakthrough.scenes import shards


def picture(key="000003-01", height=24, width=17, seed=0):
    generator = np.random.default_rng(seed)
    rgb = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    instance = generator.integers(-1, 4, (height, width)).astype(np.int16)
    depth = generator.uniform(0.05, 1.9, (height, width)).astype(np.float32)
    made = labels(3, 1, "scratch", 24, {i: ("bolt", [0, 0, 1, 1], 1.0) for i in (1, 2, 3)})
    made["camera"] |= {"width": width, "height": height}
    return rgb, instance, depth, shards.encode(key, made, rgb, instance, depth)


def test_a_picture_comes_back_as_it_was(tmp_path):
    rgb, instance, depth, made = picture()
    shards.write(tmp_path / "a.tar", [made])
    (back,) = shards.read(tmp_path / "a.tar")
    assert back.key == "000003-01" and back.labels["class"] == 4
    assert np.array_equal(back.rgb, rgb)
    assert np.array_equal(back.masks, np.stack([instance == i for i in (1, 2, 3)]))
    assert np.abs(back.depth_m - depth)[instance >= 0].max() < 0.000051
    assert np.all(back.depth_m[instance < 0] == 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (64, 64), (5, 300)])
def test_any_size_of_png_is_read_by_pillow(size):
    rgb = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert np.array_equal(np.array(Image.open(io.BytesIO(shards.encode_png(rgb)))), rgb)


def test_depth_beyond_the_format_is_its_farthest():
    rgb, instance, depth, _ = picture()
    made = shards.encode("k", labels(0, 0, "none", 24, {}), rgb, np.zeros_like(instance), np.full_like(depth, 9.0))
    assert np.load(io.BytesIO(made.depth)).dtype == np.uint16 and np.allclose(made.depth_m, 6.5535)


def test_a_picture_without_things_has_no_masks():
    rgb, instance, depth, _ = picture(width=24)
    assert shards.encode("k", labels(0, 0, "none", 24, {}), rgb, instance, depth).masks.shape == (0, 24, 24)


def test_tarfile_and_webdataset_read_a_shard(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    rgb, _instance, depth, made = picture()
    shards.write(tmp_path / "a.tar", [made, picture("000004-00", seed=1)[3]])
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert [member.name for member in tar][:3] == ["000003-01.png", "000003-01.depth.npy", "000003-01.json"]
        assert {(member.mtime, member.uid, member.mode) for member in tar} == {(0, 0, 0o644)}
    first, second = webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False).decode("rgb8")
    assert first["__key__"] == "000003-01" and second["__key__"] == "000004-00"
    assert np.array_equal(first["png"], rgb) and first["depth.npy"].shape == depth.shape and first["json"]["variant"] == "a"


def test_equal_pictures_give_equal_bytes_and_the_hash_of_the_file(tmp_path):
    written = [shards.write(tmp_path / name, [picture()[3]]) for name in ("a.tar", "b.tar")]
    data = (tmp_path / "a.tar").read_bytes()
    assert data == (tmp_path / "b.tar").read_bytes()
    assert written[0].sha256 == written[1].sha256 and written[0].bytes == len(data) and written[0].images == 1
    assert shards.read(tmp_path / "a.tar", written[0].sha256)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.6, 0.9, 0.999])
def test_a_shard_cut_short_is_told_by_its_name(tmp_path, share):
    path = tmp_path / "cut.tar"
    shards.write(path, [picture()[3], picture("000004-00")[3]])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ArtifactError, match=r"expected a whole shard in .*cut\.tar, got"):
        shards.read(path)


def test_a_shard_cut_between_two_pictures_is_told_too(tmp_path):
    path = tmp_path / "cut.tar"
    one = shards.write(path, [picture()[3]])
    shards.write(path, [picture()[3], picture("000004-00")[3]])
    path.write_bytes(path.read_bytes()[: one.bytes - 1024])
    with pytest.raises(ArtifactError, match="end before the tar does"):
        shards.read(path)


def test_one_changed_byte_is_told_by_the_hash(tmp_path):
    path = tmp_path / "bad.tar"
    digest = shards.write(path, [picture()[3]]).sha256
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=rf"bad\.tar with SHA-256 {digest[:12]}"):
        shards.read(path, digest)


def test_what_is_no_shard_is_told(tmp_path):
    (tmp_path / "no.tar").write_bytes(b"something else" * 200)
    with pytest.raises(ArtifactError, match="no header of a tar at byte 0"):
        shards.read(tmp_path / "no.tar")
    with pytest.raises(ArtifactError, match=r"the shard .*none\.tar, got No such file"):
        shards.read(tmp_path / "none.tar")


def test_another_order_of_members_is_told(tmp_path):
    with tarfile.open(tmp_path / "other.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("k.json", "k.png", "k.depth.npy"):
            tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ArtifactError, match="another order of members"):
        shards.read(tmp_path / "other.tar")


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def pictures():
        yield picture()[3]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        shards.write(tmp_path / "a.tar", pictures())
    assert list(tmp_path.iterdir()) == []


def test_sizes_that_differ_are_refused():
    rgb, instance, depth, _ = picture()
    with pytest.raises(ShapeError, match=r"instance \(H, W\)"):
        shards.encode("k", labels(0, 0, "none", 24, {}), rgb, instance[1:], depth)
