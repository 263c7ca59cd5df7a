"""Ray is started once, and what it says when it does not start is one sentence."""

import pytest

from breakthrough import cluster
from breakthrough.errors import BreakthroughError, InputError

ray = pytest.importorskip("ray")


@pytest.mark.parametrize(("said", "tries"), [("the current node timed out during startup", cluster.TRIES), ("no room in /tmp/ray\nlong trace", 1)])
def test_ray_that_does_not_start_is_tried_again_only_when_it_was_slow(monkeypatch, said, tries):
    asked = []

    def init(**settings):
        asked.append(settings)
        raise RuntimeError(said)

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(BreakthroughError, match="expected Ray to start, got") as raised:
        cluster.start_ray(2)
    assert len(asked) == tries and "long trace" not in str(raised.value)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "127.0.0.1:port"])
def test_an_address_where_nobody_answers_is_told(address):
    with pytest.raises(InputError, match="expected a Ray cluster at HOST:PORT"):
        cluster.start_ray(2, address)
