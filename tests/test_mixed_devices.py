"""Two devices in one call: here the second is `meta`, which computes shapes and nothing else, and no GPU is needed.

`Apart` stands in for what CUDA does: an operator that gets tensors of two devices raises, wherever the code
made one of them without a device. So a whole step on `meta` shows what would fail on a GPU.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from breakthrough import devices
from breakthrough.errors import InputError
from breakthrough.moe import losses
from breakthrough.moe.config import MoEConfig
from breakthrough.moe.layer import SparseMoE
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.loop import TrainConfig, train_step

MOVES = {"aten::_to_copy", "aten::copy_"}


class Apart(TorchDispatchMode):
    """Raise for an operator over two devices; a number, a tensor of no dimension, may come from the CPU, as on CUDA."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = [one for one in tree_leaves((args, kwargs or {})) if isinstance(one, torch.Tensor)]
        places = {one.device.type for one in given if one.ndim or one.device.type != "cpu"}
        if len(places) > 1 and func.name().split(".")[0] not in MOVES:
            raise RuntimeError(f"{func} got tensors on {' and '.join(sorted(places))}")
        return func(*args, **(kwargs or {}))


def models():
    """Each net on the other device, with an input of it."""
    language = ByteLM(LanguageConfig()).to("meta")
    inspector = Inspector(InspectorConfig()).to("meta")
    layer = SparseMoE(MoEConfig(d_model=8, d_hidden=16, n_experts=4, top_k=2)).to("meta")
    return {"tokens": (language, torch.zeros(2, 17, dtype=torch.long)), "pictures": (inspector, torch.zeros(2, 3, 64, 64)), "x": (layer, torch.zeros(6, 8))}


@pytest.mark.parametrize("name", ["tokens", "pictures", "x"])
def test_an_input_on_another_device_is_one_clear_error(name):
    model, given = models()[name]
    with pytest.raises(InputError, match=rf"^expected all on meta, where .* is, got {name} on cpu; try {name}.to\('meta'\)$"):
        model(given)


def test_losses_over_two_devices_are_one_clear_error():
    with pytest.raises(InputError, match=r"^expected all on cpu, where probs is, got experts on meta; try experts.to\('cpu'\)$"):
        losses.load_balance_loss(torch.full((2, 4), 0.25), torch.zeros(2, 1, dtype=torch.long, device="meta"))
    with pytest.raises(InputError, match="where bias is, got load on meta"):
        losses.bias_update(torch.zeros(4), torch.zeros(4, device="meta"), 0.1)


def test_a_training_step_of_the_language_model_stays_on_its_device():
    model, tokens = models()["tokens"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Apart():
        loss = train_step(model, optimizer, tokens.to("meta"), TrainConfig(), 1)
    assert loss.device.type == "meta" and {one.grad.device.type for one in model.parameters()} == {"meta"}


def test_a_step_of_the_inspector_stays_on_its_device():
    model, pictures = models()["pictures"]
    with Apart():
        torch.nn.functional.cross_entropy(model(pictures.to("meta")), torch.zeros(2, dtype=torch.long, device="meta")).backward()
    assert {one.grad.device.type for one in model.parameters()} == {"meta"}


@pytest.mark.parametrize("mixes", [lambda x: x + torch.ones(3), lambda x: x @ torch.ones(3, 3), lambda x: torch.cat((x, torch.ones(1, 3))), lambda x: x[torch.zeros(1, dtype=torch.long)]])
def test_the_stand_in_sees_a_tensor_made_without_a_device(mixes):
    with pytest.raises(RuntimeError), Apart():
        mixes(torch.zeros(2, 3, device="meta"))


def test_where_a_model_lies():
    assert devices.of(torch.nn.Linear(1, 1)) == torch.device("cpu")
    assert devices.of(torch.nn.BatchNorm1d(2, affine=False).to("meta")) == torch.device("meta")
    assert devices.of(torch.nn.ReLU()) is None
    devices.check_same("nothing is", None, x=torch.zeros(1))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["tokens", "pictures", "x"])
def test_on_a_gpu_an_input_of_the_cpu_is_the_same_error(name):
    model, given = models()[name]
    with pytest.raises(InputError, match=f"expected all on cuda:0, .* got {name} on cpu"):
        model.to_empty(device="cuda")(given)
