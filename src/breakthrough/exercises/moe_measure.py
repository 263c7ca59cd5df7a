"""Module 1: measuring a trained sparse model. What a learner prints or writes counts for nothing.

Units: losses in nats per byte
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError, safe_open

from breakthrough import devices
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.exercises.handed_over import examine
from breakthrough.seeds import torch_generator
from breakthrough.train import PROFILES, ByteLM, Point, corpus
from breakthrough.train.handover import CONFIG, KIND, WEIGHTS, load_model
from breakthrough.train.loop import evaluate

UNTRAINED = 4.5  # a model that knows nothing about the text is above; ln 256 is 5.5
MAX_CV = 1.1  # of the load in any block: balanced runs stay below 0.9, collapsed ones pass 1.3
DEAD = 1 / 16  # of a block's experts may be dead


@dataclass(frozen=True)
class Bar:
    """What a model of a profile must reach.

    Units:  loss at most; windows to measure on; agree is how far the manifest's loss may be away
    """

    loss: float
    windows: int
    agree: float


# measured over seeds: tiny 2.56–2.66 (byte frequencies alone give 3.09), quick 1.49–1.56
BARS = {"tiny": Bar(2.95, 512, 0.25), "quick": Bar(1.68, 512, 0.15), "full": Bar(1.35, 256, 0.1)}


def measure(answer: Any, case: Case) -> Outcome:
    """Load an artifact's weights into the course's own net, and measure.

    A function is called, with a store of its own, for the artifact it returns.
    """
    return examine(answer, KIND, (WEIGHTS, CONFIG), lambda found: _measured_at(found, case.args[0]), _a_model)


def _a_model(answer: Any) -> Outcome | None:
    if isinstance(answer, ByteLM):
        return Outcome("the model", "this is a model, not an artifact", "what artifacts.save returns", "a ByteLM")
    return None


def _measured_at(found: Artifact, seed: int) -> Outcome:
    unreadable = _unreadable(found)
    if unreadable:
        return Outcome("unreadable", unreadable)
    try:
        model = load_model(found)
    except ArtifactError as error:
        return Outcome("does not load", str(error.__cause__ or error).partition("\n")[0])
    return _judge(found, model, seed)


def _unreadable(found: Artifact) -> str:
    """Which of the files is not what its name says."""
    try:
        with safe_open(found.path(WEIGHTS), "pt"):
            pass
    except SafetensorError as error:
        return f"{WEIGHTS} cannot be read: {error}"
    try:
        config = json.loads(found.path(CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{CONFIG} cannot be read: {error}"
    return "" if isinstance(config, dict) else f"{CONFIG} holds {type_of(config)}, not a configuration"


def _judge(found: Artifact, model: ByteLM, seed: int) -> Outcome:
    profile = found.profile if found.profile in BARS else "quick"
    bar, layers = BARS[profile], model.sparse_layers()
    if not layers or any(layer.config.top_k >= layer.config.n_experts for layer in layers):
        return Outcome("dense net", "a block uses all of its weights for every token", "top_k < n_experts", "dense")
    point = _measured(model, profile, seed)
    if not point.valid_loss <= bar.loss:
        plan = next((name for name, plan in PROFILES.items() if plan.model == model.config), profile)
        if plan != found.profile and point.valid_loss <= BARS[plan].loss:
            text = f"the manifest says profile {found.profile}, but the net is that of profile {plan}"
            return Outcome("another profile", text, f'profile="{plan}"', f'profile="{found.profile}"')
        fault = "stopped early" if point.valid_loss < UNTRAINED else "untrained"
        text = f"the loss on fresh validation windows is too high for profile {profile}"
        return Outcome(fault, text, f"{bar.loss} or less", f"{point.valid_loss:.3f}")
    dead, cv = max(point.dead), max(point.load_cv)
    if cv > MAX_CV or dead > DEAD * layers[0].config.n_experts:
        text = "the load is on too few experts"
        return Outcome("collapsed", text, f"load CV up to {MAX_CV}", f"CV {cv:.2f}, {dead} dead experts in a block")
    return _agrees(found.metrics.get("valid_loss"), point.valid_loss, bar)


def _agrees(told: Any, loss: float, bar: Bar) -> Outcome:
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not math.isfinite(told):
        got = "nothing" if told is None else f"{told!r}, {type_of(told)}"
        return Outcome("no number", "valid_loss in the manifest is no float", 'metrics={"valid_loss": 2.61}, say', got)
    if abs(told - loss) <= bar.agree:
        return Outcome()
    fault = "too good to be true" if told < loss else "another number"
    text = "the manifest's valid_loss is not that of the weights"
    return Outcome(fault, text, f"{loss:.3f} ± {bar.agree}, as measured", f"{told:.3f}")


def _measured(model: ByteLM, profile: str, seed: int) -> Point:
    """Loss and load on freshly drawn validation windows."""
    device = devices.choose()
    text = corpus.load(with_tests=PROFILES[profile].with_tests)
    valid = corpus.to_tensor(text.valid, device)
    generator = torch_generator(seed, "windows")
    windows = next(corpus.batches(valid, BARS[profile].windows, model.config.context + 1, generator))
    loss, load, dropped = evaluate(model.to(device), windows)
    return Point(0, 0, 0.0, 0.0, math.nan, loss, load, dropped)
