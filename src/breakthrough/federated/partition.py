"""Who holds which sample: splits of one data set among parts, every sample in one part exactly once.

Shape legend: N samples, K parts, C classes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from breakthrough import files
from breakthrough.errors import ArtifactError, ConfigError, DtypeError, InputError, ShapeError, expected

TRIES = 1000  # draws of a split before it is said that none has enough samples in every part


@dataclass(frozen=True, eq=False)
class Partition:
    """The samples of every part, by number, in ascending order.

    Shapes: parts K arrays (n,) int64, together the numbers 0 to N − 1
    Raises: InputError for no part, an empty one, a sample that is missing or in two parts;
            DtypeError, ShapeError for parts that are no lists of whole numbers
    """

    parts: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        """Refuse what is no split."""
        if not len(self.parts):
            raise InputError(expected("at least one part", "none"))
        kept = tuple(_indices(i, part) for i, part in enumerate(self.parts))
        found = np.sort(np.concatenate(kept))
        if (wrong := found != np.arange(len(found))).any():
            got = f"sample {found[wrong][0]} where {np.flatnonzero(wrong)[0]} should be"
            raise InputError(expected(f"each of the samples 0 to {len(found) - 1} in one part exactly once", got))
        object.__setattr__(self, "parts", kept)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def sizes(self) -> np.ndarray:
        """The samples of every part.

        Shapes: → (K,)
        """
        return np.array([len(part) for part in self.parts])

    @cached_property
    def owner(self) -> np.ndarray:
        """The part of every sample.

        Shapes: → (N,)
        """
        owner = np.empty(self.sizes.sum(), np.int64)
        for i, part in enumerate(self.parts):
            owner[part] = i
        return owner

    def counts(self, labels: np.ndarray, classes: int | None = None) -> np.ndarray:
        """How many samples of every class each part has; by default the classes go up to the highest label.

        Shapes: labels (N,) → (K, C)
        Raises: ShapeError, DtypeError, InputError when the labels are not those of N samples of C classes
        """
        labels = _labels(labels)
        if len(labels) != len(self.owner):
            raise ShapeError(expected(f"labels of shape ({len(self.owner)},)", labels.shape))
        classes = int(labels.max()) + 1 if classes is None else classes
        if labels.max() >= classes:
            raise InputError(expected(f"labels from 0 to {classes - 1}", labels.max()))
        found = np.bincount(self.owner * classes + labels, minlength=len(self) * classes)
        return found.reshape(len(self), classes)

    def skew(self, labels: np.ndarray) -> float:
        """How far the parts' labels are from those of all samples: 0 is alike, 1 − Σ p² one class a part.

        Shapes: labels (N,)
        Units:  total variation (the share of a part's labels that would have to be others), the mean over
                samples; p are the shares of the classes in all
        """
        counts = self.counts(labels)  # (K, C)
        share, every = counts / self.sizes[:, None], counts.sum(0) / counts.sum()
        return float(np.average(np.abs(share - every).sum(1) / 2, weights=self.sizes))

    def save(self, path: str | Path) -> None:
        """Write the part of every sample as npz."""
        with files.aside(Path(path)) as aside:
            np.savez_compressed(aside, owner=self.owner)

    @classmethod
    def load(cls, path: str | Path) -> Partition:
        """Read what `save` wrote.

        Raises: ArtifactError when the file is not there, or holds no split
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                owner = _labels(data["owner"])
            parts = range(min(owner.max() + 1, len(owner) + 1))  # more parts than samples: one is empty, and refused
            return cls(tuple(np.flatnonzero(owner == i) for i in parts))
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise ArtifactError(expected(f"a split of samples in {path}", repr(error))) from error


def dirichlet(labels: np.ndarray, parts: int, alpha: float, generator: np.random.Generator, least: int = 1) -> Partition:
    """Label skew: of every class, each part gets a share of its own.

    The smaller alpha, the fewer classes a part has; 100 and more is nearly even. Sizes differ too. A split
    with a part below `least` samples is drawn again, up to TRIES times.

    Shapes: labels (N,) whole numbers from 0
    Raises: ConfigError for parts, alpha or least that cannot be met, or were not met in TRIES draws;
            ShapeError, DtypeError, InputError for labels that are none
    Source: Hsu et al. 2019 (the Dirichlet prior); Yurochkin et al. 2019 (drawn class by class)
    """
    labels = _labels(labels)
    _check(len(labels), parts, least, alpha)
    members = [np.flatnonzero(labels == name) for name in np.unique(labels)]

    def draw() -> tuple[np.ndarray, ...]:
        pieces = [_cut(generator.permutation(one), generator.dirichlet([alpha] * parts)) for one in members]
        return tuple(np.concatenate(part) for part in zip(*pieces))

    return _drawn(draw, parts, least, alpha)


def quantity(n: int, parts: int, alpha: float, generator: np.random.Generator, least: int = 1) -> Partition:
    """Quantity skew: sizes from a Dirichlet distribution, which samples by chance alone.

    Raises: ConfigError for parts, alpha or least that cannot be met, or were not met in TRIES draws
    Source: Li et al. 2022 (NIID-Bench), quantity skew
    """
    _check(n, parts, least, alpha)
    return _drawn(lambda: _cut(generator.permutation(n), generator.dirichlet([alpha] * parts)), parts, least, alpha)


def even(n: int, parts: int, generator: np.random.Generator) -> Partition:
    """No skew: parts of one size, or one sample more, by chance alone.

    Raises: ConfigError for more parts than samples
    """
    _check(n, parts, 1, 1.0)
    return Partition(tuple(np.array_split(generator.permutation(n), parts)))


def by_group(groups: np.ndarray) -> Partition:
    """Feature skew: a part for every group that is named, in the order of the names.

    Shapes: groups (N,) whole numbers or texts
    Raises: ShapeError for no list of groups; DtypeError for groups of another type
    """
    groups = np.asarray(groups)
    if groups.ndim != 1 or not len(groups):
        raise ShapeError(expected("a group for each of N ≥ 1 samples", groups.shape))
    if groups.dtype.kind not in "iubU":
        raise DtypeError(expected("groups as whole numbers or texts", groups.dtype))
    names, owner = np.unique(groups, return_inverse=True)
    return Partition(tuple(np.flatnonzero(owner == i) for i in range(len(names))))


def _drawn(draw: Callable[[], tuple[np.ndarray, ...]], parts: int, least: int, alpha: float) -> Partition:
    smallest = 0
    for _ in range(TRIES):
        found = draw()
        if (size := min(map(len, found))) >= least:
            return Partition(found)
        smallest = max(smallest, size)
    what = f"a split into {parts} parts of at least {least} samples within {TRIES} draws"
    raise ConfigError(expected(what, f"at most {smallest} in the smallest at alpha = {alpha}", "a larger alpha, fewer parts or a smaller least"))


def _cut(members: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, ...]:
    # cut points are rounded, not sizes: nothing is lost, nothing doubled
    points = np.rint(np.cumsum(shares[:-1]) * len(members)).astype(int)
    return tuple(np.split(members, points))


def _check(n: int, parts: int, least: int, alpha: float) -> None:
    for name, value in (("n", n), ("parts", parts), ("least", least)):
        if not _whole(value) or value < 1:
            raise ConfigError(expected(f"{name} as a whole number of at least 1", repr(value)))
    if not (np.isfinite(alpha) and alpha > 0):
        raise ConfigError(expected("a finite alpha above 0", alpha, "0.1 for strong, 1 for mild, 100 for hardly any skew"))
    if parts * least > n:
        raise ConfigError(expected(f"at least {parts} × {least} samples for {parts} parts", n))


def _whole(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and operator.index(value) == value
    except TypeError:
        return False


def _labels(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ShapeError(expected("labels of shape (N,) with N ≥ 1", labels.shape))
    if labels.dtype.kind not in "iu":
        raise DtypeError(expected("labels as whole numbers", labels.dtype, "np.argmax(scores, 1) for one-hot or probabilities"))
    if labels.min() < 0:
        raise InputError(expected("labels from 0", labels.min()))
    return labels.astype(np.int64)


def _indices(number: int, part: np.ndarray) -> np.ndarray:
    part = np.asarray(part)
    if part.ndim != 1:
        raise ShapeError(expected(f"part {number} of shape (n,)", part.shape))
    if not len(part):
        raise InputError(expected("at least one sample in every part", f"none in part {number}"))
    if part.dtype.kind not in "iu":
        raise DtypeError(expected(f"part {number} as whole numbers", part.dtype, "np.flatnonzero(mask) for a mask"))
    part = np.sort(part.astype(np.int64))
    part.flags.writeable = False
    return part
