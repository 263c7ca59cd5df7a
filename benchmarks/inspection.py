"""How well a net that has only seen made-up pictures names the line's: the experiment of lab 02 with patience.

`all` with one shot a scene and smoothed edges, against the same number of naive pictures; the recipe
`full`; tested on path-traced pictures of the line that nobody trains on. Three seeds.

Run: python benchmarks/inspection.py [--pictures 8000] [--line 600] [--sets all,naive]. About a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from breakthrough import devices
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.pixels import every
from breakthrough.scenes.spec import DEFECTS
from breakthrough.train.inspection_runs import inspect
from breakthrough.train.pictures import Pictures
from breakthrough.train.recipe import RECIPES


def pictures(folder: Path, settings: Settings) -> Pictures:
    """A dataset as pictures that tell what every pixel shows."""
    dataset = make(folder, settings, workers=devices.cores(), resume=True, progress=True)
    found = dataset.arrays()
    return Pictures(found.rgb, found.classes, DEFECTS, found.scenes, every(dataset))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--line", type=int, default=600)
    parser.add_argument("--sets", default="all,naive")
    parser.add_argument("--recipe", default="full", choices=sorted(RECIPES))
    parser.add_argument("--folder", type=Path, help="where sets and runs are kept, to go on with; else a temporary one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = chosen.folder or Path(temporary)
        drawn = dict(shots=1, supersample=2)
        training = {name: pictures(home / name, Settings(chosen.pictures, 0, name, **drawn)) for name in chosen.sets.split(",")}
        line = Settings(chosen.line, 1000, "line", renderer="pathtrace", spp=16, shots=1, shard_images=25)
        tests = {"held out": pictures(home / "held_out", Settings(600, 1, "all", **drawn)), "line": pictures(home / "line", line)}
        found = inspect(training, tests, RECIPES[chosen.recipe], seeds=(0, 1, 2), folder=home / "runs")
    for name, runs in found.runs.items():
        for test in tests:
            estimate = found.accuracy(name, test)
            recall = [sum(run.scores[test].recall[i] for run in runs) / len(runs) for i in range(len(DEFECTS))]
            shares = ", ".join(f"{kind} {100 * share:.0f}%" for kind, share in zip(DEFECTS, recall))
            print(f"{name} → {test}: {100 * estimate.mean:.1f} ± {100 * estimate.half:.1f}% (95%, {len(runs)} seeds); found: {shares}")
        print(f"{name}: {sum(run.train_s for run in runs) / len(runs):.0f} CPU-s a training")


if __name__ == "__main__":
    main()
