"""The bank of module 4, quantization."""

from __future__ import annotations

from breakthrough.exercises import (
    quant_adam8,
    quant_bytes,
    quant_gptq,
    quant_mend,
    quant_outlier,
    quant_ste,
)

FILES = (
    quant_outlier,
    quant_ste,
    quant_adam8,
    quant_gptq,
    quant_bytes,
    quant_mend,
)
EXERCISES = tuple(exercise for file in FILES for exercise in file.EXERCISES)
