"""Labelled pictures a second, against what a bare renderer could do and against the usual way.

1. Everything (draw, settle, judge, look, render, label, encode, write) against bare getCameraImage calls
   on the same kind of scenes, at 64² and 128²: pictures per CPU second, ours over bare. Goal 0.8.
2. Two workers against one, wall time, start-up included. Goal 1.8.
3. Peak memory of a worker that makes ten times as many pictures. Goal: within 5%.
4. The usual way of public examples: every URDF loaded anew for a picture, Python loops over its pixels
   for boxes and masks, files by Pillow. Ours over that, per CPU second. Goal 3.

Run: python benchmarks/scenes.py [--rounds 5] [--only 1,4]. Rounds are interleaved, A B A B; medians and quartiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from breakthrough.scenes import meshes, render
from breakthrough.scenes.dataset import Settings, make
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.render import Renderer
from breakthrough.scenes.sampling import look, sample
from breakthrough.scenes.shapes import wavefront
from breakthrough.scenes.simulator import Simulator, pybullet
from breakthrough.scenes.spec import SceneSpec
from breakthrough.seeds import numpy_generator


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    started = time.process_time()
    work()
    return time.process_time() - started


class Bare:
    """getCameraImage, with the lights and materials of our scenes, and nothing else in the clock."""

    def __init__(self, size: int, scenes: int = 24) -> None:
        ranges = preset("all")
        self.renderer, self.shots = Renderer(), []
        with Simulator() as simulator:
            for i in range(scenes):
                generator = numpy_generator(1, "bare", i)
                spec = sample(ranges, generator, size=size)
                self.shots.append((look(spec, ranges, generator), simulator.settle(spec).poses))

    def seconds_per_picture(self, calls: int = 6) -> float:
        """CPU seconds of one call, over all scenes."""
        total = 0.0
        bullet, client = self.renderer.bullet, self.renderer.client
        for spec, poses in self.shots:
            self.renderer.render(spec, poses)
            camera = spec.camera
            view, projection = render.bullet_matrices(camera, render.NEAR_M, 1.0)
            direction, colour, ambient, diffuse = render.one_light(spec)
            options = dict(lightDirection=direction, lightColor=colour, lightDistance=6.5, shadow=1, lightAmbientCoeff=ambient,
                           lightDiffuseCoeff=diffuse, lightSpecularCoeff=0.0, renderer=bullet.ER_TINY_RENDERER, physicsClientId=client)  # fmt: skip

            def calls_only() -> None:
                for _ in range(calls):
                    bullet.getCameraImage(camera.width, camera.height, view, projection, **options)

            total += cpu_s(calls_only)
        return total / (calls * len(self.shots))


class Ours:
    """The pipeline and the shard writer, in this process, as a worker runs them."""

    def __init__(self, size: int) -> None:
        self.size, self.round = size, 0
        self.seconds_per_picture(128)  # compiled code, first imports

    def seconds_per_picture(self, n: int = 512) -> float:
        """CPU seconds of one labelled picture on disk."""
        self.round += 1
        settings = Settings(n=n, seed=self.round, size=self.size)
        with tempfile.TemporaryDirectory() as folder:
            return cpu_s(lambda: make(Path(folder) / "set", settings)) / n


class Usual:
    """What examples do: reset, load URDFs, step a fixed time, one picture, then loops over its pixels."""

    def __init__(self, size: int) -> None:
        self.bullet, self.size = pybullet(), size
        self.folder = Path(tempfile.mkdtemp())
        for name in meshes.names():
            (self.folder / f"{name}.obj").write_text(wavefront(meshes.mesh(name)))
        self.client = self.bullet.connect(self.bullet.DIRECT)

    def picture(self, i: int) -> None:
        """One labelled picture on disk."""
        p, client = self.bullet, self.client
        spec = sample(preset("all"), numpy_generator(2, "usual", i), size=self.size)
        p.resetSimulation(client)
        p.setGravity(0, 0, -9.81, client)
        for body in spec.bodies:
            urdf = self._urdf(spec, body.name)
            position = body.position_m if body.attached_to is None else np.add(body.position_m, (0, 0, 0.004)).tolist()
            loaded = p.loadURDF(str(urdf), position, body.orientation, useFixedBase=body.mass_kg == 0, physicsClientId=client)
            p.changeVisualShape(loaded, -1, rgbaColor=(*body.material.base_linear, 1), physicsClientId=client)
        for _ in range(120):
            p.stepSimulation(client)
        camera = spec.camera
        view = p.computeViewMatrix(camera.eye_m, camera.target_m, (0, 0, 1))
        projection = p.computeProjectionMatrixFOV(np.degrees(camera.fov_rad), 1, 0.05, 2)
        _, _, rgba, _, segmentation = p.getCameraImage(self.size, self.size, view, projection, renderer=p.ER_TINY_RENDERER, physicsClientId=client)
        boxes: dict[int, list[int]] = {}
        masks: dict[int, list[tuple[int, int]]] = {}
        for y in range(self.size):
            for x in range(self.size):
                i_body = int(segmentation[y][x])
                if i_body > 0:
                    low_high = boxes.setdefault(i_body, [x, y, x, y])
                    low_high[0], low_high[1] = min(low_high[0], x), min(low_high[1], y)
                    low_high[2], low_high[3] = max(low_high[2], x), max(low_high[3], y)
                    masks.setdefault(i_body, []).append((x, y))
        Image.fromarray(rgba[:, :, :3]).save(self.folder / "picture.png")
        (self.folder / "labels.json").write_text(json.dumps({"boxes": boxes, "masks": masks, "class": spec.defect.kind}))

    def _urdf(self, spec: SceneSpec, name: str) -> Path:
        body = spec.bodies[spec.index(name)]
        solids = "".join(_collision(solid) for solid in meshes.solids(body.mesh))
        path = self.folder / f"{name}.urdf"
        path.write_text(
            f'<robot name="{name}"><link name="base"><inertial><mass value="{body.mass_kg}"/>'
            f'<inertia ixx="1e-5" iyy="1e-5" izz="1e-5" ixy="0" ixz="0" iyz="0"/></inertial>'
            f'<visual><geometry><mesh filename="{self.folder / body.mesh}.obj"/></geometry></visual>{solids}</link></robot>'
        )
        return path

    def seconds_per_picture(self, n: int = 24) -> float:
        """CPU seconds of one labelled picture on disk."""
        return cpu_s(lambda: [self.picture(i) for i in range(n)]) / n


def _collision(solid: meshes.Solid) -> str:
    x, y, z = solid.size_m
    shape = f'<box size="{2 * x} {2 * y} {2 * z}"/>' if solid.kind == "box" else f'<cylinder radius="{x}" length="{2 * z}"/>'
    return f'<collision><origin xyz="{" ".join(map(str, solid.center_m))}"/><geometry>{shape}</geometry></collision>'


def race(a: Callable[[], float], b: Callable[[], float], rounds: int, what: str) -> dict[str, float]:
    """Interleaved rounds of two ways; medians of each and the ratio a / b round by round."""
    pairs = [(a(), b()) for _ in tqdm(range(rounds), desc=what, disable=not sys.stderr.isatty())]
    ratios = [first / second for first, second in pairs]
    quartiles = statistics.quantiles(ratios, n=4) if rounds > 1 else [ratios[0]] * 3
    found = {"a_ms": 1e3 * statistics.median(p[0] for p in pairs), "b_ms": 1e3 * statistics.median(p[1] for p in pairs)}
    return found | {"ratio": statistics.median(ratios), "low": quartiles[0], "high": quartiles[2]}


def memory_bytes(n: int) -> int:
    """Peak memory of a process that makes n pictures."""
    code = (
        "import resource,tempfile; from pathlib import Path; from breakthrough.scenes.dataset import Settings, make\n"
        f"with tempfile.TemporaryDirectory() as f: make(Path(f)/'set', Settings(n={n}))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1])


def wall_s(workers: int, n: int, seed: int) -> float:
    """Wall seconds of a dataset of n pictures, start-up included."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        make(Path(folder) / "set", Settings(n=n, seed=seed), workers=workers)
        return time.perf_counter() - started


