"""The drawings of lesson and lab 02: a camera from the side and over its tray, run lengths, a split of scenes.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Colours are Okabe and Ito's, which people with any colour vision tell apart; what a colour says is
said in words or numbers too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import ShapeError, expected
from breakthrough.pictures import BLUE, GREY, INK, ORANGE, PALE, RED, SKY, describe, listed, new_figure, readable
from breakthrough.scenes.camera import extrinsics
from breakthrough.scenes.meshes import BOSS_M, CAP_M, CAP_RADIUS_M, PLATE_M, PLATES
from breakthrough.scenes.spec import Camera

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch


def plain(axes: Axes) -> None:
    """Take the frame above and on the right away; text of sizes that can be read."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9.5)
    axes.xaxis.label.set_fontsize(10)
    axes.yaxis.label.set_fontsize(10)


def pinhole(offset_m: float, depth_m: float, focal_px: float) -> Figure:
    """A pinhole camera from the side: two triangles with the same angles, and their four numbers.

    Units: offset_m is how far the point lies off the axis; the drawing keeps angles, not the focal length
    """
    plane = 0.4 * depth_m  # where the picture is drawn: any place shows the same triangles
    image = offset_m * plane / depth_m
    figure = new_figure(9, 3.1)
    axes = figure.subplots()
    axes.set(xlim=(-0.07 * depth_m, 1.34 * depth_m), ylim=(-0.95 * offset_m, 1.3 * offset_m))
    axes.axis("off")
    axes.fill([0, depth_m, depth_m], [0, 0, offset_m], fc=SKY, alpha=0.25, lw=0)
    axes.fill([0, plane, plane], [0, 0, image], fc=ORANGE, alpha=0.45, lw=0)
    axes.plot([-0.04 * depth_m, 1.1 * depth_m], [0, 0], color=INK, lw=1, ls="--")
    axes.plot([0, depth_m], [0, offset_m], color=INK, lw=1.4)
    axes.plot([plane] * 2, [-0.45 * offset_m, 0.72 * offset_m], color=ORANGE, lw=3)
    axes.plot([depth_m] * 2, [0, offset_m], color=BLUE, lw=3)
    axes.scatter([0, plane, depth_m], [0, image, offset_m], c=[INK, RED, BLUE], s=45, zorder=3)
    axes.text(0, -0.1 * offset_m, "lens", ha="center", va="top", fontsize=11)
    axes.text(plane, 0.75 * offset_m, "the picture", ha="left", va="bottom", fontsize=11)
    axes.text(1.11 * depth_m, 0, "axis", va="center", fontsize=11)
    axes.text(1.02 * depth_m, offset_m, "the point", va="center", fontsize=11)
    axes.text(1.02 * depth_m, offset_m / 2, f"X = {1000 * offset_m:.0f} mm", va="center", fontsize=12, color=readable(BLUE))
    pixels = f"f · X / Z = {focal_px:.0f} · {1000 * offset_m:.0f} / {1000 * depth_m:.0f}\n= {focal_px * offset_m / depth_m:.1f} pixels"
    axes.text(plane - 0.015 * depth_m, image + 0.03 * offset_m, pixels, ha="right", va="bottom", fontsize=12, color=readable(RED))
    _span(axes, 0, plane, -0.4 * offset_m, f"f = {focal_px:.0f} pixels")
    _span(axes, 0, depth_m, -0.72 * offset_m, f"Z = {1000 * depth_m:.0f} mm")
    said = f"Diagram of a pinhole camera from the side: a point {1000 * offset_m:.0f} mm off the axis and {1000 * depth_m:.0f} mm away falls {focal_px * offset_m / depth_m:.1f} pixels from the middle of the picture, by similar triangles with a focal length of {focal_px:.0f} pixels."
    return describe(figure, said)


