"""What a thousand inspections cost, under assumptions that stand beside the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from breakthrough.errors import ConfigError, expected
from breakthrough.quant.inspecting import Share

INSPECTIONS = 1000


def _told(default: float, unit: str, words: str) -> Any:
    return field(default=default, metadata={"unit": unit, "words": words})


@dataclass(frozen=True)
class Assumptions:
    """What is assumed of a factory and its prices. Nothing here was measured; each may be replaced.

    Units:  `_eur` in euros, `_s` in seconds; faulty from 0 to 1
    Raises: ConfigError for a number that cannot be
    """

    box_eur: float = _told(900.0, "€", "price of an edge box with its camera's connection")
    box_years: float = _told(5.0, "years", "how long a box is used")
    hours_a_year: float = _told(4000.0, "h", "how long the line runs in a year: two shifts")
    box_watts: float = _told(15.0, "W", "what a box draws while the line runs")
    kwh_eur: float = _told(0.25, "€", "price of a kWh")
    parts_a_second: float = _told(1.0, "1/s", "parts that pass one station")
    faulty: float = _told(0.02, "", "share of parts with a defect, the four kinds alike")
    escape_eur: float = _told(50.0, "€", "what a defect costs that passes unseen")
    reinspection_eur: float = _told(0.5, "€", "what it costs when a person looks at a part that was stopped, sound or faulty")

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for one in fields(self):
            value, most = getattr(self, one.name), 1.0 if one.name == "faulty" else math.inf
            least_is_open = one.name in ("box_years", "hours_a_year", "parts_a_second")
            if not (math.isfinite(value) and 0 <= value <= most and not (least_is_open and value == 0)):
                what = f"{one.name} {'above' if least_is_open else 'of at least'} 0" + (" and up to 1" if most == 1 else "")
                raise ConfigError(expected(what, value))

    def table(self) -> list[tuple[str, float, str, str]]:
        """Rows of name, value, unit and what it means."""
        return [(one.name, getattr(self, one.name), one.metadata["unit"], one.metadata["words"]) for one in fields(self)]

    def escaped_eur(self, recall: np.ndarray | float) -> np.ndarray | float:
        """The defects that pass unseen, a thousand inspections."""
        return INSPECTIONS * self.faulty * (1 - recall) * self.escape_eur

    def looked_at_eur(self, recall: np.ndarray | float, alarms: np.ndarray | float) -> np.ndarray | float:
        """The stopped parts that a person looks at, a thousand inspections."""
        return INSPECTIONS * (self.faulty * recall + (1 - self.faulty) * alarms) * self.reinspection_eur

    def decided_eur(self, recall: np.ndarray | float, alarms: np.ndarray | float) -> np.ndarray | float:
        """Both: what the decisions cost, a thousand inspections, without the box that takes them."""
        return self.escaped_eur(recall) + self.looked_at_eur(recall, alarms)

    def box_for(self, throughput: float | None) -> dict[str, float]:
        """What the boxes of a station and their power cost, a thousand inspections.

        Units:  throughput is what one box answers in a second; without it one box is taken to be enough
        """
        boxes = math.ceil(self.parts_a_second / throughput) if throughput else 1
        inspections_an_hour = 3600 * self.parts_a_second
        price = INSPECTIONS * boxes * self.box_eur / (self.box_years * self.hours_a_year * inspections_an_hour)
        power = INSPECTIONS * boxes * self.box_watts / 1000 * self.kwh_eur / inspections_an_hour
        return {"boxes": boxes, "box_eur": price, "power_eur": power, "total_eur": price + power}


def decided(assumptions: Assumptions, recall: Share, alarms: Share) -> dict[str, float | None] | None:
    """What decisions cost a thousand inspections, with the span that both intervals leave; None without such pictures.

    The span takes both ends at once, so it is wider than an interval of 95%.
    """
    if not (recall.n and alarms.n):
        return None
    ends = [float(assumptions.decided_eur(r, a)) for r in (recall.low, recall.high) for a in (alarms.low, alarms.high)]
    return {
        "escaped_eur": float(assumptions.escaped_eur(recall.value)),
        "looked_at_eur": float(assumptions.looked_at_eur(recall.value, alarms.value)),
        "total_eur": float(assumptions.decided_eur(recall.value, alarms.value)),
        "low_eur": min(ends),
        "high_eur": max(ends),
    }


def best_throughput(load: Sequence[Mapping[str, Any]]) -> float | None:
    """The most that a service answered in a second; None when nobody put a load on it."""
    return max((float(one["throughput"]) for one in load), default=0.0) or None
