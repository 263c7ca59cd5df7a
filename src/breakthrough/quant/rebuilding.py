"""A model from its class and configuration, without its weights: what a quantized file needs to be loaded.

The course's nets and Hugging Face's causal LMs can be built so. A file names a kind, never a class to
import: nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from breakthrough import optional
from breakthrough.errors import ArtifactError, InputError, expected, unknown
from breakthrough.quant.weights import SUFFIX, QuantWeight
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.language import ByteLM, LanguageConfig

NETS: dict[str, tuple[type[nn.Module], Any]] = {"ByteLM": (ByteLM, LanguageConfig), "Inspector": (Inspector, InspectorConfig)}
TRANSFORMERS = "transformers"
PURPOSE = "models of Hugging Face"


def is_transformers(model: nn.Module) -> bool:
    """Whether a model is one of Hugging Face's, told without importing their package."""
    return any(base.__name__ == "PreTrainedModel" for base in type(model).__mro__)


def described(model: nn.Module) -> dict[str, Any]:
    """A model's class and configuration as plain data.

    Raises: InputError for a class that cannot be built from these
    """
    config: Any = getattr(model, "config", None)
    name = next((base.__name__ for base in type(model).__mro__ if base.__name__ in NETS), None)
    if name is not None:
        return {"kind": "course", "class": name, "config": config.to_dict()}
    if is_transformers(model):
        return {"kind": TRANSFORMERS, "class": type(model).__name__, "config": config.to_dict()}
    raise InputError(expected(f"{' or '.join(NETS)}, or a causal LM of Hugging Face's", type(model).__name__, "its state_dict() as safetensors"))


def built(facts: Mapping[str, Any]) -> nn.Module:
    """An untrained model of a class and configuration.

    Raises: ArtifactError for a kind that is not known
    """
    if facts["kind"] == TRANSFORMERS:
        return _transformers(facts["config"], facts["class"])
    if facts["kind"] != "course" or facts["class"] not in NETS:
        raise ArtifactError(str(unknown("model", f"{facts['kind']} {facts['class']}", NETS)))
    net, config = NETS[facts["class"]]
    return net(config.from_dict(facts["config"]))


def cast(model: nn.Module, dtype: torch.dtype) -> None:
    """Move a model's floating-point weights to a dtype; its quantized ones then give that dtype.

    Pictures in another dtype are moved too when the model is called. Hugging Face's models compute angles
    in float32 whatever their weights are: their buffers stay.
    """
    model.register_forward_pre_hook(_in_own_dtype)
    if not is_transformers(model):
        model.to(dtype)
        return
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    for module in model.modules():
        if isinstance(module, QuantWeight):
            module.dtype = dtype
    model.config.dtype = dtype


def _in_own_dtype(model: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    dtype = next(model.parameters()).dtype
    floats = [isinstance(x, Tensor) and x.is_floating_point() for x in arguments]
    return tuple(x.to(dtype) if is_float else x for x, is_float in zip(arguments, floats))


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the tensors of a file, each in its own dtype.

    Raises: ArtifactError when one is missing, left over, or of another shape
    """
    state = {name.replace(f"{SUFFIX}.", "."): tensor for name, tensor in model.state_dict().items()}
    places: dict[tuple, list[str]] = {}
    for name, tensor in state.items():
        places.setdefault((tensor.data_ptr(), tensor.shape, tensor.dtype) if tensor.numel() else (name,), []).append(name)
    missing = [names[0] for names in places.values() if not set(names) & set(tensors)]
    spare = sorted(set(tensors) - set(state))
    if missing or spare:
        what = f"no {missing[0]}" if missing else f"also {spare[0]}"
        raise ArtifactError(expected("the tensors of this model", what, "the file that was saved with it"))
    for name, tensor in tensors.items():
        if state[name].shape != tensor.shape or state[name].dtype != tensor.dtype:
            got = f"{tuple(tensor.shape)} {tensor.dtype}"
            raise ArtifactError(expected(f"{name} of shape {tuple(state[name].shape)} and {state[name].dtype}", got))
        state[name].copy_(tensor)


def _transformers(config: Mapping[str, Any], name: str) -> nn.Module:
    package = optional.require("transformers", PURPOSE)
    initialization = optional.require("transformers.initialization", PURPOSE)
    fields = dict(config)
    kind = fields.pop("model_type")
    settings = package.AutoConfig.for_model(kind, **fields)
    with initialization.no_init_weights():
        model = package.AutoModelForCausalLM.from_config(settings)
    if type(model).__name__ != name:
        raise ArtifactError(expected(f"a configuration of {name}", f"one of {type(model).__name__}"))
    model.tie_weights()
    return model
