"""A simulated queue is served by the rules: those of the exercise's reference, and what can be said by hand."""

import numpy as np
import pytest

from breakthrough.deploy import queueing
from breakthrough.deploy.queueing import Policy
from breakthrough.errors import ConfigError, InputError
from breakthrough.exercises.deploy_batch import batches
from breakthrough.seeds import numpy_generator

TEN = {1: 0.010, 2: 0.012, 4: 0.016}


def test_eight_requests_by_hand():
    coming = 0.002 * np.arange(8)
    alone = queueing.simulate(coming, Policy(), TEN)
    assert alone.latency == pytest.approx([0.010 + 0.008 * i for i in range(8)])
    together = queueing.simulate(coming, Policy(4, 0.020), TEN)
    assert [run.requests for run in together.runs] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [run.start_s for run in together.runs] == pytest.approx([0.006, 0.022])
    assert together.rate == pytest.approx(8 / 0.038)


def test_a_lone_request_waits_in_vain():
    assert queueing.simulate([0.0], Policy(4, 0.020), TEN).latency == pytest.approx([0.030])
    assert queueing.simulate([0.0], Policy(4), TEN).latency == pytest.approx([0.010])


@pytest.mark.parametrize("case", range(20))
def test_the_same_timetable_as_the_exercise(case):
    generator = numpy_generator(case, "queue")
    coming = sorted(int(at) for at in generator.integers(0, 60, 25))
    most, wait, room = int(generator.integers(1, 5)), int(generator.integers(0, 12)), int(generator.integers(5, 9))
    seconds = {size: 3 + 2 * size for size in range(1, most + 1)}
    served, refused = batches(coming, most, wait, room, seconds)
    found = queueing.simulate(coming, Policy(most, wait), seconds, queue=room)
    assert [(run.start_s, list(run.requests)) for run in found.runs] == served
    assert np.flatnonzero(np.isnan(found.latency)).tolist() == refused
    assert found.refused == len(refused) / 25


def test_a_batch_between_two_sizes_is_filled_up():
    assert queueing.service({1: 0.1, 8: 0.4}, 3) == {1: 0.1, 2: 0.4, 3: 0.4}
    with pytest.raises(InputError):
        queueing.service({1: 0.1}, 2)


def test_arrivals_come_at_the_rate_and_by_chance():
    times = queueing.arrivals(100, 20_000, numpy_generator(0, "arrivals"))
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(0.01, rel=0.03) and gaps.std() == pytest.approx(0.01, rel=0.05)
    with pytest.raises(InputError):
        queueing.arrivals(0, 5, numpy_generator(0))


def test_a_policy_that_is_none():
    with pytest.raises(ConfigError):
        Policy(0)
    with pytest.raises(ConfigError):
        Policy(1, -1.0)


def test_the_percentile_is_one_of_the_latencies():
    found = queueing.simulate(0.002 * np.arange(8), Policy(), TEN)
    assert found.percentile(0.99) == found.latency[-1] and found.percentile(0.5) == found.latency[3]
