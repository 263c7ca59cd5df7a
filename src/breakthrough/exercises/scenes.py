"""The bank of module 2, synthetic data."""

from __future__ import annotations

from breakthrough.exercises import scenes_budget, scenes_light, scenes_questions, scenes_sample, scenes_settle, scenes_support

EXERCISES = (
    *scenes_sample.EXERCISES,
    *scenes_settle.EXERCISES,
    *scenes_support.EXERCISES,
    *scenes_light.EXERCISES,
    *scenes_budget.EXERCISES,
    *scenes_questions.EXERCISES,
)
