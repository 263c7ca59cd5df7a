"""The bank of module 6, the capstone."""

from __future__ import annotations

from breakthrough.exercises import (
    capstone_canary,
    capstone_drift,
    capstone_interval,
    capstone_leak,
    capstone_questions,
    capstone_stale,
    capstone_threshold,
    capstone_trace,
)

FILES = (
    capstone_interval,
    capstone_threshold,
    capstone_stale,
    capstone_leak,
    capstone_drift,
    capstone_canary,
    capstone_trace,
    capstone_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
