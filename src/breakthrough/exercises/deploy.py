"""The bank of module 5, deployment."""

from __future__ import annotations

from breakthrough.exercises import (
    deploy_flops,
    deploy_roofline,
    deploy_tile,
    deploy_fuse,
    deploy_schedule,
    deploy_questions,
)

FILES = (
    deploy_flops,
    deploy_roofline,
    deploy_tile,
    deploy_fuse,
    deploy_schedule,
    deploy_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
