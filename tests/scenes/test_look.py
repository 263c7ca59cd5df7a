"""Contact sheets show what is there: a row a class, masks and boxes where the labels say."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch, Rectangle

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.scenes import look
from breakthrough.scenes.dataset import open_dataset
from breakthrough.scenes.labels import LABELLED
from breakthrough.scenes.spec import DEFECTS


def test_a_row_a_class_with_pictures_of_that_class_and_no_scene_twice(toy_folder):
    rows = look.by_class(open_dataset(toy_folder), 2)
    assert set(rows) == set(DEFECTS)
    for kind, pictures in rows.items():
        assert len(pictures) == 2 and {DEFECTS[picture.labels["class"]] for picture in pictures} == {kind}
        assert len({picture.labels["scene"] for picture in pictures}) == 2


def test_every_instance_has_its_mask_and_its_box(toy_folder):
    figure = look.contact_sheet(open_dataset(toy_folder), columns=2)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 10
    for ax in shown:
        boxes = {patch.get_bbox().bounds for patch in ax.patches if isinstance(patch, Rectangle)}
        assert len(boxes) == 2 and sum(isinstance(patch, PathPatch) for patch in ax.patches) == 2
    picture = look.by_class(open_dataset(toy_folder), 1)["none"][0]
    first = {patch.get_bbox().bounds for patch in shown[0].patches if isinstance(patch, Rectangle)}
    assert first == {tuple(map(float, one["box"])) for one in picture.labels["instances"]}


def test_a_sheet_can_be_drawn_bare_and_as_depth(toy_folder):
    data = open_dataset(toy_folder)
    for show in ("bare", "depth"):
        figure = look.contact_sheet(data, columns=1, show=show)
        FigureCanvasAgg(figure).draw()
        assert not any(ax.patches for ax in figure.axes)
    bare = look.contact_sheet(data, columns=1, show="bare").axes[0].images[0].get_array()
    assert np.array_equal(bare, look.by_class(data, 1)["none"][0].rgb)


def test_categories_are_told_apart_without_hue():
    assert set(look.STYLES) == set(LABELLED)
    assert len({colour for colour, _ in look.STYLES.values()}) == len(LABELLED)
    lightness = sorted(float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722))) for colour, _ in look.STYLES.values())
    lines = {line for _, line in look.STYLES.values()}
    assert min(np.diff(lightness)) > 0.005 and len(lines) == 3


def test_wrong_options_are_refused(toy_folder):
    with pytest.raises(UnknownNameError, match="view, got 'boxes'; try"):
        look.contact_sheet(open_dataset(toy_folder), show="boxes")
    with pytest.raises(ConfigError, match="at least one column, got 0"):
        look.contact_sheet(open_dataset(toy_folder), columns=0)
