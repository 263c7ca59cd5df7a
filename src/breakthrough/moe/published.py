"""Sizes of published language models, dense and sparse, as their authors give them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One model: all its parameters, those one token uses, and where the figures come from.

    Units: total and active in parameters
    """

    name: str
    year: int
    total: float
    active: float
    source: str

    @property
    def sparse(self) -> bool:
        """Whether a token leaves some of the weights alone."""
        return self.active < self.total


def _dense(name: str, year: int, total: float, source: str) -> Published:
    return Published(name, year, total, total, source)


MODELS = (
    _dense("GPT-2 XL", 2019, 1.5e9, "Radford et al. 2019"),
    _dense("GPT-3", 2020, 175e9, "Brown et al. 2020, arXiv:2005.14165"),
    _dense("PaLM", 2022, 540e9, "Chowdhery et al. 2022, arXiv:2204.02311"),
    _dense("Llama 2 7B", 2023, 7e9, "Touvron et al. 2023, arXiv:2307.09288"),
    _dense("Llama 2 70B", 2023, 70e9, "Touvron et al. 2023, arXiv:2307.09288"),
    _dense("Llama 3.1 405B", 2024, 405e9, "Grattafiori et al. 2024, arXiv:2407.21783"),
    Published("GLaM", 2021, 1.2e12, 96.6e9, "Du et al. 2021, arXiv:2112.06905"),
    Published("Mixtral 8x7B", 2023, 46.7e9, 12.9e9, "Mistral AI, announcement, December 2023; Jiang et al. 2024, arXiv:2401.04088"),
    Published("Mixtral 8x22B", 2024, 141e9, 39e9, "Mistral AI, announcement, April 2024"),
    Published("OLMoE", 2024, 6.9e9, 1.3e9, "Muennighoff et al. 2024, arXiv:2409.02060"),
    Published("DeepSeek-V3", 2024, 671e9, 37e9, "DeepSeek-AI 2024, arXiv:2412.19437"),
    Published("Qwen3-235B-A22B", 2025, 235e9, 22e9, "Yang et al. 2025, arXiv:2505.09388"),
    Published("gpt-oss-120b", 2025, 116.8e9, 5.1e9, "OpenAI 2025, arXiv:2508.10925"),
    Published("Kimi K2", 2025, 1.04e12, 32e9, "Kimi Team 2025, arXiv:2507.20534"),
)
