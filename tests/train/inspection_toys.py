"""Pictures of a toy defect that a tiny inspector learns within seconds."""

import numpy as np

from breakthrough.train.pictures import Pictures

CLASSES = ("none", "bright", "dark")


def toy_pictures(count, seed, side=32, parts=True):
    """Grey noise; a bright or a dark square of 6 pixels somewhere, or none."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = generator.integers(110, 146, (count, side, side, 3))
    marks = np.zeros((count, side, side), np.uint8)
    for image, mark, label in zip(images, marks, labels):
        row, column = generator.integers(2, side - 8, 2)
        part = np.s_[row : row + 6, column : column + 6]
        image[part] += (0, 90, -90)[label]
        mark[part] = label
    return Pictures(images.clip(0, 255).astype(np.uint8), labels, CLASSES, np.arange(count) // 2, marks if parts else None)
