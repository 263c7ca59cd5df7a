import pytest
import torch

from breakthrough.train.cells import DEFECT_WEIGHT, cell_loss, cell_shares


def right_answer(parts, kinds, size=9.0):
    share = cell_shares(parts, kinds, (2, 2))
    cells = torch.zeros_like(share)
    return cells.scatter(1, share.argmax(1, keepdim=True), size)


def scene():
    """Nothing; a bolt (3) top left and a defect of class 2 over a part of the cell at the bottom left."""
    parts = torch.zeros(2, 16, 16, dtype=torch.uint8)
    parts[:, :8, :8] = 3
    parts[1, 8:12, :4] = 2
    return parts


def test_shares_count_pixels():
    share = cell_shares(scene(), 4, (2, 2))
    assert share.shape == (2, 4, 2, 2) and torch.equal(share.sum(1), torch.ones(2, 2, 2))
    assert share[0, 3].tolist() == [[1, 0], [0, 0]]
    assert share[1, 2].tolist() == [[0, 0], [0.25, 0]] and share[1, 0].tolist() == [[0, 1], [0.75, 1]]


def test_the_loss_is_least_where_cells_say_what_is_there():
    parts = scene()
    cells = right_answer(parts, 4)
    missed = cell_loss(cells, parts, 3)
    cells[1, :, 1, 0] = torch.tensor([0.0, 0, 9, 0])  # a quarter of the cell is defect enough
    found = cell_loss(cells, parts, 3)
    assert found < 0.01
    weight = 1 + DEFECT_WEIGHT / 1.5  # the only defect cell
    assert missed == pytest.approx(9 * weight / (7 + weight), rel=1e-3)


def test_a_large_defect_weighs_hardly_more_than_a_small_one():
    lost = []
    for cells_hit in (1, 4):
        parts = torch.zeros(1, 16, 16, dtype=torch.uint8)
        parts[:, : 8 * min(2, cells_hit), : 8 * max(1, cells_hit // 2)] = 1
        blind = torch.zeros(1, 2, 2, 2)
        blind[:, 0] = 9
        lost.append(float(cell_loss(blind, parts, 2)))
    assert lost[0] < lost[1] < 1.2 * lost[0]


def test_gradients_reach_every_cell():
    cells = torch.zeros(2, 4, 2, 2, requires_grad=True)
    cell_loss(cells, scene(), 3).backward()
    assert (cells.grad.abs().sum(1) > 0).all()
