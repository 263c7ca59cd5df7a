import json, os, time
import numpy as np
from pathlib import Path
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()

@client.train()
def train(message, context):
    data = np.load(context.node_config["data"])
    w = message.content["arrays"].to_numpy_ndarrays()[0]
    w = w + 0.5 * (data["x"].mean(0) - w)
    return Message(RecordDict({"arrays": ArrayRecord([w]), "metrics": MetricRecord({"num-examples": len(data["x"]), "partition-id": context.node_config["partition-id"]})}), reply_to=message)

@server.main()
def main(grid, context):
    plan = json.loads(Path(context.run_config["plan"]).read_text())
    s = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    r = s.start(grid=grid, initial_arrays=ArrayRecord([np.zeros(3)]), num_rounds=plan["rounds"], timeout=plan["timeout_s"])
    Path(context.run_config["folder"], "w.json").write_text(json.dumps(r.arrays.to_numpy_ndarrays()[0].tolist()))
