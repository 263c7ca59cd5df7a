"""A producer of small pictures that needs no simulator: what the machinery of datasets is tested with.

It does what a file named by $TOY_SCENES says: `die 9` kills its process at scene 9, once; `slow 0.02`
sleeps in every scene; `drop` draws every third scene twice.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np

from breakthrough.scenes import shards
from breakthrough.scenes.dataset import Made
from breakthrough.scenes.spec import DEFECTS
from breakthrough.seeds import numpy_generator

NAME = "toy_scenes:Toy"


def labels(scene, shot, kind, size, bodies):
    """Labels of a picture with square things in it: bodies maps an index to (category, box, visible)."""
    return {
        "scene": scene, "shot": shot, "class": DEFECTS.index(kind), "defect": {"kind": kind, "place": "", "amount_m": 0.0}, "variant": "a",
        "camera": {"width": size, "height": size, "intrinsics": [size, size, size / 2, size / 2], "extrinsics": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]},
        "instances": [
            {"body": body, "name": f"{category}_{body}", "category": category, "box": box, "area": box[2] * box[3], "visible": visible,
             "world": [0, 0, 0, 0, 0, 0, 1], "camera": [0, 0, 0, 0, 0, 0, 1]}
            for body, (category, box, visible) in bodies.items()
        ],
    }


class Toy:
    """Scenes of a bracket with a bolt beside it, drawn from seed and index alone."""

    def __init__(self, settings):
        self.settings = settings
        path = Path(os.environ.get("TOY_SCENES", "/nowhere"))
        self.path, self.orders = path, path.read_text().split() if path.is_file() else []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def shard(self, scenes):
        yield from map(self.scene, scenes)

    def scene(self, index):
        if self.orders[:1] == ["slow"]:
            time.sleep(float(self.orders[1]))
        if self.orders[:2] == ["die", str(index)]:
            self.path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        again = self.orders == ["drop"] and index % 3 == 0
        kind = DEFECTS[index % len(DEFECTS)]
        shots = [self.shot(index, shot, kind) for shot in range(self.settings.shots_of(index))]
        return Made(shots, kind, 2 if again else 1, Counter(["out of view"] if again else []))

    def shot(self, index, shot, kind):
        size = self.settings.size
        draw = numpy_generator(self.settings.seed, "scene", index, shot)
        rgb = draw.integers(0, 255, (size, size, 3), dtype=np.uint8)
        x = int(draw.integers(0, size // 2))
        instance = np.full((size, size), -1, np.int16)
        instance[1 : size - 1, 1 : size - 1] = 0
        instance[2:6, x : x + 4] = 1
        instance[4:8, x + 2 : x + 5] = 3
        bodies = {1: ("bracket", [x, 2, 4, 4], 0.75), 3: ("bolt", [x + 2, 4, 3, 4], 1.0)}
        made = labels(index, shot, kind, size, bodies)
        made["instances"][0]["area"] = int((instance == 1).sum())
        return shards.encode(f"{index:06d}-{shot:02d}", made, rgb, instance, draw.uniform(0.2, 0.5, (size, size)).astype(np.float32))
