"""The stages that make the net small and fast: module 4's codes, module 5's machine code. And what all versions answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.capstone.line import LINE, SYNTHETIC, VALID
from breakthrough.capstone.order import Order
from breakthrough.deploy.handover import load_engine, save_compiled
from breakthrough.deploy.inspecting import compile_inspector
from breakthrough.deploy.runtime import Engine
from breakthrough.quant.handover import load_quantized_inspector, save_quantized
from breakthrough.quant.inspecting import shrink_inspector
from breakthrough.train.inspection import logits
from breakthrough.train.inspector import Inspector, load_inspector
from breakthrough.train.pictures import Pictures, to_input
from breakthrough.train.sets import load_set, together

KIND, FILE = "answers", "answers.npz"
CHUNK = 64  # pictures that a compiled net is asked at once
Ask = Callable[[np.ndarray], np.ndarray]


def quantized(order: Order) -> Artifact:
    """The federated net in int8 and NF4, with what that changed of pictures kept from training."""
    valid = together([load_set(one, "valid") for one in order.those("train")])
    return save_quantized(shrink_inspector(order.input("federated"), valid), metrics=order.metrics())


def compiled(order: Order) -> Artifact:
    """The federated net and its int8 codes as machine code, held against PyTorch and timed beside it."""
    valid = together([load_set(one, "valid") for one in order.those("train")])
    batches, runs = order.spec.batches, 400 if order.spec.seconds >= 1 else 30
    return save_compiled(compile_inspector(order.input("quantized"), batches=batches, runs=runs, test=valid), metrics=order.metrics())


def answers(order: Order) -> Artifact:
    """What every version of the net says of all held-out pictures, and of those that a threshold may be chosen with."""
    sets = {
        SYNTHETIC: together([load_set(one, "test") for one in order.those("test")]),
        LINE: together([load_set(one, "traced") for one in order.those("traced")]),
        VALID: together([load_set(one, "valid") for one in order.those("train")]),
    }
    arrays = {f"{domain}/labels": one.labels for domain, one in sets.items()}
    versions = _versions(order)
    for i, (version, ask) in enumerate(versions.items()):
        for domain, one in sets.items():
            arrays[f"{domain}/{version}"] = ask(one.images).astype(np.float32)
        order.tell(i + 1, len(versions))

    def write(path: Path) -> None:
        stored: dict[str, Any] = {**arrays}
        np.savez_compressed(path, **stored)

    parents = [order.input(name) for name in order.inputs]
    return artifacts.save(KIND, {FILE: write}, metrics=order.metrics(), parents=tuple(parents), profile=order.profile)


def _versions(order: Order) -> dict[str, Ask]:
    def eager(model: Inspector) -> Ask:
        model = model.to(devices.choose())
        return lambda images: logits(model, images).cpu().numpy()

    return {
        "central": eager(load_inspector(order.input("central"))),
        "federated": eager(load_inspector(order.input("federated"))),
        "quantized": eager(load_quantized_inspector(order.input("quantized"))),
        "compiled": compiled_asker(order.input("compiled")),
    }


def compiled_asker(artifact: Artifact, version: str = "int8") -> Ask:
    """A version of a compiled artifact as a function from pictures to scores. Shapes: (N, H, W, 3) uint8 → (N, C)."""
    return asker(load_engine(artifact, version))


def asker(engine: Engine) -> Ask:
    """A compiled net as a function from pictures to scores, asked in chunks. Shapes: (N, H, W, 3) uint8 → (N, C)."""

    def ask(images: np.ndarray) -> np.ndarray:
        chunks = torch.from_numpy(np.ascontiguousarray(images)).split(CHUNK)
        return np.concatenate([engine(to_input(chunk).numpy())[0] for chunk in chunks])

    return ask


def held_out(order_sets: list[Artifact], name: str) -> tuple[Pictures, np.ndarray]:
    """The sets of all factories together, and whose each picture is. Shapes: → N pictures, (N,)."""
    sets = [load_set(one, name) for one in order_sets]
    return together(sets), np.repeat(np.arange(len(sets)), [len(one) for one in sets])
