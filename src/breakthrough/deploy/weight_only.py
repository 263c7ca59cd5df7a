"""The pipelines "int8_weights" and "int4_weights": weights lie in one byte or half of one, and become real where they are used.

Shape legend: N pictures, H × W pixels, I channels in, O out, both channels last; G inputs that share a scale.

Products stay in floating point; what shrinks is the file, and what is read from memory. No whole layer of
real weights is ever written: a loop nest reads codes, and widens a vector of them in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from breakthrough.deploy import integer_kernels, sites
from breakthrough.deploy.choices import Chosen, Quantized, untouched
from breakthrough.deploy.sites import CONVOLUTION, Site
from breakthrough.errors import ConfigError, expected

BITS = (4, 8)
GROUP = 64  # inputs that share a scale in int4, at most
INT4, MIDDLE = 7, 8  # the largest code, and what it is stored with: no sign to draw down
FLOAT, LANES = "float32", 16
OPAQUE = 8  # TVM's "joins nothing"


def weight_only(module: Any, *, bits: int = 8, why: str = "", keep: Callable[[Site], str] | None = None) -> Quantized:
    """Put integer codes in the place of a module's weights, widened inside the loop nests that use them.

    int8 has a scale for each output, int4 one for each output and up to 64 inputs, symmetric both.
    `keep` gives the reason why weights are to stay in floating point, or ""; without it that is
    `sites.few_outputs`.

    Raises: ConfigError for other bits
    """
    if bits not in BITS:
        raise ConfigError(expected("weights of 4 or 8 bits", bits))
    chosen: list[Chosen] = []

    def change(builder: Any, site: Site) -> Any:
        reason = (keep or sites.few_outputs)(site) or _too_odd(site, bits)
        if reason:
            chosen.append(Chosen(site.name, site.shape, FLOAT, reason, weight_bytes=site.weight.nbytes))
            return None
        made, size = _product(builder, site, bits)
        chosen.append(Chosen(site.name, site.shape, f"int{bits} weights", why or "asked for", weight_bytes=size))
        return made

    module = sites.canonical(module)
    changed = sites.rewrite(module, change)
    return Quantized(changed, None, why or "asked for", (*chosen, *untouched(module)))


def int4_codes(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int4, two in a byte (the even input in the low half), with a scale for each group of inputs.

    Shapes: (…, I, O) → codes uint8 (…, I/2, O), scales (…, I/G, O); I even
    """
    *window, inputs, outputs = weight.shape
    size = group_of(inputs)
    groups = weight.reshape(*window, inputs // size, size, outputs)
    absmax = np.abs(groups).max(-2)
    scales = np.where(absmax > 0, absmax / INT4, 1.0).astype(np.float32)
    codes = np.clip(np.rint(groups / scales[..., None, :]), -INT4, INT4).astype(np.int8).reshape(weight.shape)
    low, high = ((codes[..., half::2, :] + MIDDLE).astype(np.uint8) for half in (0, 1))
    return low | high << 4, scales


def int4_weights(codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """What `int4_codes` stands for. Shapes: (…, I/2, O), (…, I/G, O) → (…, I, O)."""
    halves = np.stack((codes & 15, codes >> 4), -2).astype(np.int8) - MIDDLE
    real = halves.reshape(*codes.shape[:-2], 2 * codes.shape[-2], codes.shape[-1]).astype(np.float32)
    return real * np.repeat(scales, real.shape[-2] // scales.shape[-2], -2)


def group_of(inputs: int) -> int:
    """How many inputs share a scale in int4: the most that divide them, up to 64."""
    return max(d for d in range(1, min(inputs, GROUP) + 1) if inputs % d == 0)


def _too_odd(site: Site, bits: int) -> str:
    inputs = site.shape[-2]
    if bits == 4 and (inputs % 2 or group_of(inputs) % 2):
        return f"{inputs} inputs cannot be put two in a byte"
    return ""


def _product(builder: Any, site: Site, bits: int) -> tuple[Any, int]:
    from tvm import relax

    outputs = site.shape[-1]
    more = -outputs % LANES  # vectors without a rest; what they add is cut off
    weight = np.pad(site.weight, [(0, 0)] * (site.weight.ndim - 1) + [(0, more)])
    codes, scales = int4_codes(weight) if bits == 4 else integer_kernels.codes_of(weight)
    arguments = [relax.const(x) for x in (codes, scales)]
    if site.kind == CONVOLUTION:
        strides, padding = (tuple(map(int, x)) for x in (site.call.attrs.strides, site.call.attrs.padding))
        expression = partial(_convolution, bits=bits, stride=strides, padding=padding)
    else:
        expression = partial(_linear, bits=bits)
    name = f"{site.kind}_int{bits}_weights"
    attrs = {"op_pattern": integer_kernels.FUSABLE}
    made = builder.emit_te(lambda *args: expression(*args), site.input, *arguments, primfunc_name_hint=name, primfunc_attrs=attrs)
    if more:
        cut = partial(_cut, outputs=outputs)
        made = builder.emit_te(lambda y: cut(y), made, primfunc_name_hint="cut", primfunc_attrs={"op_pattern": OPAQUE})
    return made, codes.nbytes + scales.nbytes


def _cut(y: Any, *, outputs: int) -> Any:
    from tvm import te

    return te.compute((*y.shape[:-1], outputs), lambda *at: y(*at), name="cut")


def _convolution(x: Any, codes: Any, scales: Any, *, bits: int, stride: tuple[int, ...], padding: tuple[int, ...]) -> Any:
    """Shapes: x (N, H, W, I), codes (kh, kw, I or I/2, O) → (N, h, w, O)."""
    from tvm import te

    from breakthrough.deploy import winograd

    kh, kw = int(codes.shape[0]), int(codes.shape[1])
    pad = winograd.padded(x, padding)
    n, height, width, _ = pad.shape
    shape = (n, (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1, codes.shape[3])
    window = [te.reduce_axis((0, kh), "i"), te.reduce_axis((0, kw), "j")]
    channels, axes = _inputs(codes, bits)

    def sums(b: Any, y: Any, z: Any, o: Any) -> Any:
        i, j = window
        pixel = pad[b, y * stride[0] + i, z * stride[1] + j, channels]
        return te.sum(pixel * _weight(codes, scales, (i, j), axes, o, bits), [*window, *axes])

    return _scaled(te.compute(shape, sums, name="conv"), scales, bits)


def _linear(x: Any, codes: Any, scales: Any, *, bits: int) -> Any:
    """Shapes: x (…, I), codes (I or I/2, O) → (…, O)."""
    from tvm import te

    channels, axes = _inputs(codes, bits)

    def sums(*at: Any) -> Any:
        return te.sum(x(*at[:-1], channels) * _weight(codes, scales, (), axes, at[-1], bits), axes)

    return _scaled(te.compute((*x.shape[:-1], codes.shape[-1]), sums, name="matmul"), scales, bits)


def _inputs(codes: Any, bits: int) -> tuple[Any, list[Any]]:
    """The input that a step of the reduction takes, and the reduction's axes."""
    from tvm import te

    if bits == 8:
        c = te.reduce_axis((0, codes.shape[-2]), "c")
        return c, [c]
    pair, half = te.reduce_axis((0, codes.shape[-2]), "c"), te.reduce_axis((0, 2), "half")
    return pair * 2 + half, [pair, half]


def _weight(codes: Any, scales: Any, window: tuple[Any, ...], axes: list[Any], o: Any, bits: int) -> Any:
    """A weight made real: in int8 all but its scale, which the sum can be multiplied with."""
    code = codes(*window, axes[0], o).astype("int32")
    if bits == 8:
        return code.astype(FLOAT)
    pair, half = axes
    nibble = ((code >> (4 * half)) & 15) - MIDDLE
    share = codes.shape[-2] * 2 // scales.shape[-2]
    return nibble.astype(FLOAT) * scales(*window, (pair * 2) // share, o)


def _scaled(sums: Any, scales: Any, bits: int) -> Any:
    from tvm import te

    if bits == 4:
        return sums
    return te.compute(sums.shape, lambda *at: sums(*at) * scales[at[-1]], name="scaled")
