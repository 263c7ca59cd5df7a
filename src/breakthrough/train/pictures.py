"""Pictures with labels as arrays, and whole batches of them altered at once.

Shape legend: N pictures in a set, B in a batch, H × W pixels.

Alterations stand for what differs between cameras and stations. Their strengths are numbers, 0 for
off, so that an experiment can take one away. Tones go through a table of 256 entries per picture and
channel: any curve costs one look-up a pixel.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from breakthrough import files
from breakthrough.errors import (
    ArtifactError,
    ConfigError,
    DtypeError,
    InputError,
    ShapeError,
    expected,
)

NOISE_POOL = 1 << 20  # normal numbers drawn once a run; a picture's noise begins somewhere in them
DISPLAY = 2.2  # exponent between the light and the number in a picture


@dataclass(frozen=True, eq=False)
class Pictures:
    """A set of labelled pictures.

    `scenes` tells which are shots of one scene; by default none are. `parts` tells what every pixel
    shows: 0 nothing, the number of a class on its defect, numbers from len(classes) on for sound parts;
    it may be left out, and only training looks at it.

    Shapes: images (N, H, W, 3) uint8, labels (N,), scenes (N,), parts (N, H, W) uint8
    Raises: ShapeError, DtypeError, InputError for arrays that do not fit together
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    scenes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    parts: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse what is no set of pictures."""
        images, labels, scenes = self.images, np.asarray(self.labels), np.asarray(self.scenes)
        if images.ndim != 4 or images.shape[3] != 3 or not images.size:
            raise ShapeError(expected("images of shape (N, H, W, 3) with N ≥ 1", images.shape))
        if images.dtype != np.uint8:
            raise DtypeError(expected("images in uint8", images.dtype))
        scenes = scenes if scenes.size else np.arange(len(images))
        if not labels.shape == scenes.shape == (len(images),):
            got = f"{labels.shape} and {scenes.shape}"
            raise ShapeError(expected(f"labels and scenes of shape ({len(images)},)", got))
        if labels.min() < 0 or labels.max() >= len(self.classes):
            got = f"{labels.min()} to {labels.max()}"
            raise InputError(expected(f"labels from 0 to {len(self.classes) - 1}", got))
        if self.parts is not None and self.parts.shape != images.shape[:3]:
            raise ShapeError(expected(f"parts of shape {images.shape[:3]}", self.parts.shape))
        if self.parts is not None and self.parts.dtype != np.uint8:
            raise DtypeError(expected("parts in uint8", self.parts.dtype))
        object.__setattr__(self, "labels", labels.astype(np.int64))
        object.__setattr__(self, "scenes", scenes.astype(np.int64))
        object.__setattr__(self, "classes", tuple(self.classes))

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def digest(self) -> str:
        """What makes this set this set: a hash of its pictures, labels and classes."""
        found = hashlib.sha256(repr((self.classes, self.images.shape)).encode())
        found.update(np.ascontiguousarray(self.images).data)
        for array in (self.labels, self.parts):
            found.update(b"" if array is None else np.ascontiguousarray(array).data)
        return found.hexdigest()[:16]

    def take(self, indices: Any) -> Pictures:
        """The pictures at some indices, or where a mask is true."""
        parts = None if self.parts is None else self.parts[indices]
        return Pictures(self.images[indices], self.labels[indices], self.classes, self.scenes[indices], parts)

    def split(self, share: float, generator: np.random.Generator) -> tuple[Pictures, Pictures]:
        """Two sets, the second with about `share` of the scenes: no scene is in both.

        Raises: InputError when a part would be empty
        """
        names = np.unique(self.scenes)
        count = round(share * len(names))
        if not 0 < count < len(names):
            what = f"a share that leaves scenes on both sides of {len(names)}"
            raise InputError(expected(what, share))
        held = np.isin(self.scenes, generator.permutation(names)[:count])
        return self.take(~held), self.take(held)

    def nested(self, counts: Iterable[int], generator: np.random.Generator) -> dict[int, Pictures]:
        """Subsets of some sizes, each within the next larger; scenes enter whole, but for the last.

        Raises: InputError for a count below 1 or above the size of this set
        """
        order = generator.permutation(np.unique(self.scenes))
        place = np.argsort(np.argsort(order))  # scenes are sorted in np.unique: where each comes
        first = np.argsort(place[np.searchsorted(np.sort(order), self.scenes)], kind="stable")
        counts = tuple(counts)
        if not counts or min(counts) < 1 or max(counts) > len(self):
            raise InputError(expected(f"counts from 1 to {len(self)}", counts))
        return {count: self.take(np.sort(first[:count])) for count in sorted(counts)}

    def save(self, path: str | Path, *, compressed: bool = False) -> None:
        """Write the set as npz; compressed, rendered pictures take a tenth of the room and four times as long."""
        with files.aside(Path(path)) as aside:
            arrays: dict[str, Any] = {"images": self.images, "labels": self.labels, "scenes": self.scenes}
            arrays |= {} if self.parts is None else {"parts": self.parts}
            (np.savez_compressed if compressed else np.savez)(aside, classes=np.array(self.classes), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Pictures:
        """Read what `save` wrote.

        Raises: ArtifactError when the file is not there or no such set
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                classes = tuple(map(str, data["classes"]))
                parts = data.get("parts", None)
                return cls(data["images"], data["labels"], classes, data["scenes"], parts)
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise ArtifactError(expected(f"a set of pictures in {path}", repr(error))) from error


