"""What a bit buys and what it costs: perplexity, bytes, optimizers, adaptation, speed, latency.

1. Perplexity against bytes: a dense and a sparse byte-level model (d = 192, 4 layers) in all schemes, with the
   control of random rounding; 3 seeds. Goals: int8 at most +1%, NF4 +3%, NF4 calibrated +1.5%; weights in NF4 at
   least 87% smaller than fp32 and 74% than fp16, scales included.       [10 min; 90 min more when nothing is trained]
2. 8-bit Adam: validation loss against 32-bit Adam, the room's and bitsandbytes'; 6 seeds of small models. Goals:
   the mean within the seeds' 95% interval, state at least 74% smaller.                                      [6 min]
3. QLoRA against full fine-tuning on a new domain: loss on the new and the old text, peak bytes of a step.    [25 min]
4. Bytes of a training step, and of an answer, by what is kept in which dtype: measured, d = 512, 8 layers.    [3 min]
5. Quantize and dequantize against bitsandbytes' own. Goal: 0.9 of its speed.                           [30 s, timed]
6. A linear layer's forward in each scheme, batch 1 and 64, under the machine's roof.                    [40 s, timed]
7. Seconds a token against bytes moved, over sizes and dtypes; extrapolated to published models.         [90 s, timed]

Run: OMP_NUM_THREADS=1 python benchmarks/quant.py [--only 5,6,7] [--study quick] [--folder DIR to go on with].
Minutes are those of two quiet cores. 5 to 7 want a quiet machine; the rest may be stopped and goes on.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch

from breakthrough import devices
from breakthrough.moe import MoEConfig
from breakthrough.quant import adaptation, answers, figures, memory_cases, memory_figures
from breakthrough.quant.curves import run_curves
from breakthrough.quant.latency import SIZES, measure_latency
from breakthrough.quant.ledger import CONTROLS
from breakthrough.quant.models import ARCHITECTURES, SEEDS, runs_folder
from breakthrough.quant.roofline import measure_roofline
from breakthrough.quant.speed import against_bitsandbytes
from breakthrough.quant.study import STUDIES, run_study
from breakthrough.seeds import torch_generator
from breakthrough.train.language import ByteLM, LanguageConfig

RISES = {"int8": 1.0, "nf4": 3.0, "nf4_gptq": 1.5}  # per cent
SMALLER = {4: 0.87, 2: 0.74}  # by bytes a weight of what it is compared with
GOAL_SPEED, GOAL_STATE = 0.9, 0.74
CURVE_SEEDS = range(6)  # a spread of three is itself hardly known


def perplexities(study: str, folder: Path, out: Path) -> None:
    """Print the ledger and which goals it meets."""
    found = run_study(study, SEEDS, folder=folder)
    print(found)
    for architecture in found.architectures:
        for name, goal in RISES.items():
            risen = found.rise(architecture, name)
            print(f"{architecture}: {name} {risen.mean:+.3f} ± {risen.half:.3f}%, goal +{goal}%: {verdict(risen.mean + risen.half <= goal, risen.mean <= goal)}")
        for of, goal in SMALLER.items():
            share = found.saved(architecture, "nf4", of)
            print(f"{architecture}: nf4 {100 * share:.2f}% smaller than {8 * of}-bit floats, goal {100 * goal:.0f}%: {verdict(share >= goal)}; whole model {100 * found.saved(architecture, 'nf4', of, whole=True):.1f}%")
        for control in (name for name in CONTROLS if name in found.schemes):
            harm = found.harm(architecture, control)
            print(f"{architecture}: {control} {harm.mean:+.3f} ± {harm.half:.3f}% over {CONTROLS[control]}: {harm.verdict}")
    figures.draw_ledger(found).savefig(out / "ledger.png")


def optimizers(profile: str, folder: Path, out: Path) -> None:
    """Print how far 8-bit Adam's loss lies from 32-bit Adam's, and the bytes of its state."""
    for architecture in ARCHITECTURES:
        found = run_curves(profile, CURVE_SEEDS, architecture=architecture, folder=folder)
        print(found)
        for name in ("AdamW8", "bitsandbytes"):
            print(f"{name}: inside the seeds' spread: {verdict(found.inside(name))}; state where it is in 8 bits, goal {100 * GOAL_STATE:.0f}%: {verdict(found.saved(name) >= GOAL_STATE)}")
        figures.draw_curves(found).savefig(out / f"curves-{architecture}.png")


def adaptations(study: str, folder: Path, out: Path) -> None:
    """Print the losses on both domains and the bytes of a step."""
    found = adaptation.run_adaptation(study, SEEDS, folder=folder)
    print(found)
    for architecture in found.architectures:
        print(f"{architecture}: QLoRA's peak is {found.peak_share('QLoRA', architecture):.2f} of full fine-tuning's, activations included")
        figures.draw_adaptation(found, architecture).savefig(out / f"adaptation-{architecture}.png")


def memory(width: int, layers: int, batch: int, out: Path) -> None:
    """Print the bytes of a step of larger models, whose weights outweigh their activations."""
    for name, ffn in (("dense", 8 * width // 3 // 64 * 64), ("moe", MoEConfig(width, 4 * width // 3 // 64 * 64, 8, 2))):
        config = LanguageConfig(d_model=width, n_layers=layers, n_heads=8, context=128, ffn=ffn)
        tokens = torch.randint(0, 256, (batch, 129), generator=torch_generator(0, "tokens")).to(devices.choose())
        found = memory_cases.measure_cases(partial(fresh, config), lambda model: model.loss(tokens)[0])
        print(f"{name}, d = {width}, {layers} layers, {sum(x.numel() for x in ByteLM(config).parameters()) / 1e6:.1f}M weights, batch {batch} × 128")
        print(memory_cases.table(found))
        full, qlora, eight = (found[f"train {case}"] for case in ("fp32", "QLoRA", "8-bit Adam"))
        print(f"QLoRA's peak {qlora.peak / full.peak:.2f} of fp32 training's; 8-bit Adam's state {100 * (1 - eight.state / full.state):.1f}% smaller, its peak {eight.peak / full.peak:.2f}")
        memory_figures.draw_memory(found, name).savefig(out / f"memory-{name}.png")


def fresh(config: LanguageConfig) -> ByteLM:
    """A model of a shape, always the same one."""
    return ByteLM(config, torch_generator(0, "model")).to(devices.choose())


def formats(numbers: int) -> None:
    """Print the room's times beside bitsandbytes'."""
    for row in against_bitsandbytes(numbers, repeats=21):
        print(f"{row.what:26} {1e3 * row.ours_s:8.3f} ms, theirs {1e3 * row.theirs_s:8.3f} ms, {row.ratio:.2f} × its speed ({row.ratio_low:.2f} to {row.ratio_high:.2f}): {verdict(row.ratio >= GOAL_SPEED)}")


def layers(width: int, out: Path) -> None:
    """Print a layer's times in every scheme."""
    found = measure_roofline(width, repeats=9, progress=False)
    print(found)
    figures.draw_roofline(found).savefig(out / "roofline.png")


