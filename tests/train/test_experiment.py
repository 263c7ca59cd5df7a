from dataclasses import replace

import pytest

from breakthrough.errors import ArtifactError, BreakthroughError, ConfigError, UnknownNameError
from breakthrough.train import PROFILES, compare, corpus, experiment as room, trained
from breakthrough.train.loop import evaluate


@pytest.fixture
def short(monkeypatch):
    """A profile of a few steps, run in this process: the workers have tests of their own."""
    plan = PROFILES["tiny"]
    training = replace(plan.training, steps=8, eval_every=4, warmup=2)
    short = replace(plan, training=training, control_steps=4, warm=1, pairs=3)
    monkeypatch.setitem(PROFILES, "short", short)
    calls = []

    def here(function, jobs, workers, on_progress=None):
        calls.append(function)
        call = getattr(room, function.split(":")[1])
        return [call(job, on_progress or (lambda more: None)) for job in jobs]

    monkeypatch.setattr(room, "run_all", here)
    return calls


def test_every_arm_has_a_run_per_seed_of_the_right_length(short, tmp_path):
    found = compare("short", (3, 5), folder=tmp_path, device="cpu", progress=False)
    lengths = {arm: len(runs) for arm, runs in found.runs.items()}
    assert lengths == {"moe": 2, "dense": 2, "control": 2}
    assert all(run.last.step == 8 for run in found.runs["moe"])
    assert all(run.last.step == 4 for run in found.runs["control"])
    assert found.time_ratio >= 1
    assert all(0 <= run.last.step - 8 * found.time_ratio < 4 for run in found.runs["dense"])
    assert found.runs["moe"][0].last.valid_loss != found.runs["moe"][1].last.valid_loss
    assert found.runs["moe"][0].points[0].load != found.runs["control"][0].points[0].load


def test_finished_runs_are_kept_and_only_what_is_missing_is_run(short, tmp_path):
    first = compare("short", (0,), folder=tmp_path, device="cpu", progress=False)
    short.clear()
    assert compare("short", (0,), folder=tmp_path, device="cpu", progress=False) == first
    assert short == []
    more = compare("short", (0, 1), folder=tmp_path, device="cpu", progress=False)
    assert len(short) == 1 and more.runs["moe"][0] == first.runs["moe"][0]
    plan = PROFILES["short"]
    PROFILES["short"] = replace(plan, training=replace(plan.training, lr=1e-4))
    other = compare("short", (0,), folder=tmp_path, device="cpu", progress=False)
    assert other.runs["moe"][0] != first.runs["moe"][0]


def test_a_longer_experiment_goes_on_from_the_shorter_one(short, tmp_path):
    compare("short", (0,), folder=tmp_path, device="cpu", progress=False)
    plan = PROFILES["short"]
    PROFILES["short"] = replace(plan, training=replace(plan.training, steps=12))
    continued = compare("short", (0,), folder=tmp_path, device="cpu", progress=False)
    fresh = compare("short", (0,), folder=tmp_path / "new", device="cpu", progress=False)
    losses = [x.runs["moe"][0].column("valid_loss").tolist() for x in (continued, fresh)]
    assert losses[0] == losses[1] and len(losses[0]) == 3


def test_the_trained_model_has_the_loss_that_the_history_says(short, tmp_path):
    found = compare("short", (0,), folder=tmp_path, device="cpu", progress=False)
    model = trained("short", "moe", 0, folder=tmp_path, device="cpu")
    valid = corpus.to_tensor(corpus.load().valid)
    count = PROFILES["short"].training.eval_windows
    windows = corpus.fixed_windows(valid, count, model.config.context + 1)
    loss, load, _ = evaluate(model, windows)
    assert loss == pytest.approx(found.runs["moe"][0].last.valid_loss, abs=1e-6)
    assert load == found.runs["moe"][0].last.load
    with pytest.raises(ArtifactError):
        trained("short", "moe", 9, folder=tmp_path, device="cpu")


def test_the_bar_is_on_stdout_and_full_at_the_end(short, tmp_path, capsys):
    found = compare("short", (0,), folder=tmp_path, device="cpu")
    out, err = capsys.readouterr()
    steps = sum(runs[0].last.step for runs in found.runs.values())
    assert f"{steps}/{steps}" in out and not err


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="try quick"):
        compare("quik", folder=tmp_path)
    for seeds in ((), (1, 1)):
        with pytest.raises(ConfigError, match="each once"):
            compare("tiny", seeds, folder=tmp_path)
    with pytest.raises(UnknownNameError, match="arm"):
        trained("tiny", "sparse", folder=tmp_path)


def test_it_runs_in_worker_processes_too(tmp_path, monkeypatch):
    found = compare("tiny", (0,), workers=2, folder=tmp_path, device="cpu", progress=False)
    plan = PROFILES["tiny"]
    assert found.runs["moe"][0].last.step == plan.training.steps
    assert found.runs["moe"][0].last.valid_loss < found.runs["moe"][0].points[0].valid_loss
    monkeypatch.setenv("BREAKTHROUGH_DEVICE", "nowhere")
    with pytest.raises((BreakthroughError, ConfigError), match="a device"):
        compare("tiny", (0,), folder=tmp_path)
