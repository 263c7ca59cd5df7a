"""The sparse layer against a dense SwiGLU of the same active FLOPs and against Hugging Face.

    python benchmarks/moe.py [--quick] [--dtype float32|bfloat16] [--threads N] [--json PATH]

One step is forward and backward, gradients of the input and of all weights, set to None before.
The ideal is a dense SwiGLU with hidden = k · d_hidden on the same tokens, the faster of two usual
ways to write it. d_hidden = 3.5 · d, as in Mixtral 8x7B. Contenders take turns (A B C A B C …) on
fresh random tokens every round, so that loads and matrix shapes change as in training. Figures are
medians over rounds (one round where a contender takes over 4 times the ideal). On a CPU with one
thread time is the process's CPU time, which neighbours on the machine disturb least; else wall.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from breakthrough import devices
from breakthrough.moe import MoEConfig, SparseMoE, SwiGLU
from breakthrough.optional import available, require
from breakthrough.seeds import torch_generator

RESULTS = Path(__file__).parent / "results"
DENSE = ("dense", "dense fused")
HUGGING_FACE = ("eager", "batched_mm", "grouped_mm")
POINT_S = 8.0  # aimed at for the rounds of one point
OURS = "ours auto"
HOLDS = {True: "yes", False: "no", None: "–"}
FAR = 4.0  # times the ideal: one measured round is enough


@dataclass(frozen=True)
class Point:
    """One place of the grid."""

    dtype: str
    tokens: int
    d_model: int
    n_experts: int
    top_k: int

    @property
    def d_hidden(self) -> int:
        return self.d_model * 7 // 2


# (what, limit of ours / ideal, the points it covers)
TARGETS = (
    ("fp32, T ≥ 4096, d = 512, E = 8, k = 2", 1.10,
     lambda p: (p["dtype"], p["d_model"], p["n_experts"], p["top_k"]) == ("float32", 512, 8, 2)),
    ("fp32, whole grid", 1.25, lambda p: p["dtype"] == "float32" and p["d_model"] <= 512),
    ("bf16, whole grid", 1.60, lambda p: p["dtype"] == "bfloat16" and p["d_model"] <= 512),
    ("GPU, bf16, T = 16384, d = 1024, E = 64, k = 2", 1.30,
     lambda p: (p["dtype"], p["d_model"]) == ("bfloat16", 1024)),
)  # fmt: skip


class Dense(nn.Module):
    """A SwiGLU of three linear layers, as most models write it."""

    def __init__(self, d_model: int, d_hidden: int):
        super().__init__()
        self.gate = nn.Linear(d_model, d_hidden, bias=False)
        self.up = nn.Linear(d_model, d_hidden, bias=False)
        self.down = nn.Linear(d_hidden, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


def grid(quick: bool, dtypes: list[str], gpu: bool) -> list[Point]:
    """The points to measure, small ones first."""
    sizes = itertools.product([128] if quick else [128, 512], [4096] if quick else [4096, 16384])
    places = [(t, d, e, k) for d, t in sizes for e, k in itertools.product([8, 32], [1, 2])]
    if quick:
        places.append((4096, 512, 8, 2))
    if gpu:
        places.append((16384, 1024, 64, 2))
    return [Point(dtype, *place) for place in places for dtype in dtypes]


def contenders(point: Point, dispatches: list[str]) -> dict[str, object]:
    """A function per contender that makes it; a reason instead where it cannot run."""
    p = point
    wide = p.d_model, p.top_k * p.d_hidden
    made: dict[str, object] = {"dense": lambda: Dense(*wide), "dense fused": lambda: SwiGLU(*wide)}
    for dispatch in dispatches:
        config = MoEConfig(p.d_model, p.d_hidden, p.n_experts, p.top_k, dispatch=dispatch)
        made[f"ours {dispatch}"] = lambda c=config: SparseMoE(c, torch_generator(0))
    for name in HUGGING_FACE:
        made[f"hf {name}"] = _too_big(p, name) or (lambda n=name: mixtral(p, n))
    return made


def _too_big(point: Point, name: str) -> str | None:
    """batched_mm copies the weights of every assignment, and their gradients again."""
    if not available("transformers"):
        return "transformers is not installed"
    if name != "batched_mm":
        return None
    size = torch.empty(0, dtype=getattr(torch, point.dtype)).element_size()
    need = 2 * point.tokens * point.top_k * 3 * point.d_model * point.d_hidden * size
    gpu = torch.cuda.is_available() and torch.cuda.mem_get_info()[0]
    free = gpu or psutil.virtual_memory().available
    return f"needs {need / 1e9:.0f} GB of {free / 1e9:.0f} free" if need > free / 2 else None


def mixtral(point: Point, implementation: str) -> nn.Module:
    """Hugging Face's sparse block with one of its experts implementations."""
    module = require("transformers.models.mixtral.modeling_mixtral", "to compare with it")
    config = module.MixtralConfig(
        hidden_size=point.d_model, intermediate_size=point.d_hidden,
        num_local_experts=point.n_experts, num_experts_per_tok=point.top_k,
    )  # fmt: skip
    config._experts_implementation = implementation
    block = module.MixtralSparseMoeBlock(config)
    for seed, weight in enumerate(block.parameters()):
        bound = weight.shape[-1] ** -0.5
        nn.init.uniform_(weight, -bound, bound, generator=torch_generator(seed))
    return block


