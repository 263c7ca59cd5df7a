"""The table of leaks over several seeds: other digits, other nets, other noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakthrough import devices
from breakthrough.errors import ConfigError, expected
from breakthrough.federated.leaks import as_rows, leak_table
from breakthrough.train.comparison import Estimate, estimate
from breakthrough.workers import run_all

GUESS = "(a guess)"


@dataclass(frozen=True)
class Leaked:
    """What leaks past one protection, over seeds: mean and half of the 95% interval.

    Units:  likeness is the correlation of what inversion rebuilds with the original, stranger that with
            somebody else's picture; auc is the chance of ranking a member above others; accuracy from 0 to 1;
            auc and accuracy are None for a guess
    """

    likeness: Estimate
    stranger: Estimate
    auc: Estimate | None
    accuracy: Estimate | None


def over_seeds(profile: str, seeds: Sequence[int], first: list[dict[str, Any]] | None = None, workers: int | None = None) -> dict[str, Leaked]:
    """The table by protection, over seeds; `first` are the rows of the first seed where they are there.

    Units:  workers are processes, one per core by default
    Raises: ConfigError without seeds; UnknownNameError for another profile
    """
    if not seeds:
        raise ConfigError(expected("at least one seed", "none"))
    rest = seeds if first is None else seeds[1:]
    jobs = [{"profile": profile, "seed": seed, "name": f"seed {seed}"} for seed in rest]
    tables = [] if first is None else [first]
    if jobs:
        tables += run_all("breakthrough.federated.leak_seeds:one_seed", jobs, workers or devices.cores())
    return {row["protection"]: _leaked([table[i] for table in tables]) for i, row in enumerate(tables[0])}


def one_seed(job: Mapping[str, Any], report: Callable[[int], None]) -> list[dict[str, Any]]:
    """The rows of one seed, as plain data."""
    _, guess, rows = leak_table(job["profile"], job["seed"])
    return as_rows(guess, rows)


def table(found: Mapping[str, Leaked]) -> str:
    """The table as text."""
    lines = [f"{'protection':28} {'rebuilt, likeness':>18} {'to strangers':>14} {'membership, AUC':>17} {'accuracy':>14}"]
    for name, one in found.items():
        cells = (one.likeness, one.stranger, one.auc, one.accuracy)
        lines.append(f"{name:28} " + " ".join(_cell(cell).rjust(width) for cell, width in zip(cells, (18, 14, 17, 14))))
    return "\n".join(lines)


def _leaked(rows: Sequence[Mapping[str, Any]]) -> Leaked:
    def over(key: str) -> Estimate | None:
        values = [row[key] for row in rows if row.get(key) is not None]
        return estimate(values) if len(values) == len(rows) else None

    likeness, stranger = (estimate([row[key] for row in rows]) for key in ("likeness", "stranger"))
    return Leaked(likeness, stranger, over("auc"), over("accuracy"))


def _cell(found: Estimate | None) -> str:
    if found is None:
        return "–"
    return f"{found.mean:.2f} ± {found.half:.2f}" if len(found.values) > 1 else f"{found.mean:.2f}"