def _span(axes: Axes, start: float, end: float, y: float, text: str) -> None:
    axes.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "<|-|>", "color": INK, "lw": 1, "shrinkA": 0, "shrinkB": 0})
    axes.text((start + end) / 2, y, text, ha="center", va="center", fontsize=12, bbox={"fc": "white", "ec": "none", "pad": 2})


def stand(camera: Camera) -> Figure:
    """The camera over its tray from the side, to scale: both frames, the distance, the angle, the view.

    Units: metres; the drawing is the plane x = 0, in which the camera's eye and target should lie
    """
    eye, target = np.array(camera.eye_m)[1:], np.array(camera.target_m)[1:]
    figure = new_figure(9, 5)
    axes = figure.subplots()
    axes.set(aspect="equal", xlim=(-0.31, 0.19), ylim=(-0.03, 0.262), xlabel="world y, m", ylabel="world z, m")
    _part(axes)
    forward = (target - eye) / np.linalg.norm(target - eye)
    for side in (-1, 1):
        ray = _turned(forward, side * camera.fov_rad / 2)
        axes.plot(*zip(eye, eye - ray * eye[1] / ray[1]), color=GREY, lw=1.2)
    axes.plot(*zip(eye, target), color=INK, lw=1, ls="--")
    axes.add_patch(_polygon([eye, *(eye - 0.03 * _turned(forward, angle) for angle in (-0.5, 0.5))], "#bbbbbb"))
    rotation = extrinsics(camera)[:3, 1:3]  # camera axes over world y, z
    _axis(axes, eye, 0.05 * rotation[2], BLUE, "camera z: forward")
    _axis(axes, eye, 0.05 * rotation[1], RED, "camera y: down")
    origin = np.array([0.1, 0.03])
    _axis(axes, origin, np.array([0.0, 0.05]), BLUE, "world z: up")
    _axis(axes, origin, np.array([0.05, 0.0]), RED, "world y")
    middle = (eye + target) / 2
    axes.text(middle[0], middle[1], f"{np.linalg.norm(target - eye):.2f} m", fontsize=11, ha="center", va="center", bbox={"fc": "white", "ec": "none", "pad": 2})
    elevation = math.degrees(math.atan2(eye[1] - target[1], target[0] - eye[0]))
    axes.text(-0.295, 0.02, f"looks down at {elevation:.0f}°,\nsees {math.degrees(camera.fov_rad):.1f}° from top to bottom", fontsize=11, va="bottom")
    axes.spines[["top", "right"]].set_visible(False)
    said = f"Drawing to scale from the side: a camera {np.linalg.norm(target - eye):.2f} m from its tray looks down at {elevation:.0f}° and sees {math.degrees(camera.fov_rad):.1f}° from top to bottom. Its z axis points forward, its y axis down; the world's z axis points up."
    return describe(figure, said)


def _part(axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    _half_x, half_y = PLATES["a"].boxes[0]
    axes.add_patch(Rectangle((-0.31, -0.02), 0.5, 0.02, fc=PALE, ec=INK, lw=0.8))
    axes.add_patch(Rectangle((-half_y, 0), 2 * half_y, PLATE_M, fc=SKY, ec=INK, lw=0.8))
    axes.add_patch(Rectangle((-CAP_RADIUS_M, PLATE_M + BOSS_M), 2 * CAP_RADIUS_M, CAP_M, fc=ORANGE, ec=INK, lw=0.8))
    axes.text(0.185, -0.0105, "tray, its top at z = 0", ha="right", va="center", fontsize=9.5)


def _polygon(points: list[np.ndarray], fill: str) -> Patch:
    from matplotlib.patches import Polygon

    return Polygon(points, fc=fill, ec=INK, lw=0.8, zorder=2)


def _turned(vector: np.ndarray, angle_rad: float) -> np.ndarray:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


def _axis(axes: Axes, start: np.ndarray, along: np.ndarray, colour: str, text: str) -> None:
    axes.annotate("", tuple(start + along), tuple(start), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0})
    place = start + 1.12 * along
    side = "right" if along[0] < -0.01 else "left" if along[0] > 0.01 else "center"
    white = {"fc": "white", "ec": "none", "pad": 1.5}  # lines of sight pass behind
    axes.text(place[0], place[1], text, color=readable(colour), fontsize=10.5, ha=side, va="bottom" if along[1] > 0.01 else "center", bbox=white)


