"""The pictures of lesson 02: contact sheets, and what is known about a picture drawn over it.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
Shape legend: K visible bodies, H × W pixels. A pixel's middle is drawn half a pixel from its corner,
so that what `camera.project` says falls where it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from breakthrough.errors import ShapeError, expected
from breakthrough.pictures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, YELLOW, describe, listed, new_figure
from breakthrough.scenes.camera import project
from breakthrough.scenes.labels import Labels
from breakthrough.scenes.render import Frame
from breakthrough.scenes.spec import Camera

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

BY_CATEGORY = {"bracket": SKY, "bolt": ORANGE, "cap": RED, "scratch": YELLOW, "distractor": PURPLE, "hole": GREEN}


def pictures(named: Mapping[str, np.ndarray], columns: int = 5, inches: float = 1.8) -> Figure:
    """Pictures in a grid, each under its name.

    Shapes: each (H, W, 3) uint8, all of one size
    """
    height, width = _one_size(named.values())
    columns = min(columns, len(named))
    rows = -(-len(named) // columns)
    figure = new_figure(columns * inches, rows * (inches * height / width + 0.32))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, (name, rgb) in zip(grid, named.items()):
        show(axes, rgb)
        axes.set_title(name.replace("_", " "), fontsize=10)
    return describe(figure, f"Pictures in a row, made by the simulator, one each of: {listed(name.replace('_', ' ') for name in named)}.")


def contact_sheet(rows: Mapping[str, Sequence[np.ndarray]], inches: float = 1.1) -> Figure:
    """A row of pictures for each name, side by side.

    Shapes: each picture (H, W, 3) uint8, all of one size, as many in every row
    """
    if len({len(row) for row in rows.values()}) != 1:
        raise ShapeError(expected("as many pictures in every row", {name: len(row) for name, row in rows.items()}))
    height, width = _one_size(picture for row in rows.values() for picture in row)
    count, gap = len(next(iter(rows.values()))), max(1, height // 24)
    white = np.full((gap, count * width, 3), 255, np.uint8)
    strips = [strip for row in rows.values() for strip in (np.concatenate(row, axis=1), white)][:-1]
    figure = new_figure(count * inches + 1.2, inches * sum(map(len, strips)) / width + 0.1)
    layout: Any = figure.get_layout_engine()  # the constrained one, of `new_figure`
    layout.set(w_pad=0.12)
    axes = figure.subplots()
    axes.imshow(np.concatenate(strips), interpolation="nearest")
    axes.set_yticks([(height + gap) * n + height / 2 for n in range(len(rows))], list(rows), fontsize=10.5)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return describe(figure, f"Contact sheet: {count} pictures in each of {len(rows)} rows, {listed(' '.join(name.split()) for name in rows)}.")


def projected(frame: Frame, bodies: Sequence[int], points_px: np.ndarray, wrong_px: np.ndarray | None = None) -> Figure:
    """Projected points over a picture, with the outlines that the renderer's segmentation gives these bodies.

    Shapes: points_px, wrong_px (N, 2) as (x, y)
    """
    figure = new_figure(5.2 if wrong_px is None else 9, 4.6)
    panels = figure.subplots(1, 1 if wrong_px is None else 2, squeeze=False)[0]
    drawn = {"projected with K and the pose": points_px}
    if wrong_px is not None:
        drawn["the same points, y taken upwards"] = wrong_px
    for axes, (name, points) in zip(panels, drawn.items()):
        show(axes, frame.rgb)
        for i in bodies:
            _outline(axes, frame.instance == i, YELLOW)
        axes.scatter(*points.T, c="white", marker="+", s=190, lw=5)  # a rim: seen on a red cap, too
        axes.scatter(*points.T, c="black", marker="+", s=130, lw=2)
        axes.set_title(name, fontsize=11)
        axes.set(xlabel="x, px", ylabel="y, px")
    said = (
        f"A picture of a part with the outlines of {len(bodies)} bodies and crosses where their middles are projected to. "
        + "; ".join(f"{name}: {_inside(frame, bodies, points)} of {len(bodies)} crosses are in their body" for name, points in drawn.items() if points is not None) + "."
    )
    return describe(figure, said)


def depth_views(frame: Frame, zbuffer: np.ndarray, row: int) -> Figure:
    """A picture, its z-buffer from 0 to 1 and its depth in millimetres, with a row of the depth as a line.

    Shapes: zbuffer (H, W)
    """
    figure = new_figure(9.4, 5.4)
    grid = figure.add_gridspec(2, 3, height_ratios=[1.35, 1])
    depth = 1000 * frame.depth_m
    for n, (name, values, limits) in enumerate((
        ("picture", frame.rgb, (None, None)),
        ("z-buffer, 0 to 1", zbuffer, (0, 1)),
        ("depth, mm", depth, (depth.min(), depth.max())),
    )):  # fmt: skip
        axes = figure.add_subplot(grid[0, n])
        image = show(axes, values, cmap="gray" if n == 1 else "viridis_r", vmin=limits[0], vmax=limits[1])
        axes.axhline(row + 0.5, color=RED, lw=1.5)
        axes.set_title(name, fontsize=11)
        axes.axis("off")
        if n:
            figure.colorbar(image, ax=axes, shrink=0.85)
    axes = figure.add_subplot(grid[1, :])
    axes.plot(np.arange(depth.shape[1]) + 0.5, depth[row], color=RED, lw=1.8, drawstyle="steps-mid")
    axes.set(xlabel=f"column of row {row}, px", ylabel="depth, mm\n(nearer is up)", xlim=(0, depth.shape[1]))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    said = f"A part three times: the picture, its z-buffer in nearly one grey, and its depth from {depth.min():.0f} to {depth.max():.0f} mm in colours. Below, depth along pixel row {row} as a line with steps at the bodies' edges, from {depth[row].min():.0f} to {depth[row].max():.0f} mm."
    return describe(figure, said)


def labelled(frame: Frame, labels: Labels, camera: Camera, axes_m: float = 0.018) -> Figure:
    """A picture's labels: masks with boxes and visible shares, and each body's frame as three axes.

    Units: axes_m is the length of the drawn axes
    """
    figure = new_figure(9.4, 4.9)
    left, right = figure.subplots(1, 2)
    show(left, frame.rgb)
    show(right, (0.55 * frame.rgb + 0.45 * 255).astype(np.uint8))
    for name, mask, box, visible, kind in zip(labels.names, labels.masks(frame), labels.box_px, labels.visible, labels.categories):
        _mask(left, mask, BY_CATEGORY[kind])
        said = f"{100 * visible:.0f}%" if kind == "distractor" else f"{name} {100 * visible:.0f}%"
        _box(left, box, BY_CATEGORY[kind], said, frame.rgb.shape[1])
    for pose in labels.pose_world:
        _pose(right, pose, camera, axes_m)
    left.set_title("masks, boxes, visible shares", fontsize=11)
    right.set_title("poses: x red, y dashed green, z thick blue", fontsize=11)
    for axes in (left, right):
        axes.set(xlim=(0, frame.rgb.shape[1]), ylim=(frame.rgb.shape[0], 0))
        axes.axis("off")
    said = f"A picture twice. Left with masks, boxes and the visible share of {len(labels.names)} bodies, the most hidden is {labels.names[int(np.argmin(labels.visible))]} with {100 * min(labels.visible):.0f}%; right with each body's frame as three short axes."
    return describe(figure, said)


def neighbours(pairs: Sequence[tuple[np.ndarray, str, np.ndarray, str]], inches: float = 1.45) -> Figure:
    """Test pictures above, below each the training picture that is nearest to it.

    Shapes: each pair (picture (H, W, 3), what to say of it, its neighbour (H, W, 3), what to say of that)
    """
    figure = new_figure(len(pairs) * inches + 0.5, 2 * inches + 0.75)
    grid = figure.subplots(2, len(pairs), squeeze=False)
    for column, pair in enumerate(pairs):
        for axes, rgb, text in zip(grid[:, column], pair[::2], pair[1::2]):
            show(axes, rgb)
            axes.set_title(text, fontsize=9.5)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(GREY)
    for axes, text in zip(grid[:, 0], ("test picture", "nearest in training")):
        axes.set_ylabel(text, fontsize=10)
    return describe(figure, f"{len(pairs)} pairs of pictures: above, of the test; below, the training picture nearest to it. {listed(f'{one[1]} and {one[3]}' for one in pairs[:6])}.")


def show(axes: Axes, picture: np.ndarray, **how: Any) -> AxesImage:
    """Draw a picture whose pixel (0, 0) has its corner at (0, 0)."""
    height, width = picture.shape[:2]
    return axes.imshow(picture, interpolation="nearest", extent=(0, width, height, 0), **how)


def _one_size(images: Iterable[np.ndarray]) -> tuple[int, int]:
    sizes = {image.shape[:2] for image in images}
    if len(sizes) != 1:
        raise ShapeError(expected("pictures of one size", sorted(sizes), "the same camera width and height"))
    return sizes.pop()


def _outline(axes: Axes, mask: np.ndarray, colour: str) -> None:
    height, width = mask.shape
    if mask.any() and not mask.all():
        axes.contour(np.arange(width) + 0.5, np.arange(height) + 0.5, mask, levels=[0.5], colors=[colour], linewidths=1.6)


def _mask(axes: Axes, mask: np.ndarray, colour: str) -> None:
    from matplotlib.colors import to_rgba

    layer = np.zeros((*mask.shape, 4))
    layer[mask] = to_rgba(colour, 0.45)
    show(axes, layer)


def _box(axes: Axes, box: np.ndarray, colour: str, text: str, width: int) -> None:
    from matplotlib.patches import Rectangle

    x, y, w, h = box.tolist()
    axes.add_patch(Rectangle((x, y), w, h, fill=False, ec=colour, lw=1.8))
    at_edge, on_top = x + w > 0.97 * width, y < 0.06 * width
    axes.text(x + w if at_edge else x, y + h if on_top else y, text, fontsize=9, ha="right" if at_edge else "left",
              va="top" if on_top else "bottom", clip_on=True, bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6})


def _pose(axes: Axes, pose: np.ndarray, camera: Camera, length_m: float) -> None:
    ends = pose[:3, 3] + length_m * np.vstack([np.zeros(3), pose[:3, :3].T])  # (4, 3)
    (x0, y0), *tips = project(ends, camera)[0].tolist()
    for (x, y), colour, style, width in zip(tips, (RED, GREEN, BLUE), ("-", (0, (2, 1)), "-"), (1.8, 1.8, 3)):
        axes.plot([x0, x], [y0, y], color=colour, ls=style, lw=width, clip_on=True)


def _inside(frame: Frame, bodies: Sequence[int], points_px: np.ndarray) -> int:
    """How many points lie on the pixels of their body."""
    height, width = frame.instance.shape
    columns, rows = np.floor(points_px).astype(int).T
    seen = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return int((frame.instance[rows.clip(0, height - 1), columns.clip(0, width - 1)] == np.asarray(bodies))[seen].sum())
