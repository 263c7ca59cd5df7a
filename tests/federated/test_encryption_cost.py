"""What encrypted sums cost: measured from what was really sent, and drawn as it was measured."""

import numpy as np
import pytest
from matplotlib import pyplot

from breakthrough.errors import InputError, ShapeError
from breakthrough.federated.ckks_cost import Cost, Packing, measure, ours, spread
from breakthrough.federated.ckks_parameters import choose
from breakthrough.federated.figures_encryption import packings

pytest.importorskip("tenseal.sealapi")
PLAIN = Packing("plain", 1, (), lambda x: [x.tobytes()], lambda parts: [sum(np.frombuffer(p[0], np.float32) for p in parts).tobytes()], lambda c, size: np.frombuffer(c[0], np.float32))


@pytest.fixture(scope="module")
def costs():
    x = np.random.default_rng(0).uniform(-1, 1, (3, 2000)).astype(np.float32)
    made = [ours(choose(2000, 3, 1e-3, symmetric=symmetric)) for symmetric in (True, False)]
    return [measure(x, packing, measure(x, packing)) for packing in (*made, PLAIN)]


def test_a_cost_is_what_was_sent_and_how_far_off_the_sum_was(costs):
    seeded, public, plain = costs
    assert plain.up_bytes == plain.down_bytes == 8000 and plain.growth == 1
    assert 1 < seeded.growth < 0.6 * public.growth
    assert seeded.down_bytes > 1.5 * seeded.up_bytes  # a sum has no seed
    assert 0 < seeded.error <= 1e-3 and 0 < public.error <= 1e-3
    assert all(len(times) == 2 for cost in costs for times in (cost.encrypt_s, cost.add_s, cost.decrypt_s))


def test_the_time_of_a_round_counts_every_client():
    assert Cost("x", 1, (), 1, 4, [1.0, 2.0, 9.0], [3.0], [5.0]).round_s() == 4 * 2 + 3 + 5


def test_spread_is_quartiles():
    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == (2, 3, 4)
    assert spread([7.0]) == (7, 7, 7)


@pytest.mark.parametrize("shape", [(3,), (0, 4), (4, 0)])
def test_updates_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"\(C, D\)"):
        measure(np.zeros(shape), PLAIN)


def test_the_figure_shows_every_packing_and_its_bytes(costs):
    before = pyplot.get_fignums()
    figure = packings(costs)
    figure.canvas.draw()
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [f"{c.packing}, N = {c.degree:,}" for c in costs]
    assert [dots.get_offsets()[0, 0] for dots in left.collections] == [c.up_bytes / 2000 for c in costs]
    assert sum("fewest" in text.get_text() for text in left.texts) == 1
    assert sum(bar.get_width() for bar in right.patches) == pytest.approx(1000 * sum(c.round_s() for c in costs))
    assert pyplot.get_fignums() == before


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one packing"):
        packings([])
