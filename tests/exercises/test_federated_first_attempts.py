"""First attempts at module 3's exercises as a beginner writes them: each is named for its main mistake."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from breakthrough.exercises import card, judge, load

# the Dirichlet partition


def counts_of_each(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in np.unique(labels):
        idx = np.where(labels == c)[0]
        generator.shuffle(idx)
        p = generator.dirichlet([alpha] * parts)
        start = 0
        for k in range(parts):
            n = int(p[k] * len(idx))
            out[k] += list(idx[start : start + n])
            start += n
    return [np.array(o, dtype=int) for o in out]


def rest_at_the_end(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in np.unique(labels):
        idx = generator.permutation(np.where(labels == c)[0])
        p = generator.dirichlet([alpha] * parts)
        start = 0
        for k in range(parts):
            end = len(idx) if k == parts - 1 else start + int(p[k] * len(idx))
            out[k] += list(idx[start:end])
            start = end
    return [np.array(o, dtype=int) for o in out]


def numpys_own(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in range(labels.max() + 1 if len(labels) else 0):
        idx = np.where(labels == c)[0]
        np.random.shuffle(idx)
        cuts = (np.cumsum(np.random.dirichlet(alpha * np.ones(parts))) * len(idx)).astype(int)[:-1]
        for k, piece in enumerate(np.split(idx, cuts)):
            out[k].extend(piece)
    return out


def unshuffled(labels, parts, alpha, generator):
    pieces = []
    for c in np.unique(labels):
        idx = np.where(labels == c)[0]
        cuts = (np.cumsum(generator.dirichlet([alpha] * parts)) * len(idx)).astype(int)[:-1]
        pieces.append(np.split(idx, cuts))
    return [np.concatenate([p[k] for p in pieces]) if pieces else np.zeros(0, int) for k in range(parts)]


def one_size(labels, parts, alpha, generator):
    p = generator.dirichlet([alpha] * parts)
    cuts = (np.cumsum(p) * len(labels)).astype(int)[:-1]
    return np.split(generator.permutation(len(labels)), cuts)


def softened(labels, parts, alpha, generator):
    out = [[] for _ in range(parts)]
    for c in np.unique(labels):
        idx = generator.permutation(np.where(labels == c)[0])
        p = generator.random(parts) ** alpha
        for k, piece in enumerate(np.split(idx, (np.cumsum(p / p.sum()) * len(idx)).astype(int)[:-1])):
            out[k].extend(piece)
    return out


# the weighted average


def flowers_way(states, samples):
    """As Flower's aggregation does it: every array times its share, added up."""
    total = sum(samples)
    return {name: sum(s[name].float() * (n / total) for s, n in zip(states, samples)) for name in states[0]}


def mean_of_stack(states, samples):
    return {name: torch.stack([s[name].float() for s in states]).mean(0).to(states[0][name].dtype) for name in states[0]}


def loaded_into_the_first(states, samples):
    out = {}
    for name in states[0]:
        if "running" in name or "num_batches" in name:
            out[name] = states[0][name]
        else:
            out[name] = sum(s[name].float() * n for s, n in zip(states, samples) if n) / sum(samples)
            out[name] = out[name].to(states[0][name].dtype)
    return out


def floats_only(states, samples):
    out = {k: v.clone() for k, v in states[0].items()}
    for name, value in out.items():
        if value.is_floating_point():
            out[name] = sum(s[name].float() * n / sum(samples) for s, n in zip(states, samples) if n).to(value.dtype)
    return out


def zeros_added_to(states, samples):
    out = {name: torch.zeros_like(value) for name, value in states[0].items()}
    for state, n in zip(states, samples):
        for name in out:
            out[name] += (state[name] * (n / sum(samples))).to(out[name].dtype)
    return out


# FedProx


def as_flower_documents_it(model, batches, lr, mu):
    """The example in the docstring of Flower's FedProx: norms, not their squares."""
    received = list(copy.deepcopy(model).parameters())
    optimizer, terms = torch.optim.SGD(model.parameters(), lr=lr), []
    for x, y in batches:
        optimizer.zero_grad()
        proximal_term = 0.0
        for w, start in zip(model.parameters(), received):
            proximal_term += (w - start).norm(2)
        loss = F.cross_entropy(model(x), y) + (mu / 2) * proximal_term
        loss.backward()
        optimizer.step()
        terms.append(((mu / 2) * proximal_term).item())
    return terms


def a_state_dict_kept(model, batches, lr, mu):
    received = model.state_dict()
    optimizer, terms = torch.optim.SGD(model.parameters(), lr=lr), []
    for x, y in batches:
        optimizer.zero_grad()
        term = 0.0
        for name, w in model.named_parameters():
            term = term + ((w - received[name]) ** 2).sum()
        loss = F.cross_entropy(model(x), y) + mu / 2 * term
        loss.backward()
        optimizer.step()
        terms.append(float(mu / 2 * term))
    return terms


def over_the_state_dict(model, batches, lr, mu):
    received = copy.deepcopy(model.state_dict())
    optimizer, terms = torch.optim.SGD(model.parameters(), lr=lr), []
    for x, y in batches:
        optimizer.zero_grad()
        term = sum(((w - received[name]) ** 2).sum() for name, w in model.state_dict().items())
        loss = F.cross_entropy(model(x), y) + mu / 2 * term
        loss.backward()
        optimizer.step()
        terms.append(float(mu / 2 * term))
    return terms


