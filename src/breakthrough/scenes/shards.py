"""Shards: labelled pictures as WebDataset tar files, the same bytes for the same pictures.

A picture is three members of a tar, named by its key `SSSSSS-KK` (scene, shot):

    .png        rgb, 8 bits a channel
    .depth.npy  uint16 (H, W), tenths of a millimetre along the camera's axis; 0 where there is nothing
    .json       the labels, below

    scene, shot    whole numbers
    class          index of the part's defect in `spec.DEFECTS`: what is wrong with the part as a whole
    defect         {kind, place, amount_m}
    variant        of the part
    camera         {width, height, intrinsics [fx, fy, cx, cy] in pixels,
                    extrinsics: the 12 numbers of [R | t], row by row, world → camera, OpenCV's axes}
    instances      one for each thing that shows at least one pixel, the tray left out:
        body       index in the scene's `bodies`
        name, category
        mask       COCO's compressed run lengths, for `pycocotools.mask` with size [height, width]
        box        [x, y, width, height] in pixels
        area       in pixels
        visible    the share of the thing's outline that is not hidden by others, 0 to 1
        world      [x, y, z, qx, qy, qz, qw]: body → world, metres and a unit quaternion
        camera     the same, body → camera
"""

from __future__ import annotations

import functools
import hashlib
import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from breakthrough import files
from breakthrough.errors import ArtifactError, ShapeError, expected
from breakthrough.optional import require

DEPTH_UNIT_M = 0.0001
DEPTH_MOST_M = 6.5535
PNG, DEPTH, JSON = ".png", ".depth.npy", ".json"
BLOCK = 512  # of a tar
Labels = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One labelled picture as it lies in a shard: encoded, decoded when asked.

    Shapes: rgb (H, W, 3) uint8, depth_m (H, W) float32, masks (instances, H, W) bool
    """

    key: str
    png: bytes
    depth: bytes
    json: bytes

    @property
    def labels(self) -> Labels:
        """The labels, as this file's docstring describes them."""
        return require("orjson", "the labels of scenes").loads(self.json)

    @property
    def rgb(self) -> np.ndarray:
        """The picture."""
        image = require("PIL.Image", "pictures of scenes")
        return np.array(image.open(io.BytesIO(self.png)))

    @property
    def depth_m(self) -> np.ndarray:
        """Metres along the camera's axis; 0 where there is nothing."""
        return np.load(io.BytesIO(self.depth)).astype(np.float32) * np.float32(DEPTH_UNIT_M)

    @property
    def masks(self) -> np.ndarray:
        """One mask for every instance of the labels, in their order."""
        labels = self.labels
        size = [labels["camera"]["height"], labels["camera"]["width"]]
        if not labels["instances"]:
            return np.zeros((0, *size), bool)
        runs = [{"size": size, "counts": one["mask"].encode()} for one in labels["instances"]]
        decoded = require("pycocotools.mask", "masks of scenes").decode(runs)
        return np.moveaxis(decoded, 2, 0).astype(bool)


@dataclass(frozen=True, slots=True)
class Written:
    """A shard that was written: what it is called, its SHA-256, how many pictures and bytes it has."""

    name: str
    sha256: str
    images: int
    bytes: int


def encode(key: str, labels: Labels, rgb: np.ndarray, instance: np.ndarray, depth_m: np.ndarray) -> Picture:
    """Encode a picture; every instance of the labels gets the mask of the pixels that carry its `body`.

    Shapes: rgb (H, W, 3) uint8, instance (H, W) whole numbers, depth_m (H, W)
    Raises: ShapeError when the three differ in size
    """
    if rgb.shape != (*instance.shape, 3) or depth_m.shape != instance.shape:
        raise ShapeError(expected("rgb (H, W, 3), instance (H, W), depth_m (H, W)", f"{rgb.shape}, {instance.shape}, {depth_m.shape}"))
    bodies = [one["body"] for one in labels["instances"]]
    for one, mask in zip(labels["instances"], run_lengths(instance, bodies)):
        one["mask"] = mask
    text = require("orjson", "the labels of scenes").dumps(labels)
    return Picture(key, encode_png(rgb), _encode_depth(np.where(instance < 0, 0, depth_m)), text)


def run_lengths(instance: np.ndarray, bodies: list[int]) -> list[str]:
    """COCO's compressed run lengths of each body's pixels.

    Shapes: instance (H, W)
    """
    if not bodies:
        return []
    columns = np.ascontiguousarray(instance.T)  # (W, H): run lengths go down the columns
    masks = (columns[None] == np.array(bodies, columns.dtype)[:, None, None]).view(np.uint8)  # (N, W, H)
    runs = require("pycocotools.mask", "masks of scenes").encode(masks.transpose(2, 1, 0))
    return [one["counts"].decode() for one in runs]


