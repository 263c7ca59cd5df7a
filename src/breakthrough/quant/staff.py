"""The small quantized inspector that stands in for a learner's own, made on demand in seconds."""

from __future__ import annotations

from breakthrough.artifacts import Artifact
from breakthrough.quant.handover import save_quantized
from breakthrough.quant.inspecting import shrink_inspector


def inspector_int8() -> Artifact:
    """Quantize the newest inspector, or the staff's, and save it."""
    return save_quantized(shrink_inspector(), staff=True)
