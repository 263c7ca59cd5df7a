"""Module 3: the ClientApp's train function, on Flower's Message API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor, nn

from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise
from breakthrough.exercises.federated_train_trial import outcome
from breakthrough.exercises.federated_train_wrong import MISCONCEPTIONS

if TYPE_CHECKING:
    from flwr.app import Context, Message


def train(message: Message, context: Context, model: nn.Module, parts: list[Any], fit: Callable[..., Tensor]) -> Message:
    """Do a node's share of one round: load what came, train on the node's own data, send back what came of it.

    Why:    this function is all that ever touches the data; what it forgets to load makes a round of stale
            models, and what it forgets to send the server never learns
    Shapes: `fit(model, data, lr, epochs, mu)` trains in place → mean loss (), a tensor
    Units:  the message holds an ArrayRecord `arrays` (a state dict, buffers too) and a ConfigRecord `config` with
            lr, epochs and maybe proximal-mu (else 0.0); the node's data is parts[context.node_config["partition-id"]].
            The reply to the message holds `arrays`, the whole state dict after training under the same names,
            and a MetricRecord `metrics` with num-examples (int, len of the node's data) and train-loss (float).
            The message and context.state stay as they were
    """
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    model.load_state_dict(message.content["arrays"].to_torch_state_dict())  # type: ignore[union-attr]  # by these names records have types
    config = message.content["config"]
    data = parts[context.node_config["partition-id"]]  # type: ignore[index]  # a whole number
    loss = fit(model, data, lr=config["lr"], epochs=config["epochs"], mu=config.get("proximal-mu", 0.0))
    metrics = MetricRecord({"num-examples": len(data), "train-loss": float(loss)})
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=message)


def _by_numpy(message, context, model, parts, fit):
    from flwr import app

    names, incoming = list(model.state_dict()), message.content.array_records["arrays"]
    model.load_state_dict({name: torch.tensor(incoming[name].numpy()) for name in names})
    mine, settings = parts[int(context.node_config["partition-id"])], dict(message.content.config_records["config"])
    mu = settings["proximal-mu"] if "proximal-mu" in settings else 0.0
    loss = fit(model, mine, settings["lr"], settings["epochs"], mu).item()
    arrays = app.ArrayRecord({name: app.Array(value.detach().cpu().numpy()) for name, value in model.state_dict().items()})
    content = app.RecordDict()
    content["metrics"] = app.MetricRecord({"train-loss": loss, "num-examples": len(mine)})
    content["arrays"] = arrays
    return app.Message(content, reply_to=message)


def _on_a_copy(message, context, model, parts, fit):
    import copy

    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    local = copy.deepcopy(model)
    with torch.no_grad():
        for name, value in message.content["arrays"].to_torch_state_dict().items():
            local.state_dict()[name].copy_(value)
    data = parts[context.node_config["partition-id"]]
    config = {"proximal-mu": 0.0} | dict(message.content["config"])
    loss = fit(local, data, config["lr"], config["epochs"], config["proximal-mu"])
    metrics = MetricRecord({"num-examples": sum(1 for _ in data), "train-loss": loss.item(), "epochs": config["epochs"]})
    return Message(RecordDict({"arrays": ArrayRecord(local.state_dict()), "metrics": metrics}), reply_to=message)


def _tensor_by_tensor(message, context, model, parts, fit):
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    came = message.content["arrays"]
    with torch.no_grad():
        for name, array in zip(came.keys(), came.to_numpy_ndarrays()):
            model.state_dict()[name].copy_(torch.tensor(array))
    asked = message.content["config"]
    how = {"mu": asked["proximal-mu"] if "proximal-mu" in asked.keys() else 0, "epochs": asked["epochs"], "lr": asked["lr"]}
    report = MetricRecord()
    report["train-loss"] = float(fit(model, parts[context.node_config["partition-id"]], **how))
    report["num-examples"] = len(parts[context.node_config["partition-id"]])
    trained = ArrayRecord({name: value.clone() for name, value in model.state_dict().items()})
    return Message(RecordDict({"metrics": report, "arrays": trained}), reply_to=message)


def _cases(generator: Generator):
    def seed():
        return int(torch.randint(2**31, (), generator=generator))

    yield Case("node 2 of 4, three epochs, μ = 0.1", (seed(), (40, 24, 33, 16), 2, {"lr": 0.1, "epochs": 3, "proximal-mu": 0.1}))
    yield Case("node 0, no μ in the config", (seed(), (19, 50), 0, {"lr": 0.05, "epochs": 1}))
    yield Case("the last node, another round", (seed(), (21, 30, 12), 2, {"lr": 0.02, "epochs": 2, "proximal-mu": 1.0, "round": 7}))


EXERCISES = (
    Exercise(
        name="federated.train",
        title="The ClientApp's train function",
        points=8,
        minutes=50,
        difficulty=3,
        reference=train,
        cases=_cases,
        call=outcome,
        expected=Outcome(),
        compare=by_fault,
        alternatives=(_by_numpy, _on_a_copy, _tensor_by_tensor),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "A round on a node is a letter answered: read the weights and the settings out of it, train on what only this node has, and write back the weights, how many samples stand behind them, and how it went.",
            'message.content["arrays"] (ArrayRecord) → to_torch_state_dict() → load_state_dict; message.content["config"] → lr, epochs, mu; parts[partition-id] → fit → loss (); RecordDict with ArrayRecord(state_dict) and MetricRecord(int, float) → Message(content=…, reply_to=message)',
            'load message.content["arrays"], as a torch state dict, into the model\nconfig = message.content["config"]\ndata = parts[the node\'s partition-id]\nloss = fit(model, data, lr and epochs of config, mu = its proximal-mu or 0.0)\ncontent = RecordDict with\n    arrays: ArrayRecord of the model\'s state dict\n    metrics: MetricRecord of num-examples (len(data)) and train-loss (float)\nreturn a Message with that content, in reply to the message',
        ),
    ),
)
