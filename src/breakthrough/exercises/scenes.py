"""The bank of module 2, synthetic data."""

from __future__ import annotations

from breakthrough.exercises import (
    scenes_budget,
    scenes_light,
    scenes_questions,
    scenes_sample,
    scenes_settle,
    scenes_support,
)

FILES = (
    scenes_sample,
    scenes_settle,
    scenes_support,
    scenes_light,
    scenes_budget,
    scenes_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