@dataclass(frozen=True)
class Augmentation:
    """How much pictures are altered; every amount is drawn anew for each picture, 0 is off.

    Units:  exposure in stops of light, ±; contrast and gamma as natural logs of slope and exponent, ±;
            temperature as the log of red over blue, ±; noise and blur are the largest standard
            deviations, in parts of full scale and in pixels; flip is left for right; rotate_rad, ±; shift
            in parts of the picture's side, ±; zoom as a log, ±; cutout is the largest side of a grey
            square, in parts of the picture's side
    Raises: ConfigError for a number below 0
    """

    exposure: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    temperature: float = 0.0
    noise: float = 0.03
    blur: float = 0.0
    flip: bool = True
    rotate_rad: float = 0.1
    shift: float = 0.04
    zoom: float = 0.05
    cutout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse amounts that mean nothing."""
        for name, value in asdict(self).items():
            if value < 0:
                raise ConfigError(expected(f"{name} of at least 0", value))

    @classmethod
    def none(cls) -> Augmentation:
        """No alteration at all."""
        return cls(**{name: type(value)(0) for name, value in asdict(cls()).items()})


class Augmenter:
    """Turns pictures into a batch, altered by an Augmentation with random numbers of a generator.

    What the pixels show is moved with them.

    Shapes: images (B, H, W, 3) uint8, parts (B, H, W) uint8 or None → (B, 3, H, W) float32, values 0 to
            1, and (B, H, W) uint8, on the images' device
    Units:  the generator is on the CPU, so that a GPU sees the same pictures
    """

    def __init__(self, config: Augmentation, generator: torch.Generator) -> None:
        self.config = config
        self.pool = torch.randn(NOISE_POOL, generator=generator) if config.noise else None

    def __call__(
        self, images: Tensor, parts: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Draw, and alter."""
        x = self._tones(images, generator)
        x, parts = self._moved(x, parts, generator)
        x = self._blurred(x, generator)
        return self._cut(self._noisy(x, generator), generator), parts

    def _tones(self, images: Tensor, generator: torch.Generator) -> Tensor:
        c, b = self.config, len(images)
        x = images.permute(0, 3, 1, 2)  # (B, 3, H, W)
        if not (c.exposure or c.contrast or c.gamma or c.temperature):
            return to_input(images)
        spread = torch.tensor([c.exposure * math.log(2), c.contrast, c.gamma, c.temperature / 2])
        stops, slope, gamma, warm = (_signed((b, 4), generator) * spread).T.exp()  # (B,) each
        gain = torch.stack((stops * warm, stops, stops / warm), 1) ** (1 / DISPLAY)  # (B, 3)
        level = torch.linspace(0, 1, 256) * gain[..., None]  # (B, 3, 256)
        level = level.clamp(0, 1) ** gamma[:, None, None]
        table = ((level - 0.5) * slope[:, None, None] + 0.5).clamp(0, 1).to(x.device)
        return table.gather(2, x.flatten(2).long()).view(x.shape)

    def _moved(
        self, x: Tensor, parts: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        c, b = self.config, len(x)
        if not (c.flip or c.rotate_rad or c.shift or c.zoom):
            return x, parts
        reach = torch.tensor([c.rotate_rad, c.shift, c.shift, c.zoom])
        angle, dx, dy, zoom = (_signed((b, 4), generator) * reach).T
        mirror = 1 - 2 * torch.randint(2 if c.flip else 1, (b,), generator=generator)
        cos, sin = angle.cos() * zoom.exp(), angle.sin() * zoom.exp()
        rows = torch.stack((cos * mirror, -sin, 2 * dx, sin * mirror, cos, 2 * dy), 1)  # (B, 6)
        grid = _grid(rows.to(x.device).view(b, 2, 3), x.shape[2], x.shape[3])
        sampled = partial(F.grid_sample, grid=grid, padding_mode="border", align_corners=False)
        if parts is not None:
            parts = sampled(parts[:, None].float(), mode="nearest")[:, 0].to(torch.uint8)
        return sampled(x), parts

    def _blurred(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if not self.config.blur:
            return x
        sigma = torch.rand(len(x), 1, generator=generator) * self.config.blur + 1e-3
        line = torch.exp(-0.5 * (torch.arange(-1.0, 2.0) / sigma) ** 2)  # (B, 3)
        kernel = line[:, :, None] * line[:, None, :]
        kernel = (kernel / kernel.sum((1, 2), keepdim=True)).repeat_interleave(3, 0)[:, None]  # (3B, 1, 3, 3)
        flat = F.pad(x.flatten(0, 1)[None], (1, 1, 1, 1), mode="replicate")  # (1, 3B, H + 2, W + 2)
        return F.conv2d(flat, kernel.to(x.device), groups=kernel.shape[0]).view(x.shape)

    def _noisy(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.pool is None:
            return x
        size = x[0].numel()
        starts = torch.randint(len(self.pool) - size, (len(x),), generator=generator).tolist()
        noise = torch.stack([self.pool[at : at + size] for at in starts]).view(x.shape)
        amount = torch.rand(len(x), 1, 1, 1, generator=generator) * self.config.noise
        return x.add((noise * amount).to(x.device)).clamp_(0, 1)

    def _cut(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if not self.config.cutout:
            return x
        centre, half, grey = torch.rand(3, 2, len(x), 1, generator=generator).to(x.device)
        half = half[0] * self.config.cutout / 2
        rows, columns = (_inside(side, at, half) for side, at in zip(x.shape[2:], centre))
        hole = rows[:, None, :, None] & columns[:, None, None, :]  # (B, 1, H, W)
        return torch.where(hole, grey[0][:, :, None, None], x)


def to_input(images: Tensor) -> Tensor:
    """Pictures as the net takes them.

    Shapes: (B, H, W, 3) uint8 → (B, 3, H, W) float32, values 0 to 1
    """
    return images.permute(0, 3, 1, 2).contiguous().float().div_(255)


def _signed(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(shape, generator=generator) - 1


def _inside(side: int, centre: Tensor, half: Tensor) -> Tensor:
    at = (torch.arange(side, device=centre.device) + 0.5) / side
    return (at - centre).abs() < half  # (B, side)


def _grid(matrix: Tensor, height: int, width: int) -> Tensor:
    # as F.affine_grid, whose small matrix products are slow on a CPU; (B, H, W, 2)
    y, x = ((2 * torch.arange(n, device=matrix.device) + 1) / n - 1 for n in (height, width))
    a, b, c = matrix[:, None, None].unbind(-1)  # (B, 1, 1, 2) each
    return a * x[None, None, :, None] + (b * y[None, :, None, None] + c)
