"""The bank of module 2, synthetic data."""

from __future__ import annotations

from breakthrough.exercises import scenes_sample, scenes_settle

EXERCISES = (*scenes_sample.EXERCISES, *scenes_settle.EXERCISES,)
