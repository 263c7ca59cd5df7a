"""What a worker does for a scene: draw, settle, judge, and for every shot look, render, label, encode.

One generator a scene, `("scene", index)`, and a new one for every time it is drawn again. Physics
remembers: where a body comes to rest depends, in the seventh digit, on what the same client has settled
before, and that decides whether a scene on the edge is valid. So every shard starts with a new client
and goes through its scenes in order: what it holds depends on the settings and its number alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.scenes import shards, validity
from breakthrough.scenes.labels import Labels, annotate
from breakthrough.scenes.manifest import PATHTRACE, Settings
from breakthrough.scenes.poses import Poses, multiply, start
from breakthrough.scenes.render import Frame, Renderer, check_camera
from breakthrough.scenes.sampling import look, sample
from breakthrough.scenes.simulator import Simulator
from breakthrough.scenes.spec import SceneSpec
from breakthrough.seeds import derive, numpy_generator

MOST_DRAWS = 200  # of one scene: ranges that need more are at fault
CUT = "shot out of view"  # a look that is drawn again, while the scene stays


@dataclass(frozen=True)
class Made:
    """The pictures of one scene, its class, and what it took: scenes drawn, reasons of those dropped."""

    pictures: list[shards.Picture]
    kind: str
    drawn: int = 1
    invalid: Counter[str] = field(default_factory=Counter)


class Producer(Protocol):
    """What makes scenes for a dataset: called with the settings, entered once, kept for a worker's life."""

    def __enter__(self) -> Producer:
        """Start what it needs."""

    def __exit__(self, *error: object) -> None:
        """Stop it."""

    def shard(self, scenes: range) -> Iterator[Made]:
        """Make the scenes of a shard in order; the same ones give the same pictures, whatever was made before."""