def clock(device: torch.device) -> float:
    """Seconds: CPU time with one thread on a CPU, else wall time with the device idle."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def output(model: nn.Module, x: Tensor) -> Tensor:
    """The output alone, without our statistics."""
    y = model(x)
    return y[0] if isinstance(y, tuple) else y


def step(model: nn.Module, x: Tensor, target: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    x = x.detach().requires_grad_()
    for weight in model.parameters():
        weight.grad = None
    start = clock(x.device)
    output(model, x).backward(target)
    return clock(x.device) - start


def kept_bytes(model: nn.Module, x: Tensor) -> int:
    """Bytes that the forward pass keeps for the backward pass, without weights and input."""
    known = {w.untyped_storage().data_ptr() for w in (x, *model.parameters())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = output(model, x.detach().requires_grad_())  # alive until the sum is taken
    del y
    return sum(size for place, size in kept.items() if place not in known)


def measure(point: Point, dispatches: list[str], device: torch.device) -> dict:
    """Times, ratios to the ideal and bytes kept, for every contender at one point."""
    dtype, draw = getattr(torch, point.dtype), torch_generator(1)

    def tokens() -> Tensor:
        return torch.randn(1, point.tokens, point.d_model, generator=draw).to(device, dtype)

    made = contenders(point, dispatches)
    skipped = {name: why for name, why in made.items() if isinstance(why, str)}
    models = {n: make().to(device, dtype) for n, make in made.items() if n not in skipped}
    kept = {name: kept_bytes(model, tokens()) for name, model in models.items()}
    warm = {name: step(model, tokens(), tokens()) for name, model in models.items()}
    far = {name for name in models if warm[name] > FAR * warm["dense"]}
    rounds = max(3, min(15, round(POINT_S / sum(warm[n] for n in models if n not in far))))
    times: dict[str, list[float]] = {name: [] for name in models}
    for i in range(rounds):
        x, target = tokens(), tokens()
        for name, model in models.items():
            if i == 0 or name not in far:
                times[name].append(step(model, x, target))
    return {**asdict(point), "rounds": rounds, "skipped": skipped, "kept_bytes": kept,
            **ratios(times)}  # fmt: skip


def ratios(times: dict[str, list[float]]) -> dict:
    """Median seconds, their ratio to the ideal's, and the range of the ratio over rounds."""
    median = {name: statistics.median(values) for name, values in times.items()}
    ideal = min(DENSE, key=median.__getitem__)
    spread = {name: sorted(a / b for a, b in zip(values, times[ideal], strict=False))
              for name, values in times.items()}  # fmt: skip
    return {
        "ideal": ideal,
        "seconds": median,
        "ratio": {name: value / median[ideal] for name, value in median.items()},
        "spread": {name: [values[0], values[-1]] for name, values in spread.items()},
    }


