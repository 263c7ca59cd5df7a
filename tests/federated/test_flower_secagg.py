"""The same updates through Flower's own SecAgg+ (its client mod and its server workflow): the same mean.

Its whole protocol runs here, without Ray: a grid that hands every message to the mod in this process. A real grid
sends bytes, so every node gets a copy; the process is told that it is the server of a run, as Flower's app would.
"""

import copy

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed")
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat
from flwr.server.client_manager import SimpleClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.supercore.task_identity import TaskIdentity

from breakthrough.federated.fixed_point import Codec
from breakthrough.federated.masking import Member, unmask
from breakthrough.seeds import numpy_generator

LIMIT, FLOWER_LEVELS, PARTIES, THRESHOLD, SIZE = 8.0, 2**22, 6, 4, 300


class Proxy(ClientProxy):
    """A node's name for the client manager; it is reached by the grid only."""

    def __init__(self, name):
        super().__init__(str(name))
        self.node_id = name

    def get_properties(self, *_):
        raise NotImplementedError

    get_parameters = fit = evaluate = reconnect = get_properties


class GridHere:
    """Nodes in this process; those that are gone do not answer from the third message, the masked vector, on."""

    def __init__(self, updates, gone):
        self.updates, self.gone, self.calls = updates, gone, 0
        self.contexts = {name: new_context(name) for name in updates}

    def send_and_receive(self, messages, timeout=None):
        self.calls += 1
        return [self.answer(copy.deepcopy(message)) for message in messages]

    def answer(self, message):
        name = message.metadata.dst_node_id
        if self.calls >= 3 and name in self.gone:
            return Message(Error(code=0, reason="gone"), reply_to=message)
        return secaggplus_mod(message, self.contexts[name], self.train)

    def train(self, message, _):
        update = self.updates[message.metadata.dst_node_id]
        result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([update]), 1000, {})
        return Message(recorddict_compat.fitres_to_recorddict(result, keep_input=True), reply_to=message)


def new_context(name):
    return Context(run_id=1, node_id=name, node_config={}, state=RecordDict(), run_config={})


def by_flower(updates, gone):
    """The mean of the updates of who is left, by SecAgg+."""
    manager = SimpleClientManager()
    for name in updates:
        manager.register(Proxy(name))
    strategy = FedAvg(fraction_fit=1.0, min_fit_clients=PARTIES, min_available_clients=PARTIES)
    context = LegacyContext(new_context(0), strategy=strategy, client_manager=manager)
    context.state.config_records["config"] = ConfigRecord({"current_round": 1})
    start = ndarrays_to_parameters([np.zeros(SIZE)])
    context.state.array_records["parameters"] = recorddict_compat.parameters_to_arrayrecord(start, keep_input=True)
    workflow = SecAggPlusWorkflow(1.0, THRESHOLD / PARTIES, max_weight=1000.0, clipping_range=LIMIT, quantization_range=FLOWER_LEVELS)
    workflow(GridHere(updates, gone), context)
    return parameters_to_ndarrays(recorddict_compat.arrayrecord_to_parameters(context.state.array_records["parameters"], keep_input=True))[0]


def by_us(updates, gone, codec):
    """The mean of the updates of who is left, by masking."""
    members = {name: Member(name, PARTIES, THRESHOLD, b"flower") for name in updates}
    keys = {name: member.advertise() for name, member in members.items()}
    boxes = {name: member.share(keys) for name, member in members.items()}
    left = set(members) - gone
    masked = {name: members[name].mask(codec.encode(updates[name]), {peer: boxes[peer][name] for peer in boxes if peer != name}) for name in left}
    reveals = {name: members[name].reveal(left, gone) for name in left}
    return codec.decode(unmask(masked, keys, set(boxes), reveals, THRESHOLD, b"flower"), len(left)) / len(left)


@pytest.fixture
def server_of_a_run(monkeypatch):
    for field in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, field, 1)


@pytest.mark.parametrize("gone", [set(), {2}, {1, 6}], ids=["all answer", "one drops out", "two drop out"])
def test_flowers_secagg_gives_our_mean_within_both_quantizations(server_of_a_run, gone):
    generator = numpy_generator(0, "flower")
    updates = {name: generator.normal(0, 1, SIZE) for name in range(1, PARTIES + 1)}
    codec, left = Codec(LIMIT, PARTIES), PARTIES - len(gone)
    flower, ours = by_flower(updates, gone), by_us(updates, gone, codec)
    flower_error = 2 * LIMIT / FLOWER_LEVELS  # it rounds up or down by chance: less than a step, also of the mean
    our_error = codec.error(left) / left
    true = np.mean([updates[name] for name in updates if name not in gone], axis=0)
    assert np.abs(ours - true).max() <= our_error
    assert np.abs(flower - ours).max() <= flower_error + our_error
    assert our_error < flower_error / 50  # so what is left between the two is Flower's rounding
    assert np.abs(flower - ours).max() > our_error  # and the two are two computations
