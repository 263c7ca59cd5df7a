"""Schemes by name: a format for the weights, what is left alone and why, calibration, activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.quant.affine import Affine
from breakthrough.quant.awq import Scaled
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.keeping import KEEP, rule
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.quantized import Format, by_coin, described
from breakthrough.seeds import derive

FORMATS = {one.kind: one for one in (Affine, Blockwise, FourBit, Scaled)}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CALIBRATIONS = ("", "gptq", "awq")


@dataclass(frozen=True)
class Scheme:
    """One way to store a whole model.

    `format` None stores no weight in codes. `keep` names rules of `keeping.KEEP`; `rest` is the dtype of
    what stays floating point and of the computation, "" for the model's own. With `calibration` the codes
    are chosen with the inputs that each weight sees. With `threshold` the activations of linear layers
    are int8 too, but for those columns where one is at least so large.

    Raises: ConfigError, UnknownNameError for parts that do not go together
    """

    name: str
    says: str
    format: Format | None = None
    keep: tuple[str, ...] = tuple(KEEP)
    rest: str = ""
    calibration: str = ""
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        for name in self.keep:
            rule(name)
        if self.rest and self.rest not in DTYPES:
            raise unknown("dtype", self.rest, DTYPES)
        if self.calibration not in CALIBRATIONS:
            raise ConfigError(expected("a calibration out of gptq and awq, or none", repr(self.calibration)))
        if self.calibration and self.format is None:
            raise ConfigError(expected("a format to calibrate", f"none in {self.name!r}"))
        form = self.format
        by_row = isinstance(form, Affine) and form.bits == 8 and form.axis == 0 and form.symmetric
        if self.threshold is not None and not by_row:
            raise ConfigError(expected("one int8 scale a row, where activations are int8 too", self.format))

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of what stays, or None for the model's own."""
        return DTYPES[self.rest] if self.rest else None

    def format_for(self, weight: str) -> Format | None:
        """The format of one weight: where codes are drawn, each weight has draws of its own."""
        if not by_coin(self.format):
            return self.format
        return replace(self.format, seed=derive(self.format.seed, weight))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads, fit for JSON."""
        return asdict(self) | {"format": self.format and described(self.format), "keep": list(self.keep)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scheme:
        """The scheme that `to_dict` wrote."""
        return cls(**{**data, "format": data["format"] and format_of(data["format"]), "keep": tuple(data["keep"])})


def format_of(data: Mapping[str, Any]) -> Format:
    """The format that `described` wrote down.

    Raises: UnknownNameError for another kind
    """
    fields = dict(data)
    kind = fields.pop("kind")
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS)
    return FORMATS[kind](**fields)


INT8, INT4, NF4 = Affine(bits=8, axis=0), Affine(bits=4, block=64), FourBit()
SCHEMES = {
    one.name: one
    for one in (
        Scheme("fp32", "float32: 4 bytes a weight", rest="float32"),
        Scheme("bf16", "bfloat16: 2 bytes, float32's range", rest="bfloat16"),
        Scheme("fp16", "float16: 2 bytes, finer than bfloat16, to 65504 only", rest="float16"),
        Scheme("int8", "a scale for each output channel", INT8),
        Scheme("int8_tensor", "one scale for a whole weight", Affine(bits=8)),
        Scheme("int8_block", "bitsandbytes' dynamic code, blocks of 256", Blockwise()),
        Scheme("llm_int8", "activations int8 too, outlier columns aside", INT8, threshold=6.0),
        Scheme("int4", "a uniform grid, blocks of 64", INT4),
        Scheme("nf4", "16 quantiles of a normal, blocks of 64, scales in 8 bits", NF4),
        Scheme("nf4_single", "nf4 with scales in 32 bits", replace(NF4, double=False)),
        Scheme("fp4", "a sign, two bits of exponent, one of mantissa", replace(NF4, code="fp4")),
        Scheme("nf4_gptq", "nf4, errors carried on by GPTQ", NF4, calibration="gptq"),
        Scheme("nf4_awq", "nf4, columns scaled by their activations", NF4, calibration="awq"),
        Scheme("int4_gptq", "int4, errors carried on by GPTQ", INT4, calibration="gptq"),
        Scheme("int8_random", "control: int8, rounded by a coin", replace(INT8, rounding="random")),
        Scheme("nf4_random", "control: nf4, rounded by a coin", replace(NF4, rounding="random")),
    )
}


def scheme(name: str | Scheme, seed: int | None = None) -> Scheme:
    """A scheme by name; `seed` is that of its coin, where it rounds by one.

    Raises: UnknownNameError
    """
    if isinstance(name, str) and name not in SCHEMES:
        raise unknown("scheme", name, SCHEMES)
    found = SCHEMES[name] if isinstance(name, str) else name
    if seed is None or not by_coin(found.format):
        return found
    return replace(found, format=replace(found.format, seed=seed))
