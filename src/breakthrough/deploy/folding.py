"""Rewrites of a net's graph on constants in numpy: TVM's own pass compiles a program for every one of them.

Shape legend: O channels out, I in, kh × kw a kernel's window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from breakthrough import optional


def fold_batch_norm(module: Any) -> Any:
    """Give scale and shift of a BatchNorm to the convolution before it, where weights and statistics are constants."""
    relax: Any = optional.require("tvm", "compiling").relax

    @relax.expr_functor.mutator
    class Fold(relax.PyExprMutator):
        def visit_tuple_getitem_(self, op: Any) -> Any:
            op = super().visit_tuple_getitem_(op)
            norm = self.lookup_binding(op.tuple_value) if isinstance(op.tuple_value, relax.Var) else op.tuple_value
            if op.index != 0 or _name(norm) != "relax.nn.batch_norm":
                return op
            conv: Any = self.lookup_binding(norm.args[0]) if isinstance(norm.args[0], relax.Var) else None
            if _name(conv) != "relax.nn.conv2d" or not _foldable(conv, norm):
                return op
            weight, shift = _folded(conv.args[1], norm.args[1:], float(norm.attrs.epsilon))
            attrs = {name: getattr(conv.attrs, name) for name in ("strides", "padding", "dilation", "groups")}
            plain = self.builder_.emit(relax.op.nn.conv2d(conv.args[0], relax.const(weight), **attrs))
            return relax.op.add(plain, relax.const(shift.reshape(1, -1, 1, 1)))

    fold = Fold(module)
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            fold.builder_.update_func(name, fold.visit_expr(function))
    return fold.builder_.get()


def _name(call: Any) -> str:
    return str(getattr(getattr(call, "op", None), "name", ""))


def _foldable(conv: Any, norm: Any) -> bool:
    constants = all(hasattr(x, "value") and hasattr(x.value, "numpy") for x in (conv.args[1], *norm.args[1:]))
    layouts = (conv.attrs.data_layout, conv.attrs.kernel_layout, conv.attrs.out_layout)
    plain = layouts == ("NCHW", "OIHW", "NCHW") and int(norm.attrs.axis) == 1
    return constants and plain and bool(norm.attrs.center) and bool(norm.attrs.scale)


def _folded(kernel: Any, statistics: Any, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Shapes: kernel (O, I, kh, kw); scale, shift, mean, variance (O,) → (O, I, kh, kw), (O,)."""
    scale, shift, mean, variance = (x.value.numpy().astype("float64") for x in statistics)
    factor = scale / np.sqrt(variance + epsilon)
    weight = kernel.value.numpy() * factor.reshape(-1, 1, 1, 1)
    return weight.astype("float32"), (shift - mean * factor).astype("float32")
