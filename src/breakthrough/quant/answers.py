"""How long an answer takes on published machines, from bytes, bandwidth and arithmetic: claim C09's extrapolation.

For one request, a token costs the reading of every weight that it meets, and the prompt, read all at once, the
arithmetic. Both are lower bounds: no time is counted for attention, for sending between devices or for waiting,
and the published peaks are reached by nobody; `efficiency` is the share of them that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from breakthrough.errors import InputError, expected, unknown

Named = TypeVar("Named")
LIMIT_S = 0.5  # claim C09's: answers of large models take longer than this


@dataclass(frozen=True)
class Accelerator:
    """One device, as its maker publishes it.

    Units:  bandwidth in bytes a second, memory in bytes, flops a second dense in bfloat16
    """

    name: str
    bandwidth: float
    memory_bytes: float
    flops: float
    source: str


ACCELERATORS = {
    one.name: one
    for one in (
        Accelerator("A100 80GB SXM", 2.039e12, 80e9, 312e12, "NVIDIA A100 data sheet, 2021"),
        Accelerator("H100 SXM", 3.35e12, 80e9, 989e12, "NVIDIA H100 data sheet, 2023"),
        Accelerator("H200 SXM", 4.8e12, 141e9, 989e12, "NVIDIA H200 data sheet, 2024"),
        Accelerator("MI300X", 5.3e12, 192e9, 1307e12, "AMD Instinct MI300X data sheet, 2023"),
        Accelerator("B200", 8.0e12, 180e9, 2250e12, "NVIDIA DGX B200 data sheet, 2024: an eighth of it"),
    )
}


@dataclass(frozen=True)
class Model:
    """A published model. Units: parameters in all, and those that one token meets."""

    name: str
    parameters: float
    active: float
    source: str


MODELS = {
    one.name: one
    for one in (
        Model("Llama 3 70B", 70.6e9, 70.6e9, "Grattafiori et al. 2024"),
        Model("GPT-3 175B", 175e9, 175e9, "Brown et al. 2020"),
        Model("Llama 3 405B", 405e9, 405e9, "Grattafiori et al. 2024"),
        Model("DeepSeek-V3 671B", 671e9, 37e9, "DeepSeek-AI 2024: 37B active"),
    )
}
BITS = {"bf16": 16.0, "int8": 8.0, "nf4": 4.127}


@dataclass(frozen=True)
class Answer:
    """The least time of one request.

    Units:  seconds; first_s until the first token, token_s for each after it; devices that share the work
    """

    devices: int
    first_s: float
    token_s: float
    tokens: int

    @property
    def total_s(self) -> float:
        """Until the last token."""
        return self.first_s + (self.tokens - 1) * self.token_s


def answer(
    model: Model | str,
    bits: float,
    accelerator: Accelerator | str,
    tokens: int = 100,
    prompt: int = 500,
    *,
    devices: int | None = None,
    efficiency: float = 1.0,
) -> Answer:
    """The least time of an answer of so many tokens to a prompt of so many.

    Without `devices`, as many as hold the weights in nine tenths of their memory, in powers of two.

    Units:  bits a weight, scales included; efficiency: the share of bandwidth and arithmetic that is reached
    Raises: UnknownNameError; InputError for numbers that no answer has
    """
    model, accelerator = _named(model, MODELS, "model"), _named(accelerator, ACCELERATORS, "accelerator")
    if min(bits, tokens, prompt, devices or 1) <= 0 or not 0 < efficiency <= 1:
        raise InputError(expected("bits, tokens, prompt and devices above 0, efficiency of at most 1", (bits, tokens, prompt, devices, efficiency)))
    count = devices or devices_for(model.parameters * bits / 8, accelerator)
    token_s = model.active * bits / 8 / (count * accelerator.bandwidth * efficiency)
    prompt_s = 2 * model.active * prompt / (count * accelerator.flops * efficiency)
    # a prompt of many tokens meets all experts, one token only its own
    read_s = model.parameters * bits / 8 / (count * accelerator.bandwidth * efficiency)
    return Answer(count, max(prompt_s, read_s if prompt > 1 else token_s), token_s, tokens)


def devices_for(nbytes: float, accelerator: Accelerator) -> int:
    """How many devices hold so many bytes in nine tenths of their memory: a power of two."""
    return 1 << max(0, math.ceil(math.log2(nbytes / (0.9 * accelerator.memory_bytes))))


def tokens_within(limit_s: float, answered: Answer) -> int:
    """How many tokens an answer may have, to be there within a limit: 0 when not even the first one is."""
    left = limit_s - answered.first_s
    return 0 if left < 0 else 1 + int(left / answered.token_s)


def table(prompt: int = 500, efficiency: float = 1.0, limit_s: float = LIMIT_S) -> str:
    """Every model, dtype and accelerator: milliseconds a token, and the tokens that come within the limit."""
    lines = [f"{'':18} {'':6} {'':14} {'devices':>7} {'first, ms':>10} {'each, ms':>9} {f'tokens in {1000 * limit_s:.0f} ms':>17}"]
    for model in MODELS:
        for name, bits in BITS.items():
            for accelerator in ACCELERATORS:
                found = answer(model, bits, accelerator, prompt=prompt, efficiency=efficiency)
                figures = f"{found.devices:7} {1000 * found.first_s:10.1f} {1000 * found.token_s:9.2f} {tokens_within(limit_s, found):17}"
                lines.append(f"{model:18} {name:6} {accelerator:14} {figures}")
    return "\n".join(lines)


def _named(value: Named | str, known: Mapping[str, Named], kind: str) -> Named:
    if not isinstance(value, str):
        return value
    if value not in known:
        raise unknown(kind, value, known)
    return known[value]
