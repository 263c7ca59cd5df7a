"""Exported graphs as pictures and texts: operators as boxes with the shapes that they give.

Every function returns a matplotlib Figure of its own. Colours are Okabe and Ito's; each box says its operator too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakthrough.deploy.export import Exported
from breakthrough.errors import InputError, expected
from breakthrough.pictures import GREEN, INK, ORANGE, PALE, SKY, YELLOW, describe, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEEP = 13  # boxes below each other before the next column
WIDTH, HEIGHT, STEP, GAP = 1.9, 0.42, 0.6, 0.62  # of a box, from box to box, between columns; inches
PRODUCTS = ("conv", "linear", "matmul", "mm", "addmm", "bmm", "attention", "einsum")
REDUCTIONS = ("sum", "mean", "max", "amax", "min", "logsumexp", "norm", "softmax", "pool")
MOVES = ("view", "reshape", "permute", "slice", "cat", "concat", "pad", "expand", "squeeze", "flatten", "transpose", "select", "getitem", "item", "split", "chunk", "unbind", "take", "embedding", "to_copy", "astype", "clone", "tuple")
BORDER = "input, output, constant"
KINDS = {"product": ORANGE, "reduction": GREEN, "element by element": SKY, "moves numbers": YELLOW, BORDER: PALE}


@dataclass(frozen=True)
class Op:
    """An operator of a graph: its name, the shape that it gives, that of its weight, and the operators before it."""

    name: str
    shape: str
    weight: str = ""
    inputs: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """What it does with numbers, roughly: one of KINDS."""
        if self.name in ("input", "output", "constant"):
            return BORDER
        short = self.name.rpartition(".")[2]
        named = {"product": PRODUCTS, "moves numbers": MOVES, "reduction": REDUCTIONS}
        if short == "maximum" or short == "minimum":
            return "element by element"
        return next((kind for kind, starts in named.items() if any(start in short for start in starts)), "element by element")


def ops_of_torch(program: Any) -> tuple[Op, ...]:
    """The operators of torch.export's graph, in order; weights are parts of the operators that take them."""
    weights = set(program.graph_signature.inputs_to_parameters) | set(program.graph_signature.inputs_to_buffers)
    weights |= set(getattr(program.graph_signature, "inputs_to_lifted_tensor_constants", ()))
    found: list[Op] = []
    at: dict[Any, int] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in weights:
            continue
        before = tuple(at[arg] for arg in node.all_input_nodes if arg in at)
        own = [_sizes(arg.meta["val"].shape) for arg in node.all_input_nodes if arg.name in weights]
        if node.op == "placeholder":
            found.append(Op("input", _sizes(node.meta["val"].shape)))
        elif node.op == "output":
            found.append(Op("output", "", "", before))
        else:
            value = node.meta.get("val")
            found.append(Op(node.target.__name__.partition(".")[0], _sizes(getattr(value, "shape", ())), max(own, key=len, default=""), before))
        at[node] = len(found) - 1
    return tuple(found)


def ops_of_relax(exported: Exported) -> tuple[Op, ...]:
    """The operators of the first function of a Relax module, in order."""
    from tvm import ir, relax

    function = exported.module[next(iter(exported.functions))]
    found: list[Op] = [Op("input", _sizes(param.ty.shape)) for param in function.params]
    at = {param: i for i, param in enumerate(function.params)}
    for block in function.body.blocks:
        for binding in block.bindings:
            value = binding.value
            parts = _parts(value)
            before = tuple(dict.fromkeys(at[part] for part in parts if isinstance(part, relax.Var) and part in at))
            constants = [] if isinstance(value, ir.GenericConst) else [_sizes(part.value.shape) for part in parts if isinstance(part, ir.GenericConst)]
            name = _name(value)
            if name == "tuple" and len(before) == 1:  # another name for what is there already
                at[binding.var] = before[0]
                continue
            found.append(Op(name, _sizes(getattr(binding.var.ty, "shape", ()) or ()), max(constants, key=len, default=""), before))
            at[binding.var] = len(found) - 1
    last = (at[part] for part in _parts(function.body.body) if part in at)
    return (*found, Op("output", "", "", tuple(last)))


def graph_text(ops: Sequence[Op]) -> str:
    """A graph as a text: a line for each operator, with the lines that it takes from."""
    lines = [f"{i:3}  {op.name:22} {op.shape:22} {op.weight:18} {' '.join(map(str, op.inputs))}".rstrip() for i, op in enumerate(ops)]
    return "\n".join([f"{'':3}  {'operator':22} {'gives':22} {'weight':18} takes", *lines])


