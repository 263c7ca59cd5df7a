"""What it takes to answer: milliseconds, memory, bytes, error, requests a second. One machine, the same threads for all.

1. Latency of the nets at batch 1 and 8: eager, torch.compile, ONNX Runtime, TVM default, tuned and quantized, in turns;
   p50, p90, p99, CPU time, error against eager, and the picture. Goals: TVM tuned 3.5 × eager on the inspector and the
   mobile net at batch 1, level with ONNX Runtime on a net or more.                                   [8 min, timed]
2. The roof: peaks and bandwidths by thread count, the operators of every net under it.                  [5 s, timed]
3. What a process takes that serves: memory and bytes to install, with torch and without. Goal: 1/5.          [1 min]
4. The largest error of every net against PyTorch in float64, and of the aarch64 build in an emulator, which is never
   timed. Goal: 1e-4.                                                                                         [1 min]
5. Accuracy lost by int8, over inspectors of several seeds, on new pictures of their scenes' kind. Goal: 0.5 point.
                                                                                                               [6 min]
6. Serving on loopback: throughput and p99 with and without batching, 1 to 64 clients, the same server with eager
   PyTorch behind it as the control. Goals: 2 × the throughput at twice the p99 at most, no request lost. [3 min, timed]
7. Claim C10: latency against parameters and the roof, over four families of nets.                      [8 min, timed]
8. Where the time of a pass goes in eager, ONNX Runtime and TVM, by kind of work and by step.            [1 min, timed]
9. Part 1 with every core, at size quick.                                                                [3 min, timed]

Run: OMP_NUM_THREADS=1 python benchmarks/deploy.py [--only 1,3] [--profile quick] [--folder DIR to go on with].
Minutes are those of two quiet cores; what is timed wants them quiet. A run that was stopped goes on in its folder.
`--write` puts what was printed into benchmarks/results/deploy-DEVICE.md, a section a part: other parts stay there.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from _deploy_inspector import accuracy, met, serving

from breakthrough import devices, files
from breakthrough.artifacts import store
from breakthrough.deploy import breakdown, footprint, limits, native, verdicts
from breakthrough.deploy.latency import machine_name
from breakthrough.deploy.latency_figures import draw_limits, draw_table
from breakthrough.deploy.latency_table import SIZES, Table, latency_table, versions
from breakthrough.deploy.nets import NETS, net
from breakthrough.deploy.operators import operators
from breakthrough.deploy.roofline import measure_machine
from breakthrough.deploy.roofline_figures import draw_roofline
from breakthrough.deploy.variants import MOST_ERROR, Job, in_double, largest_error, of_torch, onnx_file, variant
from breakthrough.seeds import numpy_generator

GOAL_EAGER, GOAL_ONNX, TUNED = 3.5, 1.0, "TVM tuned"
GOAL_NETS = ("inspector", "mobilenet")
RESULTS = Path(__file__).parent / "results"
TITLES = {
    "1": "Latency", "2": "The roof", "3": "Footprint of a process that serves", "4": "Numerics", "5": "Accuracy of int8",
    "6": "Serving", "7": "Parameters, operations and deadlines (C10)", "8": "Where the time goes",
    "9": "Latency with every core",
}


def latencies(profile: str, threads: int, folder: Path, out: Path) -> None:
    """Print the table and which goals it meets."""
    found = latency_table(profile=profile, threads=threads, folder=folder)
    print(found)
    for name in (name for name in GOAL_NETS if any(cell.net == name for cell in found.cells)):
        speed = found.cell(name).speedup(TUNED)
        print(f"{name}, batch 1: {TUNED} {_speed(speed)} × eager, goal {GOAL_EAGER}: {met(speed is not None and speed.value >= GOAL_EAGER)}")
    ahead = {cell: speed for cell in found.cells if (speed := cell.speedup(TUNED, "ONNX Runtime")) is not None} if _has_onnx(found) else {}
    for cell, speed in ahead.items():
        print(f"{cell.net}, batch {cell.batch}: {TUNED} {_speed(speed)} × ONNX Runtime")
    print(f"level with ONNX Runtime on a net or more, goal {GOAL_ONNX}: {met(any(speed.value >= GOAL_ONNX for speed in ahead.values()))}")
    worst = max((way.error or 0.0, f"{cell.net}, {way.name}") for cell in found.cells for way in cell.ways if variant(way.name).exact and not way.fails)
    print(f"furthest from eager in fp32: {worst[0]:.1e} ({worst[1]}); part 4 says who of them is right")
    print(verdicts.compiled(found))
    draw_table(found).savefig(out / f"latency-{threads}.png")


def roof(threads: int, out: Path) -> None:
    """Print the machine's roofs and the operators of every net."""
    machine = measure_machine({1, threads, devices.cores()})
    print(machine)
    for one in NETS.values():
        profile = operators(one.model(), torch.from_numpy(one.draw(1, numpy_generator(0, "inputs"))), name=one.name, threads=threads)
        print(f"\n{one.name}, eager, {threads} thread(s)\n{profile.table(machine)}")
        draw_roofline(machine, profile).savefig(out / f"roofline-{one.name}.png")


