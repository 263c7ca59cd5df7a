"""The bank of module 4, quantization."""

from __future__ import annotations

from breakthrough.exercises import quant_experiment

FILES = (quant_experiment,)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
