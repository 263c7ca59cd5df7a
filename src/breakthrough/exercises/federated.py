"""The bank of module 3, federated learning."""

from __future__ import annotations

from breakthrough.exercises import federated_ckks, federated_clip, federated_fixed, federated_mask, federated_shamir

FILES = (federated_mask, federated_shamir, federated_fixed, federated_ckks, federated_clip)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