def graphs(named: Mapping[str, Sequence[Op]], deep: int = DEEP) -> Figure:
    """Graphs beside each other, each operator a numbered box, in the order of running.

    What a box takes from another column stands before it as that box's number.

    Raises: InputError for nothing to draw
    """
    if not named or not all(named.values()):
        raise InputError(expected("graphs with operators", dict(named)))
    columns = {title: -(-len(ops) // deep) for title, ops in named.items()}
    wide = sum(columns.values()) * (WIDTH + GAP) + 0.5 * (len(named) - 1)
    rows = min(deep, max(map(len, named.values())))
    figure = new_figure(wide + 0.2, rows * STEP + 0.9)
    axes = figure.subplots()
    left = 0.0
    for title, ops in named.items():
        _draw(axes, title, ops, left, deep)
        left += columns[title] * (WIDTH + GAP) + 0.5
    axes.set(xlim=(-0.5, left - 0.9), ylim=(-rows * STEP - 0.1, 0.45), aspect="equal")
    axes.axis("off")
    _legend(axes, named, rows)
    said = (
        "Graphs of operators as numbered boxes joined by arrows, in the order of running. "
        + "; ".join(f"{title}: {sum(op.kind != BORDER for op in ops)} operators, of them {sum(op.kind == 'product' for op in ops)} products" for title, ops in named.items()) + "."
    )
    return describe(figure, said)


def _draw(axes: Axes, title: str, ops: Sequence[Op], left: float, deep: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    places = [(left + i // deep * (WIDTH + GAP), -(i % deep) * STEP) for i in range(len(ops))]
    axes.text(left, 0.34, f"{title}: {sum(op.kind != BORDER for op in ops)} operators", fontsize=11, weight="bold", va="center", color=INK)
    lanes: list[tuple[int, int, int]] = []
    for i, (op, (x, y)) in enumerate(zip(ops, places)):
        style = "round,pad=0,rounding_size=0.06"
        axes.add_patch(FancyBboxPatch((x, y - HEIGHT), WIDTH, HEIGHT, boxstyle=style, fc=KINDS[op.kind], ec=INK, lw=0.8, alpha=0.75))
        below = f"weight {op.weight}  →  {op.shape}" if op.weight else op.shape
        axes.text(x + WIDTH / 2, y - HEIGHT * (0.3 if below else 0.5), op.name, ha="center", va="center", fontsize=9, color=INK)
        axes.text(x + WIDTH / 2, y - HEIGHT * 0.74, below, ha="center", va="center", fontsize=8, color=INK)
        axes.text(x + 0.06, y - HEIGHT * 0.26, str(i), ha="left", va="center", fontsize=8, color=INK)
        elsewhere = [before for before in op.inputs if before // deep != i // deep]
        if elsewhere:
            axes.text(x - 0.05, y - HEIGHT / 2, f"{' '.join(map(str, elsewhere))} ▸", ha="right", va="center", fontsize=8, color=INK, zorder=3, bbox={"fc": "white", "ec": "none", "pad": 0.5})
        for before in op.inputs:
            if before // deep == i // deep:
                _arrow(axes, places[before], (x, y), i - before, _lane(lanes, before, i))


def _lane(lanes: list[tuple[int, int, int]], start: int, end: int) -> int:
    """The innermost lane beside the boxes that no other arrow uses on the way."""
    if end - start == 1:
        return 0
    taken = {lane for first, last, lane in lanes if first < end and start < last}
    lane = next(n for n in range(len(lanes) + 1) if n not in taken)
    lanes.append((start, end, lane))
    return lane


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], apart: int, lane: int) -> None:
    """Straight to the next box; to a later one out at the side, down a lane, and in again."""
    style = {"arrowstyle": "-|>", "color": INK, "lw": 0.8, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    (x0, y0), (x1, y1) = start, end
    if apart == 1:
        axes.annotate("", (x1 + WIDTH / 2, y1), (x0 + WIDTH / 2, y0 - HEIGHT), arrowprops=style)
        return
    side, down, up = x0 - 0.13 - 0.1 * lane, y0 - HEIGHT * 0.7, y1 - HEIGHT * 0.3
    axes.plot([x0, side, side], [down, down, up], color=INK, lw=0.8, solid_joinstyle="round")
    axes.annotate("", (x1, up), (side, up), arrowprops=style)


def _legend(axes: Axes, named: Mapping[str, Sequence[Op]], rows: int) -> None:
    from matplotlib.patches import Patch

    there = {op.kind for ops in named.values() for op in ops}
    patches = [Patch(fc=colour, ec=INK, lw=0.8, alpha=0.75, label=kind) for kind, colour in KINDS.items() if kind in there]
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(patches), fontsize=9, frameon=False)


def _sizes(shape: Any) -> str:
    """A shape as 8×16×16, a dynamic dimension as B."""
    values = getattr(shape, "values", shape)
    values = values() if callable(values) else values
    return "×".join(_number(n) for n in values)


def _number(n: Any) -> str:
    if isinstance(n, int):
        return str(n)
    value = getattr(n, "value", None)
    return str(int(value)) if isinstance(value, int) else "B"


def _name(value: Any) -> str:
    from tvm import ir

    if isinstance(value, ir.GenericConst):
        return "constant"
    return value.op.name.removeprefix("relax.") if isinstance(value, ir.Call) and hasattr(value.op, "name") else "tuple"


def _parts(value: Any) -> list[Any]:
    """What an expression is made of, tuples opened."""
    from tvm import ir, relax

    args = list(value.args) if isinstance(value, ir.Call) else [value]
    parts: list[Any] = []
    for arg in args:
        parts += list(arg.fields) if isinstance(arg, relax.Tuple) else [arg]
    return parts
