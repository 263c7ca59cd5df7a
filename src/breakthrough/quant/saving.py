"""A quantized model as two files: codes and scales as safetensors, and JSON that says what they are.

The JSON holds all that is needed to build the model again without the original: its class and
configuration, the scheme, every weight's format and shape, and the SHA-256 of the other file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from breakthrough import artifacts, files
from breakthrough.errors import ArtifactError, BreakthroughError, DtypeError, InputError, expected
from breakthrough.quant import rebuilding
from breakthrough.quant.apply import RECORD, Record, put
from breakthrough.quant.quantized import Quantized, described
from breakthrough.quant.schemes import DTYPES, Scheme, format_of
from breakthrough.quant.weights import SUFFIX, Layout, QuantWeight, quantized_weights

WEIGHTS, FACTS = "quantized.safetensors", "quantized.json"
VERSION = 1


def save(model: nn.Module, folder: str | Path) -> Path:
    """Write a quantized model; aside, then renamed, so it is there whole or not at all. Gives the folder.

    An earlier quantized model in the folder is replaced.

    Raises: InputError for a model that is not quantized, or of a class that cannot be built again, and for a
            folder with other files in it
    """
    record, target = record_of(model), Path(folder)
    check_folder(target)
    tensors = _tensors(model)
    facts = {
        "version": VERSION,
        "scheme": record.scheme.to_dict(),
        "model": rebuilding.described(model),
        "weights": {name: _facts(names, weight) for name, names, weight in _shared(model)},
        "kept": dict(record.kept),
    }
    with files.folder_aside(target) as aside:
        save_file(tensors, aside / WEIGHTS, metadata=_stamp(facts))
        _order(aside / WEIGHTS)
        facts["sha256"] = artifacts.sha256(aside / WEIGHTS)
        (aside / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return target


def load(folder: str | Path, scheme: str | None = None, model: str | None = None) -> nn.Module:
    """The quantized model in a folder, on the CPU, in evaluation mode; the original is not needed.

    `scheme` and `model`, a scheme's and a class's name, are what the caller counts on.

    Raises: ArtifactError when a file is missing, truncated, altered, of another version, or when it is of
            another scheme or model than the caller counts on
    """
    home = Path(folder)
    facts = read_facts(home)
    for what, wanted, found in (("scheme", scheme, facts["scheme"]["name"]), ("model", model, facts["model"]["class"])):
        if wanted is not None and wanted != found:
            raise ArtifactError(expected(f"a quantized model of the {what} {wanted!r} in {home}", repr(found)))
    tensors = _read_tensors(home, facts)
    try:
        return _build(facts, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, BreakthroughError) and not isinstance(error, InputError):
            raise
        raise ArtifactError(expected(f"the parts of a quantized model in {home}", repr(error), "saving it again")) from error


def read_facts(folder: Path) -> dict[str, Any]:
    """What the JSON of a quantized model says.

    Raises: ArtifactError when it is not there, not readable, or of another version
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        version, _ = facts["version"], (facts["scheme"]["name"], facts["model"]["class"], facts["sha256"])
    except OSError as error:
        raise ArtifactError(expected(f"a quantized model in {folder}", f"no file {FACTS}", "breakthrough quantize MODEL --out DIR")) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(expected(f"a readable {FACTS} in {folder}", repr(error), "saving it again")) from error
    if version != VERSION:
        raise ArtifactError(expected(f"{FACTS} of version {VERSION} in {folder}", version, "the library it was saved with"))
    return facts


def record_of(model: nn.Module) -> Record:
    """How a model was quantized.

    Raises: InputError for one that was not
    """
    if not hasattr(model, RECORD):
        raise InputError(expected("a quantized model", f"{type(model).__name__} in floating point", "quantize(model, scheme) first"))
    return getattr(model, RECORD)


def check_folder(folder: Path) -> None:
    """Refuse to write over what is not a quantized model.

    Raises: InputError
    """
    if folder.is_file():
        raise InputError(expected("a folder to write to", f"the file {folder}"))
    others = sorted(path.name for path in folder.iterdir() if path.name not in (WEIGHTS, FACTS)) if folder.is_dir() else []
    if others:
        raise InputError(expected(f"a new or empty folder, or a quantized model, in {folder}", f"also {others[0]}", "another folder"))