def latency(sizes: str, out: Path) -> None:
    """Print seconds a token, the lines through them and what they say of published models."""
    found = measure_latency(sizes, repeats=9, progress=False)
    print(f"{'':24} {'weights M':>9} {'MB':>8} {'ms a token':>11} {'GB/s':>6}")
    for timing in found.timings:
        print(f"{timing.kernel:24} {timing.weights / 1e6:9.1f} {timing.bytes / 1e6:8.1f} {1e3 * timing.median_s:11.3f} {timing.bytes / timing.median_s / 1e9:6.1f}")
    print(found)
    for model in answers.MODELS.values():
        times = ", ".join(f"{name} {found.fit(name).seconds(model.active * bits / 8):.1f} s" for name, bits in answers.BITS.items() if name in found.kernels)
        print(f"{model.name} on this {found.device}, if its memory held it: {times} a token")
    for efficiency in (1.0, 0.6):
        print(f"\npublished machines, {100 * efficiency:.0f}% of bandwidth and arithmetic reached, a prompt of 500 tokens:")
        print(answers.table(efficiency=efficiency))
    figures.draw_latency(found).savefig(out / "latency.png")
    (out / "latency.json").write_text(json.dumps(found.to_dict()))


def verdict(met: bool, in_the_mean: bool = False) -> str:
    """Whether a goal is met."""
    return "met" if met else "met in the mean, not by the interval" if in_the_mean else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="1,2,3,4,5,6,7")
    parser.add_argument("--study", default="full", choices=sorted(STUDIES), help="of 1 and 3; 2 trains the models of quick, or of tiny")
    parser.add_argument("--width", type=int, default=512, help="of the models in 4; their batch is 2 × 128")
    parser.add_argument("--numbers", type=int, default=1 << 20, help="in 5")
    parser.add_argument("--layer", type=int, default=2048, help="width of the layer in 6")
    parser.add_argument("--sizes", default="full", choices=sorted(SIZES), help="in 7")
    parser.add_argument("--folder", type=Path, help="where models and results are kept; else runs/quant among the artifacts")
    chosen = parser.parse_args()
    home = (chosen.folder or runs_folder()).resolve()
    out = home / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    parts = {
        "1": lambda: perplexities(chosen.study, home, out),
        "2": lambda: optimizers("tiny" if chosen.study == "tiny" else "quick", home, out),
        "3": lambda: adaptations(chosen.study, home, out),
        "4": lambda: memory(chosen.width, 8, 2, out),
        "5": lambda: formats(chosen.numbers),
        "6": lambda: layers(chosen.layer, out),
        "7": lambda: latency(chosen.sizes, out),
    }
    wanted = chosen.only.split(",")
    if unknown := [number for number in wanted if number not in parts]:
        parser.error(f"expected parts out of {', '.join(parts)}, got {', '.join(unknown)}")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {devices.cores()} cores, {devices.choose().type}; 95% t-intervals over {len(SEEDS)} seeds; pictures in {out}")
    for number in wanted:
        print(f"\n{number}.", flush=True)
        parts[number]()


if __name__ == "__main__":
    main()
