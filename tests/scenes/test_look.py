"""Contact sheets show what is there: a row a class, masks and boxes where the labels say."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch, Rectangle

from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.scenes import look
from breakthrough.scenes.dataset import open_dataset
from breakthrough.scenes.labels import LABELLED
from breakthrough.scenes.materials import to_linear
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


# how a colour in linear RGB looks to eyes without one kind of cone: Machado, Oliveira and Fernandes 2009
EYES = {
    "all cones": np.eye(3),
    "no red cone": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cone": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue cone": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("eyes", EYES)
def test_every_eye_tells_categories_apart(eyes):
    assert set(look.STYLES) == set(LABELLED)
    seen = {name: np.array(EYES[eyes]) @ to_linear(np.array(to_rgb(colour))) for name, (colour, _) in look.STYLES.items()}
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 0.15 or look.STYLES[a][1] != look.STYLES[b][1], (a, b)


def test_wrong_options_are_refused(toy_folder):
    with pytest.raises(UnknownNameError, match="view, got 'boxes'; try"):
        look.contact_sheet(open_dataset(toy_folder), show="boxes")
    with pytest.raises(ConfigError, match="at least one column, got 0"):
        look.contact_sheet(open_dataset(toy_folder), columns=0)
