import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from breakthrough.errors import ArtifactError, ConfigError, ShapeError, UnknownNameError
from breakthrough.seeds import torch_generator
from breakthrough.train.mobile import SMALL, Gate, MobileNet, MobileNetConfig, Stage

TINY = MobileNetConfig(multiplier=0.25, stages=SMALL[:4], last=64, hidden=32)


@pytest.fixture
def model():
    return MobileNet(TINY, torch_generator(0)).eval()


@pytest.fixture
def pictures():
    return torch.rand(4, 3, 32, 32, generator=torch_generator(1))


def test_the_small_net_has_the_papers_layers_and_so_many_weights():
    """Counted by hand from the table: a mistake in a stage or a gate changes the sum."""
    model, before, count = MobileNet(generator=torch_generator(0)), 16, 3 * 9 * 16 + 2 * 16
    for stage in SMALL:
        e, o = stage.expanded, stage.width
        count += (before * e + 2 * e if e != before else 0) + stage.kernel**2 * e + 2 * e
        r = max(8, e // 4)
        count += (e * r + r + r * e + e if stage.gated else 0) + e * o + 2 * o
        before = o
    count += 96 * 576 + 2 * 576 + 576 * 1024 + 1024 + 1024 * 5 + 5
    assert sum(p.numel() for p in model.parameters()) == count
    strides = [layer.stride[0] for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert torch.tensor(strides).prod() == 32
    assert [block.adds for block in model.features[1:-1]] == [False, False, True, False, True, True, False, True, False, True, True]


@pytest.mark.parametrize("config", [TINY, MobileNetConfig(), replace(TINY, multiplier=0.5)])
def test_scores_have_their_shape_and_order_one(config):
    """Untrained nets too: a comparison of two runtimes is of no use where everything is 0 or infinite."""
    scores = MobileNet(config, torch_generator(0)).eval()(torch.rand(16, 3, 64, 64, generator=torch_generator(1)))
    assert scores.shape == (16, 5) and 0.1 < scores.std() < 10 and scores.abs().max() < 100
    assert scores.std(0).min() > 0.01  # what is in the picture matters


def test_the_same_generator_gives_the_same_net(pictures):
    torch.manual_seed(5)
    one = MobileNet(TINY, torch_generator(3)).eval()
    torch.manual_seed(6)
    two, other = MobileNet(TINY, torch_generator(3)).eval(), MobileNet(TINY, torch_generator(4)).eval()
    assert torch.equal(one(pictures), two(pictures)) and not torch.equal(one(pictures), other(pictures))


def test_settling_sets_the_statistics_of_these_pictures_alone(model, pictures):
    model.settle(pictures)
    norm, seen = model.features[0][1], model.features[0][0](pictures)
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, seen.var((0, 2, 3)), atol=1e-6, rtol=1e-4)
    assert not model.training and norm.momentum == nn.BatchNorm2d(1).momentum


def test_a_picture_is_judged_alone(model, pictures):
    torch.testing.assert_close(model(pictures)[1:2], model(pictures[1:2]), atol=1e-5, rtol=1e-5)


def test_a_gate_scales_whole_channels(pictures):
    gate, x = Gate(8), torch.rand(2, 8, 5, 5, generator=torch_generator(2))
    ratio = gate(x) / x
    assert ratio.min() >= 0 and ratio.max() <= 1
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))


@pytest.mark.parametrize("multiplier", [0.25, 0.35, 0.5, 0.75, 1.0, 1.3])
def test_scaled_widths_are_whole_registers_and_never_a_tenth_below(multiplier):
    config = MobileNetConfig(multiplier=multiplier)
    for width in (16, 24, 40, 88, 576, 1024):
        scaled = config.scaled(width)
        assert scaled % 8 == 0 and scaled >= 0.9 * width * multiplier
        assert multiplier != 1.0 or scaled == width


def test_files_give_the_same_net_back(model, pictures):
    config, weights = model.to_files()
    again = MobileNet.from_files(json.loads(json.dumps(config)), weights).eval()
    assert again.config == TINY and torch.equal(again(pictures), model(pictures))
    with pytest.raises(ArtifactError, match="weights of this configuration"):
        MobileNet.from_files(replace(TINY, hidden=64).to_dict(), weights)


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ShapeError, match=r"\(B, 3, H, W\)"):
        model(torch.rand(1, 1, 32, 32))
    with pytest.raises(ConfigError, match="classes"):
        MobileNetConfig(classes=("one",))
    with pytest.raises(ConfigError, match="multiplier"):
        MobileNetConfig(multiplier=0)
    with pytest.raises(ConfigError, match="stage"):
        MobileNetConfig(stages=())
    with pytest.raises(UnknownNameError, match="relu"):
        Stage(3, 16, 16, False, "rely", 1)