def worker_race(rounds: int, n: int) -> dict[str, float]:
    """One worker against two, both in processes of their own."""
    return race(lambda: wall_s(1, n, 1) / n, lambda: wall_s(2, n, 1) / n, rounds, "one worker, two workers")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="1,2,3,4")
    chosen = parser.parse_args()
    parts = set(chosen.only.split(","))
    missed = []

    def report(name: str, found: dict[str, float], goal: float) -> None:
        print(f"{name:<44}{found['a_ms']:>9.2f} ms{found['b_ms']:>9.2f} ms   ratio {found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f}), goal {goal}", flush=True)
        if found["ratio"] < goal:
            missed.append(name)

    for size in (64, 128):
        ours = Ours(size) if parts & {"1", "4"} else None
        if "1" in parts:
            bare = Bare(size)
            report(f"bare calls / everything, {size}²", race(bare.seconds_per_picture, ours.seconds_per_picture, chosen.rounds, f"bare {size}"), 0.8)
        if "4" in parts:
            usual = Usual(size)
            usual.picture(0)
            report(f"the usual way / everything, {size}²", race(usual.seconds_per_picture, ours.seconds_per_picture, chosen.rounds, f"usual {size}"), 3)
    if "2" in parts:
        report("one worker / two, 6,000 pictures", worker_race(max(2, chosen.rounds // 2), 6000), 1.8)
    if "3" in parts:
        few, many = memory_bytes(1000), memory_bytes(10_000)
        print(f"peak memory: 1,000 pictures {few / 2**20:.1f} MiB, 10,000 {many / 2**20:.1f} MiB, ratio {many / few:.3f}, goal 1.05")
        missed += ["memory"] if many > 1.05 * few else []
    print(f"missed: {', '.join(missed) or 'none'}")
    return bool(missed)


if __name__ == "__main__":
    raise SystemExit(main())