def check_parts(stored: Quantized) -> Quantized:
    """A quantized tensor whose parts are those of its format and shape, as it came.

    Raises: InputError, ShapeError, DtypeError when they are not
    """
    like = stored.format.quantize(torch.zeros((2,) * len(stored.shape))).parts
    for name, part in stored.parts.items():
        if name in like and part.dtype != like[name].dtype:
            raise DtypeError(expected(f"{name} in {like[name].dtype}", part.dtype))
    stored.dequantize()  # refuses other names and shapes
    return stored


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    found, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if (key := (tensor.data_ptr(), tensor.shape, tensor.dtype)) not in seen or not tensor.numel():
            seen.add(key)
            found[name.replace(f"{SUFFIX}.", ".")] = tensor.detach().cpu().contiguous()
    return found


def _shared(model: nn.Module) -> list[tuple[str, list[str], QuantWeight]]:
    """Every quantized weight once, with all the places that it has."""
    places: dict[int, tuple[QuantWeight, list[str]]] = {}
    for name, weight in quantized_weights(model, every_place=True):
        places.setdefault(id(weight), (weight, []))[1].append(name)
    return [(names[0], names, weight) for weight, names in places.values()]


def _facts(names: list[str], weight: QuantWeight) -> dict[str, Any]:
    layout = weight.layout
    return {
        "names": names,
        "format": described(weight.format),
        "shape": list(layout.shape),
        "stored_shape": list(weight.stored_shape),
        "outputs": layout.outputs,
        "swapped": layout.swapped,
        "dtype": str(weight.dtype).removeprefix("torch."),
    }


def _stamp(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the tensors' file says of itself, so that no other file can stand in for it."""
    model = facts["model"]
    return {"version": str(facts["version"]), "scheme": facts["scheme"]["name"], "model": model["class"]}


def _order(path: Path) -> None:
    """Put a safetensors file's metadata in order, which come in any: equal models give equal files."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(size))
        head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
        file.seek(8)
        file.write(json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode().ljust(size))


def _read_tensors(home: Path, facts: Mapping[str, Any]) -> dict[str, Tensor]:
    path = home / WEIGHTS
    if not path.is_file():
        raise ArtifactError(expected(f"the file {WEIGHTS} in {home}", "no such file", "saving it again"))
    try:
        with safe_open(path, framework="pt") as file:
            stamp = file.metadata() or {}
            if stamp != _stamp(facts):
                got = f"{stamp.get('model', 'another')} in {stamp.get('scheme', 'no scheme')}"
                raise ArtifactError(expected(f"{facts['model']['class']} in {facts['scheme']['name']} in {path}", got, "its own file"))
            if (digest := artifacts.sha256(path)) != facts["sha256"]:
                raise ArtifactError(expected(f"{WEIGHTS} with SHA-256 {facts['sha256'][:12]}… in {home}", f"{digest[:12]}…, so it was changed or is of another model", "saving it again"))
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ArtifactError(expected(f"a whole safetensors file {path}", str(error), "saving it again")) from error


def _build(facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    scheme = Scheme.from_dict(facts["scheme"])
    model = rebuilding.built(facts["model"])
    if scheme.dtype is not None:
        rebuilding.cast(model, scheme.dtype)
    for name, one in facts["weights"].items():
        parts = {key.removeprefix(f"{name}."): part for key, part in tensors.items() if key.startswith(f"{name}.")}
        layout = Layout(tuple(one["shape"]), one["outputs"], one["swapped"])
        stored = check_parts(Quantized(format_of(one["format"]), parts, tuple(one["stored_shape"]), DTYPES[one["dtype"]]))
        put(model, tuple(one["names"]), QuantWeight(stored, layout), scheme)
    rebuilding.fill(model, tensors)
    setattr(model, RECORD, Record(scheme, facts["kept"]))
    return model.eval().requires_grad_(False)