def run_lengths(mask: np.ndarray) -> Figure:
    """A mask as a grid, numbered in COCO's order, and its runs: down the first column, then the second.

    Shapes: mask (H, W) bool, small
    """
    from matplotlib.patches import Rectangle

    height, width = mask.shape
    flat = mask.T.ravel()
    figure = new_figure(9, 0.42 * height + 0.4)
    left, right = figure.subplots(1, 2, width_ratios=[width, max(2.2 * width, 12)])
    for x, y in np.ndindex(width, height):
        left.add_patch(Rectangle((x, y), 1, 1, fc=SKY if mask[y, x] else PALE, ec="white", lw=2))
        left.text(x + 0.5, y + 0.5, str(x * height + y), ha="center", va="center", fontsize=10)
    left.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ends = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    for start, end in itertools.pairwise(ends):
        right.add_patch(Rectangle((start, 0), end - start, 1, fc=SKY if flat[start] else PALE, ec=INK, lw=1))
        right.text((start + end) / 2, 0.5, str(end - start), ha="center", va="center", fontsize=12)
        right.text(start, 1.25, str(start), ha="center", va="top", fontsize=9)
    right.set(xlim=(-0.5, len(flat) + 0.5), ylim=(2.4, -1.4))
    right.set_title("the same, column after column: how long each run is", fontsize=10)
    for axes in (left, right):
        axes.axis("off")
    said = f"A mask of {height} by {width} pixels, numbered column after column, and beside it the same as a strip of runs whose lengths are {listed(str(end - start) for start, end in itertools.pairwise(ends))}, in turn outside and inside the mask."
    return describe(figure, said)


def splits(named: Mapping[str, np.ndarray]) -> Figure:
    """Which shots are held out for the test: a row of squares for each scene, a panel for each way to split.

    Shapes: each split (scenes, shots) bool, true where the shot is held out
    """
    shapes = {np.shape(held) for held in named.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ShapeError(expected("splits of one shape (scenes, shots)", sorted(shapes)))
    from matplotlib.patches import Rectangle

    scenes, shots = next(iter(shapes))
    figure = new_figure(4.5 * len(named), 0.3 * scenes + 1.1)
    for axes, (name, held) in zip(figure.subplots(1, len(named), squeeze=False)[0], named.items()):
        torn = sum(bool(row.any() and not row.all()) for row in held)
        for scene, shot in np.ndindex(scenes, shots):
            fill = ORANGE if held[scene, shot] else PALE
            axes.add_patch(Rectangle((shot + 0.06, scene + 0.06), 0.88, 0.88, fc=fill, ec=GREY, lw=0.8))
            if held[scene, shot]:
                axes.text(shot + 0.5, scene + 0.5, "test", ha="center", va="center", fontsize=9)
        axes.set(xlim=(0, shots), ylim=(scenes, 0), xlabel="shot", ylabel="scene")
        axes.set_title(f"{name}: {torn} of {scenes} scenes on both sides", fontsize=11)
        axes.set_xticks(np.arange(shots) + 0.5, range(shots))
        axes.set_yticks(np.arange(scenes) + 0.5, range(scenes))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    said = (
        f"Grids of {scenes} scenes by {shots} shots, with the shots held out for the test marked. "
        + "; ".join(f"{name}: {sum(bool(row.any() and not row.all()) for row in held)} of {scenes} scenes are on both sides" for name, held in named.items()) + "."
    )
    return describe(figure, said)
