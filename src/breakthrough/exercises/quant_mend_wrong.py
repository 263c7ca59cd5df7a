"""Module 4: training set-ups that do not work, or not as they should, for quant.mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from breakthrough.exercises.exercise import Misconception
from breakthrough.quant.bnb import bitsandbytes


def broken_set_up(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """What the lab asks to mend: a class that does not exist, an optimizer in an optimizer, embeddings in 8 bits."""
    from bitsandbytes.optim import EightBitOptimizer  # type: ignore[attr-defined]  # there is none

    return EightBitOptimizer(torch.optim.AdamW(model.parameters(), lr=lr))


def _manager() -> Any:
    return bitsandbytes().optim.GlobalOptimManager.get_instance()


def _embeddings(model):
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]


def _override(model):
    for module in _embeddings(model):
        _manager().register_module_override(module, "weight", {"optim_bits": 32})


def _eight(model, lr):
    return bitsandbytes().optim.AdamW8bit(model.parameters(), lr=lr)


def _wrong(make: Callable[..., Any] = _eight, override: Callable[[nn.Module], Any] = _override, change: Callable[[nn.Module], Any] = lambda model: None):
    """A set-up that differs in what is given."""

    def answer(model, lr):
        change(model)
        override(model)
        return make(model, lr)

    return answer


def _nothing(model):
    pass


def _registered_only(model):
    _manager().register_parameters(model.parameters())


def _bits_in_groups(model, lr):
    words = [m.weight for m in _embeddings(model)]
    others = [p for p in model.parameters() if not any(p is w for w in words)]
    groups = [{"params": others}] + ([{"params": words, "optim_bits": 32}] if words else [])
    return bitsandbytes().optim.AdamW8bit(groups, lr=lr)


def _first_only(model):
    for module in _embeddings(model)[:1]:
        _manager().register_module_override(module, "weight", {"optim_bits": 32})


def _by_a_name(model):
    _manager().register_module_override(model.embedding, "weight", {"optim_bits": 32})


def _by_attribute(name):
    def override(model):
        for module in _embeddings(model):
            _manager().register_module_override(module, name, {"optim_bits": 32})

    return override


def _linear_too(model):
    _override(model)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.out_features > 140:
            _manager().register_module_override(module, "weight", {"optim_bits": 32})


def _every(model):
    for p in model.parameters():
        _manager().override_config(p, "optim_bits", 32)


def _without_embeddings(model, lr):
    words = {id(m.weight) for m in _embeddings(model)}
    return bitsandbytes().optim.AdamW8bit([p for p in model.parameters() if id(p) not in words], lr=lr)


def _two(model, lr):
    words = [m.weight for m in _embeddings(model)]
    others = [p for p in model.parameters() if not any(p is w for w in words)]
    return torch.optim.AdamW(words or [torch.zeros(1)], lr=lr), bitsandbytes().optim.AdamW8bit(others, lr=lr)


def _inner(model, lr):
    optimizer = _eight(model, lr)
    optimizer.inner = torch.optim.AdamW(model.parameters(), lr=lr)
    return optimizer


def _both_step(model, lr):
    optimizer, other = _eight(model, lr), torch.optim.AdamW(model.parameters(), lr=lr)
    optimizer.register_step_post_hook(lambda *_: other.step())
    return optimizer


def _frozen(model):
    for module in _embeddings(model) or [model.head]:
        module.weight.requires_grad_(False)


def _stable(model):
    """Embeddings replaced by bitsandbytes' own, new weights and a norm with them."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Embedding):
                setattr(module, name, bitsandbytes().nn.StableEmbedding(child.num_embeddings, child.embedding_dim))


