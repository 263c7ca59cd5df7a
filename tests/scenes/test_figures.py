"""The drawings and pictures of lesson 02: what they show is what they were given, and it can be read."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from figure_eyes import texts, words
from matplotlib import pyplot

from breakthrough.errors import ShapeError
from breakthrough.scenes import diagrams, figures, poses, ranges, views
from breakthrough.scenes.camera import linearize, project
from breakthrough.scenes.labels import Labels
from breakthrough.scenes.render import Frame
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.spec import Camera
from breakthrough.seeds import numpy_generator

SIZE = 48
CAMERA = Camera((0.0, -0.138, 0.225), (0.0, 0.0, 0.005), fov_rad=math.radians(19.5), width=SIZE, height=SIZE)
RGB = numpy_generator(0, "figures").integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
INSTANCE = np.zeros((SIZE, SIZE), np.int16)
INSTANCE[10:30, 12:28] = 1
DEPTH = np.full((SIZE, SIZE), 0.26, np.float32)
DEPTH[INSTANCE == 1] = 0.25
FRAME = Frame(RGB, INSTANCE, DEPTH)
SPEC = replace(sample(ranges.preset("naive"), numpy_generator(0), size=SIZE), camera=CAMERA)
POSE = poses.matrices(poses.start(SPEC))[1:2]
LABELS = Labels(0, np.array([1]), ("bracket",), ("bracket",), np.array([[12, 10, 16, 20]]), np.array([320]), np.array([0.75]), POSE, POSE, np.eye(3), np.eye(4))
SPLITS = {"by image": np.eye(4, dtype=bool), "by scene": np.repeat([[True], [False], [False], [False]], 4, axis=1)}
SLIDE = np.linspace(0, 2e-4, 90)[:, None, None] * np.array([[0, 0, 0], [0, 1, 0]])
MASK = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]], bool)
DRAWN = {
    "pinhole": lambda: diagrams.pinhole(0.032, 0.26, 186.2),
    "stand": lambda: diagrams.stand(CAMERA),
    "splits": lambda: diagrams.splits(SPLITS),
    "zbuffer": lambda: figures.zbuffer(0.05, 2.0, (0.26, 1.0)),
    "speeds": lambda: figures.speeds({"a": np.array([0.4, 0.001, 0.0]), "b": np.array([0.1])}, 1 / 240, 0.002),
    "drift": lambda: figures.drift({"rests": np.zeros((90, 2, 3)), "slides": SLIDE}, 1 / 240, 0.25, 5e-5),
    "advantage": lambda: figures.advantage([10, 100], {"boxes": [2, 20], "masks": [5, 50]}, 10),
    "run lengths": lambda: diagrams.run_lengths(MASK),
    "shadow": lambda: figures.shadow({"a": RGB, "b": RGB}, 7),
    "histograms": lambda: figures.histograms({"a": RGB[None], "b": RGB}),
    "clouds": lambda: figures.clouds({"a": RGB[None], "b": RGB[None] // 2}),
    "scores": lambda: figures.scores({"by image": [0.9, 0.94], "by scene": [0.2, 0.24]}, 0.2),
    "pictures": lambda: views.pictures(dict.fromkeys("abcdefg", RGB)),
    "sheet": lambda: views.contact_sheet({"none": [RGB, RGB], "all": [RGB, RGB]}),
    "projected": lambda: views.projected(FRAME, [1], np.array([[20.0, 20.0]]), np.array([[20.0, 28.0]])),
    "depth": lambda: views.depth_views(FRAME, np.full((SIZE, SIZE), 0.8), 20),
    "labelled": lambda: views.labelled(FRAME, LABELS, CAMERA),
    "neighbours": lambda: views.neighbours([(RGB, "scene 1", RGB, "scene 2")] * 3),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_large_enough_to_read_and_leaves_no_trace(name):
    figure = DRAWN[name]()
    assert min(text.get_fontsize() for text in texts(figure)) >= 9
    assert pyplot.get_fignums() == []


def test_charts_with_axes_name_what_is_on_them():
    for name in ("stand", "zbuffer", "speeds", "histograms", "clouds", "splits", "projected"):
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in DRAWN[name]().axes), name


def test_the_pinhole_writes_the_sum_that_the_camera_does():
    focal = 0.5 * SIZE / math.tan(0.5 * CAMERA.fov_rad)
    depth = math.dist(CAMERA.eye_m, CAMERA.target_m)
    (x, _), = project(np.array([[0.01, 0.0, 0.005]]), CAMERA)[0]
    assert any(f"= {x - SIZE / 2:.1f} pixels" in word for word in words(diagrams.pinhole(0.01, depth, focal)))


def test_the_stand_measures_its_camera():
    said = " ".join(words(diagrams.stand(CAMERA)))
    assert "0.26 m" in said and "58°" in said and "19.5°" in said


def test_splits_count_the_torn_scenes():
    titles = [axes.get_title() for axes in diagrams.splits(SPLITS).axes]
    assert titles == ["by image: 4 of 4 scenes on both sides", "by scene: 0 of 4 scenes on both sides"]
    assert words(diagrams.splits(SPLITS)).count("test") == 8


def test_splits_must_agree_in_shape():
    with pytest.raises(ShapeError, match="one shape"):
        diagrams.splits({"a": np.zeros((4, 4), bool), "b": np.zeros((3, 4), bool)})


def test_the_z_buffer_is_the_one_that_linearize_undoes():
    left, right = figures.zbuffer(CAMERA.near_m, CAMERA.far_m, (0.26,)).axes
    depth, held = left.lines[0].get_data()
    assert linearize(np.clip(held, 0, 1), CAMERA) == pytest.approx(depth, rel=1e-5)
    # a step of the buffer, measured: two neighbouring values back in depth
    depth, step = right.lines[0].get_data()
    value = np.interp(0.26, *left.lines[0].get_data())
    near_by = linearize(np.array([value, value + 2**-16]), CAMERA).astype(float)
    assert np.interp(0.26, depth, step) == pytest.approx(1000 * np.diff(near_by)[0], rel=0.02)


def test_speeds_that_are_zero_stay_on_the_scale():
    drawn = DRAWN["speeds"]().axes[0].lines[0].get_ydata()
    assert drawn == pytest.approx([400, 1, 0.01])


def test_shadow_draws_linear_light():
    flat = np.full((4, 6, 3), 188, np.uint8)  # half the light in sRGB
    line = figures.shadow({"flat": flat}, 2).axes[-1].lines[0].get_ydata()
    assert line == pytest.approx(np.full(6, 0.5), abs=0.01)


def test_histograms_sum_to_all_pixels():
    stairs = DRAWN["histograms"]().axes[0].patches
    assert [patch.get_data().values.sum() for patch in stairs] == pytest.approx([100, 100])


def test_clouds_place_pictures_by_mean_and_deviation():
    half = np.zeros((1, 2, 2, 3), np.uint8)
    half[0, 0] = 200
    (place,) = figures.clouds({"half": half}).axes[0].collections[0].get_offsets()
    assert tuple(place) == (100, 100)


def test_scores_print_means():
    assert {"92%", "22%"} <= set(words(DRAWN["scores"]()))


def test_a_sheet_keeps_every_picture_in_its_place():
    marked = [np.full((24, 24, 3), value, np.uint8) for value in (10, 20, 30, 40)]
    drawn = views.contact_sheet({"a": marked[:2], "b": marked[2:]}).axes[0].images[0].get_array()
    assert [int(drawn[y, x, 0]) for y in (5, 40) for x in (5, 40)] == [10, 20, 30, 40]


def test_sheets_refuse_rows_and_sizes_that_differ():
    with pytest.raises(ShapeError, match="as many pictures"):
        views.contact_sheet({"a": [RGB], "b": [RGB, RGB]})
    with pytest.raises(ShapeError, match="one size"):
        views.pictures({"a": RGB, "b": RGB[:20]})


def test_an_outline_runs_around_its_body():
    axes = views.projected(FRAME, [1], np.array([[20.0, 20.0]])).axes[0]
    (outline,) = [path for made in axes.collections for path in made.get_paths() if len(path.vertices) > 4]
    low, high = outline.vertices.min(axis=0), outline.vertices.max(axis=0)
    assert tuple(low) == pytest.approx((12, 10), abs=0.6) and tuple(high) == pytest.approx((28, 30), abs=0.6)


def test_labels_are_drawn_where_they_say():
    left, right = views.labelled(FRAME, LABELS, CAMERA).axes
    assert left.patches[0].get_bbox().bounds == (12, 10, 16, 20)
    assert "bracket 75%" in words(left.figure)
    starts = {tuple(np.round(line.get_xydata()[0], 6)) for line in right.lines}
    assert starts == {tuple(np.round(project(POSE[:, :3, 3], CAMERA)[0][0], 6))}
    assert len(right.lines) == 3


def test_depth_views_draw_the_row_in_millimetres():
    drawn = [line.get_ydata() for axes in DRAWN["depth"]().axes for line in axes.lines]
    (row,) = [line for line in drawn if len(line) == SIZE]
    assert row == pytest.approx(1000 * DEPTH[20])


def test_drift_follows_the_body_that_moves_in_micrometres():
    still, slide = DRAWN["drift"]().axes
    assert np.ptp(still.lines[0].get_ydata()) == 0
    assert np.ptp(slide.lines[0].get_ydata()) == pytest.approx(200 * 83 / 89, rel=1e-6)  # the last 84 of 90 moments
    low, high = still.get_ylim()
    assert (low, high) == (-50, 50) and slide.get_ylim()[1] > 100


def test_run_lengths_say_every_run_and_where_it_begins():
    said = words(diagrams.run_lengths(MASK))
    runs, starts = ["4", "1", "2", "2", "3"], ["0", "4", "5", "7", "9"]
    assert all(said.count(text) >= 1 for text in runs + starts)
    assert len(said) == 12 + 2 * 5 + 1


def test_advantage_draws_what_it_is_given_and_the_goal():
    (axes,) = DRAWN["advantage"]().axes
    assert [line.get_ydata()[-1] for line in axes.lines[:2]] == [20, 50]
    assert "10 times" in words(DRAWN["advantage"]())
