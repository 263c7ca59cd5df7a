"""Module 3: how a train function goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from breakthrough.exercises.exercise import Misconception


def _load_all(model: Any, arrays: Any) -> None:
    model.load_state_dict(arrays.to_torch_state_dict())


def _load_parameters(model: Any, arrays: Any) -> None:
    with torch.no_grad():
        for name, w in model.named_parameters():
            w.copy_(torch.from_numpy(arrays[name].numpy()))


def _load_popping(model: Any, arrays: Any) -> None:
    model.load_state_dict(arrays.to_torch_state_dict(keep_input=False))


def _plain(config: Any) -> dict[str, Any]:
    return {"lr": config["lr"], "epochs": config["epochs"], "mu": config.get("proximal-mu", 0.0)}


def _state(model: Any, received: Any) -> Any:
    return model.state_dict()


def _difference(model: Any, received: Any) -> Any:
    return {name: value - torch.from_numpy(received[name].numpy()) for name, value in model.state_dict().items()}


def _train(
    load: Callable[[Any, Any], None] = _load_all,
    mine: Callable[[list, Any], Any] = lambda parts, node: parts[node["partition-id"]],
    settings: Callable[[Any], dict[str, Any]] = _plain,
    arrays: Callable[[Any, Any], Any] = _state,
    count: Callable[[Any, list], Any] = lambda data, parts: len(data),
    loss_as: Callable[[Any], Any] = float,
    names: tuple[str, ...] = ("arrays", "metrics", "num-examples", "train-loss"),
    reply: Callable[[Any, Any], Any] | None = None,
    runs: int = 1,
    keep: bool = False,
    record: Callable[[Any], dict[str, Any]] | None = None,
) -> Callable[..., Any]:
    """A train function that differs in one respect."""

    def answer(message, context, model, parts, fit):
        from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

        received, config = message.content["arrays"], message.content["config"]
        load(model, received)
        data = mine(parts, context.node_config)
        options = settings(context.run_config if record else config)
        loss = torch.zeros(())
        for _ in range(runs):
            loss = fit(model, data, **options)
        sent = arrays(model, received)
        content = RecordDict({
            names[0]: sent if isinstance(sent, ArrayRecord) else ArrayRecord(sent),
            names[1]: MetricRecord({names[2]: count(data, parts), names[3]: loss_as(loss)}),
        })  # fmt: skip
        if keep:
            context.state["arrays"] = ArrayRecord(model.state_dict())
        return reply(content, message) if reply else Message(content=content, reply_to=message)

    return answer



def _not_a_reply(content: Any, message: Any) -> Any:
    from flwr.app import Message

    return Message(content, dst_node_id=message.metadata.src_node_id, message_type="train")


def _without_names(model: Any, received: Any) -> list:
    return [value.numpy() for value in model.state_dict().values()]


def _into_a_copy(model: Any, arrays: Any) -> None:
    model.state_dict().update(arrays.to_torch_state_dict())


MISCONCEPTIONS = (
    Misconception(
        "a stale model",
        _train(load=lambda model, arrays: None),
        "The model was trained as it lay there, without what the server sent: load message.content[\"arrays\"] into it first, or rounds do not build on each other.",
        variants=(_train(load=_into_a_copy),),
    ),
    Misconception(
        "buffers not loaded",
        _train(load=_load_parameters),
        "BatchNorm's buffers are still the old ones: load the whole state dict, for running statistics and counters are averaged by the server too.",
    ),
    Misconception(
        "another node's data",
        _train(mine=lambda parts, node: parts[0]),
        "The data is not this node's: its number is context.node_config[\"partition-id\"], and what other nodes have it never sees.",
        variants=(_train(mine=lambda parts, node: parts[node["partition-id"] - 1]), _train(mine=lambda parts, node: parts[-1])),
    ),
    Misconception(
        "config ignored",
        _train(settings=lambda config: {"lr": 0.01, "epochs": 1, "mu": 0.0}),
        "lr, epochs and proximal-mu come with the message, so that the server can change them from round to round: read all three from message.content[\"config\"].",
        variants=(
            _train(settings=lambda config: {"lr": config["lr"], "epochs": config["epochs"], "mu": 0.0}),
            _train(settings=_plain, record=lambda context: context.run_config),
        ),
    ),
    Misconception(
        "no default for μ",
        _train(settings=lambda config: {"lr": config["lr"], "epochs": config["epochs"], "mu": config["proximal-mu"]}),
        "Only FedProx sends proximal-mu; FedAvg does not, and the node fails: take it with .get(\"proximal-mu\", 0.0).",
    ),
    Misconception(
        "not trained",
        _train(runs=0),
        "fit is never called: the message went back without any training.",
    ),
    Misconception(
        "sent back untrained",
        _train(arrays=lambda model, received: received),
        "The arrays that go back are those that came: make a new ArrayRecord from the model's state_dict() after training.",
        variants=(_train(arrays=lambda model, received: received.to_torch_state_dict()),),
    ),
    Misconception(
        "the difference",
        _train(arrays=_difference),
        "The change of the weights goes back, and FedAvg takes it for the weights: send the state dict itself.",
    ),
    Misconception(
        "parameters only",
        _train(arrays=lambda model, received: {name: w.detach() for name, w in model.named_parameters()}),
        "The buffers do not go back: send the whole state_dict(), or the new global model keeps BatchNorm statistics of nobody.",
    ),
    Misconception(
        "names lost",
        _train(arrays=_without_names),
        "The arrays lost their names: make the ArrayRecord from the state dict, not from a list, so that the server and the next round can put each where it belongs.",
    ),
    Misconception(
        "another dtype",
        _train(arrays=lambda model, received: {name: value.double() for name, value in model.state_dict().items()}),
        "The arrays changed their dtype on the way: send the state dict as it is, counters as int64.",
        variants=(_train(arrays=lambda model, received: {name: value.float() for name, value in model.state_dict().items()}),),
    ),
    Misconception(
        "another count",
        _train(count=lambda data, parts: sum(map(len, parts))),
        "num-examples is the node's own number of samples, len(data): the server weighs the models by it; not batches, not everybody's samples.",
        variants=(_train(count=lambda data, parts: 1), _train(count=lambda data, parts: -(-len(data) // 8)), _train(count=lambda data, parts: float(len(data)))),
    ),
    Misconception(
        "a tensor as a metric",
        _train(loss_as=lambda loss: loss),
        "A MetricRecord takes Python's int and float only: turn the loss into one with float(loss) or .item().",
        variants=(_train(loss_as=lambda loss: loss.numpy()),),
    ),
    Misconception(
        "other records",
        _train(names=("model", "metrics", "num-examples", "train-loss")),
        "The strategy looks for records named arrays and metrics: other names are not found, and the reply is dropped.",
        variants=(_train(names=("arrays", "metric", "num-examples", "train-loss")),),
    ),
    Misconception(
        "other metrics",
        _train(names=("arrays", "metrics", "num_examples", "train_loss")),
        "The metrics are named num-examples and train-loss, with hyphens: the strategy weighs by num-examples and refuses a reply without it.",
        variants=(_train(names=("arrays", "metrics", "n", "loss")),),
    ),
    Misconception(
        "no message",
        _train(reply=lambda content, message: content),
        "The content comes back bare: wrap it, Message(content=content, reply_to=message).",
        variants=(_train(reply=lambda content, message: None), _train(reply=lambda content, message: (dict(content), 1))),
    ),
    Misconception(
        "not a reply",
        _train(reply=_not_a_reply),
        "A new message was made where an answer is waited for: Message(content=…, reply_to=message) knows sender, run and round by itself.",
        variants=(_train(reply=lambda content, message: message),),
    ),
    Misconception(
        "the message changed",
        _train(load=_load_popping),
        "The message that came in was emptied or written to: read from it, and make new records for the reply.",
    ),
    Misconception(
        "state kept",
        _train(keep=True),
        "The model was put into context.state: nothing of a round needs to stay on the node, and what stays is stale in the next.",
    ),
)
