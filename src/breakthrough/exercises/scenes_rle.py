"""Module 2: a mask as COCO writes it: a box and run lengths.

Shapes: H × W pixels
"""

from __future__ import annotations

import numpy as np

from breakthrough.exercises.exercise import Exercise, Misconception
from breakthrough.exercises.scenes_otherwise import encode_as_text, encode_with_groupby
from breakthrough.exercises.scenes_rle_cases import masks, whole_numbers

Box = tuple[int, int, int, int]


def encode(mask: np.ndarray) -> tuple[Box, list[int]]:
    """Write a mask as its box and its run lengths, COCO's uncompressed RLE.

    Why:    every trainer and every labelling tool reads this format, and a mask that was written in rows
            instead of columns still loads: it is only turned into stripes, in every picture
    Shapes: mask (H, W) bool → box (x, y, w, h), counts: whole numbers that add up to H·W
    Units:  pixels; x, y of the top left pixel, w and h count pixels (a single pixel has w = h = 1). Counts go
            down the first column, then the second, and so on: how many False, how many True, how many False …;
            they begin with 0 when the first pixel is True. An empty mask has the box (0, 0, 0, 0)
    """
    column_by_column = mask.T.ravel()  # (W·H,)
    changes = np.flatnonzero(np.diff(column_by_column, prepend=False))  # where a run of the other kind begins
    counts = np.diff(changes, prepend=0, append=mask.size).tolist()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0), counts
    x, y = int(columns[0]), int(rows[0])
    return (x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1), counts


def _pixel_by_pixel(mask):
    (height, width), counts, running = mask.shape, [0], False
    box = [width, height, 0, 0]
    for x in range(width):
        for y in range(height):
            if mask[y, x]:
                box = [min(box[0], x), min(box[1], y), max(box[2], x + 1), max(box[3], y + 1)]
            if mask[y, x] != running:
                counts, running = [*counts, 0], not running
            counts[-1] += 1
    if not mask.any():
        return [0, 0, 0, 0], counts
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]], counts


# mistakes of the box and of the counts; a beginner often makes one of each

def _box(mask):
    return encode(mask)[0]


def _corners(mask):
    x, y, w, h = _box(mask)
    return (x, y, x + w, y + h) if w else (0, 0, 0, 0)


def _corners_inside(mask):
    x, y, w, h = _box(mask)
    return (x, y, x + w - 1, y + h - 1) if w else (0, 0, 0, 0)


def _one_short(mask):
    x, y, w, h = _box(mask)
    return (x, y, w - 1, h - 1) if w else (0, 0, 0, 0)


def _y_first(mask):
    x, y, w, h = _box(mask)
    return (y, x, h, w)


def _sides_swapped(mask):
    x, y, w, h = _box(mask)
    return (x, y, h, w)


def _corners_swapped(mask):
    x, y, w, h = _box(mask)
    return (y, x, w, h)


def _numpys_corners(mask):
    x, y, w, h = _box(mask)
    return (y, x, y + h, x + w) if w else (0, 0, 0, 0)


def _middle(mask):
    x, y, w, h = _box(mask)
    return (x + w / 2, y + h / 2, w, h)


def _as_shares(mask):
    x, y, w, h = _box(mask)
    height, width = mask.shape
    return (x / width, y / height, w / width, h / height)


def _from_one(mask):
    x, y, w, h = _box(mask)
    return (x + 1, y + 1, w, h) if w else (0, 0, 0, 0)


def _counts(mask):
    return encode(mask)[1]


def _row_by_row(mask):
    return encode(mask.T)[1]


def _true_first(mask):
    return encode(~mask)[1]


def _runs_only(mask):
    counts = encode(mask)[1]
    return counts[1:] if counts[0] == 0 else counts


def _last_run_missing(mask):
    return encode(mask)[1][:-1]


def _positions(mask):
    return np.cumsum(encode(mask)[1])[:-1].tolist()


def _ends(mask):
    return np.cumsum(encode(mask)[1]).tolist()


def _starts_and_lengths(mask):
    counts = encode(mask)[1]
    starts = np.cumsum(counts)[:-1:2] + 1
    return [int(n) for pair in zip(starts, counts[1::2]) for n in pair]


def _only_true(mask):
    return encode(mask)[1][1::2]


def _off_by_one(mask):
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat))  # the last pixel of each run, not the first of the next
    counts = np.diff(changes, prepend=0, append=flat.size).tolist()
    return [0, *counts] if flat[0] else counts


def _by_rows(counts):
    return lambda mask: counts(mask.T)


def _written(box=_box, counts=_counts):
    return lambda mask: (box(mask), counts(mask))


def _fails_when_empty(how):
    def fails(mask):
        ys, xs = np.nonzero(mask)
        how(xs), how(ys)
        return encode(mask)

    return fails


def _last_row_of_empty(mask):
    return encode(mask) if mask.any() else ((0, 0, 1, 1), _counts(mask))


