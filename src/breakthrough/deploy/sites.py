"""Where a net multiplies by weights: the products that can be quantized, found in a module and named.

A site's name is its kind and its place in the order of computation, the same whatever the batch size: what
was measured at one batch size holds for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from breakthrough.errors import BreakthroughError, InputError, expected

CONVOLUTION, LINEAR = "conv2d", "linear"
FEW = 16  # outputs: fewer fill no vector


@dataclass(frozen=True, eq=False)
class Site:
    """A product of activations with constant weights.

    Shapes: weight (kh, kw, I, O) of a convolution over channels-last pictures, (I, O) of a linear layer
    """

    name: str
    kind: str
    call: Any
    weight: np.ndarray

    @property
    def input(self) -> Any:
        """What the weights are multiplied with."""
        return self.call.args[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The weights' shape."""
        return tuple(self.weight.shape)


def canonical(module: Any) -> Any:
    """A module in the form that sites are found in: BatchNorm in its convolution, pictures channels last, constants folded."""
    from tvm import relax

    from breakthrough.deploy.optimize import clip_as_bounds

    steps = (
        clip_as_bounds,
        relax.transform.FoldBatchnormToConv2D(),
        relax.transform.Normalize(),
        relax.transform.FoldConstant(),
        relax.transform.DecomposeOpsForInference(),
        relax.transform.CanonicalizeBindings(),
        relax.transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]}),
        relax.transform.FoldConstant(),
        relax.transform.CanonicalizeBindings(),
    )
    for step in steps:
        module = step(module)
    return module


def entries(module: Any) -> dict[Any, Any]:
    """The functions of a module that its callers know: global variable → Relax function."""
    from tvm import relax

    return {v: f for v, f in module.functions_items() if isinstance(f, relax.Function)}


def sites(function: Any) -> dict[str, Site]:
    """The products of a function in canonical form, in the order of computation."""
    found: dict[str, Site] = {}
    counts = {CONVOLUTION: 0, LINEAR: 0}
    for block in function.body.blocks:
        for binding in block.bindings:
            match = _match(getattr(binding, "value", None))
            if match:
                kind, call, weight = match
                name = f"{kind}{counts[kind]}"
                counts[kind] += 1
                found[name] = Site(name, kind, call, weight)
    return found


def few_outputs(site: Site) -> str:
    """Why a product of few outputs stays in floating point, or ""."""
    if site.shape[-1] >= FEW:
        return ""
    return f"{site.shape[-1]} outputs: a head's or a router's errors go straight into what is decided, and few bytes are won"


def others(function: Any) -> dict[str, str]:
    """The products of a function in canonical form that are no sites: name → why not."""
    from tvm import ir

    found: dict[str, str] = {}
    for block in function.body.blocks:
        for binding in block.bindings:
            call = getattr(binding, "value", None)
            name = getattr(getattr(call, "op", None), "name", "") if isinstance(call, ir.Call) else ""
            if name in ("relax.nn.conv2d", "relax.matmul") and _match(call) is None:
                kind = name.rpartition(".")[2]
                found[f"other {kind}{len(found)}"] = _why_not(call)
    return found


def rewrite(module: Any, change: Callable[[Any, Site], Any]) -> Any:
    """Put `change(builder, site)` in the place of every site; None leaves one as it is."""
    from tvm import IRModule, relax
    from tvm.relax.expr_functor import PyExprMutator, mutator

    @mutator
    class Rewrite(PyExprMutator):
        def __init__(self, mod: Any) -> None:
            super().__init__(mod)
            self.places: list[tuple[Any, Site]] = []
            self.error: BreakthroughError | None = None  # TVM's visitors make a RuntimeError of any other

        def visit_call_(self, call: Any) -> Any:
            site = next((s for original, s in self.places if original.same_as(call)), None)
            visited = self.visit_expr_post_order(call)
            if site is None:
                return visited
            try:
                changed = change(self.builder_, Site(site.name, site.kind, visited, site.weight))
            except BreakthroughError as error:
                self.error, changed = self.error or error, None
            return visited if changed is None else changed

    work = Rewrite(IRModule(dict(module.functions_items())))
    for variable, function in entries(module).items():
        work.places = [(site.call, site) for site in sites(function).values()]
        changed = work.visit_expr(function)
        if work.error:
            raise work.error
        work.builder_.update_func(variable, relax.analysis.remove_all_unused(changed))
    return work.builder_.get()


def inputs_of(function: Any) -> tuple[Any, list[str]]:
    """A function that gives every site's input instead of the answer, and the sites' names in its order.

    Raises: InputError for a net without sites
    """
    from tvm import relax

    places = sites(function)
    if not places:
        raise InputError(expected("a net with a convolution or a linear layer of constant weights", "none"))
    seen = relax.Tuple([site.input for site in places.values()])
    body = relax.SeqExpr(function.body.blocks, seen)
    return relax.Function(function.params, body, relax.TupleType([x.ty for x in seen.fields])), list(places)


def _match(value: Any) -> tuple[str, Any, np.ndarray] | None:
    from tvm import ir

    if not isinstance(value, ir.Call) or not isinstance(value.op, ir.Op) or len(value.args) != 2:
        return None
    weight = value.args[1]
    if not hasattr(weight, "value") or not hasattr(weight.value, "numpy") or str(weight.ty.dtype) != "float32":
        return None
    array = weight.value.numpy()
    if value.op.name == "relax.nn.conv2d" and _plain(value.attrs) and array.ndim == 4:
        return CONVOLUTION, value, array
    if value.op.name == "relax.matmul" and array.ndim == 3 and (array == array[:1]).all():
        array = array[0]  # one weight, repeated for every row of the batch by the exporter
    if value.op.name == "relax.matmul" and array.ndim == 2:
        return LINEAR, value, array
    return None


def _why_not(call: Any) -> str:
    if call.op.name == "relax.matmul":
        return "no constant weights: both sides are computed"
    if int(call.attrs.groups) > 1:
        return "a convolution by groups: a channel alone has no four products to sum at once"
    return "a form of convolution that no integer loop nest is written for"


def _plain(attrs: Any) -> bool:
    layouts = attrs.data_layout == attrs.out_layout == "NHWC" and attrs.kernel_layout == "HWIO"
    return layouts and int(attrs.groups) == 1 and all(int(d) == 1 for d in attrs.dilation)
