"""The bank of module 5, deployment."""

from __future__ import annotations

from breakthrough.exercises import deploy_fold

FILES = (deploy_fold,)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
