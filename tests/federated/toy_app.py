"""Apps for tests of real processes: the nodes move a vector towards the mean of their own data."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@client.train()
def train(message, context):
    """Half a step."""
    [weights] = message.content["arrays"].to_numpy_ndarrays()
    path = Path(context.node_config["data"])
    with np.load(path) as data:  # digits do as well: their first pixels
        values = data["values"] if "values" in data else data["x"].reshape(len(data["x"]), -1)[:, : len(weights)]
    moved = weights + 0.5 * (values.mean(0) - weights)
    return Message(RecordDict({"arrays": ArrayRecord([moved]), "metrics": MetricRecord({"num-examples": len(values), "node": context.node_config["partition-id"]})}), reply_to=message)


class Recording(FedAvg):
    """Flower's averaging that remembers who answered in time."""

    def aggregate_train(self, server_round, replies):
        """The average of what came."""
        replies = list(replies)
        self.rounds = [*getattr(self, "rounds", []), sorted(one.content["metrics"]["node"] for one in replies if one.has_content())]
        return super().aggregate_train(server_round, replies)


@server.main()
def main(grid, context):
    """Flower's own averaging, round by round: the first is waited for, the others as long as the plan says."""
    plan = json.loads(Path(context.run_config["plan"]).read_text())
    if "fault" in plan:
        raise ValueError(plan["fault"])
    strategy = Recording(fraction_evaluate=0.0, min_train_nodes=plan["least"], min_available_nodes=plan["least"])
    weights, folder = np.zeros(plan["width"]), Path(context.run_config["folder"])
    for number in range(plan["rounds"]):
        done = strategy.start(grid=grid, initial_arrays=ArrayRecord([weights]), num_rounds=1, timeout=plan["timeout_s"] if number else 300.0)
        weights = done.arrays.to_numpy_ndarrays()[0]
        while "wait_for" in plan and not (folder / plan["wait_for"]).exists():
            time.sleep(0.1)
    print(f"took part: {strategy.rounds}")
    record = {"weights": weights.tolist(), "rounds": strategy.rounds}
    (folder / "record.json").write_text(json.dumps(record))
