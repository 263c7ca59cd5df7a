import math

import numpy as np
import pytest
import torch

from breakthrough.errors import ArtifactError, ConfigError, InputError
from breakthrough.moe import MoEConfig
from breakthrough.seeds import torch_generator
from breakthrough.train import ByteLM, Corpus, LanguageConfig, TrainConfig, train
from breakthrough.train.loop import evaluate

SPARSE = LanguageConfig(d_model=16, n_layers=2, n_heads=2, context=16, ffn=MoEConfig(16, 12, 8, 2))
SHORT = TrainConfig(steps=12, batch_size=4, warmup=3, eval_every=4, eval_windows=6)


def repeated(text: bytes = b"the cat sat on the mat. ", times: int = 60) -> Corpus:
    data = np.frombuffer(text * times, dtype=np.uint8)
    return Corpus(data, data, ("a.py",), ("b.py",), digest=text.hex())


def run(config: TrainConfig = SHORT, model: LanguageConfig = SPARSE, **options):
    net = ByteLM(model, torch_generator(0))
    return net, train(net, repeated(), config, torch_generator(1), **options)


@pytest.mark.parametrize("ffn", [32, MoEConfig(16, 16, 4, 2)], ids=["dense", "sparse"])
def test_a_repeated_sentence_is_learned_by_heart(ffn):
    model = LanguageConfig(d_model=16, n_layers=2, n_heads=2, context=16, ffn=ffn)
    config = TrainConfig(steps=250, batch_size=8, lr=1e-2, warmup=20, eval_every=250)
    net, history = run(config, model)
    assert history.last.valid_loss < 0.35  # the first bytes of a window cannot be known
    assert net.generate(b"the cat sat ", 12, torch_generator(0), 0.0) == b"on the mat. "


def test_the_history_tells_steps_tokens_and_times():
    _, history = run()
    assert history.column("step").tolist() == [4, 8, 12]
    assert history.column("tokens").tolist() == [4 * 4 * 16, 8 * 4 * 16, 12 * 4 * 16]
    assert (np.diff(history.column("train_s")) > 0).all()
    assert (np.diff(history.column("wall_s")) > 0).all()
    assert history.column("load").shape == (3, 2, 8)
    assert np.allclose(history.column("load").sum(-1), 1)
    assert history.column("dropped").tolist() == [[0, 0]] * 3
    assert type(history).from_list(history.to_list()) == history


def test_the_loss_between_two_evaluations_is_on_the_line_between_them():
    _, history = run()
    low, high = history.points[0].valid_loss, history.points[1].valid_loss
    assert history.loss_at(4) == low
    assert history.loss_at(5) == pytest.approx(0.75 * low + 0.25 * high)


def test_the_last_steps_are_evaluated_when_they_do_not_fill_an_interval():
    _, history = run(TrainConfig(steps=6, batch_size=4, eval_every=4, eval_windows=6))
    assert history.column("step").tolist() == [4, 6]


@pytest.mark.parametrize("stop", [2, 6, 8])
def test_a_run_stopped_anywhere_ends_as_if_it_had_not(stop, tmp_path):
    whole, expected_history = run()
    path = tmp_path / "run.safetensors"

    def on_step(step: int, loss: torch.Tensor) -> None:
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_step=on_step, checkpoint=path)
    resumed, history = run(checkpoint=path)
    same(whole, resumed)
    for name in ("step", "valid_loss", "train_loss", "load"):
        assert np.array_equal(history.column(name), expected_history.column(name))


def test_a_finished_run_can_be_continued_and_gives_what_a_longer_one_gives(tmp_path):
    longer = TrainConfig(steps=20, batch_size=4, warmup=3, eval_every=4, eval_windows=6)
    whole, _ = run(longer)
    run(checkpoint=tmp_path / "run.safetensors")
    continued, history = run(longer, checkpoint=tmp_path / "run.safetensors")
    same(whole, continued)
    assert history.last.step == 20


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    run(checkpoint=path)
    other = TrainConfig(steps=12, batch_size=4, lr=1e-4, warmup=3, eval_every=4, eval_windows=6)
    with pytest.raises(ArtifactError, match="same training"):
        run(other, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ArtifactError, match="checkpoint in"):
        run(checkpoint=path)
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def test_balancing_evens_the_load_and_its_absence_does_not():
    base = {"steps": 120, "batch_size": 8, "lr": 1e-2, "warmup": 5, "eval_every": 120}
    cv = {
        name: np.mean(run(TrainConfig(**base, **extra))[1].last.load_cv)
        for name, extra in {
            "none": {"balance": 0.0, "z": 0.0},
            "loss": {"balance": 0.1},
            "bias": {"balance": 0.0, "z": 0.0, "bias_rate": 0.02},
        }.items()
    }
    assert cv["loss"] < 0.6 * cv["none"]
    assert cv["bias"] < 0.6 * cv["none"]


def test_dropped_is_a_share_of_the_choices():
    tight = MoEConfig(16, 12, 8, 2, capacity_factor=0.5)
    model = LanguageConfig(d_model=16, n_layers=2, n_heads=2, context=16, ffn=tight)
    _, history = run(model=model)
    assert all(0.5 <= share < 1 for share in history.last.dropped)


def test_evaluation_repeats_itself_and_leaves_the_model_as_it_was():
    net, _history = run()
    windows = torch.tensor(np.array(repeated().valid[:170])).view(10, 17).long()
    assert net.training and evaluate(net, windows) == evaluate(net, windows) and net.training


def test_a_loss_that_is_no_number_stops_the_run():
    net = ByteLM(SPARSE, torch_generator(0))
    torch.nn.init.constant_(net.embedding.weight, math.nan)
    with pytest.raises(InputError, match="finite loss"):
        train(net, repeated(), SHORT, torch_generator(1))


def test_nothing_is_written_unless_asked_for_and_never_on_stderr(capsys):
    run()
    assert capsys.readouterr() == ("", "")
    run(progress=True)
    out, err = capsys.readouterr()
    assert "12/12" in out and not err


@pytest.mark.parametrize("change", [{"steps": 0}, {"lr": -1.0}, {"balance": -0.1}, {"clip": 0}])
def test_numbers_out_of_range_are_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        TrainConfig(**change)


def same(one: ByteLM, other: ByteLM) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
