"""The bank of module 3, federated learning."""

from __future__ import annotations

FILES = ()
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
