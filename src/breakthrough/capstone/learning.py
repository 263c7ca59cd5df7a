"""The stages that train: all pictures in one place, and the same net federated over the factories."""

from __future__ import annotations

from typing import Any

from breakthrough import devices
from breakthrough.artifacts import Artifact
from breakthrough.capstone.order import Order
from breakthrough.capstone.spec import Spec
from breakthrough.errors import ConfigError, expected
from breakthrough.federated.history import Round
from breakthrough.federated.local import load_state
from breakthrough.federated.plan import Plan
from breakthrough.federated.simulation import Job, place, simulate
from breakthrough.federated.tasks import task_of
from breakthrough.seeds import torch_generator
from breakthrough.train.inspection import fit
from breakthrough.train.inspector import Inspector, InspectorConfig, save_inspector
from breakthrough.train.pictures import Augmentation
from breakthrough.train.recipe import Recipe
from breakthrough.train.sets import load_set, together

SET, LR = "pictures", 0.3  # what a node keeps; the control's rate, for a node's is its own
BATCH = 32  # of the control, which takes larger steps than a node can


def recipe(spec: Spec) -> Recipe:
    """How the centralised control is trained: by the best recipe there is."""
    a_pass = max(1, spec.train * len(spec.factories) // BATCH)
    return Recipe(steps=spec.passes * a_pass, batch_size=BATCH, lr=LR, average=0.995, augmentation=Augmentation(**spec.augmentation), save_every=a_pass)


def plan(spec: Spec) -> Plan:
    """How the factories train together."""
    options = {"config": dict(spec.net), "augmentation": dict(spec.augmentation), "noise_once": True}
    return Plan(task="inspector", data=SET, rounds=spec.rounds, steps=spec.steps, batch_size=spec.batch_size, lr=spec.lr, lr_end=spec.lr_end,
                average=spec.average, strategy=spec.strategy, options={"server_momentum": spec.server_momentum} if spec.strategy == "fedavgm" else {}, protection=spec.protection, least=len(spec.factories), seed=spec.seed, task_options=options)  # fmt: skip


def central(order: Order) -> Artifact:
    """The control: everybody's pictures in one place, which the factories would not allow."""
    spec, parents = order.spec, order.those("train")
    how = recipe(spec)
    model = Inspector(InspectorConfig.from_dict(spec.net), torch_generator(spec.seed, "inspector")).to(devices.choose())
    data = together([load_set(one, "train") for one in parents])
    found = fit(model, data, how, spec.seed, lambda step: order.tell(step, how.steps), checkpoint=order.work / "run.safetensors")
    told = {"steps": found.steps, "losses": list(found.losses), "recipe": how.to_dict()}
    return save_inspector(model, order.metrics() | told, order.profile, parents=tuple(parents))


def federated(order: Order) -> Artifact:
    """The net that four factories train without showing each other a picture, through Flower's messages, sums masked.

    Nodes answer one after the other in this process: the control trains on another core meanwhile.
    """
    spec, parents = order.spec, order.those("train")
    how = plan(spec)
    data = place(order.work / "data", {SET: [load_set(one, "train") for one in parents]})

    def score(state: Any) -> dict[str, float]:
        done["rounds"] += 1
        order.tell(done["rounds"], how.rounds)
        return {}

    done = {"rounds": 0}
    trained = simulate({"federated": Job(how, score, order.work / "run")}, data, len(spec.factories), engine="local", progress=False)["federated"]
    model = task_of(how.task, how.task_options).model(how.seed)
    if not isinstance(model, Inspector):
        raise ConfigError(expected("a task whose model is an inspector", how.task))
    load_state(model, trained.weights)
    told = {"plan": how.to_dict(), "rounds": [_told(one) for one in trained.history.rounds]}
    return save_inspector(model, order.metrics() | told, order.profile, parents=tuple(parents))


def _told(one: Round) -> dict[str, Any]:
    return {"number": one.number, "loss": one.loss, "up_bytes": one.up_bytes, "seconds": one.seconds, "lost": dict(one.lost)}