def engines(threads: int, folder: Path) -> None:
    """Print where the time of a pass goes in each engine, of every net at batch 1."""
    from breakthrough.deploy.compile import build
    from breakthrough.deploy.export import to_relax

    for one in NETS.values():
        model, x = one.model(), one.draw(1, numpy_generator(0, "inputs"))
        place = folder / f"breakdown-{one.name}"
        place.mkdir(exist_ok=True)
        with devices.threads(threads):
            parts = [breakdown.of_eager(operators(model, torch.from_numpy(x), threads=threads, repeats=15))]
            parts.append(breakdown.of_onnx(onnx_file(Job(model, x, x, place, threads)), x, threads=threads))
            for pipeline in ("default", "tuned"):
                try:
                    engine = build(to_relax(model, torch.from_numpy(x)), pipeline=pipeline, threads=threads).engine()
                except Exception as error:  # noqa: BLE001 - a pipeline that is not there yet, or refuses the net
                    print(f"{one.name}, TVM {pipeline}: {str(error).splitlines()[0][:120]}")
                    continue
                parts.append(breakdown.of_engine(engine, x, name=f"TVM {pipeline}"))
        print(f"\n{one.name}\n{breakdown.side_by_side(parts)}\n" + "\n".join(map(str, parts[1:])))


def footprints(pipeline: str) -> None:
    """Print what processes take that serve, of every net."""
    for name in NETS:
        found = footprint.footprints(name, requests=100, pipeline=pipeline)
        print(found)
        for row in (row for row in found.rows if row.name.startswith("TVM")):
            shares = [found.share(row.name, of) for of in ("peak_bytes", "installed_bytes")]
            print(f"{name}, {row.name}: memory {shares[0]:.3f}, disk {shares[1]:.3f} of torch, goal {footprint.GOAL}: {met(max(shares) <= footprint.GOAL)}")


def numerics(folder: Path) -> None:
    """Print the largest errors: of compiled nets here, and of the inspector's aarch64 build where it can be emulated."""
    from breakthrough.deploy.compile import build
    from breakthrough.deploy.export import to_relax

    for name in NETS:
        one, generator = net(name), numpy_generator(0, "inputs")
        model, x = one.model(), one.draw(8, generator)
        exported = to_relax(model, torch.from_numpy(x))
        inputs = [one.draw(8, generator) for _ in range(8)]
        eager, exact = of_torch(model), in_double(model)
        scale = max(float(np.abs(exact(x)).max()) for x in inputs)
        for pipeline in ("default", "tuned"):
            engine = build(exported, pipeline=pipeline).engine()
            ours, theirs, apart = (largest_error(run, wanted, inputs) for run, wanted in ((engine, exact), (eager, exact), (engine, eager)))
            print(f"{name}, TVM {pipeline}, batch 8, answers up to {scale:.1f}: {ours:.1e} from PyTorch in float64: {met(ours <= MOST_ERROR)}; eager itself {theirs:.1e}, the two {apart:.1e} apart")
    if missing := native.missing_tools(native.AARCH64):
        print(f"aarch64: not run, {', '.join(missing)} not installed")
        return
    one = net("inspector")
    model, x = one.model(), one.draw(1, numpy_generator(0, "inputs"))
    compiled = build(to_relax(model, torch.from_numpy(x)), "aarch64").save(folder / "aarch64")
    error = float(np.abs(native.bundle(compiled, folder / "aarch64-bundle").run(x).y - of_torch(model)(x)).max())
    print(f"inspector, aarch64 in {native.AARCH64.emulator}: {error:.1e}: {met(error <= MOST_ERROR)}; an emulator's time says nothing and is not taken")


