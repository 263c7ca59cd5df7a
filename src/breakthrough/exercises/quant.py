"""The bank of module 4, quantization."""

from __future__ import annotations

from breakthrough.exercises import (
    quant_absmax,
    quant_affine,
    quant_block,
    quant_channel,
    quant_nf4,
    quant_pack,
    quant_questions,
)

FILES = (
    quant_absmax,
    quant_affine,
    quant_channel,
    quant_block,
    quant_pack,
    quant_nf4,
    quant_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