def verdicts(points: list[dict]) -> list[dict]:
    """Each target with the worst point it covers; no point, no verdict."""
    races = [(f"of the ideal: {name}", limit, [p["ratio"][OURS] for p in points if covers(p)])
             for name, limit, covers in TARGETS]  # fmt: skip
    for name in (f"hf {n}" for n in HUGGING_FACE):
        met = [p["ratio"][OURS] / p["ratio"][name] for p in points if name in p["ratio"]]
        races.append((f"of {name}, at {len(met)} points", 1.0, met))
    return [{"target": f"≤ {limit:.2f} {name}", "worst": max(met, default=None),
             "holds": max(met) <= limit if met else None}
            for name, limit, met in races]  # fmt: skip


def machine(device: torch.device) -> dict:
    """What the figures were measured on and with."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), cpu)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    if available("transformers"):
        versions["transformers"] = require("transformers", "to compare with it").__version__
    gpu = device.type == "cuda" and torch.cuda.get_device_name(device)
    return {"date": datetime.date.today().isoformat(), "cpu": cpu, "gpu": gpu or None,
            "cores": devices.cores(), "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(), **versions}  # fmt: skip


def markdown(report: dict) -> str:
    """The report as tables."""
    facts = ", ".join(f"{key} {value}" for key, value in report["machine"].items() if value)
    names = list(dict.fromkeys(n for p in report["points"] for n in (*p["ratio"], *p["skipped"])))
    head = ["dtype", "T", "d", "E", "k", "ideal ms", *names, "kept MB: ideal / ours / hf eager"]
    lines = ["# Sparse layer: time of a step over the ideal's", "", facts, ""]
    lines += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cells(p, names)) + " |" for p in report["points"]]
    lines += ["", "Median ratio (lowest–highest of the rounds). A dash: skipped, see below.", ""]
    lines += ["| target | worst | holds |", "| --- | --- | --- |"]
    for v in report["verdicts"]:
        figure = "not measured" if v["worst"] is None else f"{v['worst']:.3f}"
        lines += [f"| {v['target']} | {figure} | {HOLDS[v['holds']]} |"]
    skipped = {f"- skipped: {n} at T = {p['tokens']}, d = {p['d_model']}, k = {p['top_k']}, "
               f"{p['dtype']}: {w}" for p in report["points"] for n, w in p["skipped"].items()}
    return "\n".join([*lines, "", *sorted(skipped), "", *__doc__.strip().splitlines()[4:], ""])


def _cells(p: dict, names: list[str]) -> list[str]:
    place = [p["dtype"], *(str(p[n]) for n in ("tokens", "d_model", "n_experts", "top_k"))]
    ratio = ["–" if n not in p["ratio"] else "{:.2f} ({:.2f}–{:.2f})".format(
        p["ratio"][n], *p["spread"][n]) for n in names]  # fmt: skip
    kept = [p["kept_bytes"].get(n) for n in (p["ideal"], OURS, "hf eager")]
    kept_mb = ("–" if b is None else f"{b / 1e6:.0f}" for b in kept)
    return [*place, f"{1e3 * p['seconds'][p['ideal']]:.1f}", *ratio, " / ".join(kept_mb)]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the results. 1 when a target is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="T = 4096, d = 128 and one more")
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--dispatch", nargs="*", default=["auto"], help="'auto' is always there")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write; a .md is written beside it")
    options, device = parser.parse_args(argv), devices.choose()
    path = options.json or RESULTS / f"moe-{'gpu' if device.type == 'cuda' else 'cpu'}.json"
    dispatches = list(dict.fromkeys(["auto", *options.dispatch]))
    with devices.threads(options.threads):
        report: dict = {"machine": machine(device), "points": [], "verdicts": []}
        for point in grid(options.quick, options.dtype, device.type == "cuda"):
            report["points"].append(measure(point, dispatches, device))
            report["verdicts"] = verdicts(report["points"])
            write(report, path)  # after every point: a stopped run keeps what it has
            last = report["points"][-1]["ratio"].items()
            print(point, {name: round(ratio, 2) for name, ratio in last}, flush=True)
    print(markdown(report), f"written to {path}", sep="\n")
    return 1 if any(v["holds"] is False for v in report["verdicts"]) else 0


def write(report: dict, path: Path) -> None:
    """The report as JSON, and as Markdown beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(report))


if __name__ == "__main__":
    sys.exit(main())
