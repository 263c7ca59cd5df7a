"""The bank of module 4, quantization."""

from __future__ import annotations

from breakthrough.exercises import (
    quant_absmax,
    quant_adam8,
    quant_affine,
    quant_block,
    quant_bytes,
    quant_channel,
    quant_experiment,
    quant_gptq,
    quant_mend,
    quant_nf4,
    quant_outlier,
    quant_pack,
    quant_questions,
    quant_ste,
)

FILES = (
    quant_absmax,
    quant_affine,
    quant_channel,
    quant_block,
    quant_pack,
    quant_nf4,
    quant_outlier,
    quant_ste,
    quant_adam8,
    quant_gptq,
    quant_bytes,
    quant_mend,
    quant_experiment,
    quant_questions,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
