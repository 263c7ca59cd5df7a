"""The bank of module 3, federated learning."""

from __future__ import annotations

from breakthrough.exercises import (
    federated_average,
    federated_compose,
    federated_proximal,
    federated_questions,
    federated_split,
    federated_train,
)

FILES = (
    federated_split,
    federated_average,
    federated_proximal,
    federated_train,
    federated_compose,
    federated_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
