"""The bank of module 2, synthetic data."""

from __future__ import annotations

from breakthrough.exercises import (
    scenes_budget,
    scenes_depth,
    scenes_experiment,
    scenes_light,
    scenes_pose,
    scenes_project,
    scenes_questions,
    scenes_rle,
    scenes_sample,
    scenes_settle,
    scenes_split,
    scenes_support,
    scenes_visible,
)

FILES = (
    scenes_project,
    scenes_depth,
    scenes_pose,
    scenes_sample,
    scenes_settle,
    scenes_support,
    scenes_rle,
    scenes_visible,
    scenes_light,
    scenes_split,
    scenes_budget,
    scenes_experiment,
    scenes_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
