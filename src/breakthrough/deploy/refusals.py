"""What cannot be exported, said with its place in the model and a way round it.

    InputError
    └── ExportError               a model has no graph that is the same for every input, or a wrong answer came out
        └── UnsupportedOpError    operators that TVM or ONNX does not know; `places` has all of them
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from breakthrough.deploy.places import Place, place_of_error
from breakthrough.errors import InputError, expected

# the start of an operator's name → how a model can do without it
REWRITES = {
    "_fft": "a product with the transform's matrix, torch.fft.fft(torch.eye(n)) kept as a buffer; or the transform before the net",
    "_cdist": "(a[:, None] − b[None]).square().sum(-1).sqrt()",
    "_linalg": "doing it once before the export, with its answer in a buffer",
    "index.Tensor": "torch.where with both answers, if the index is a mask",
    "nonzero": "torch.where with both answers: the shape of what it finds depends on the values",
    "masked_select": "torch.where with both answers: the shape of what it finds depends on the values",
    "masked_scatter": "torch.where",
    "scatter_reduce": "one_hot and a product, or amax over a masked copy",
    "_embedding_bag": "an Embedding and a mean",
    "rand": "the random numbers as an input",
    "dequantize": "breakthrough.deploy.models.lookups, which puts the lookup of the codes in the kernel's place",
}
CONVERTER = 'try other operators on these lines, or @converter("{op}") above a function (node, importer) that says it in Relax: breakthrough.deploy.converters has examples'
EXPERTS = "breakthrough.train.mixture.every_expert, which asks all experts"
BRANCH = "torch.where with both answers, or torch.cond; a number that does not change can be taken out of forward"
ON_VALUES = ("data-dependent", "Data-dependent", "unbacked", "with symbolic sizes")  # in torch's messages
SIZES = 'x.shape[0], flatten(1) or unflatten in the place of a number, or batch="fixed"'


class ExportError(InputError):
    """A model cannot be exported, or what was exported does not answer as the model does."""


class UnsupportedOpError(ExportError):
    """A model has operators that the next format does not know. `places` says where each stands."""

    def __init__(self, places: tuple[Place, ...], knower: str = "TVM's frontend", last: str = CONVERTER, why: str = "") -> None:
        self.places = places
        count = "one that it does not" if len(places) == 1 else f"{len(places)} that it does not"
        lines = [expected(f"operators that {knower} knows", count + (f" ({why})" if why else ""))]
        for place in places:
            lines += [f"  {place}", *([f"    way round: {rewriting(place)}"] if rewriting(place) else [])]
        super().__init__("\n".join([*lines, last.format(op=places[0].op)]))


def rewriting(place: Place) -> str:
    """How a model can do without an operator, where that is known; else ""."""
    return next((text for start, text in REWRITES.items() if place.op.startswith(start)), "")


def refused(error: Exception, model: nn.Module, upto: int, fixed_at: Callable[[], list[Place]]) -> ExportError:
    """What torch.export says of a model that it refuses, in one sentence with the place.

    `fixed_at` finds out where the model makes its batch a number.
    """
    kind, text, place = type(error).__name__, str(error), place_of_error(error, model)
    if "Constraints violated" in text:
        at = next((found.where for found in fixed_at() if found.line), "an unknown place")
        return ExportError(expected(f"a model that takes every batch from 1 to {upto}", f"a batch that becomes a number in {at}", SIZES))
    if any(word in text for word in ON_VALUES) or "DataDependent" in kind:
        hint = EXPERTS if place.kind == "SparseMoE" else BRANCH
        return ExportError(expected("one graph for every input", f"a choice or a shape that depends on the values in {place.where}", hint))
    first = next((line.strip() for line in text.splitlines() if line.strip()), kind)
    return ExportError(expected("a model that torch.export can follow", f"{kind} in {place.where}: {first}", "tensor operations alone in forward"))