def encode_png(rgb: np.ndarray) -> bytes:
    """A PNG of 8-bit RGB at half of Pillow's time: no filter, zlib's level 1.

    Rendered pictures have few colours and sharp edges: a filter makes them larger, and slower to pack.

    Shapes: rgb (H, W, 3) uint8
    Source: PNG specification (W3C 2003), ch. 9: filter type 0
    """
    height, width, _ = rgb.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # every row begins with its filter's number
    rows[:, 1:] = rgb.reshape(height, 3 * width)
    return _png_head(width, height) + _chunk(b"IDAT", zlib.compress(rows.data, 1)) + _chunk(b"IEND", b"")


@functools.cache
def _png_head(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def _chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(tag)))


def _encode_depth(depth_m: np.ndarray) -> bytes:
    units = np.minimum(depth_m, DEPTH_MOST_M) * (1 / DEPTH_UNIT_M) + 0.5
    return _npy_head(depth_m.shape) + units.astype("<u2").tobytes()


@functools.cache
def _npy_head(shape: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<u2", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def write(path: Path, pictures: Iterable[Picture]) -> Written:
    """Write a shard aside, then rename it; headers hold no time and no owner.

    Raises: OSError from the disk; nothing is left of the shard then
    """
    digest, size, count = hashlib.sha256(), 0, 0
    with files.aside(path) as part, part.open("wb") as file:
        for picture in pictures:
            block = b"".join(_members(picture))
            digest.update(block)
            size += file.write(block)
            count += 1
        end = bytes(2 * BLOCK)
        digest.update(end)
        size += file.write(end)
    return Written(path.name, digest.hexdigest(), count, size)


def _members(picture: Picture) -> Iterator[bytes]:
    for suffix, data in ((PNG, picture.png), (DEPTH, picture.depth), (JSON, picture.json)):
        yield _header(picture.key + suffix, len(data))
        yield data
        yield bytes(-len(data) % BLOCK)


def _header(name: str, size: int) -> bytes:
    """A ustar header, a quarter of the time of tarfile's (Source: POSIX.1-1988, ustar interchange format)."""
    header = bytearray(BLOCK)
    header[: len(name)] = name.encode()
    header[100:156] = b"0000644\x000000000\x000000000\x00%011o\x0000000000000\x00        " % size
    header[156:157] = b"0"  # a plain file
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\x00 " % sum(header)
    return bytes(header)


def read(path: Path, digest: str | None = None) -> list[Picture]:
    """The pictures of a shard; with `digest`, only when it is the SHA-256 of the file.

    Raises: ArtifactError naming the file that is missing, altered, or no whole shard
    """
    hint = "breakthrough scenes make … --resume, which makes it again"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(expected(f"the shard {path}", error.strerror, hint)) from error
    if digest is not None and (found := hashlib.sha256(data).hexdigest()) != digest:
        raise ArtifactError(expected(f"{path} with SHA-256 {digest[:12]}…", f"{found[:12]}…", hint))
    try:
        return _pictures(list(_files(data)))
    except ValueError as error:
        raise ArtifactError(expected(f"a whole shard in {path}", error, hint)) from error


def _files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every member of a tar as `write` writes them; tarfile takes ten times as long."""
    start = 0
    while header := data[start : start + BLOCK].rstrip(b"\0"):
        if header[257:262] != b"ustar":
            raise ValueError(f"no header of a tar at byte {start}")
        size = int(header[124:135], 8)
        start += BLOCK
        if start + size > len(data):
            raise ValueError(f"{len(data)} bytes of at least {start + size}")
        yield header[: header.index(0)].decode(), data[start : start + size]
        start += size + -size % BLOCK
    if len(data) < start + 2 * BLOCK:
        raise ValueError(f"{len(data)} bytes, which end before the tar does")


def _pictures(members: list[tuple[str, bytes]]) -> list[Picture]:
    found = []
    for i in range(0, len(members), 3):
        key = members[i][0].removesuffix(PNG)
        if [name for name, _ in members[i : i + 3]] != [key + PNG, key + DEPTH, key + JSON]:
            raise ValueError(f"another order of members at {members[i][0]}")
        found.append(Picture(key, *(data for _, data in members[i : i + 3])))
    return found
