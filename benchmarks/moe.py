"""The sparse layer against a dense SwiGLU of the same active FLOPs and against Hugging Face.

    python benchmarks/moe.py [--quick] [--dtype float32|bfloat16] [--threads N] [--json PATH]
                             [--only T,d,E,k …]

One step is forward and backward, gradients of the input and of all weights, set to None before.
The ideal is a dense SwiGLU with hidden = k · d_hidden on the same tokens, the faster of two usual
ways to write it. d_hidden = 3.5 · d, as in Mixtral 8x7B. Contenders take turns (A B C A B C …) on
fresh random tokens every round, so that loads and matrix shapes change as in training: 5 rounds or
more, 7 where one takes under 10 s, up to 21 (one where a contender takes over 4 times the ideal).
On a CPU with one thread time is the process's CPU time, which neighbours on the machine disturb
least; else wall.

A ratio is the median over rounds of the two times of one round. Never slower than another means
that this median is at most 1.00 at every point: yes. Where it is above 1.00 but the interval that
holds the true median with a chance of 95% (a pair of order statistics; all values below 6 rounds)
includes 1 at every such point, noise and difference cannot be told apart, and the verdict is a tie
within the spread, which is neither yes nor no. The limit itself never moves.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from _moe_report import DENSE, HUGGING_FACE, OURS, markdown, ratios, verdicts, write  # noqa: F401 - the tests name them
from torch import Tensor, nn

from breakthrough import devices
from breakthrough.moe import MoEConfig, SparseMoE, SwiGLU
from breakthrough.optional import available, require
from breakthrough.seeds import torch_generator

RESULTS = Path(__file__).parent / "results"
POINT_S = 8.0  # aimed at for the rounds of one point
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


def only(points: list[Point], places: list[str]) -> list[Point]:
    """The points at places "T,d,E,k", on the grid or not, in the dtypes of the given points."""
    dtypes = dict.fromkeys(point.dtype for point in points)
    return [Point(dtype, *map(int, place.split(","))) for place in places for dtype in dtypes]


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


def enough(round_s: float) -> int:
    """Rounds to measure when one takes so many seconds."""
    return max(7 if round_s < 10 else 5, min(21, round(POINT_S / round_s)))


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
    rounds = enough(sum(warm[name] for name in models if name not in far))
    times: dict[str, list[float]] = {name: [] for name in models}
    for i in range(rounds):
        x, target = tokens(), tokens()
        for name, model in models.items():
            if i == 0 or name not in far:
                times[name].append(step(model, x, target))
    return {**asdict(point), "rounds": rounds, "skipped": skipped, "kept_bytes": kept,
            **ratios(times)}  # fmt: skip


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


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the results. 1 when a target is missed or tied, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="T = 4096, d = 128 and one more")
    parser.add_argument("--only", nargs="*", metavar="T,d,E,k", help="these places, not the grid")
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--dispatch", nargs="*", default=["auto"], help="'auto' is always there")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write; a .md is written beside it")
    options, device = parser.parse_args(argv), devices.choose()
    points = grid(options.quick, options.dtype, device.type == "cuda")
    if options.only:
        points = only(points, options.only)
    dispatches = list(dict.fromkeys(["auto", *options.dispatch]))
    place = RESULTS / f"moe-{'gpu' if device.type == 'cuda' else 'cpu'}.json"
    path = options.json or (None if options.only else place)
    with devices.threads(options.threads):
        report = survey(points, dispatches, device, path)
    print(markdown(report, __doc__), f"written to {path}" if path else "", sep="\n")
    return 1 if any(v["holds"] not in (True, None) for v in report["verdicts"]) else 0


def survey(points: list[Point], dispatches: list[str], device: torch.device, path: Path | None):
    """The report on all points."""
    report: dict = {"machine": machine(device), "points": [], "verdicts": []}
    for point in points:
        report["points"].append(measure(point, dispatches, device))
        report["verdicts"] = verdicts(report["points"])
        if path:  # after every point: a stopped run keeps what it has
            write(report, path, __doc__)
        last = report["points"][-1]["ratio"].items()
        print(point, {name: round(ratio, 2) for name, ratio in last}, flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
