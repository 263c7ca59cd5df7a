"""The sparse layer as a loop over tokens: slow, plain, for tests only."""

import torch
import torch.nn.functional as F


def oracle(layer, x):
    """Same answer as SparseMoE.forward, written without sorting, padding or batching."""
    config = layer.config
    tokens = x.reshape(-1, x.shape[-1])
    capacity = config.capacity(len(tokens))
    taken = [0] * config.n_experts
    outputs = []
    for token in tokens:
        logits = layer.router @ token
        probs = logits.softmax(0) if config.gate == "softmax" else logits.sigmoid()
        chosen = (probs + layer.routing_bias).topk(config.top_k).indices.tolist()
        total = sum(probs[e] for e in chosen) if config.normalize else 1
        y = torch.zeros_like(token)
        for e in chosen:
            taken[e] += 1
            if capacity is None or taken[e] <= capacity:
                y = y + probs[e] / total * expert(layer.gate_up[e], layer.down[e], token)
        if layer.shared is not None:
            y = y + expert(layer.shared.gate_up, layer.shared.down, token)
        outputs.append(y)
    return torch.stack(outputs).view(x.shape) if outputs else x * 0


def expert(gate_up, down, token):
    gate, up = (gate_up @ token).chunk(2)
    return down @ (F.silu(gate) * up)
