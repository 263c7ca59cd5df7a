"""The bank of module 6, the capstone."""

from __future__ import annotations

from breakthrough.exercises import (
    capstone_interval,
    capstone_threshold,
    capstone_stale,
    capstone_leak,
)

FILES = (
    capstone_interval,
    capstone_threshold,
    capstone_stale,
    capstone_leak,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
