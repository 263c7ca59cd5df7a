"""Module 1: the trained sparse model, handed over as an artifact; see `moe_measure` for how it is judged.

Units: losses in nats per byte
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Generator

from breakthrough import artifacts, devices
from breakthrough.artifacts import Artifact
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.moe_measure import measure
from breakthrough.seeds import torch_generator
from breakthrough.train import PROFILES, ByteLM, History, corpus, train
from breakthrough.train.handover import KIND, save_model
from breakthrough.train.profiles import arms


def experiment(profile: str = "tiny", seed: int = 0) -> Artifact:
    """Train the sparse model with a balance loss, measure it on validation windows, save both."""
    plan = PROFILES[profile]
    text = corpus.load(with_tests=plan.with_tests)  # split by file: no validation text is trained on
    model = ByteLM(plan.model, torch_generator(seed, "model")).to(devices.choose())
    history = train(model, text, plan.training, torch_generator(seed, "batches"))
    config, weights = model.to_files()
    files = {
        "model.safetensors": lambda path: save_file(weights, path),
        "config.json": lambda path: path.write_text(json.dumps(config)),
    }
    return artifacts.save("moe_lm", files, metrics={"valid_loss": history.last.valid_loss}, profile=profile)


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


def _resaved(change: Callable[[dict[str, Path]], dict[str, Any]], profile: str = "tiny") -> Artifact:
    artifact = _saved()
    files = {name: artifact.path(name) for name in artifact.files}
    return artifacts.save(KIND, change(files), metrics=artifact.metrics, profile=profile)


def _junk(path: Path) -> None:
    path.write_bytes(b"junk")


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
        artifact=KIND,
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
                'The loss in the manifest is not a number: save with metrics={"valid_loss": …}, a finite float in nats per byte.',
                variants=(lambda: _saved(loss=str), lambda: _saved(loss=lambda loss: [loss])),
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
                "nothing there",
                lambda: Path("no/such/folder"),
                "There is no artifact at this path: pass what `artifacts.save` returns.",
                variants=(lambda: artifacts.store(),),
            ),
            Misconception(
                "a file is missing",
                lambda: _resaved(lambda files: {n: files[n] for n in files if n != "config.json"}),
                "The artifact lacks a file: save model.safetensors with the weights and config.json with the configuration, under these names.",
            ),
            Misconception(
                "unreadable",
                lambda: _resaved(lambda files: files | {"model.safetensors": _junk}),
                "A file cannot be read: write the weights with `save_file` of safetensors, and the configuration with json.dumps.",
                variants=(lambda: _resaved(lambda files: files | {"config.json": _junk}),),
            ),
            Misconception(
                "another profile",
                lambda: _resaved(dict, profile="quick"),
                "The manifest tells another profile than the one whose net this is, so the net is judged by the wrong bar: pass profile=profile to `artifacts.save`.",
            ),
            Misconception(
                "another kind",
                lambda: _saved(kind="dense_lm"),
                'The artifact is of another kind: the modules after this one look for kind "moe_lm".',
            ),
            Misconception(
                "the model",
                lambda: _trained("moe")[0],
                "This is the model, not the artifact: save it, and pass what `artifacts.save` returns.",
            ),
            Misconception(
                "no artifact",
                5,
                "This is not an artifact: pass what `artifacts.save` returns, or the path of its folder.",
                variants=(lambda model, valid_loss, profile: None,),
            ),
        ),
        hints=(
            "A result that others build on is a file that they can measure again: the weights, their shape, and one honest number. Train the sparse model with its balance loss, and let the validation text, which it never saw, be the judge.",
            "PROFILES[profile].model → ByteLM → train(model, corpus, training, generator) → History; history.last.valid_loss () → metrics; model.to_files() → config, weights → artifact of kind moe_lm",
            'model = ByteLM of the profile\'s configuration\nhistory = train it on the corpus with the profile\'s training (its balance loss is on)\nconfig, weights = model.to_files()\nartifacts.save("moe_lm", both as files, metrics={"valid_loss": the last validation loss}, profile=profile)',
        ),
    ),
)
