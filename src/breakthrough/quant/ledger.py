"""What the study found: perplexity and bytes of every scheme, seed by seed, with intervals and a verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.errors import UnknownNameError, expected
from breakthrough.quant.table import Sizes
from breakthrough.train.comparison import Estimate, estimate

BASE = "fp32"
CONTROLS = {"int8_random": "int8", "nf4_random": "nf4", "int4_random": "int4"}  # each beside what it is the control of
HALF_BYTES, FULL_BYTES = 2, 4


@dataclass(frozen=True)
class Cell:
    """One model of one seed in one scheme.

    Units:  nats per byte of text; `sizes` in bytes
    """

    nats: float
    tokens: int
    sizes: Sizes

    def __post_init__(self) -> None:
        """Sizes may come as plain data."""
        if isinstance(self.sizes, Mapping):
            object.__setattr__(self, "sizes", Sizes(**self.sizes))


@dataclass(frozen=True)
class Ledger:
    """A study's results: for every architecture and scheme one cell a seed.

    Units:  shares are of 1; rises in per cent of perplexity
    """

    study: str
    seeds: tuple[int, ...]
    cells: Mapping[tuple[str, str], tuple[Cell, ...]]

    @property
    def architectures(self) -> tuple[str, ...]:
        """`dense`, `moe`, in the order of the study."""
        return tuple(dict.fromkeys(architecture for architecture, _ in self.cells))

    @property
    def schemes(self) -> tuple[str, ...]:
        """The names of the schemes, in the order of the study."""
        return tuple(dict.fromkeys(name for _, name in self.cells))

    def perplexity(self, architecture: str, scheme: str) -> Estimate:
        """Perplexity per byte over the seeds.

        Raises: UnknownNameError for what is not in the study
        """
        return estimate(math.exp(cell.nats) for cell in self._cells(architecture, scheme))

    def rise(self, architecture: str, scheme: str, against: str = BASE) -> Estimate:
        """How much larger the perplexity is than in another scheme, paired by seed.

        Units:  per cent
        Raises: UnknownNameError for what is not in the study
        """
        pairs = zip(self._cells(architecture, scheme), self._cells(architecture, against))
        return estimate(100 * math.expm1(a.nats - b.nats) for a, b in pairs)

    def sizes(self, architecture: str, scheme: str) -> Sizes:
        """Bytes of the weights in codes and of the rest: the same for every seed."""
        return self._cells(architecture, scheme)[0].sizes

    def bits(self, architecture: str, scheme: str, whole: bool = False) -> float:
        """Bits for a weight, scales included: of the quantized weights, or of the whole model."""
        sizes = self.sizes(architecture, scheme)
        if whole or not sizes.codes_count:
            return 8 * sizes.bytes / sizes.count
        return 8 * sizes.codes_bytes / sizes.codes_count

    def saved(self, architecture: str, scheme: str, of_bytes: int = FULL_BYTES, whole: bool = False) -> float:
        """How much smaller than floats of 4 bytes, or 2: the quantized weights, or the whole model. A share."""
        sizes = self.sizes(architecture, scheme)
        return sizes.saved_whole(of_bytes) if whole else sizes.saved(of_bytes)

    def harm(self, architecture: str, control: str) -> Estimate:
        """What rounding by a coin adds to the rise of the scheme with the same bytes, paired by seed.

        Units:  per cent of perplexity; the control has failed, as it should, when this lies above 0
        Raises: UnknownNameError for a scheme that is no control
        """
        if control not in CONTROLS:
            raise UnknownNameError(expected(f"a control out of {', '.join(CONTROLS)}", repr(control)))
        return self.rise(architecture, control, against=CONTROLS[control])

    def __str__(self) -> str:
        """The table: bits and bytes, perplexity and its rise, mean and half of the 95% interval over seeds."""
        head = f"{'':6} {'scheme':12} {'bits':>6} {'−fp32':>7} {'−fp16':>7} {'model kB':>9} {'whole':>7} {'perplexity':>15} {'rise, %':>17}"
        return "\n".join([head, *(self._line(*key) for key in self.cells)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        rows = [{"architecture": a, "scheme": s, "cells": [asdict(cell) for cell in cells]} for (a, s), cells in self.cells.items()]
        return {"study": self.study, "seeds": list(self.seeds), "rows": rows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """The ledger that `to_dict` wrote."""
        cells = {(row["architecture"], row["scheme"]): tuple(Cell(**cell) for cell in row["cells"]) for row in data["rows"]}
        return cls(data["study"], tuple(data["seeds"]), cells)

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        files.write_text(Path(path), json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | Path) -> Ledger:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def _cells(self, architecture: str, scheme: str) -> tuple[Cell, ...]:
        if (architecture, scheme) not in self.cells:
            hint = f"{' or '.join(self.architectures)}, and one of {', '.join(self.schemes)}"
            raise UnknownNameError(expected("a model of the study", f"{architecture!r} in {scheme!r}", hint))
        return self.cells[architecture, scheme]

    def _line(self, architecture: str, scheme: str) -> str:
        sizes, risen = self.sizes(architecture, scheme), self.rise(architecture, scheme)
        shares = [self.saved(architecture, scheme, of) for of in (FULL_BYTES, HALF_BYTES)] if sizes.codes_count else [math.nan] * 2
        saved = " ".join("      –" if math.isnan(share) else f"{100 * share:6.1f}%" for share in shares)
        found = self.perplexity(architecture, scheme)
        return (
            f"{architecture:6} {scheme:12} {self.bits(architecture, scheme):6.3f} {saved} {sizes.bytes / 1000:9.1f} "
            f"{100 * self.saved(architecture, scheme, whole=True):6.1f}% {found.mean:7.4f} ± {found.half:5.3f} {risen.mean:8.3f} ± {risen.half:6.3f}"
        )
