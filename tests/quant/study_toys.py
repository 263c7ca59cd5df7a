"""A study of the smallest models, and latencies that a known machine would have."""

from breakthrough.moe import MoEConfig
from breakthrough.quant.latency import Latencies, Timing
from breakthrough.quant.models import BasePlan
from breakthrough.train.language import LanguageConfig
from breakthrough.train.loop import TrainConfig

SHAPE = {"d_model": 32, "n_layers": 1, "n_heads": 2, "context": 16}
PLAN = BasePlan(
    "toy",
    LanguageConfig(**SHAPE, ffn=64),
    LanguageConfig(**SHAPE, ffn=MoEConfig(32, 32, 4, 2)),
    TrainConfig(steps=30, batch_size=8, lr=4e-3, warmup=5, eval_every=15, eval_windows=32),
)


def machine(bandwidth: float = 10e9, overhead_s: float = 2e-6, kernels: tuple[str, ...] = ("fp32", "nf4"), noise: float = 0.0) -> Latencies:
    """Timings that lie on a line, but for the noise: every other repeat is longer by that share."""
    timings = []
    for kernel in kernels:
        for scale in (1, 4, 16, 64):
            nbytes, matrices = int(scale * 4e7 * (4 if kernel == "fp32" else 0.5)), 8 + 2 * scale
            seconds = overhead_s * matrices + nbytes / bandwidth
            timings.append(Timing(kernel, nbytes // 4, matrices, nbytes, tuple(seconds * (1 + noise * (k % 2)) for k in range(5))))
    return Latencies("cpu", 1, 2 * bandwidth, 1 << 20, tuple(timings))