class Pipeline:
    """Makes the scenes of a dataset with one renderer, which is kept, and a simulator a shard. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._ranges = settings.drawn_from()
        self._stack = ExitStack()

    def __enter__(self) -> Pipeline:
        if self.settings.renderer != PATHTRACE:
            self._renderer = self._stack.enter_context(Renderer(self.settings.renderer, self.settings.supersample))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def shard(self, scenes: range) -> Iterator[Made]:
        """All shots of every scene of a shard, labelled and encoded.

        Raises: BreakthroughError when no draw of a scene is valid
        """
        with Simulator() as simulator:
            for index in scenes:
                yield self._scene(index, simulator)

    def _scene(self, index: int, simulator: Simulator) -> Made:
        invalid: Counter[str] = Counter()
        spec, poses, draws, generator = self._draw(index, simulator, invalid)
        pictures = []
        for shot in range(self.settings.shots_of(index)):
            if shot:
                spec = self._look(spec, poses, generator, invalid)
            frame = self._render(spec, poses, index, shot)
            labels = to_plain(spec, poses, annotate(spec, poses, frame), index, shot)
            pictures.append(shards.encode(f"{index:06d}-{shot:02d}", labels, frame.rgb, frame.instance, frame.depth_m))
        return Made(pictures, spec.defect.kind, draws, invalid)

    def _draw(self, index: int, simulator: Simulator, invalid: Counter[str]) -> tuple[SceneSpec, Poses, int, np.random.Generator]:
        seed, kind = self.settings.seed, self._kind(index)
        for again in range(MOST_DRAWS):
            generator = numpy_generator(seed, "scene", index, *(("again", again) if again else ()))
            spec = sample(self._ranges, generator, size=self.settings.size, defect=kind)
            poses, reasons = self._settle(spec, simulator)
            if not reasons:
                return spec, poses, again + 1, generator
            invalid.update(reasons)
        why = ", ".join(f"{reason} {count}×" for reason, count in invalid.most_common())
        raise BreakthroughError(expected(f"a valid scene {index} within {MOST_DRAWS} draws", why, "other ranges"))

    def _kind(self, index: int) -> str:
        # every run of as many scenes as there are classes has each class once, in an order of its own
        kinds = self._ranges.defects
        block, place = divmod(index, len(kinds))
        return kinds[numpy_generator(self.settings.seed, "classes", block).permutation(len(kinds))[place]]

    def _settle(self, spec: SceneSpec, simulator: Simulator) -> tuple[Poses, tuple[str, ...]]:
        poses = start(spec)
        if self._cut(spec, poses):  # settling moves the part by hairs
            return poses, ("out of view",)
        if not self.settings.physics:
            return poses, ()
        settled = simulator.settle(spec)
        return settled.poses, validity.validity(spec, settled).reasons

    def _look(self, spec: SceneSpec, poses: Poses, generator: np.random.Generator, invalid: Counter[str]) -> SceneSpec:
        for _ in range(MOST_DRAWS):
            found = look(spec, self._ranges, generator)
            if not self._cut(found, poses):
                return found
            invalid[CUT] += 1
        raise BreakthroughError(expected(f"a camera that sees the part within {MOST_DRAWS} draws", "none", "other ranges"))

    def _cut(self, spec: SceneSpec, poses: Poses) -> bool:
        return validity.out_of_view(spec, poses) > validity.OUTSIDE_PX

    def _render(self, spec: SceneSpec, poses: Poses, index: int, shot: int) -> Frame:
        if self.settings.renderer == PATHTRACE:
            from breakthrough.scenes.pathtrace import pathtrace

            return pathtrace(spec, poses, spp=self.settings.spp, seed=derive(self.settings.seed, "light", index, shot))
        if not shot:
            return self._renderer.render(spec, poses)
        check_camera(spec, poses)  # the bodies stand there from the first shot
        return self._renderer.shoot(spec)


def replay(settings: Settings, scene: int, shot: int = 0) -> tuple[SceneSpec, Poses]:
    """Spec and settled poses of one picture of a dataset, made again with its shard up to there.

    Raises: InputError when the dataset has no such picture
    """
    if not (0 <= scene < settings.scenes() and 0 <= shot < settings.shots_of(scene)):
        there = f"a scene from 0 to {settings.scenes() - 1} and a shot below {settings.shots}"
        raise InputError(expected(there, f"scene {scene}, shot {shot}"))
    pipeline, invalid = Pipeline(settings), Counter[str]()
    scenes = next(scenes for scenes in settings.shards() if scene in scenes)
    with Simulator() as simulator:
        for index in range(scenes.start, scene + 1):
            spec, poses, _, generator = pipeline._draw(index, simulator, invalid)
    for _ in range(shot):
        spec = pipeline._look(spec, poses, generator, invalid)
    return spec, poses


def to_plain(spec: SceneSpec, poses: Poses, labels: Labels, scene: int, shot: int) -> shards.Labels:
    """Labels as the plain data of a shard; masks are added when they are encoded."""
    lens = labels.intrinsics
    poses_world = np.hstack([labels.pose_world[:, :3, 3], poses.orientation[labels.body]])  # (K, 7)
    turned = multiply(quaternion(labels.extrinsics[:3, :3]), poses.orientation[labels.body].T).T
    poses_camera = np.hstack([labels.pose_camera[:, :3, 3], turned])
    columns = (
        labels.body.tolist(), labels.names, labels.categories, labels.box_px.tolist(), labels.area_px.tolist(),
        labels.visible.round(4).tolist(), poses_world.round(6).tolist(), poses_camera.round(6).tolist(),
    )  # fmt: skip
    names = ("body", "name", "category", "box", "area", "visible", "world", "camera")
    return {
        "scene": scene,
        "shot": shot,
        "class": labels.label,
        "defect": {"kind": spec.defect.kind, "place": spec.defect.place, "amount_m": round(spec.defect.amount_m, 6)},
        "variant": spec.variant,
        "camera": {
            "width": spec.camera.width,
            "height": spec.camera.height,
            "intrinsics": [lens[0, 0].item(), lens[1, 1].item(), lens[0, 2].item(), lens[1, 2].item()],
            "extrinsics": labels.extrinsics[:3].ravel().round(9).tolist(),
        },
        "instances": [dict(zip(names, row)) for row in zip(*columns)],
    }


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """The unit quaternion (x, y, z, w) of a rotation matrix.

    Shapes: (3, 3) → (4,)
    Source: Shepperd 1978, "Quaternion from rotation matrix": divide by the largest of the four
    """
    trace = np.trace(rotation)
    squares = 1 + 2 * np.append(np.diag(rotation), trace) - trace  # four times the square of each
    i = int(np.argmax(squares))
    if i == 3:
        found = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1], squares[3]])
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        found = np.empty(4)
        found[[i, j, k]] = squares[i], rotation[j, i] + rotation[i, j], rotation[k, i] + rotation[i, k]
        found[3] = rotation[k, j] - rotation[j, k]
    return found / np.linalg.norm(found)