MISCONCEPTIONS = (
    Misconception(
        "no such class",
        broken_set_up,
        "bitsandbytes has no class of that name: dir(bnb.optim) lists what there is; the 8-bit AdamW is bnb.optim.AdamW8bit.",
        variants=(
            lambda model, lr: bitsandbytes().optim.AdamW8Bit(model.parameters(), lr=lr),
            lambda model, lr: bitsandbytes().optim.EightBitOptimizer(torch.optim.AdamW(model.parameters(), lr=lr)),
        ),
    ),
    Misconception(
        "not made from parameters",
        _wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit(torch.optim.AdamW(model.parameters(), lr=lr), lr=lr)),
        "An optimizer is made from parameters, not from another optimizer and not from the model: AdamW8bit takes AdamW's place, with model.parameters().",
        variants=(_wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit(model, lr=lr)), _wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit([n for n, _ in model.named_parameters()], lr=lr))),
    ),
    Misconception(
        "a base class",
        _wrong(lambda model, lr: bitsandbytes().optim.optimizer.Optimizer8bit(torch.optim.AdamW(model.parameters(), lr=lr))),
        "Optimizer8bit is the base class of the 8-bit optimizers, it has no step of its own and wraps nothing: use AdamW8bit.",
        variants=(_wrong(lambda model, lr: bitsandbytes().optim.optimizer.Optimizer8bit(model.parameters(), {"lr": lr, "weight_decay": 0.01}, optim_bits=8)),),
    ),
    Misconception(
        "two optimizers",
        _wrong(_two),
        "There are two optimizers where one is wanted: AdamW8bit keeps 32-bit state for what the manager is told, so it needs none beside it; two of them on the same weights move these twice.",
        variants=(_wrong(_inner), _wrong(_both_step)),
    ),
    Misconception(
        "no optimizer",
        _wrong(lambda model, lr: None),
        "No optimizer came back: return the AdamW8bit that was made, not the class, the manager or nothing.",
        variants=(_wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit), _wrong(lambda model, lr: _manager())),
    ),
    Misconception(
        "32 bits everywhere",
        _wrong(lambda model, lr: torch.optim.AdamW(model.parameters(), lr=lr)),
        "Nothing is in 8 bits: torch's AdamW, and bnb.optim.AdamW unless told otherwise, keep 32-bit state; use bnb.optim.AdamW8bit, and override for embeddings only.",
        variants=(_wrong(lambda model, lr: bitsandbytes().optim.AdamW(model.parameters(), lr=lr)), _wrong(override=_every)),
    ),
    Misconception(
        "embeddings in 8 bits",
        _wrong(override=_nothing),
        "The embeddings' state is in 8 bits too: tell GlobalOptimManager to keep optim_bits 32 for every nn.Embedding's weight, whatever its name; a group's own optim_bits is ignored, and register_parameters alone changes nothing.",
        variants=(_wrong(override=_registered_only), _wrong(_bits_in_groups, override=_nothing)),
    ),
    Misconception(
        "some embeddings",
        _wrong(override=_first_only),
        "One embedding was told and another was not, or was looked for by a name: go through model.modules() and take every nn.Embedding, whatever its name.",
        variants=(_wrong(override=_by_a_name),),
    ),
    Misconception(
        "more than embeddings",
        _wrong(override=_linear_too),
        "Weights that are no embeddings are in 32 bits too: only modules that are nn.Embedding are left out, not what is large or named so.",
    ),
    Misconception(
        "override by another name",
        _wrong(override=_by_attribute("embedding.weight")),
        "register_module_override takes the module and the name of the parameter within it: (module, \"weight\", …), for the module itself, not by its path in the model.",
        variants=(_wrong(override=_by_attribute("words")),),
    ),
    Misconception(
        "a module where a parameter belongs",
        _wrong(override=lambda model: [_manager().override_config(m, "optim_bits", 32) for m in _embeddings(model)]),
        "override_config takes parameters: pass module.weight; for a module there is register_module_override(module, \"weight\", …).",
    ),
    Misconception(
        "a second manager",
        _wrong(override=lambda model: bitsandbytes().optim.GlobalOptimManager()),
        "There is one manager for all, and it is not made but asked for: GlobalOptimManager.get_instance().",
    ),
    Misconception(
        "bits told twice",
        _wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit(model.parameters(), lr=lr, optim_bits=8)),
        "AdamW8bit has 8 bits already and refuses to be told so: leave optim_bits out, or use bnb.optim.AdamW(…, optim_bits=8).",
    ),
    Misconception(
        "parameters left out",
        _wrong(_without_embeddings, override=_nothing),
        "Some parameters are not trained: kept in 32 bits does not mean left out; give the optimizer all of model.parameters(), none frozen.",
        variants=(_wrong(change=_frozen),),
    ),
    Misconception(
        "the model changed",
        _wrong(override=_nothing, change=_stable),
        "The model is another one now: StableEmbedding brings new weights and a norm; the override gives 32-bit state to the embedding that is there.",
        variants=(_wrong(change=lambda model: model.half()),),
    ),
    Misconception(
        "another lr",
        _wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit(model.parameters())),
        "The lr that was given is not the optimizer's: pass lr=lr.",
    ),
    Misconception(
        "another weight decay",
        _wrong(lambda model, lr: bitsandbytes().optim.Adam8bit(model.parameters(), lr=lr)),
        "The weight decay is not 0.01: that is AdamW's, Adam has none; use AdamW8bit and leave its weight decay as it is.",
        variants=(_wrong(lambda model, lr: bitsandbytes().optim.AdamW8bit(model.parameters(), lr=lr, weight_decay=0.1)),),
    ),
)
