from dataclasses import replace

import numpy as np
import pytest
import torch
from inspection_toys import CLASSES, toy_pictures

from breakthrough.errors import ArtifactError, ConfigError, UnknownNameError
from breakthrough.train import inspection_runs as room
from breakthrough.train.inspection import evaluate
from breakthrough.train.inspection_results import Inspections
from breakthrough.train.inspection_runs import inspect
from breakthrough.train.inspector import InspectorConfig
from breakthrough.train.pictures import Augmentation
from breakthrough.train.recipe import Recipe

MODEL = InspectorConfig(CLASSES, sound=(), widths=(8, 16), blocks=(0, 1))
RECIPE = Recipe(steps=12, batch_size=16, save_every=6, augmentation=Augmentation.none())
OPTIONS = {"model": MODEL, "device": "cpu", "progress": False}


@pytest.fixture
def sets():
    return {"small": toy_pictures(24, 0), "large": toy_pictures(48, 1)}


@pytest.fixture
def tests():
    return {"own": toy_pictures(30, 2), "line": toy_pictures(21, 3, parts=False)}


@pytest.fixture
def here(monkeypatch):
    """Jobs run in this process; what was asked of the workers is kept. Workers have tests of their own."""
    asked = []

    def run(function, jobs, workers, on_progress=None):
        asked.append(jobs)
        call = getattr(room, function.split(":")[1])
        return [call(job, on_progress or (lambda more: None)) for job in jobs]

    monkeypatch.setattr(room, "run_all", run)
    return asked


def test_every_set_and_seed_is_trained_and_measured_on_every_test(here, sets, tests, tmp_path):
    found = inspect(sets, tests, RECIPE, (4, 7), folder=tmp_path, **OPTIONS)
    assert found.sizes == {"small": 24, "large": 48} and found.seeds == (4, 7) and found.tests == ("own", "line")
    for name in sets:
        assert [run.seed for run in found.runs[name]] == [4, 7]
        for seed in (4, 7):
            model = found.inspector(name, seed)
            (run,) = (run for run in found.runs[name] if run.seed == seed)
            assert run.scores["line"] == evaluate(model, tests["line"])
            assert len(run.losses) == 2 and run.train_s > 0
    values = found.accuracy("small", "own").values
    assert values == tuple(run.scores["own"].accuracy for run in found.runs["small"])
    assert found.confusion("small", "own").sum() == 60 and found.confusion("large", "line").sum() == 42
    gap = [a - b for a, b in zip(found.accuracy("large", "own").values, values)]
    assert found.difference("large", "small", "own").values == pytest.approx(gap)
    assert set(found.recall("small", "own")) == set(CLASSES)
    assert found.train_s("small").mean > 0


def test_finished_runs_are_kept_and_only_what_is_missing_is_done(here, sets, tests, tmp_path):
    own = {"own": tests["own"]}
    first = inspect({"small": sets["small"]}, own, RECIPE, (0,), folder=tmp_path, **OPTIONS)
    assert inspect({"small": sets["small"]}, own, RECIPE, (0,), folder=tmp_path, **OPTIONS) == first
    assert len(here) == 1
    more = inspect(sets, own, RECIPE, (0,), folder=tmp_path, **OPTIONS)
    assert [len(jobs) for jobs in here] == [1, 1] and more.runs["small"] == first.runs["small"]
    steps = []
    original, room.fit = room.fit, lambda *a, **k: steps.append(1)
    try:  # a new test set is measured without training
        again = inspect(sets, tests, RECIPE, (0,), folder=tmp_path, **OPTIONS)
    finally:
        room.fit = original
    assert not steps and again.accuracy("small", "line").mean > 0
    assert again.runs["small"][0].scores["own"] == first.runs["small"][0].scores["own"]
    inspect({"small": sets["small"]}, own, replace(RECIPE, lr=1e-3), (0,), folder=tmp_path, **OPTIONS)
    assert len(here) == 4


def test_a_run_that_was_stopped_goes_on(here, sets, tests, tmp_path, monkeypatch):
    data, original, steps = {"small": sets["small"]}, room.fit, []

    def stopped(*args, checkpoint):
        def stop(step):
            if step == 9:
                raise KeyboardInterrupt

        return original(*args[:4], stop, checkpoint=checkpoint)

    def watched(*args, checkpoint):
        return original(*args[:4], steps.append, checkpoint=checkpoint)

    whole = inspect(data, tests, RECIPE, (0,), folder=tmp_path / "whole", **OPTIONS)
    monkeypatch.setattr(room, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        inspect(data, tests, RECIPE, (0,), folder=tmp_path / "parts", **OPTIONS)
    monkeypatch.setattr(room, "fit", watched)
    found = inspect(data, tests, RECIPE, (0,), folder=tmp_path / "parts", **OPTIONS)
    assert steps == list(range(7, 13))
    assert found.runs["small"][0].scores == whole.runs["small"][0].scores
    assert not list((tmp_path / "parts").glob("*.part.safetensors"))


def test_one_set_under_two_names_is_trained_once(here, sets, tests, tmp_path):
    both = {"a": sets["small"], "b": replace(sets["small"], classes=CLASSES)}
    found = inspect(both, tests, RECIPE, (0,), folder=tmp_path, **OPTIONS)
    assert len(here[0]) == 1 and found.runs["a"] == found.runs["b"]


def test_the_bar_is_on_stdout_and_full_at_the_end(here, sets, tests, tmp_path, capsys):
    for _ in range(2):
        inspect(sets, tests, RECIPE, (0,), model=MODEL, folder=tmp_path, device="cpu")
        out, err = capsys.readouterr()
        assert "24/24" in out and not err


def test_what_was_found_comes_back_from_a_file(here, sets, tests, tmp_path):
    found = inspect(sets, tests, RECIPE, (0, 1), folder=tmp_path, **OPTIONS)
    found.save(tmp_path / "found.json")
    assert Inspections.load(tmp_path / "found.json") == found
    summary = found.summary()
    assert summary["accuracy"]["large"]["line"] == found.accuracy("large", "line").to_dict()
    for call in (lambda: found.accuracy("smal", "own"), lambda: found.accuracy("small", "lin"), lambda: found.inspector("x"), lambda: found.inspector("small", 9)):  # codespell:ignore smal
        with pytest.raises(UnknownNameError):
            call()
    for path in tmp_path.glob("run-*.safetensors"):
        path.unlink()
    with pytest.raises(ArtifactError):
        found.inspector("small")


def test_what_cannot_be_asked_is_refused(sets, tests, tmp_path):
    other = {"other": replace(tests["own"], classes=("none", "a", "b"))}
    for training, measured, seeds in (({}, tests, (0,)), (sets, {}, (0,)), (sets, tests, ()), (sets, tests, (1, 1)), (sets, other, (0,))):
        with pytest.raises(ConfigError, match="expected"):
            inspect(training, measured, RECIPE, seeds, folder=tmp_path, **OPTIONS)
    with pytest.raises(UnknownNameError, match="quick"):
        inspect(sets, tests, "quik", folder=tmp_path, **OPTIONS)


def test_it_runs_in_worker_processes_too(sets, tests, tmp_path):
    found = inspect(sets, tests, RECIPE, (0,), workers=2, folder=tmp_path, **OPTIONS)
    here = found.inspector("large")
    with torch.no_grad():
        assert found.runs["large"][0].scores["own"] == evaluate(here, tests["own"])
    assert isinstance(found.confusion("large", "own"), np.ndarray)
