"""A trained byte-level model, dense and sparse: calibrated weights cost less of its foresight than rounded ones."""

import copy

import pytest
import torch

from breakthrough.errors import InputError, UnknownNameError
from breakthrough.moe import MoEConfig
from breakthrough.quant.affine import Affine
from breakthrough.quant.calibrate import METHODS, calibrate
from breakthrough.quant.nf4 import FourBit
from breakthrough.seeds import torch_generator
from breakthrough.train import corpus
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.loop import TrainConfig, evaluate, train

FFN = {"dense": 84, "sparse": MoEConfig(32, 42, 4, 2)}


@pytest.fixture(scope="module", params=FFN)
def trained(request):
    """A model, its weights to round, calibration batches from the training side and windows of the other."""
    torch.set_num_threads(1)
    text = corpus.load(max_bytes=1_000_000)
    model = ByteLM(LanguageConfig(d_model=32, n_layers=2, n_heads=2, context=48, ffn=FFN[request.param]), torch_generator(0))
    train(model, text, TrainConfig(steps=120, batch_size=16, lr=8e-3, eval_every=120, eval_windows=8), torch_generator(0, "batches"))
    names = [name for name, weight in model.named_parameters() if weight.ndim > 1 and "embedding" not in name and "router" not in name]
    draws = corpus.batches(corpus.to_tensor(text.train), 16, 48, torch_generator(0, "calibration"))
    return model, names, [next(draws) for _ in range(8)], corpus.fixed_windows(corpus.to_tensor(text.valid), 96, 49)


def nats(model, stored, windows):
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for name, one in stored.items():
            changed.get_parameter(name).copy_(one.dequantize())
    return evaluate(changed, windows)[0]


# grids coarse enough that what is lost is far above what a hundred windows leave to chance
@pytest.mark.parametrize("format,share", [(Affine(bits=3, axis=0), 0.7), (Affine(bits=2, block=32), 0.8)], ids=repr)
def test_gptq_costs_less_than_rounding(trained, format, share):
    model, names, batches, windows = trained
    whole = nats(model, {}, windows)
    rounded = nats(model, {name: format.quantize(model.get_parameter(name).detach()) for name in names}, windows)
    calibrated = nats(model, calibrate(model, batches, dict.fromkeys(names, format)), windows)
    assert rounded - whole > 0.02
    assert calibrated - whole < share * (rounded - whole)


@pytest.mark.parametrize("method", METHODS)
def test_calibration_leaves_the_model_and_takes_few_bytes(trained, method):
    model, names, batches, windows = trained
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    stored = calibrate(model, batches, dict.fromkeys(names, FourBit()), method)
    assert set(stored) == set(names) and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(("inputs" in one.parts) == (method == "awq") for one in stored.values())
    assert all(one.bits_per_weight < 5 for one in stored.values())
    assert nats(model, stored, windows) < nats(model, {}, windows) + 0.05


def test_bad_input(trained):
    model, names, batches, _ = trained
    with pytest.raises(UnknownNameError, match="gptq"):
        calibrate(model, batches, {names[0]: FourBit()}, "gtpq")
    with pytest.raises(InputError, match="at least one batch"):
        calibrate(model, [], {names[0]: FourBit()})
