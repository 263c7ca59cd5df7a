"""The bank of module 5, deployment."""

from __future__ import annotations

from breakthrough.exercises import (
    deploy_flops,
    deploy_roofline,
)

FILES = (
    deploy_flops,
    deploy_roofline,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
