"""A federated run between two rounds, in one file: weights, the strategy's memory, the history.

Written aside and renamed after every round: a server that is killed goes on from the last whole round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from breakthrough import files
from breakthrough.errors import ArtifactError, expected
from breakthrough.federated.history import History
from breakthrough.federated.plan import Plan
from breakthrough.federated.vectors import State

NAME = "checkpoint.safetensors"


def save(folder: Path, plan: Plan, weights: State, memory: State, history: History) -> None:
    """Write a run as it is after a round."""
    tensors = {f"weights/{name}": np.ascontiguousarray(x) for name, x in weights.items()}
    tensors |= {f"memory/{name}": np.ascontiguousarray(x) for name, x in memory.items()}
    facts = {"plan": plan.to_json(), "history": json.dumps(history.to_list())}
    with files.aside(folder / NAME) as aside:
        save_file(tensors, aside, metadata=facts)


def restore(folder: Path, plan: Plan) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], History] | None:
    """The weights, the memory and the history that `save` wrote; None when nothing was.

    Raises: ArtifactError when the file is damaged, or of another plan
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts: Mapping[str, str] = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            before, history = json.loads(facts["plan"]), History.from_list(json.loads(facts["history"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise ArtifactError(expected(f"the checkpoint of a federated run in {path}", repr(error))) from error
    now = json.loads(plan.to_json())
    odd = sorted(name for name in now.keys() | before.keys() if name != "rounds" and now.get(name) != before.get(name))
    if odd:
        what = f"a checkpoint of the same plan in {path}"
        raise ArtifactError(expected(what, f"another {', '.join(odd)}", "another folder, or delete the file"))
    parts = {kind: {n.partition("/")[2]: x for n, x in tensors.items() if n.startswith(kind + "/")} for kind in ("weights", "memory")}
    return parts["weights"], parts["memory"], history
