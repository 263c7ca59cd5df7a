"""The passes over a net's graph that come before tuning: one form, always the same, that schedules fit.

BatchNorm goes into the convolution before it, pictures go channels last, weights are laid out once, when
the net is compiled, elementwise operators join the operator before them, and chains of tiny operators
become one. What comes out has the same structure for the same shapes, whatever the weights: tuning
records are looked up by that structure.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from breakthrough import optional
from breakthrough.deploy import folding, functions, kernels, merging, winograd

PREPARED = "breakthrough.prepared"

LANES = 16  # floats of the longest vector register
WINOGRAD_TILE = 4
WINOGRAD_CHANNELS = 16  # fewer channels than this do not pay for the transforms


def prepare(module: Any, target: Any) -> Any:
    """The module after the graph passes: calls of unscheduled loop nests, ready to be tuned.

    Deterministic: the same net gives the same structural hash. A module that is prepared comes back as it is.
    """
    tvm = optional.require("tvm", "compiling")
    if is_prepared(module):
        return module
    transform = tvm.relax.transform
    layout = {"relax.nn.conv2d": ["NHWC", "HWIO"]}
    passes = [
        clip_as_bounds,
        folding.fold_batch_norm,
        transform.Normalize(),
        transform.FoldConstant(),
        transform.DecomposeOpsForInference(),
        transform.CanonicalizeBindings(),
        transform.ConvertLayout(layout),
        transform.FoldConstant(),
        transform.FastMathTransform(),  # polynomials for exp and tanh: calls of libm cannot be vectorized
        transform.LegalizeOps(legalizations()),
        transform.AnnotateTIROpPattern(),
        transform.FoldConstant(),
        transform.FuseOps(),
        transform.FuseTIR(),
    ]
    names = functions.entries(module)
    with target:
        for step in passes:
            module = step(module)
        for name in names:
            module = merging.merge_tiny(module, name)
        module = transform.DeadCodeElimination(names)(module)
    return module.with_attr(PREPARED, True)


def is_prepared(module: Any) -> bool:
    """Whether a module has gone through `prepare`."""
    return module.attrs is not None and PREPARED in module.attrs


def legalizations() -> dict[str, Any]:
    """Which operators get this room's expressions, as LegalizeOps takes them."""
    return {
        "relax.nn.conv2d": _conv2d,
        "relax.nn.group_norm": _group_norm,
        "relax.matmul": _matmul,
        "relax.sigmoid": _sigmoid,
    }


def _conv2d(builder: Any, call: Any) -> Any:
    attrs = call.attrs
    x, weight = call.args
    groups, channels = int(attrs.groups), int(weight.ty.shape[3])
    stride, padding = tuple(map(int, attrs.strides)), tuple(map(int, attrs.padding))
    plain = attrs.data_layout == attrs.out_layout == "NHWC" and attrs.kernel_layout == "HWIO"
    if not plain or any(int(d) != 1 for d in attrs.dilation) or groups not in (1, channels):
        return _stock(builder, call)
    if groups == 1:
        m = _winograd_tile(x, weight, stride, padding)
        if m:
            return _winograd(builder, x, weight, m)
        return builder.call_te(kernels.convolution, x, weight, stride, padding, primfunc_name_hint="conv2d")
    if int(weight.ty.shape[2]) != 1 or int(x.ty.shape[3]) != channels:
        return _stock(builder, call)
    return builder.call_te(kernels.depthwise, x, weight, stride, padding, primfunc_name_hint="depthwise_conv2d")


def _winograd_tile(x: Any, weight: Any, stride: tuple[int, ...], padding: tuple[int, ...]) -> int:
    """The side of Winograd's output tiles; 0 where a direct convolution is the better one."""
    sizes, pixels = list(weight.ty.shape), list(x.ty.shape)
    constant = hasattr(weight, "value") and hasattr(weight.value, "numpy")
    static = all(hasattr(extent, "value") for extent in pixels)
    if not constant or not static or stride != (1, 1) or padding != (1, 1, 1, 1):
        return 0
    if [int(e) for e in sizes[:2]] != [3, 3] or min(map(int, sizes[2:])) < WINOGRAD_CHANNELS:
        return 0
    return WINOGRAD_TILE if int(pixels[1]) % WINOGRAD_TILE == int(pixels[2]) % WINOGRAD_TILE == 0 else 0


def _winograd(builder: Any, x: Any, weight: Any, m: int) -> Any:
    tvm = optional.require("tvm", "compiling")
    transformed = tvm.relax.const(winograd.weights(weight.value.numpy(), m))
    return builder.call_te(winograd.convolution, x, transformed, m, primfunc_name_hint="conv2d_winograd")


def _group_norm(builder: Any, call: Any) -> Any:
    attrs, (x, scale, shift) = call.attrs, call.args
    shape = x.ty.shape
    per_channel = len(shape) == 4 and int(attrs.channel_axis) == 3 and int(attrs.num_groups) == int(shape[3])
    if not per_channel or [int(axis) for axis in attrs.axes] != [1, 2]:
        return _stock(builder, call)
    epsilon = float(attrs.epsilon)
    return builder.call_te(kernels.channel_norm, x, scale, shift, epsilon, primfunc_name_hint="channel_norm")


def _matmul(builder: Any, call: Any) -> Any:
    """A product with constant weights gets columns of zeros up to the next full vector, where they are few."""
    tvm = optional.require("tvm", "compiling")
    x, weight = call.args
    if not hasattr(weight, "value") or len(weight.ty.shape) != 2:
        return _stock(builder, call)
    values = weight.value.numpy()
    columns = values.shape[1]
    more = -columns % LANES
    if not more or more * 8 > columns or str(call.ty.dtype) != "float32":
        return _stock(builder, call)
    wider = tvm.relax.const(np.pad(values, ((0, 0), (0, more))))
    return builder.call_te(kernels.padded_product, x, wider, columns, primfunc_name_hint="matmul")


def _sigmoid(builder: Any, call: Any) -> Any:
    return builder.call_te(kernels.sigmoid, call.args[0], primfunc_name_hint="sigmoid")


def _stock(builder: Any, call: Any) -> Any:
    return call.op.get_attr("FLegalize")(builder, call)


def clip_as_bounds(module: Any) -> Any:
    """clip as maximum and minimum: TVM cannot turn a clip channels last, and leaves transposes around it."""
    tvm = optional.require("tvm", "compiling")
    relax: Any = tvm.relax

    @relax.expr_functor.mutator
    class Rewrite(relax.PyExprMutator):
        def visit_call_(self, call: Any) -> Any:
            call = super().visit_call_(call)
            if getattr(call.op, "name", "") != "relax.clip":
                return call
            x, *bounds = call.args
            low, high = (float(getattr(bound, "value", bound)) for bound in bounds)
            for bound, op in ((low, relax.op.maximum), (high, relax.op.minimum)):
                if isfinite(bound):
                    x = self.builder_.emit(op(x, relax.const(bound, str(call.ty.dtype))))
            return x

    rewrite = Rewrite(module)
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            rewrite.builder_.update_func(name, rewrite.visit_expr(function))
    return rewrite.builder_.get()
