"""The bank of module 2, synthetic data."""

from __future__ import annotations

from breakthrough.exercises import (
    scenes_depth,
    scenes_pose,
    scenes_project,
    scenes_rle,
    scenes_split,
    scenes_visible,
)

FILES = (
    scenes_project,
    scenes_depth,
    scenes_pose,
    scenes_rle,
    scenes_visible,
    scenes_split,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
