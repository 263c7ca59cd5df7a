"""The bank of module 5, deployment."""

from __future__ import annotations

from breakthrough.exercises import deploy_accumulate, deploy_batch, deploy_fold, deploy_percentile, deploy_table

FILES = (deploy_fold, deploy_accumulate, deploy_percentile, deploy_batch, deploy_table)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
