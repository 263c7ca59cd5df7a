"""Contact sheets: many pictures at once, bare or with their masks and boxes. Colours of Okabe and Ito.

Every function returns a matplotlib Figure of its own; nothing is registered with pyplot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from breakthrough.errors import ConfigError, InputError, expected, unknown
from breakthrough.pictures import describe, listed
from breakthrough.scenes import shards
from breakthrough.scenes.reader import Dataset
from breakthrough.scenes.spec import DEFECTS
from breakthrough.scenes.yolo import outlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# colour and the box's line: told apart without colour as well
STYLES = {
    "bracket": ("#56B4E9", "-"),
    "bolt": ("#E69F00", "-"),
    "cap": ("#009E73", "--"),
    "scratch": ("#D55E00", "-"),
    "hole": ("#F0E442", "-"),
    "distractor": ("#CC79A7", ":"),
}
SHOWS = ("labels", "bare", "depth")
TILE_INCHES = 1.5
SAYS = {kind: kind.replace("_", " ") for kind in DEFECTS}


def contact_sheet(dataset: Dataset, columns: int = 6, show: str = "labels") -> Figure:
    """One row a class: pictures from all over the dataset, of a scene each.

    Raises: InputError for a dataset without pictures; UnknownNameError for something else to show
    """
    rows = by_class(dataset, columns)
    if not rows:
        raise InputError(expected(f"at least one picture in {dataset.folder}", "none"))
    classes = [kind for kind in DEFECTS if kind in rows]
    figure = sheet([rows[kind] for kind in classes], [SAYS[kind] for kind in classes], show=show)
    settings = dataset.settings.to_dict()["settings"]
    physics = "" if settings["physics"] else ", no physics"
    text = f"{dataset.folder.name}: {len(dataset)} pictures of {settings['size']}², {settings['renderer']}, ranges {settings['ranges']}{physics}, seed {settings['seed']}"
    figure.suptitle(text, fontsize=9)
    return figure


def by_class(dataset: Dataset, most: int) -> dict[str, list[shards.Picture]]:
    """Up to `most` pictures of every class, of different scenes, spread over the dataset.

    Raises: ConfigError when `most` is below 1
    """
    if most < 1:
        raise ConfigError(expected("at least one column", most))
    scenes = dataset.settings.scenes()
    stride = max(1, scenes // (len(DEFECTS) * most))
    found: dict[str, list[shards.Picture]] = {}
    # a stride through the scenes first, then what it left out
    for scene in sorted(range(scenes), key=lambda scene: scene % stride):
        if len(found) == len(DEFECTS) and all(len(row) == most for row in found.values()):
            break
        try:
            picture = dataset.scene(scene)[0]
        except InputError:
            continue  # its shard is not made yet
        row = found.setdefault(DEFECTS[picture.labels["class"]], [])
        if len(row) < most:
            row.append(picture)
    return found


def sheet(rows: Sequence[Sequence[shards.Picture]], titles: Sequence[str], *, show: str = "labels") -> Figure:
    """Rows of pictures, a title at each, and a legend of what the colours mean.

    Raises: UnknownNameError for something else to show than labels, bare or depth
    """
    from matplotlib.figure import Figure

    if show not in SHOWS:
        raise unknown("view", show, SHOWS)
    columns = max(map(len, rows))
    figure = Figure(figsize=(TILE_INCHES * columns + 0.5, TILE_INCHES * len(rows) + 0.7), layout="constrained", dpi=150)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, row, title in zip(axes, rows, titles):
        for ax in line:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        for ax, picture in zip(line, row):
            draw(ax, picture, show)
        line[0].set_ylabel(title, fontsize=9)
    if show == "labels":
        _legend(figure)
    return describe(figure, f"Contact sheet of {sum(map(len, rows))} pictures ({'with masks and boxes' if show == 'labels' else show}), a row each for {listed(titles)}.")


def draw(ax: Axes, picture: shards.Picture, show: str = "labels") -> None:
    """One picture on axes: bare, with masks and boxes, or its depth."""
    labels = picture.labels
    width, height = labels["camera"]["width"], labels["camera"]["height"]
    extent = (0, width, height, 0)
    if show == "depth":
        depth = picture.depth_m
        near, far = np.percentile(depth[depth > 0], (0.5, 99.5)) if (depth > 0).any() else (0, 1)
        ax.imshow(np.where(depth > 0, depth, np.nan), cmap="viridis_r", vmin=near, vmax=far, extent=extent, interpolation="nearest")
        return
    ax.imshow(picture.rgb, extent=extent, interpolation="nearest")
    if show == "labels":
        for one, mask in zip(labels["instances"], picture.masks):
            _mask(ax, mask, STYLES[one["category"]][0], filled=one["category"] != "bracket")
            _box(ax, one)


def _mask(ax: Axes, mask: np.ndarray, colour: str, filled: bool) -> None:
    """A mask's outline along the pixels' edges, and a tint; the large thing has none, so that what lies on it shows."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    path = Path.make_compound_path(*(Path([*loop, loop[0]], closed=True) for loop in outlines(mask)))
    ax.add_patch(PathPatch(path, fc=f"{colour}38" if filled else "none", ec=colour, lw=0.7))


def _box(ax: Axes, one: dict) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = one["box"]
    colour, line = STYLES[one["category"]]
    for edge, thick in (("black", 1.3), (colour, 0.8)):  # a dark rim: seen on any ground
        ax.add_patch(Rectangle((x, y), width, height, fill=False, ec=edge, ls=line, lw=thick, clip_on=False))


def _legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(fc=colour + "60", ec=colour, ls=line, label=name) for name, (colour, line) in STYLES.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=8, frameon=False)