def mse_of_each(model, batches, lr, mu):
    received = [w.detach().clone() for w in model.parameters()]
    optimizer, terms = torch.optim.SGD(model.parameters(), lr=lr), []
    for x, y in batches:
        optimizer.zero_grad()
        term = mu / 2 * sum(F.mse_loss(w, start) for w, start in zip(model.parameters(), received))
        (F.cross_entropy(model(x), y) + term).backward()
        optimizer.step()
        terms.append(term.item())
    return terms


def mu_times_square(model, batches, lr, mu):
    received = [w.clone().detach() for w in model.parameters()]
    optimizer, terms = torch.optim.SGD(model.parameters(), lr=lr), []
    for x, y in batches:
        optimizer.zero_grad()
        term = mu * sum(torch.norm(w - start) ** 2 for w, start in zip(model.parameters(), received))
        (F.cross_entropy(model(x), y) + term).backward()
        optimizer.step()
        terms.append(term)
    return terms


# composing ε


def times_rounds(multiplier, rounds, delta, orders):
    return rounds * math.sqrt(2 * math.log(1.25 / delta)) / multiplier


def brackets_missing(multiplier, rounds, delta, orders):
    return min(rounds * a / 2 * multiplier**2 + math.log(1 / delta) / (a - 1) for a in orders)


def each_round_converted(multiplier, rounds, delta, orders):
    return sum(min(a / (2 * multiplier**2) + np.log(1 / delta) / (a - 1) for a in orders) for _ in range(rounds))


def first_order(multiplier, rounds, delta, orders):
    alpha = orders[0]
    return rounds * alpha / (2 * multiplier**2) + np.log(1 / delta) / (alpha - 1)


# the train function


def numpy_client(message, context, model, parts, fit):
    """As Flower's older API has it: parameters, count, metrics."""
    model.load_state_dict(message.content["arrays"].to_torch_state_dict(), strict=True)
    data, config = parts[context.node_config["partition-id"]], message.content["config"]
    loss = fit(model, data, config["lr"], config["epochs"], config.get("proximal-mu", 0.0))
    return [value.numpy() for value in model.state_dict().values()], len(data), {"loss": float(loss)}


def settings_of_the_run(message, context, model, parts, fit):
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    data = parts[context.node_config["partition-id"]]
    loss = fit(model, data, context.run_config["lr"], context.run_config["epochs"], 0.0)
    metrics = MetricRecord({"train_loss": loss.item(), "num-examples": len(data)})
    return Message(content=RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)


def forgets_to_fit(message, context, model, parts, fit):
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    return message


def loss_as_it_is(message, context, model, parts, fit):
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    data, config = parts[context.node_config["partition-id"]], message.content["config"]
    loss = fit(model, data, config["lr"], config["epochs"], config.get("proximal-mu", 0.0))
    metrics = MetricRecord({"train-loss": loss, "num-examples": len(data.tensors)})
    return Message(content=RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)


def length_of_the_tensors(message, context, model, parts, fit):
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    data, config = parts[context.node_config["partition-id"]], message.content["config"]
    loss = fit(model, data, config["lr"], config["epochs"], config.get("proximal-mu", 0.0))
    metrics = MetricRecord({"train-loss": float(loss), "num-examples": len(data.tensors)})
    return Message(content=RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)


ATTEMPTS = [
    ("federated.split", counts_of_each, "cut one by one"),
    ("federated.split", rest_at_the_end, "the rest to the last"),
    ("federated.split", numpys_own, "global random"),
    ("federated.split", unshuffled, "not shuffled"),
    ("federated.split", one_size, "one draw for all classes"),
    ("federated.split", softened, "α upside down"),
    ("federated.average", flowers_way, "counter as a float"),
    ("federated.average", mean_of_stack, "every client alike"),
    ("federated.average", loaded_into_the_first, "buffers of the first"),
    ("federated.average", floats_only, "counter of one client"),
    ("federated.average", zeros_added_to, "counter cut off"),
    ("federated.proximal", as_flower_documents_it, "not squared"),
    ("federated.proximal", a_state_dict_kept, "the copy follows"),
    ("federated.proximal", over_the_state_dict, "no gradient"),
    ("federated.proximal", mse_of_each, "a mean"),
    ("federated.proximal", mu_times_square, "without the half"),
    ("federated.compose", times_rounds, "the textbook's mechanism"),
    ("federated.compose", brackets_missing, "without the 2"),
    ("federated.compose", each_round_converted, "ε added up"),
    ("federated.compose", first_order, "one order only"),
    ("federated.train", numpy_client, "no message"),
    ("federated.train", settings_of_the_run, "config ignored"),
    ("federated.train", forgets_to_fit, "not trained"),
    ("federated.train", loss_as_it_is, "a tensor as a metric"),
    ("federated.train", length_of_the_tensors, "another count"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_first_attempt_at_federated_is_named_for_its_main_mistake(name, answer, mistake):
    for seed in range(3):
        verdict = judge(load(name), answer, seed)
        found = verdict.diagnosis.name if verdict.diagnosis else None
        assert found == mistake, card.plain(verdict, 1)


UNRELATED = {
    "federated.proximal": lambda model, batches, lr, mu: [0.123 * mu * k for k in range(len(batches))],
    "federated.compose": lambda multiplier, rounds, delta, orders: 0.37 * rounds / multiplier,
    "federated.average": lambda states, samples: {name: 0.37 * value for name, value in states[0].items()},
    "federated.split": lambda labels, parts, alpha, generator: [np.array(["a"])] * parts,
}


@pytest.mark.parametrize("name", UNRELATED)
def test_an_answer_to_federated_that_shares_no_misconception_gets_no_name(name):
    for seed in range(3):
        verdict = judge(load(name), UNRELATED[name], seed)
        assert verdict.status == "wrong" and verdict.diagnosis is None, card.plain(verdict, 1)