def _no_counts_when_empty(mask):
    return encode(mask) if mask.any() else ((0, 0, 0, 0), [])


BY_ROWS = tuple(map(_by_rows, (_runs_only, _last_run_missing, _true_first, _starts_and_lengths)))
COUNTS = (_row_by_row, *BY_ROWS, _true_first, _runs_only, _last_run_missing, _positions, _starts_and_lengths, _only_true)


def _boxes(*boxes):
    """Wrong boxes with right counts, and with every wrong sort of counts: the box is named first."""
    ways = [_written(box, counts) for box in boxes for counts in (_counts, *COUNTS)]
    return {"answer": ways[0], "variants": tuple(ways[1:])}


EXERCISES = (
    Exercise(
        name="scenes.rle",
        title="Mask, box and run lengths",
        points=6,
        minutes=40,
        difficulty=2,
        reference=encode,
        cases=masks,
        compare=whole_numbers,
        alternatives=(encode_with_groupby, _pixel_by_pixel, encode_as_text),
        misconceptions=(
            Misconception(
                "corners",
                says="The box is two corners, x and y twice: COCO's box is a corner and a size, (x, y, w, h).",
                **_boxes(_corners, _corners_inside, _numpys_corners),
            ),
            Misconception(
                "one short",
                says="The box is one pixel short on both sides: from the first to the last pixel there are last − first + 1 pixels.",
                **_boxes(_one_short),
            ),
            Misconception(
                "y first",
                says="The box has rows before columns: it is (x, y, w, h), so what runs to the right comes first, though `nonzero` gives rows first.",
                **_boxes(_y_first, _sides_swapped, _corners_swapped),
            ),
            Misconception(
                "middle",
                says="The box begins with its middle, as YOLO's does: COCO's begins with the top left pixel.",
                **_boxes(_middle),
            ),
            Misconception(
                "shares",
                says="The box is in shares of the picture, as YOLO's is: COCO counts in pixels.",
                **_boxes(_as_shares),
            ),
            Misconception(
                "from one",
                says="The box counts pixels from 1: the first column is x = 0 and the first row y = 0.",
                **_boxes(_from_one),
            ),
            Misconception(
                "row by row",
                _written(counts=_row_by_row),
                "The counts run along the rows: COCO goes down the columns, so flatten with `mask.T.ravel()` or `order=\"F\"`; read back, yours is a picture of stripes.",
                variants=tuple(_written(counts=counts) for counts in BY_ROWS),
            ),
            Misconception(
                "True first",
                _written(counts=_true_first),
                "The counts begin with a run of True: the first number is always how many False come first, 0 if there are none.",
            ),
            Misconception(
                "no leading zero",
                _written(counts=_runs_only),
                "Where the mask begins with True the leading 0 is missing, so a reader takes True for False everywhere: the first number counts False.",
            ),
            Misconception(
                "last run missing",
                _written(counts=_last_run_missing),
                "The last run is missing: it ends where the mask ends, where nothing changes, so add it by hand; the counts add up to H·W.",
            ),
            Misconception(
                "positions",
                _written(counts=_positions),
                "These are the places where runs begin: the counts are lengths, the differences between neighbouring places.",
                variants=(_written(counts=_ends),),
            ),
            Misconception(
                "starts and lengths",
                _written(counts=_starts_and_lengths),
                "These are pairs of start and length, as in Kaggle's RLE: COCO writes only lengths, of False and of True in turn.",
            ),
            Misconception(
                "True only",
                _written(counts=_only_true),
                "Only the runs of True were counted: without the runs of False between them nobody knows where they lie.",
            ),
            Misconception(
                "one off",
                _written(counts=_off_by_one),
                "A run begins one pixel after the last one of the run before: `np.diff` marks the last pixel of a run, so add 1, or prepend a False.",
            ),
            Misconception(
                "empty forgotten",
                _fails_when_empty(np.min),
                "An empty mask has no first pixel to ask for: give it the box (0, 0, 0, 0) before you look for one, and a single count, H·W.",
                variants=(_fails_when_empty(lambda x: x[0]), _last_row_of_empty, _no_counts_when_empty),
            ),
        ),
        hints=(
            "Run lengths write a mask as a walk: so many steps outside, so many inside, so many outside. The walk goes down the columns. The box is where the mask's columns and rows begin and how many there are.",
            "mask (H, W) → its columns one after the other (W·H,) → the places where a pixel differs from the one before, False standing before the first → with 0 in front and H·W behind, the differences are the counts; any over dim 0 (W,) → first and last True → x, w; any over dim 1 (H,) → y, h",
            "flat = mask column by column\nchanges = places i where flat[i] differs from flat[i−1]; before the first pixel stands a False\ncounts = differences of [0, changes…, H·W]\nif nothing is True: box = (0, 0, 0, 0)\nelse: x, y = first column, first row; w, h = last − first + 1 of each\nreturn box, counts",
        ),
    ),
)
