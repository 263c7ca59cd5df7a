"""A fresh process that serves a net: it answers a request N times and says what it took. Imports only what its way needs.

Run: python -m breakthrough.deploy.footprint_worker WAY WHAT INPUT.npy ANSWER.npy N
WAY and WHAT: torch and a net's name, onnx and a file, tvm and a folder of a compiled net
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main(way: str, what: str, given: str, answer: str, requests: str) -> None:
    """Serve, write the answer, print the figures as one line of JSON. Units: bytes, seconds."""
    x = np.load(given)
    run, taken = WAYS[way](what), []
    for _ in range(int(requests)):
        begin = time.perf_counter()
        y = run(x)
        taken.append(time.perf_counter() - begin)
    np.save(answer, y)
    big = [name for name in ("torch", "tvm", "onnxruntime", "tvm_ffi") if sys.modules.get(name) is not None]
    print(json.dumps({"peak_bytes": peak_bytes(), "median_s": sorted(taken)[len(taken) // 2], "modules": big}))


def peak_bytes(process: int | str = "self") -> int:
    """The most memory that a process has held at once: VmHWM."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def of_torch(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A net in eager mode, its weights drawn from seed 0, on one thread."""
    import torch

    from breakthrough.deploy.nets import net

    torch.set_num_threads(1)
    model = net(name).model()

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return run


def of_onnx(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """An ONNX file by ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def of_tvm(folder: str) -> Callable[[np.ndarray], np.ndarray]:
    """A compiled net by TVM's runtime alone, with what that requires: tvm_ffi loads ml_dtypes only where others brought it."""
    sys.modules["ml_dtypes"] = None  # type: ignore[assignment]  # None there means: not to be imported
    from breakthrough.deploy.runtime import Engine

    return Engine(folder)


WAYS = {"torch": of_torch, "onnx": of_onnx, "tvm": of_tvm}

if __name__ == "__main__":
    main(*sys.argv[1:])
