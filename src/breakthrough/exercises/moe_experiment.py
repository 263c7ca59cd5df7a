"""Module 1: the trained sparse model. The weights are measured here; what a learner prints counts for nothing.

Units: losses in nats per byte
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.seeds import torch_generator
from breakthrough.train import PROFILES, ByteLM, History, Point, corpus, train
from breakthrough.train.handover import KIND, load_model, save_model
from breakthrough.train.loop import evaluate
from breakthrough.train.profiles import arms

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


def experiment(profile: str = "tiny", seed: int = 0) -> Artifact:
    """Train the sparse model with a balance loss, measure it on validation windows, save both."""
    plan = PROFILES[profile]
    text = corpus.load(with_tests=plan.with_tests)  # split by file: no validation text is trained on
    model = ByteLM(plan.model, torch_generator(seed, "model")).to(devices.choose())
    history = train(model, text, plan.training, torch_generator(seed, "batches"))
    return save_model(model, {"valid_loss": history.last.valid_loss}, profile)


def measure(answer: Any, case: Case) -> Outcome:
    """Load an artifact's weights into the course's own net, and measure.

    A function is called, with a store of its own, for the artifact it returns.
    """
    if callable(answer) and not isinstance(answer, ByteLM):
        with _own_store():
            return measure(answer(), case)
    if not isinstance(answer, (Artifact, str, Path)):
        return Outcome("no artifact", "that is no artifact", "what save_model returns", type(answer).__name__)
    try:
        found = artifacts.load(answer.folder if isinstance(answer, Artifact) else answer)
        model = load_model(found) if found.kind == KIND else None
    except ArtifactError as error:
        fault = "changed after saving" if "was changed" in str(error) else "does not load"
        return Outcome(fault, str(error))
    if model is None:
        return Outcome("another kind", "the artifact is of another kind", KIND, found.kind)
    return _judge(found, model, case.args[0])


def _judge(found: Artifact, model: ByteLM, seed: int) -> Outcome:
    profile = found.profile if found.profile in BARS else "quick"
    bar, layers = BARS[profile], model.sparse_layers()
    if not layers or any(layer.config.top_k >= layer.config.n_experts for layer in layers):
        return Outcome("dense net", "a block uses all of its weights for every token", "top_k < n_experts", "dense")
    point = _measured(model, profile, seed)
    if not point.valid_loss <= bar.loss:
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
        return Outcome("no number", "the manifest has no valid_loss", 'metrics={"valid_loss": …}', repr(told))
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


@contextmanager
def _own_store() -> Iterator[None]:
    before = os.environ.get(artifacts.VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[artifacts.VARIABLE] = folder
        try:
            yield
        finally:
            os.environ.pop(artifacts.VARIABLE)
            if before is not None:
                os.environ[artifacts.VARIABLE] = before


def _cases(generator: Generator):
    yield Case("fresh validation windows", (int(torch.randint(2**31, (), generator=generator)),))


@lru_cache(maxsize=8)
def _trained(arm: str, steps: int | None = None, **changes: Any) -> tuple[ByteLM, History]:
    plan = PROFILES["tiny"]
    config, training = arms(plan)[arm]
    training = replace(training, **changes, steps=steps or plan.training.steps)
    model = ByteLM(config, torch_generator(0, "model"))
    return model, train(model, corpus.load(), training, torch_generator(0, "batches"))


def _saved(arm: str = "moe", steps: int | None = None, loss: Callable[[float], Any] = float, **how: Any) -> Artifact:
    model, history = _trained(arm, steps)
    return save_model(model, {"valid_loss": loss(history.last.valid_loss)}, "tiny", **how)


def _with_loss_free_balancing() -> Artifact:
    model, history = _trained("moe", balance=0.0, bias_rate=0.01)
    return save_model(model, {"valid_loss": history.last.valid_loss}, "tiny")


def _as_a_path() -> Path:
    return experiment(seed=1).folder


def _untrained() -> Artifact:
    model = ByteLM(PROFILES["tiny"].model, torch_generator(0, "model"))
    return save_model(model, {"valid_loss": 2.7}, "tiny")


def _changed() -> Artifact:
    artifact = _saved()
    path = artifact.path("model.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return artifact


def _other_config() -> Artifact:
    artifact, other = _saved(), _saved("dense")
    files = {"model.safetensors": artifact.path("model.safetensors"), "config.json": other.path("config.json")}
    return artifacts.save(KIND, files, metrics=artifact.metrics, profile="tiny")



EXERCISES = (
    Exercise(
        name="moe.experiment",
        title="Dense against sparse",
        points=7,
        minutes=60,
        difficulty=3,
        reference=experiment,
        cases=_cases,
        call=measure,
        compare=by_fault,
        expected=Outcome(),
        training=True,
        alternatives=(_saved, _with_loss_free_balancing, _as_a_path),
        misconceptions=(
            Misconception(
                "untrained",
                _untrained,
                "These weights know nothing of the text: they are those before training; save the model that `train` or `trained` gives back.",
            ),
            Misconception(
                "stopped early",
                lambda: _saved(steps=20),
                "The model has learned something, but too little for this profile: train all of its steps before you save.",
            ),
            Misconception(
                "collapsed",
                lambda: _saved("control"),
                "Most tokens go to a few experts while others starve: this is the control without a balance loss; save the model that was trained with one.",
            ),
            Misconception(
                "dense net",
                lambda: _saved("dense"),
                "This is the dense baseline: save the sparse model, whose blocks use top_k of n_experts experts for a token.",
            ),
            Misconception(
                "too good to be true",
                lambda: _saved(loss=lambda loss: loss - 0.6),
                "The manifest tells a lower loss than these weights have on validation text: give their mean validation loss, not a training loss or the best batch.",
            ),
            Misconception(
                "another number",
                lambda: _saved(loss=lambda loss: loss / math.log(2)),
                "The manifest tells a higher loss than these weights have: give nats per byte (bits are 1.44 times as many), measured after the last step.",
            ),
            Misconception(
                "no number",
                lambda: _saved(loss=lambda loss: None),
                'The manifest says nothing about the loss: save with metrics={"valid_loss": …}, a number in nats per byte.',
            ),
            Misconception(
                "changed after saving",
                _changed,
                "A file is not as it was when it was saved, for its hash differs: never edit an artifact, save a new one.",
            ),
            Misconception(
                "does not load",
                _other_config,
                "Weights and config.json are not of one model: save both from the same model, as `to_files()` gives them.",
            ),
            Misconception(
                "another kind",
                lambda: _saved(kind="dense_lm"),
                'The artifact is of another kind: the modules after this one look for kind "moe_lm".',
            ),
            Misconception(
                "no artifact",
                lambda: _trained("moe")[0],
                "This is the model, not the artifact: save it, and pass what `save_model` returns.",
            ),
        ),
        hints=(
            "A result that others build on is a file that they can measure again: the weights, their shape, and one honest number. Train the sparse model with its balance loss, and let the validation text, which it never saw, be the judge.",
            "PROFILES[profile].model → ByteLM → train(model, corpus, training, generator) → History; history.last.valid_loss () → metrics; model.to_files() → config, weights → artifact of kind moe_lm",
            'model = ByteLM of the profile\'s configuration\nhistory = train it on the corpus with the profile\'s training (its balance loss is on)\nsave_model(model, {"valid_loss": the last validation loss}, profile)',
        ),
    ),
)
