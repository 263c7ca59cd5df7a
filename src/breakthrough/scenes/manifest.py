"""What a dataset was made with, and what is done of it: `manifest.json`, always whole, always true.

A shard is in the manifest once it is on the disk under its name; what the manifest does not name
is not part of the dataset. It holds no time and no path, so equal settings give an equal file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.errors import ArtifactError, ConfigError, expected, unknown
from breakthrough.scenes.labels import LABELLED
from breakthrough.scenes.ranges import Ranges, preset, without_physics
from breakthrough.scenes.render import RENDERERS
from breakthrough.scenes.spec import DEFECTS

NAME = "manifest.json"
SHARDS = "shards"
FORMAT = 1
CUSTOM = "custom"
PATHTRACE = "pathtrace"


@dataclass(frozen=True)
class Settings:
    """Everything that decides what the pictures of a dataset are. The number of workers is not among it.

    Units: n pictures, `shots` looks at every settled scene, size in pixels, shard_images pictures a shard,
           spp paths a pixel (the path tracer's), supersample² samples a pixel (the other renderers')
    Raises: ConfigError for a number that is too small; UnknownNameError for ranges or a renderer that do not exist
    """

    n: int = 2000
    seed: int = 0
    ranges: str | Ranges = "all"
    size: int = 64
    shots: int = 4
    renderer: str = "tiny"
    physics: bool = True
    shard_images: int = 256
    spp: int = 64
    supersample: int = 1

    def __post_init__(self) -> None:
        for name, least in (("n", 1), ("size", 8), ("shots", 1), ("shard_images", 1), ("spp", 1), ("supersample", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(expected(f"{name} of at least {least}", repr(value)))
        if self.renderer not in (*RENDERERS, PATHTRACE):
            raise unknown("renderer", self.renderer, (*RENDERERS, PATHTRACE))
        self.drawn_from()

    def drawn_from(self) -> Ranges:
        """The ranges the scenes are drawn from; without physics, things hover and sink."""
        chosen = preset(self.ranges) if isinstance(self.ranges, str) else self.ranges
        return chosen if self.physics else without_physics(chosen)

    def scenes(self) -> int:
        """How many scenes it takes."""
        return -(-self.n // self.shots)

    def shards(self) -> list[range]:
        """The scenes of every shard; a scene's shots are never parted."""
        step = max(1, self.shard_images // self.shots)
        return [range(first, min(first + step, self.scenes())) for first in range(0, self.scenes(), step)]

    def shots_of(self, scene: int) -> int:
        """How many pictures a scene gives: the last one may give fewer."""
        return min(self.shots, self.n - scene * self.shots)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the settings, and every range as it was."""
        name = self.ranges if isinstance(self.ranges, str) else CUSTOM
        chosen = preset(self.ranges) if isinstance(self.ranges, str) else self.ranges
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"settings": plain | {"ranges": name}, "ranges": json.loads(json.dumps(asdict(chosen)))}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Settings:
        """The settings of `to_dict`."""
        ranges = Ranges(**{name: tuple(value) for name, value in record["ranges"].items()})
        name = record["settings"]["ranges"]
        return Settings(**record["settings"] | {"ranges": ranges if name == CUSTOM or preset(name) != ranges else name})


@dataclass(frozen=True)
class Shard:
    """One finished shard: its file, and what happened while it was made.

    Units: drawn counts scenes, the invalid ones included; invalid counts those by reason (one scene
           may have several); classes counts pictures
    """

    name: str
    sha256: str
    images: int
    bytes: int
    drawn: int
    dropped: int
    invalid: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Settings and finished shards of a dataset."""

    settings: Settings
    shards: tuple[Shard, ...] = ()
    complete: bool = False

    def with_shard(self, shard: Shard) -> Manifest:
        """The manifest with one more shard, in the order of names."""
        others = [one for one in self.shards if one.name != shard.name]
        return replace(self, shards=tuple(sorted([*others, shard], key=lambda one: one.name)))

    @property
    def images(self) -> int:
        """How many pictures are done."""
        return sum(shard.images for shard in self.shards)

    def counts(self) -> dict[str, Any]:
        """Pictures, scenes drawn, scenes dropped as invalid and why, pictures by class: of the shards done."""
        invalid, classes = Counter[str](), Counter(dict.fromkeys(DEFECTS, 0))
        for shard in self.shards:
            invalid.update(shard.invalid)
            classes.update(shard.classes)
        drawn, dropped = (sum(getattr(shard, name) for shard in self.shards) for name in ("drawn", "dropped"))
        return {
            "images": self.images,
            "drawn": drawn,
            "dropped": dropped,
            "invalid": dict(sorted(invalid.items())),
            "classes": dict(classes),
        }

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        record = {
            "format": FORMAT,
            "complete": self.complete,
            **self.settings.to_dict(),
            "classes": DEFECTS,
            "categories": LABELLED,
            "counts": self.counts(),
            "shards": [asdict(shard) for shard in self.shards],
        }
        files.write_text(folder / NAME, json.dumps(record, indent=1) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest of a dataset.

    Raises: ArtifactError when there is none, or it cannot be read
    """
    path = folder / NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ArtifactError(expected(f"a dataset of format {FORMAT} in {folder}", record["format"], "making it again"))
        shards = tuple(Shard(**shard) for shard in record["shards"])
        return Manifest(Settings.from_dict(record), shards, record["complete"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(expected(f"a dataset in {folder}", f"no {NAME}", f"breakthrough scenes make --out {folder}")) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(expected(f"a readable {path}", f"{type(error).__name__}: {error}")) from error


def differences(made: Settings, asked: Settings) -> Iterator[str]:
    """What differs between two settings: `seed = 0, not 1`. Ranges are named one by one."""
    ours, theirs = made.to_dict(), asked.to_dict()
    for part, prefix in (("settings", ""), ("ranges", "ranges.")):
        for name, value in ours[part].items():
            if value != theirs[part][name]:
                yield f"{prefix}{name} = {value}, not {theirs[part][name]}"
        names = {record["settings"]["ranges"] for record in (ours, theirs)}
        if len(names) == 2 and CUSTOM not in names:
            return  # the name of the ranges says it all
