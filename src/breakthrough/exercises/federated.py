"""The bank of module 3, federated learning."""

from __future__ import annotations

from breakthrough.exercises import (
    federated_average,
    federated_ckks,
    federated_clip,
    federated_compose,
    federated_experiment,
    federated_fixed,
    federated_mask,
    federated_proximal,
    federated_questions,
    federated_shamir,
    federated_split,
    federated_train,
)

FILES = (
    federated_split,
    federated_average,
    federated_proximal,
    federated_train,
    federated_mask,
    federated_shamir,
    federated_fixed,
    federated_ckks,
    federated_clip,
    federated_compose,
    federated_experiment,
    federated_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
