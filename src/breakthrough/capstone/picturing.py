"""The stages that make pictures: module 2's simulator and renderers, one factory at a time."""

from __future__ import annotations

from dataclasses import replace

from breakthrough.artifacts import Artifact
from breakthrough.capstone.order import Order
from breakthrough.scenes.dataset import make
from breakthrough.scenes.pixels import every
from breakthrough.scenes.spec import DEFECTS
from breakthrough.train.pictures import Pictures
from breakthrough.train.sets import save_sets

APART = 1_000_000  # so that no two sets number a scene alike
PARTS = {"train": ("train", "valid"), "test": ("test",), "traced": ("traced",)}


def pictures(order: Order) -> Artifact:
    """The pictures of one factory: those to learn from and to choose with, or held-out ones, rendered or path traced."""
    parts = PARTS[order.stage.partition(".")[0]]
    total = sum(order.spec.settings(order.factory, part).n for part in parts)
    sets: dict[str, Pictures] = {}
    for part in parts:
        sets[part] = _made(order, part)
        order.tell(sum(map(len, sets.values())), total)
    counts = {part: {name: int((one.labels == i).sum()) for i, name in enumerate(one.classes)} for part, one in sets.items()}
    return save_sets(sets, order.metrics() | {"counts": counts}, order.profile)


def _made(order: Order, part: str) -> Pictures:
    dataset = make(order.work / part, order.spec.settings(order.factory, part), resume=True)
    found = dataset.arrays()
    first = APART * (4 * order.spec.names.index(order.factory) + ("train", "valid", "test", "traced").index(part))
    return replace(Pictures(found.rgb, found.classes, DEFECTS, found.scenes, every(dataset)), scenes=found.scenes + first)
