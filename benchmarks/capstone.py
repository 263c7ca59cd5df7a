"""The whole line: how long it takes, how good it is, and what its path-traced accuracy comes from.

1. The line of a profile from nothing, then again with nothing changed; accuracy by version against the goals.
2. The ablation: the control trained under one change at a time, tested on rendered and on path-traced pictures, 3 seeds.

Run: python benchmarks/capstone.py [--only 1] [--profile quick] [--folder DIR]. 1 takes about 7 minutes on two quiet cores,
2 about 30, and goes on where it was stopped when it is given a folder.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from breakthrough import devices, files
from breakthrough.capstone import engine, pipeline, wording
from breakthrough.capstone.facts import facts_of
from breakthrough.capstone.shrinking import held_out
from breakthrough.capstone.spec import PROFILES, Spec
from breakthrough.scenes.ranges import Ranges
from breakthrough.train.comparison import estimate
from breakthrough.train.inspection import logits
from breakthrough.train.inspector import load_inspector

GOAL_S, AGAIN_S = 480, 60
POLISHED = {"light_radius_m": (0.02, 0.06), "roughness_factor": (0.6, 1.0)}
LOOKS = ("light_power", "ambient", "light_warmth_factor", "light_elevation_rad", "light_azimuth_rad", "light_distance_m", "light_radius_m",
         "value_factor", "tint_factor", "roughness_factor", "scratch_contrast", "hole_shade", "elevation_rad", "azimuth_rad", "distance_m",
         "roll_rad", "aim_m")  # fmt: skip


def fixed(ranges: Ranges) -> Ranges:
    """Every light, camera and material in the middle of its range: nothing is randomized but the part and its defect."""
    return replace(ranges, **{name: (sum(getattr(ranges, name)) / 2,) * 2 for name in LOOKS})


def everywhere(spec: Spec, change) -> Spec:
    """A spec with the ranges of every factory changed."""
    return replace(spec, factories=tuple(replace(one, ranges=change(one.ranges)) for one in spec.factories))


def variants(spec: Spec) -> Mapping[str, tuple[Spec, Spec]]:
    """By name: what is learned from, and what is tested on."""
    polished = everywhere(spec, lambda ranges: replace(ranges, **POLISHED))
    return {
        "the line": (spec, spec),
        "small hard lamps, polished parts": (polished, polished),
        "no alterations of tone": (replace(spec, augmentation={}), spec),
        "nothing randomized": (everywhere(spec, fixed), spec),
        "half of the pictures": (replace(spec, train=spec.train // 2, passes=2 * spec.passes), spec),
    }


def whole(profile: str, home: Path) -> None:
    """Part 1."""
    print(f"1. the line at {profile}, {platform.machine()}, from nothing, then again")
    began_s = time.perf_counter()
    built = pipeline.build(profile, store=home / "whole", watch=pipeline.Bar())
    first_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    pipeline.build(profile, store=home / "whole")
    again_s = time.perf_counter() - began_s
    print(f"from nothing {first_s:.0f} s, goal {GOAL_S}; nothing changed {again_s:.1f} s, goal {AGAIN_S}")
    facts = facts_of(pipeline.open_line(built))
    for domain, versions in facts["accuracy"].items():
        for version, found in versions.items():
            print(f"{domain:10} {version:10} {wording.interval(found['all']):32} gained on central {wording.points(found['gained']) if found.get('gained') else ''}")
    for line in wording.summary(facts):
        print(line)
    print(facts["goals"])


def ablation(spec: Spec, home: Path, keep: Path | None, chosen: list[int], seeds: range) -> None:
    """Part 2; kept as JSON, the report shows it."""
    rows, first = [], []
    print("2. the control under one change at a time; % and 95% t-intervals over seeds; gained on the first row, path traced, in pairs of a seed")
    for name, (learned, tested) in (list(variants(spec).items())[i] for i in chosen):
        found = {"test": [], "traced": []}
        for seed in seeds:
            made = engine.run(replace(learned, seed=seed), "ablation", home / "ablation", until="central", here=True)
            net = load_inspector(made.artifacts["central"])
            for part in found:
                sets = engine.run(replace(tested, seed=seed), "ablation", home / "ablation", until=part, here=True)
                pictures, _ = held_out([sets.artifacts[f"{part}.{one}"] for one in tested.names], part)
                found[part].append(float((logits(net, pictures.images).argmax(1).numpy() == pictures.labels).mean()))
        first = first or found["traced"]
        shares = {**{part: estimate(values) for part, values in found.items()}, "gained": estimate(np.subtract(found["traced"], first).tolist())}
        rows.append({"name": name, **{part: {"mean": round(one.mean, 5), "half": round(one.half, 5)} for part, one in shares.items()}})
        text = ", ".join(f"{part} {100 * one.mean:.1f} ± {100 * one.half:.1f}" for part, one in shares.items())
        print(f"{name:34} {text}   {np.round(100 * np.array(found['traced']), 1).tolist()}", flush=True)
    if keep:
        told = {"date": time.strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, {devices.cores()} cores", "seeds": len(seeds),
                "passes": spec.passes, "pictures": spec.train * len(spec.factories), "rows": rows}  # fmt: skip
        files.write_text(keep, json.dumps(told, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="1,2")
    parser.add_argument("--profile", default="quick", choices=sorted(PROFILES))
    parser.add_argument("--passes", type=int, default=8, help="passes of each training of part 2")
    parser.add_argument("--train", type=int, default=1000, help="pictures a factory to learn from, of part 2")
    parser.add_argument("--traced", type=int, default=50, help="path-traced pictures a factory and seed of part 2")
    parser.add_argument("--variants", default="0,1,2,3,4", help="which of part 2's rows, from 0")
    parser.add_argument("--seeds", type=int, default=3, help="of part 2")
    parser.add_argument("--keep", type=Path, help="where the ablation is kept as JSON: src/breakthrough/capstone/ablation.json")
    parser.add_argument("--folder", type=Path, help="where stages are kept, to go on with; else a temporary one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = chosen.folder or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        if "1" in chosen.only.split(","):
            whole(chosen.profile, home)
        if "2" in chosen.only.split(","):
            ablation(replace(PROFILES[chosen.profile], passes=chosen.passes, train=chosen.train, traced=chosen.traced, test=100), home, chosen.keep,
                     [int(i) for i in chosen.variants.split(",")], range(chosen.seeds))


if __name__ == "__main__":
    main()
