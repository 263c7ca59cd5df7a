"""The bank of module 5, deployment."""

from __future__ import annotations

from breakthrough.exercises import (
    deploy_accumulate,
    deploy_batch,
    deploy_experiment,
    deploy_flops,
    deploy_fold,
    deploy_fuse,
    deploy_percentile,
    deploy_questions,
    deploy_roofline,
    deploy_schedule,
    deploy_table,
    deploy_tile,
)

FILES = (
    deploy_flops,
    deploy_roofline,
    deploy_tile,
    deploy_fuse,
    deploy_schedule,
    deploy_fold,
    deploy_accumulate,
    deploy_percentile,
    deploy_table,
    deploy_batch,
    deploy_experiment,
    deploy_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
