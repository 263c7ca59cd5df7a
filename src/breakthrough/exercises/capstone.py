"""The bank of module 6, the capstone."""

from __future__ import annotations

from breakthrough.exercises import (
    capstone_canary,
    capstone_drift,
    capstone_questions,
    capstone_trace,
)

FILES = (
    capstone_drift,
    capstone_canary,
    capstone_trace,
    capstone_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