def parameters(profile: str, threads: int, folder: Path, out: Path) -> None:
    """Print latency against parameters and the roof, and what it says of C10."""
    found = limits.run_limits(profile, threads, folder=folder)
    print(found)
    for way in found.variants:
        if sum(one.ms(way) is not None for one in found.nets) >= 3:
            print(verdicts.real_time(found, way))
            draw_limits(found, way).savefig(out / f"limits-{way.replace(' ', '-')}.png")


def _speed(found: object) -> str:
    return "fails," if found is None else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def _has_onnx(found: Table) -> bool:
    return any("ONNX Runtime" in cell.latencies.names for cell in found.cells)


def report(part: str, text: str, seconds: float) -> None:
    """Put a part's section into the results, in the place of the one before; the others stay."""
    path = RESULTS / f"deploy-{devices.choose().type}.md"
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    sections = dict(re.findall(r"^## (\d)\. [^\n]*\n(.*?)(?=^## \d\. |\Z)", old, flags=re.MULTILINE | re.DOTALL))
    made_with = ", ".join(f"{name} {number}" for name, number in versions().items())
    command = re.sub(r" --folder[ =]\S+", "", " ".join(sys.argv[1:]))  # where somebody keeps cells is no business of others
    facts = f"{time.strftime('%Y-%m-%d')}, {machine_name()}, Python {platform.python_version()}, {made_with}; {seconds:.0f} s"
    sections[part] = f"\n{facts}\n\n`python benchmarks/deploy.py {command}`\n\n```\n{text.strip()}\n```\n\n"
    body = "".join(f"## {number}. {TITLES[number]}\n{sections[number].rstrip()}\n\n" for number in sorted(sections))
    files.write_text(path, f"# Deploy, {devices.choose().type}\n\nEvery ratio was taken in turns in one process; intervals are 95%, of medians over blocks.\n\n{body.rstrip()}\n")


def run_part(part: str, run: Callable[[], None], write: bool) -> None:
    """Run a part and print it; keep what it printed where that is wanted."""
    print(f"\n{part}. {TITLES[part]}", flush=True)
    kept, begin = io.StringIO(), time.perf_counter()
    with redirect_stdout(_Both(kept)):
        run()
    if write:
        text = "\n".join(line for line in kept.getvalue().splitlines() if "\r" not in line and not re.match(r"(\S*: )? *\d+%\|", line))
        report(part, text, time.perf_counter() - begin)


class _Both(io.TextIOBase):
    """Standard output, and a copy of it."""

    encoding = "utf-8"

    def __init__(self, copy: io.StringIO) -> None:
        self.copy, self.out = copy, sys.stdout

    def write(self, text: str) -> int:
        self.copy.write(text)
        return self.out.write(text)

    def flush(self) -> None:
        self.out.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="1,2,3,4,5,6,7,8,9")
    parser.add_argument("--profile", default="full", choices=sorted(SIZES), help="size of 1 and 7")
    parser.add_argument("--pipeline", default="tuned", help="of the compiled net in 3")
    parser.add_argument("--threads", type=int, default=1, help="of every way in 1, 2 and 7")
    parser.add_argument("--pictures", type=int, default=3000, help="new ones in 5")
    parser.add_argument("--seeds", type=int, default=3, help="inspectors in 5")
    parser.add_argument("--folder", type=Path, help="where cells are kept; else runs/deploy among the artifacts")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/deploy-DEVICE.md")
    chosen = parser.parse_args()
    home = (chosen.folder or store() / "runs" / "deploy").resolve()
    out = home / "pictures"
    out.mkdir(parents=True, exist_ok=True)
    parts = {
        "1": lambda: latencies(chosen.profile, chosen.threads, home, out),
        "2": lambda: roof(chosen.threads, out),
        "8": lambda: engines(chosen.threads, home),
        "9": lambda: latencies("quick", devices.cores(), home, out),
        "3": lambda: footprints(chosen.pipeline),
        "4": lambda: numerics(home),
        "5": lambda: accuracy(home, chosen.pictures, chosen.seeds),
        "6": lambda: serving(home),
        "7": lambda: parameters(chosen.profile, chosen.threads, home, out),
    }
    wanted = chosen.only.split(",")
    if unknown := [number for number in wanted if number not in parts]:
        parser.error(f"expected parts out of {', '.join(parts)}, got {', '.join(unknown)}")
    warnings.simplefilter("ignore", FutureWarning)  # exporters' own
    torch.set_num_threads(1)
    print(f"{machine_name()}, {chosen.threads} thread(s); {json.dumps(versions())}; pictures in {out}")
    for number in wanted:
        run_part(number, parts[number], chosen.write)


if __name__ == "__main__":
    main()
