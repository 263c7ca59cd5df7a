"""What line is to be built: stations, numbers of pictures, the net, how it is trained, how it is probed.

A spec is plain data. Each stage is made from a part of it, so a change reaches the stages that hang on it and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from breakthrough.capstone.stations import STATIONS
from breakthrough.errors import ConfigError, InputError, expected, unknown
from breakthrough.federated.factories import Factory
from breakthrough.scenes.manifest import Settings
from breakthrough.scenes.ranges import Ranges
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import derive

TONES = {"exposure": 0.4, "contrast": 0.2, "gamma": 0.2, "temperature": 0.2, "blur": 0.6}  # what another renderer, or a camera, does to a picture
NUMBERS = ("train", "valid", "test", "traced", "size", "spp", "supersample", "rounds", "steps", "passes", "batch_size", "seed", "seconds")


@dataclass(frozen=True)
class Spec:
    """One line.

    Units:  train, valid, test and traced are pictures a factory, traced ones path traced with spp paths a pixel,
            the others with supersample² samples; size in pixels;
            a round is `steps` batches at every factory, one pass over its pictures where that is 0; passes are the
            control's; batches are those that are compiled; clients at once and seconds of each load; lr falls to lr_end of itself; server_momentum counts with fedavgm only; average is the decay of
            the mean of its weights that a node sends
    Raises: ConfigError for a number that is too small
    """

    factories: tuple[Factory, ...] = STATIONS
    size: int = 96
    train: int = 2000
    valid: int = 250
    test: int = 1250
    traced: int = 50
    spp: int = 24
    supersample: int = 1
    net: Mapping[str, Any] = field(default_factory=lambda: {"experts": 4})
    augmentation: Mapping[str, Any] = field(default_factory=lambda: dict(TONES))
    rounds: int = 80
    steps: int = 31
    passes: int = 15
    batch_size: int = 16
    lr: float = 0.2
    lr_end: float = 0.02
    protection: str = "masked"
    strategy: str = "fedavgm"
    server_momentum: float = 0.5
    average: float = 0.93
    batches: tuple[int, ...] = (1, 8, 32)
    clients: tuple[int, ...] = (1, 8, 32)
    seconds: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no line."""
        for name in NUMBERS:
            least = 0 if name in ("seed", "steps") else 1 if name != "seconds" else 0.1
            if not getattr(self, name) >= least:
                raise ConfigError(expected(f"{name} of at least {least}", getattr(self, name)))
        names = [one.name for one in self.factories]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ConfigError(expected("two or more factories, each with a name of its own", names))

    @property
    def names(self) -> tuple[str, ...]:
        """The factories' names, in order."""
        return tuple(one.name for one in self.factories)

    def factory(self, name: str) -> Factory:
        """The factory of a name.

        Raises: UnknownNameError
        """
        for one in self.factories:
            if one.name == name:
                return one
        raise unknown("factory", name, self.names)

    def settings(self, name: str, part: str) -> Settings:
        """What the pictures of a factory's part are made from: "train", "valid", "test", or "traced".

        It trains on its own mix of defects, and is measured on all classes alike.
        """
        count, own = {"train": self.train, "valid": self.valid, "test": self.test, "traced": self.traced}[part], self.factory(name).ranges
        ranges = own if part == "train" else replace(own, defects=DEFECTS)
        traced: dict[str, Any] = {"renderer": "pathtrace", "spp": self.spp, "shard_images": 25} if part == "traced" else {"supersample": self.supersample, "shard_images": 64}
        return Settings(count, derive(self.seed, "capstone", name, part), ranges, self.size, shots=1, **traced)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """The spec that `to_dict` wrote."""
        factories = tuple(Factory(one["name"], one["words"], Ranges(**_tuples(one["ranges"]))) for one in data["factories"])
        return cls(**{**_tuples(data), "factories": factories})


PROFILES: Mapping[str, Spec] = {
    "tiny": Spec(size=32, train=40, valid=10, test=20, traced=5, spp=4, rounds=2, steps=0, passes=2, batch_size=8, batches=(1, 8), clients=(1, 4), seconds=0.3),
    "quick": Spec(),
    "full": Spec(train=10_000, valid=500, test=2500, traced=500, spp=64, rounds=240, steps=39, passes=60, batch_size=64, clients=(1, 8, 32, 64), seconds=5.0),
}


def spec_of(profile: str = "quick", changes: str | Path | Mapping[str, Any] | None = None) -> Spec:
    """The spec of a profile, with changes: a mapping, or a YAML file of one.

        train: 3000
        factories:
          north: {light_power: [0.7, 0.9]}

    Raises: UnknownNameError for a profile, factory or setting that is not there; ConfigError for a value that cannot be;
            InputError for a file that holds no mapping
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    spec, changes = PROFILES[profile], changes if isinstance(changes, Mapping) else _read(changes)
    known = set(spec.to_dict())
    for name in changes:
        if name not in known:
            raise unknown("setting of a line", name, known)
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items() if name != "factories"}
    return replace(spec, **plain, factories=with_ranges(spec, changes.get("factories") or {}))


def _read(path: str | Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(expected(f"a YAML file of settings in {path}", " ".join(str(error).split())[:200])) from error
    if not isinstance(found, Mapping):
        raise InputError(expected(f"settings by name in {path}", type(found).__name__, "train: 3000"))
    return found


def with_ranges(spec: Spec, changes: Mapping[str, Any]) -> tuple[Factory, ...]:
    """A line's factories with some of their ranges changed.

    Raises: UnknownNameError for a factory or a range that is not there; ConfigError for a value that cannot be
    """
    for name, ranges in changes.items():
        known = asdict(spec.factory(name).ranges)
        if not isinstance(ranges, Mapping):
            raise ConfigError(expected(f"ranges by name for {name}", repr(ranges), f"{name}: {{light_power: [0.7, 0.9]}}"))
        for one in ranges:
            if one not in known:
                raise unknown(f"range of {name}", one, known)
    return tuple(replace(one, ranges=replace(one.ranges, **_tuples(changes.get(one.name, {})))) for one in spec.factories)


def _tuples(ranges: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in ranges.items()}
