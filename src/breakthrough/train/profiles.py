"""The sizes of the experiment, and its three arms.

A sparse layer is compared with a dense one of equal active FLOPs: as much arithmetic per token,
the router's included, whatever the number of weights is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from breakthrough.errors import ConfigError, expected
from breakthrough.moe import MoEConfig, cost
from breakthrough.train.corpus import VOCABULARY
from breakthrough.train.language import LanguageConfig
from breakthrough.train.loop import TrainConfig


@dataclass(frozen=True)
class Profile:
    """One size of the experiment: the sparse model and its training; the other arms follow.

    Units:  control_steps is the length of the control, an evaluation of the sparse run; pairs is
            the number of steps of each model that the time ratio is the median of, after `warm`
            more that do not count
    """

    name: str
    model: LanguageConfig
    training: TrainConfig
    control_steps: int
    warm: int
    pairs: int
    with_tests: bool = False


# Two experts of half the hidden width per token: with one expert of the whole width, routing is
# learned more slowly and these short runs end before the extra weights pay. Learning rate and
# weight decay are the dense model's best of five pairs tried (2e-3 to 8e-3, 0.01 and 0.1), not the
# sparse model's.
PROFILES = {
    "tiny": Profile(
        name="tiny",
        model=LanguageConfig(
            d_model=32, n_layers=2, n_heads=2, context=32, ffn=MoEConfig(32, 43, 8, 2)
        ),
        training=TrainConfig(
            steps=80, batch_size=8, lr=4e-3, warmup=10, eval_every=20, eval_windows=64
        ),
        control_steps=80,
        warm=5,
        pairs=15,
    ),
    "quick": Profile(
        name="quick",
        model=LanguageConfig(
            d_model=64, n_layers=2, n_heads=4, context=64, ffn=MoEConfig(64, 85, 16, 2)
        ),
        training=TrainConfig(
            steps=600, batch_size=32, lr=4e-3, warmup=50, eval_every=100, eval_windows=384
        ),
        control_steps=300,
        warm=20,
        pairs=60,
    ),
    "full": Profile(
        name="full",
        model=LanguageConfig(
            d_model=256, n_layers=4, n_heads=8, context=256, ffn=MoEConfig(256, 341, 32, 2)
        ),
        training=TrainConfig(
            steps=5000, batch_size=64, lr=2e-3, warmup=200, eval_every=250, eval_windows=1024
        ),
        control_steps=2000,
        warm=50,
        pairs=200,
        with_tests=True,
    ),
}


def equal_flops_hidden(config: MoEConfig) -> int:
    """The hidden width of a dense SwiGLU with the active FLOPs of a sparse layer, router included.

    Rounded up: the baseline never gets less.
    """
    flops = cost(replace(config, dispatch="sorted"), tokens=1).flops
    per_unit = 2 * 3 * config.d_model  # a hidden unit: three weights per model dimension
    return -(-flops // per_unit)


def arms(profile: Profile) -> dict[str, tuple[LanguageConfig, TrainConfig]]:
    """The model and the training of each arm; the dense one still without its extra steps."""
    moe, training = profile.model, profile.training
    if not isinstance(moe.ffn, MoEConfig):
        raise ConfigError(expected("a profile with sparse layers", f"a width of {moe.ffn}"))
    dense = replace(moe, ffn=equal_flops_hidden(moe.ffn))
    control = replace(training, balance=0.0, steps=profile.control_steps)
    return {"moe": (moe, training), "dense": (dense, training), "control": (moe, control)}


def model_cost(config: LanguageConfig) -> dict[str, int]:
    """Total and active parameters of a whole model, and its forward FLOPs per token.

    Units:  matmuls of weights and of attention at full context, a multiply-add counted as 2
    """
    d, layers = config.d_model, config.n_layers
    rest = layers * 4 * d * d + VOCABULARY * d  # attention, and the head
    norms = (2 * layers + 1) * d + (0 if config.tied else VOCABULARY * d)
    if isinstance(config.ffn, MoEConfig):
        ffn = cost(replace(config.ffn, dispatch="sorted"), tokens=1)
        total, active, flops = ffn.total_params, ffn.active_params, ffn.flops
    else:
        total = active = 3 * d * config.ffn
        flops = 2 * total
    attention = layers * 2 * config.context * d  # q·k and ·v; causal: half of the context
    return {
        "total_params": rest + norms + layers * total,
        "active_params": rest + norms + layers * active,
        "flops": 2 * rest + attention + layers * flops,
    }


