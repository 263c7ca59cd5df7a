"""Membership inference: its rates by hand, what memorizing gives away, a control without an answer; and the table of leaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from breakthrough.errors import InputError, ShapeError
from breakthrough.federated import figures_attacks, leaks
from breakthrough.federated.digits import DigitsNet
from breakthrough.federated.membership import auc, bound, calibrated, confidence, control, judge, losses, roc
from breakthrough.federated.victims import Passes, federate, local_updates, mislabel
from breakthrough.seeds import numpy_generator, torch_generator


def test_rates_by_hand():
    false, true = roc(np.array([3.0, 1.0]), np.array([2.0, 0.0]))
    assert false.tolist() == [0, 0, 0.5, 0.5, 1] and true.tolist() == [0, 0.5, 0.5, 1, 1]
    assert auc(np.array([3.0, 1.0]), np.array([2.0, 0.0])) == 0.75  # 3 of 4 pairs are in the right order


def test_equal_scores_are_a_coin():
    assert auc(np.ones(5), np.ones(7)) == 0.5
    assert (auc(np.array([1.0, 2.0]), np.zeros(3)), auc(np.zeros(3), np.ones(2))) == (1.0, 0.0)


def test_auc_is_the_share_of_pairs():
    draw = numpy_generator(0, "scores")
    a, b = draw.integers(0, 20, 50), draw.integers(0, 15, 60)
    pairs = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    assert auc(a, b) == pytest.approx(pairs)


def test_the_interval_covers_the_truth_and_shrinks():
    draw = numpy_generator(1, "interval")
    few, many = (judge(draw.normal(0.5, 1, n), draw.normal(0, 1, n), numpy_generator(0)) for n in (50, 2000))
    truth = 0.5 * (1 + math.erf(0.5 / 2))  # two normals half a deviation apart
    assert few.low < truth < few.high and many.low < truth < many.high
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert 0.01 < many.true_rate < 0.08 and many.advantage == pytest.approx(0.197, abs=0.04)
    assert "AUC 0.6" in str(many)


def test_members_against_members_is_guessing():
    found = control(numpy_generator(2).normal(size=1000), numpy_generator(0))
    assert found.low < 0.5 < found.high and abs(found.auc - 0.5) < 0.06


def test_calibration_takes_away_what_is_easy_for_everyone():
    draw = numpy_generator(3)
    ease = draw.normal(0, 3, 400)  # log-odds of every sample for any model
    loss_of = lambda odds: np.log1p(np.exp(-odds))  # noqa: E731
    target = loss_of(ease + np.repeat([1.5, 0.0], 200) + draw.normal(0, 0.5, 400))
    references = loss_of(ease + draw.normal(0, 0.5, (4, 400)))
    scores = calibrated(target, references)
    assert auc(-target[:200], -target[200:]) < 0.75 < 0.95 < auc(scores[:200], scores[200:])
    np.testing.assert_allclose(confidence(loss_of(ease)), ease, atol=1e-4)
    assert np.isfinite(confidence(np.array([0.0, 1e-300, 800.0]))).all()
    with pytest.raises(ShapeError):
        calibrated(target, references[:1])


def test_the_bound_of_differential_privacy():
    assert bound(0.0, 0.0, 0.3) == pytest.approx(0.3)  # nothing spent: guessing
    assert bound(math.log(2), 0.01, 0.1) == pytest.approx(0.21)
    assert bound(1.0, 0.0, 0.9) == pytest.approx(1 - 0.1 / math.e)
    assert bound(2000.0, 0.0, 0.5) == 1.0


def test_scores_that_cannot_be_judged_are_refused():
    for members in (np.array([]), np.array([np.nan])):
        with pytest.raises(InputError, match="expected .*, got "):
            judge(members, np.ones(3), numpy_generator(0))


def test_one_local_step_is_the_gradient_and_more_steps_move_on():
    net = DigitsNet(torch_generator(0))
    x, y = torch.rand((2, 3, 1, 8, 8), generator=torch_generator(1)), torch.tensor([[1, 2, 3], [4, 5, 6]])
    update = local_updates(net, x, y, 1, 0.5)[1]
    loss = torch.nn.functional.cross_entropy(net(x[1]), y[1])
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])
    torch.testing.assert_close(update, -0.5 * expected, atol=1e-6, rtol=1e-4)
    assert local_updates(net, x, y, 3, 0.5)[1].norm() > 1.2 * update.norm()


def test_what_is_learnt_by_heart_is_told():
    """Random labels can only be learnt by heart: the loss finds the members, where training has begun."""
    draw, x = torch_generator(4), torch.rand((80, 1, 8, 8), generator=torch_generator(5))
    y = torch.randint(0, 10, (80,), generator=draw)
    found = []
    for rounds in (0, 80):
        net = federate(DigitsNet(torch_generator(0)), x[:40].view(4, 10, 1, 8, 8), y[:40].view(4, 10), Passes(rounds, 3, 0.2), numpy_generator(0))
        loss = losses(net, x, y)
        found.append(auc(-loss[:40], -loss[40:]))
    assert 0.35 < found[0] < 0.65 and found[1] > 0.95


def test_wrong_labels_are_wrong():
    y = numpy_generator(0).integers(0, 10, 2000)
    given, wrong = mislabel(y, 0.1, 10, numpy_generator(1))
    assert ((given != y) == wrong).all() and wrong.mean() == pytest.approx(0.1, abs=0.03) and given.min() >= 0 and given.max() < 10
    with pytest.raises(InputError, match="clip"):
        Passes(noise=1.0)


@pytest.fixture(scope="module")
def table():
    return leaks.leak_table("tiny")


def test_what_stops_inversion_and_what_does_not(table):
    scene, guess, rows = table
    by_name = {leak.protection: leak.rebuilt for leak in rows}
    assert by_name["CKKS, key apart"].likeness.tolist() == guess.likeness.tolist()  # nothing to read: a guess
    for name in ("no protection", "CKKS, server has the key", "noise by the server"):
        assert by_name[name].likeness.min() > 0.9, name
    for name in ("masks, one client", "noise by each client", "masks, noise in shares"):
        assert by_name[name].likeness.mean() < guess.likeness.mean(), name
    assert by_name["masks, their sum"].likeness.mean() > guess.likeness.mean()  # a sum of three pictures hides none
    assert all(leak.rebuilt.pictures.shape == scene.x.shape for leak in rows)


def test_masks_and_ciphers_leave_the_model_as_it_was(table):
    told = {leak.protection: leak.told for leak in table[2]}
    plain = told["no protection"]
    assert all(told[name] is plain for name in told if name.startswith("CKKS")) and plain.epsilon is None
    assert told["noise by the server"].epsilon == told["noise by each client"].epsilon > 0
    assert told["noise by the server"] is told["masks, noise in shares"]


def test_the_table_as_rows_is_plain_and_the_same_again(table):
    rows = leaks.as_rows(*table[1:])
    assert [row["protection"] for row in rows] == ["(a guess)", *(name for name, _, _ in leaks.ROWS)]
    assert all(isinstance(value, (str, float, type(None))) for row in rows for value in row.values())


def test_equal_seeds_tell_the_same(table):
    plan, data = leaks.PLANS["tiny"], leaks._shuffled(0)
    again = leaks.tell(plan, data.take(np.arange(2 * plan.victims, len(data))), "private", 0)
    np.testing.assert_array_equal(again.members, table[2][5].told.members)


def test_a_picture_among_many_is_harder_to_find():
    one, many = leaks.fade((1, 24), recipe=leaks.Recipe(60, 0.1, 0.001))
    assert one.likeness[0] > 0.9 and many.likeness.mean() < one.likeness[0] - 0.05


@pytest.mark.parametrize("change", [{"summed": 1}, {"victims": 15}, {"clients": 200}])
def test_a_plan_that_cannot_be_is_refused(change):
    with pytest.raises(InputError, match="expected .*, got "):
        leaks.LeakPlan(**change)


def test_figures_show_every_row_and_its_score(table):
    scene, guess, rows = table
    drawn = figures_attacks.draw_reconstructions(scene.x, guess, rows, 2)
    texts = {text.get_text() for axes in drawn.axes for text in axes.texts}
    assert {leak.protection for leak in rows} <= texts and f"{guess.likeness.mean():.2f}" in texts
    assert sum(bool(axes.images) for axes in drawn.axes) == 2 * (len(rows) + 2)
    members = figures_attacks.draw_membership({"plain": rows[0].told, "private": rows[5].told})
    assert f"AUC {rows[0].told.found.auc:.2f}" in members.axes[0].get_title() and "ε" in members.axes[1].get_title()
    for figure in (drawn, members, figures_attacks.draw_likeness(guess, rows), figures_attacks.draw_fading((1, 2), {"one": [guess, guess]})):
        assert isinstance(figure, Figure)
        figure.canvas.draw()
    with pytest.raises(InputError):
        figures_attacks.draw_reconstructions(scene.x, guess, [])
