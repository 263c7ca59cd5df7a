"""The table of leaks over seeds."""

import pytest

from breakthrough.errors import ConfigError
from breakthrough.federated.leak_seeds import GUESS, over_seeds, table


def rows(likeness, auc):
    return [
        {"protection": GUESS, "likeness": 0.7, "stranger": 0.6},
        {"protection": "no protection", "likeness": likeness, "stranger": 0.6, "auc": auc, "accuracy": 0.9},
    ]


def test_seeds_become_a_mean_and_an_interval(monkeypatch):
    made = iter([rows(0.98, 0.70), rows(0.96, 0.72)])
    monkeypatch.setattr("breakthrough.federated.leak_seeds.run_all", lambda name, jobs, workers: [next(made) for _ in jobs])
    found = over_seeds("tiny", (0, 1, 2), first=rows(1.0, 0.68))
    bare = found["no protection"]
    assert bare.likeness.mean == pytest.approx(0.98) and bare.auc.values == (0.68, 0.70, 0.72)
    assert bare.auc.half == pytest.approx(4.303 * 0.02 / 3**0.5, rel=1e-3)
    assert found[GUESS].auc is None and "0.98 ± 0.05" in table(found) and "–" in table(found)


def test_a_worker_measures_what_a_call_does():
    found = over_seeds("tiny", (0,), workers=1)
    assert found["no protection"].likeness.mean > found[GUESS].likeness.mean
    assert found["no protection"].auc is not None


def test_no_seeds():
    with pytest.raises(ConfigError, match="at least one seed"):
        over_seeds("tiny", ())
