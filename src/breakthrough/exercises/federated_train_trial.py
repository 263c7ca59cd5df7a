"""Module 3: a learner's train function, called with a message as a ServerApp would send it.

What arrives at the local training and what goes back is looked at, in the order of a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from breakthrough.errors import InputError, expected, type_of
from breakthrough.exercises.compare import Outcome
from breakthrough.exercises.exercise import Case
from breakthrough.optional import require
from breakthrough.seeds import torch_generator

State = dict[str, Tensor]
CLIENT, SERVER, QUESTION = 77, 1, "message 42"
TOLD = 2  # calls of `fit` that are kept


def make_net(generator: torch.Generator) -> nn.Module:
    """A small net with BatchNorm, so that there are buffers to forget."""
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        for name, value in net.state_dict().items():
            drawn = torch.randn(value.shape, generator=generator)
            value.copy_(torch.randint(3, 90, (), generator=generator) if "num_batches" in name else drawn.abs() if "var" in name else drawn)
    return net


def make_parts(sizes: tuple[int, ...], generator: torch.Generator) -> list[TensorDataset]:
    """The data of every node."""
    return [TensorDataset(torch.randn(n, 4, generator=generator), torch.randint(3, (n,), generator=generator)) for n in sizes]


def fit_net(model: nn.Module, data: TensorDataset, lr: float, epochs: int, mu: float) -> Tensor:
    """Train a model in place, in two batches, and give the mean loss. Shapes: → ()"""
    model.train()
    start = [w.detach().clone() for w in model.parameters()]
    losses = []
    for _ in range(epochs):
        for x, y in zip(*(tensor.tensor_split(2) for tensor in data.tensors)):
            loss = F.cross_entropy(model(x), y)
            term = mu / 2 * sum((w - s).square().sum() for w, s in zip(model.parameters(), start))
            gradients = torch.autograd.grad(loss + term, list(model.parameters()))
            with torch.no_grad():
                for w, gradient in zip(model.parameters(), gradients):
                    w.sub_(lr * gradient)
            losses.append(loss.detach())
    return torch.stack(losses).mean()


@dataclass
class _Fit:
    """`fit_net` that remembers how it was called: what can be said of the first calls, and how many there were."""

    REMOTE = ("__call__",)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, model: nn.Module, data: Any, lr: float, epochs: int, mu: float) -> Tensor:
        call = {"before": _state(model), "data": data, "lr": lr, "epochs": epochs, "mu": mu}
        call["loss"] = fit_net(model, data, lr, epochs, mu)
        call["after"] = _state(model)
        self.calls.append(call if len(self.calls) < TOLD else {})
        return call["loss"]


def _state(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def outcome(answer: Any, case: Case) -> Outcome:
    """The first thing that goes wrong in a round with this client.

    Raises: InputError for what is no train function; MissingDependency without flwr
    """
    if not callable(answer):
        raise InputError(expected("your function", type_of(answer), 'check("federated.train", train)'))
    seed, sizes, own, config = case.args
    app = require("flwr.app", "federated learning")
    generator = torch_generator(seed)
    with torch.random.fork_rng(devices=[]):
        received, model = make_net(generator).state_dict(), make_net(generator)
    parts, fit, stale = make_parts(sizes, generator), _Fit(), _state(model)
    message = _message(app, received, config)
    node = {"partition-id": own, "num-partitions": len(sizes)}
    context = app.Context(run_id=1, node_id=CLIENT, node_config=node, state=app.RecordDict(), run_config={"lr": 9.0, "epochs": 9})
    try:
        reply = answer(message, context, model, parts, fit)
    except (TypeError, KeyError, RuntimeError) as error:
        fault = _raised(error)
        if not fault:
            raise
        return Outcome(fault, f"{type(error).__name__}: {error}")
    found = _trained(fit.calls, parts, own, config, received, stale) or _replied(app, reply, message)
    found = found or _arrays(app, reply.content, received, fit.calls[-1]["after"]) or _metrics(app, reply.content, fit.calls[-1]["loss"], sizes, own)
    return found or _left_alone(message, context, received, config) or Outcome()


def _message(app: ModuleType, received: State, config: dict[str, Any]) -> Any:
    content = app.RecordDict({"arrays": app.ArrayRecord(dict(received)), "config": app.ConfigRecord(dict(config))})
    metadata = app.Metadata(
        run_id=1, message_id=QUESTION, src_node_id=SERVER, dst_node_id=CLIENT, reply_to_message_id="", group_id="3",
        created_at=time.time(), ttl=3600.0, message_type="train",
    )  # fmt: skip
    return app.Message(content=content, metadata=metadata)


def _raised(error: Exception) -> str:
    text = str(error)
    if isinstance(error, TypeError) and "Not all values are of valid type" in text:
        return "a tensor as a metric"
    if isinstance(error, KeyError) and "proximal-mu" in text:
        return "no default for μ"
    if isinstance(error, RuntimeError) and "TaskIdentity" in text:
        return "not a reply"
    return ""


def _trained(calls: list[dict], parts: list, own: int, config: dict, received: State, stale: State) -> Outcome | None:
    if len(calls) != 1:
        return Outcome("not trained" if not calls else "trained twice", f"fit was called {len(calls)} times", "1", str(len(calls)))
    call = calls[0]
    if not _alike(call["before"], received):
        if _alike(call["before"], stale):
            return Outcome("a stale model", "training begins from other weights than those in the message")
        off = [name for name, value in received.items() if not torch.equal(call["before"][name], value)]
        buffers = all("running" in name or "num_batches" in name for name in off)
        return Outcome("buffers not loaded" if buffers else "loaded in part", f"not as received before training: {', '.join(off)}")
    if not _same_data(call["data"], parts[own]):
        which = next((k for k, part in enumerate(parts) if _same_data(call["data"], part)), None)
        got = "other data" if which is None else f"part {which}"
        return Outcome("another node's data", "fit gets other data than this node's", f"part {own}", got)
    for name, want in (("lr", config["lr"]), ("epochs", config["epochs"]), ("mu", config.get("proximal-mu", 0.0))):
        if call[name] != want:
            return Outcome("config ignored", f"fit's {name} is not what the message's config says", str(want), str(call[name]))
    return None


def _same_data(one: Any, other: TensorDataset) -> bool:
    """Whether two data sets are one, or have the same tensors: a copy is as good."""
    if one is other:
        return True
    alike = isinstance(one, TensorDataset) and len(one.tensors) == len(other.tensors)
    return alike and all(torch.equal(mine, theirs) for mine, theirs in zip(one.tensors, other.tensors))


def _replied(app: ModuleType, reply: Any, message: Any) -> Outcome | None:
    if reply is None or isinstance(reply, (app.RecordDict, dict, tuple)):
        return Outcome("no message", f"the function returns {type_of(reply)}", "a Message", type(reply).__name__)
    if not isinstance(reply, app.Message):
        raise InputError(expected("a flwr.app.Message", type_of(reply)))
    if reply.metadata.reply_to_message_id != QUESTION or reply.metadata.dst_node_id != SERVER:
        return Outcome("not a reply", "the message does not answer the one that came", QUESTION, reply.metadata.reply_to_message_id or "nothing")
    names, want = set(reply.content), {"arrays", "metrics"}
    if names != want:
        return Outcome("other records", "the records are not called as the strategy expects", ", ".join(sorted(want)), ", ".join(sorted(names)))
    return None


def _arrays(app: ModuleType, content: Any, received: State, after: State) -> Outcome | None:
    record = content["arrays"]
    if not isinstance(record, app.ArrayRecord):
        raise InputError(expected("an ArrayRecord under arrays", type_of(record)))
    if set(record) != set(after):
        missing = [name for name in after if name not in record]
        parameters = set(record) < set(after) and all("running" in n or "num_batches" in n for n in missing)
        fault = "parameters only" if parameters else "names lost"
        return Outcome(fault, "the arrays have other names than the model's", ", ".join(after), ", ".join(record))
    sent = {name: torch.from_numpy(record[name].numpy()) for name in record}
    if _alike(sent, after):
        return None
    rules: dict[str, Callable[[str], Tensor]] = {
        "sent back untrained": lambda name: received[name],
        "the difference": lambda name: after[name] - received[name],
    }
    fault = next((fault for fault, rule in rules.items() if all(_near(sent[name], rule(name)) for name in after)), "")
    off = [name for name in after if not _near(sent[name], after[name])]
    fault = fault or ("another dtype" if not off else "other weights")
    return Outcome(fault, f"not as the training left them: {', '.join(off or [n for n in after if sent[n].dtype != after[n].dtype])}")


def _metrics(app: ModuleType, content: Any, loss: Tensor, sizes: tuple[int, ...], own: int) -> Outcome | None:
    record = content["metrics"]
    if not isinstance(record, app.MetricRecord):
        raise InputError(expected("a MetricRecord under metrics", type_of(record)))
    if not {"num-examples", "train-loss"} <= set(record):
        return Outcome("other metrics", "metrics are missing", "num-examples, train-loss", ", ".join(sorted(record)))
    count = record["num-examples"]
    if count != sizes[own] or not isinstance(count, int):
        return Outcome("another count", "num-examples is not the number of this node's samples", str(sizes[own]), str(count))
    got = record["train-loss"]
    if not isinstance(got, float) or abs(got - float(loss)) > 1e-6:
        return Outcome("another loss", "train-loss is not what fit returned", f"{float(loss):.6g}", str(got))
    return None


def _left_alone(message: Any, context: Any, received: State, config: dict[str, Any]) -> Outcome | None:
    content = message.content
    kept = set(content) == {"arrays", "config"} and dict(content["config"]) == config and set(content["arrays"]) == set(received)
    if not kept or not _alike({name: torch.from_numpy(content["arrays"][name].numpy()) for name in received}, received):
        return Outcome("the message changed", "the message that came in is no longer as it was")
    if len(context.state):
        return Outcome("state kept", "something was left in context.state", "nothing", ", ".join(context.state))
    return None


def _alike(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) and one[n].dtype == other[n].dtype for n in one)


def _near(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one.double(), other.double(), atol=1e-6)
