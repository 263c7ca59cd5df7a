"""Parts 5 and 6 of deploy.py: what int8 costs the inspector, and what batching gives its service."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from breakthrough import artifacts, devices
from breakthrough.artifacts import latest
from breakthrough.deploy import accuracy as costs, eager_service, handover, served
from breakthrough.deploy.footprint_worker import peak_bytes
from breakthrough.deploy.latency import measure
from breakthrough.deploy.load import Load
from breakthrough.deploy.variants import of_torch
from breakthrough.federated.training import train_inspector
from breakthrough.quant.inspecting import calibration, dataset_of, pictures_of
from breakthrough.scenes.dataset import make
from breakthrough.scenes.handover import load_scenes
from breakthrough.scenes.spec import DEFECTS
from breakthrough.train.comparison import estimate
from breakthrough.train.inspector import load_inspector
from breakthrough.train.pictures import Pictures

RAW = "application/octet-stream"


def met(goal: bool) -> str:
    """Whether a goal is met."""
    return "met" if goal else "missed"


def accuracy(folder: Path, count: int, seeds: int) -> None:
    """Print what the quantized pipelines cost inspectors of several seeds on pictures that none has seen, and the control."""
    scenes = dataset_of(latest("inspector"))
    known = load_scenes(scenes)
    settings = replace(known.dataset.manifest.settings, n=count, seed=known.dataset.manifest.settings.seed + 1)
    drawn = make(folder / f"more-{count}", settings, workers=devices.cores(), resume=True, progress=True).arrays()
    pictures, learned = Pictures(drawn.rgb, drawn.classes, DEFECTS, drawn.scenes), known.arrays("train")
    batches = calibration(Pictures(learned.rgb, learned.classes, DEFECTS, learned.scenes))
    profile, lost = artifacts.load(scenes).profile, []
    for seed in range(seeds):
        net = train_inspector(scenes, profile, engine="local", seed=seed, folder=folder / f"inspector-{profile}-{seed}").model.eval()
        found = costs.cost(net, batches, pictures)
        lost.append(100 * found.answers.gained("int8").value)
        print(f"\ninspector of seed {seed}, profile {profile}, {len(pictures)} new pictures\n{found}")
    gained = estimate(lost)
    within = gained.mean >= -100 * costs.MOST_LOST
    print(f"\nint8 gains {gained.mean:.2f} ± {gained.half:.2f} points (95%, {seeds} seeds): goal, at most {100 * costs.MOST_LOST} lost: {met(within)}")


def serving(folder: Path) -> None:
    """Print throughput and p99 by clients: pictures as PNG and raw numbers to the compiled net, raw numbers to PyTorch."""
    artifact, inspector = handover.for_this_machine(), latest("inspector")
    place = handover.version_folder(artifact)
    pixels = pictures_of(inspector).images[0]
    png, raw = folder / "part.png", folder / "part.f32"
    Image.fromarray(pixels).save(png)
    raw.write_bytes((pixels.transpose(2, 0, 1).astype("<f4") / 255).tobytes())
    peaks: dict[str, float] = {}
    compiled, eager = (lambda *more: served.serve_command(place, *more)), (lambda *more: eager_service.command(inspector.folder, place, *more))
    for name, command, body, kind in (("compiled", compiled, png, "image/png"), ("compiled", compiled, raw, RAW), ("PyTorch, eager", eager, raw, RAW)):
        with served.started_to_compare(command) as running:
            table = served.measure(*running, Load("", body, kind, seconds=2.0), clients=(1, 4, 16, 64), repeats=3)
            peaks[name] = peak_bytes(running[0].process.pid)
        best = table.best
        print(f"\n{name}, {kind}\n{table}")
        print(f"at {best.clients} clients {np.median(best.ratios):.2f} × the throughput, p99 {best.slower:.2f} ×, {table.lost} lost: goal 2 ×, 2 ×, 0: {met(table.holds)}")
    share = peaks["compiled"] / peaks["PyTorch, eager"]
    print(f"\npeak memory of the service as a whole, Python and HTTP in it: {peaks['compiled'] / 1e6:.0f} MB, of that with PyTorch {peaks['PyTorch, eager'] / 1e6:.0f} MB: {share:.2f}")
    engine, net = handover.load_engine(artifact), load_inspector(inspector).eval()
    x = np.repeat(np.frombuffer(raw.read_bytes(), np.float32).reshape(1, *pixels.transpose(2, 0, 1).shape), 32, axis=0)
    calls = {f"{name} {size}": partial(call, x[:size]) for name, call in (("compiled", engine), ("eager", of_torch(net))) for size in (1, 32)}
    found = measure(calls, threads=1)
    for name in ("compiled", "eager"):
        one, many = found[f"{name} 1"].p50_s, found[f"{name} 32"].p50_s / 32
        print(f"{name}, the net alone: {1000 * one:.3f} ms a picture by itself, {1000 * many:.3f} in a batch of 32: a server that cost nothing would gain {one / many:.2f} ×")
