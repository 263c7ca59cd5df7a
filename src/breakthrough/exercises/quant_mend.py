"""Module 4: mending a training set-up in 8 bits that cannot run (claim C08)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, nn

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.quant_mend_afar import judged_by
from breakthrough.exercises.quant_mend_trial import NETS
from breakthrough.exercises.quant_mend_wrong import MISCONCEPTIONS


def set_up(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Make the optimizer for training a model: AdamW with its state in 8 bits, but in 32 for embeddings.

    Why:    8-bit state is a quarter of the bytes. A row of an embedding gets a gradient only when its token occurs,
            so its numbers differ more than those of other weights, and bitsandbytes' authors keep them in 32 bits
    Units:  one optimizer of bitsandbytes, over every parameter of the model, with this lr and AdamW's usual weight
            decay of 0.01. After a step the state of every nn.Embedding's weight, however the module is called and
            wherever it is, is float32; that of every other weight of 4,096 numbers or more is uint8 (bitsandbytes
            keeps smaller ones in float32 by itself). The model stays as it was
    Source: Dettmers et al. 2021, arXiv:2110.02861, section 2.3
    """
    import bitsandbytes as bnb

    manager = bnb.optim.GlobalOptimManager.get_instance()
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            manager.register_module_override(module, "weight", {"optim_bits": 32})
    return bnb.optim.AdamW8bit(model.parameters(), lr=lr)


def _by_parameter(model, lr):
    from bitsandbytes.optim import AdamW, GlobalOptimManager

    GlobalOptimManager.get_instance().register_parameters(model.parameters())
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=0.01, optim_bits=8)
    for module in filter(lambda m: isinstance(m, nn.Embedding), model.modules()):
        GlobalOptimManager.get_instance().override_config(module.weight, "optim_bits", 32)
    return optimizer


def _in_groups(model, lr):
    from bitsandbytes import optim

    embeddings = [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]
    ids = set(map(id, embeddings))
    others = [p for p in model.parameters() if id(p) not in ids]
    if embeddings:
        optim.GlobalOptimManager.get_instance().override_config(embeddings, key_value_dict={"optim_bits": 32})
    embeddings = list({id(p): p for p in embeddings}.values())
    groups = [{"params": part} for part in (others, embeddings) if part]
    return optim.AdamW8bit(groups, lr, betas=(0.9, 0.999), eps=1e-8)


def _by_recursion(model, lr):
    import bitsandbytes as bnb

    def mark(module):
        if isinstance(module, nn.Embedding):
            bnb.optim.GlobalOptimManager.get_instance().register_module_override(module, "weight", {"optim_bits": 32})
        for child in module.children():
            mark(child)

    optimizer = bnb.optim.AdamW8bit([{"params": list(model.parameters()), "weight_decay": 1e-2}], lr=lr)
    mark(model)  # read at the first step
    return optimizer


def _cases(generator: Generator) -> Iterator[Case]:
    for label in NETS:
        seed = int(torch.randint(2**31, (), generator=generator))
        lr = round(0.004 + 0.006 * float(torch.rand((), generator=generator)), 5)
        yield Case(label, (label, seed, lr))


EXERCISES = (
    Exercise(
        name="quant.mend",
        title="Mend a training set-up",
        points=6,
        minutes=30,
        difficulty=2,
        reference=set_up,
        cases=_cases,
        call=judged_by(set_up),
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_by_parameter, _in_groups, _by_recursion),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Ask three things of the set-up. Does the class that it imports exist (`dir(bnb.optim)` tells)? An optimizer is made from parameters: what would one do with another optimizer? And which parameters would suffer from 8 bits, and who is told so?",
            "model.modules() → those that are nn.Embedding → for each, the manager GlobalOptimManager.get_instance() is told (module, \"weight\", {\"optim_bits\": 32}) by register_module_override; model.parameters(), all of them, and lr → one AdamW8bit",
            "manager = the one GlobalOptimManager there is\nfor each module of the model, however deep:\n    if it is an nn.Embedding: register an override for its \"weight\": optim_bits 32\nreturn AdamW8bit over all parameters, with lr",
        ),
    ),
)
