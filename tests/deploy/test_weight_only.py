"""Weights in one byte and in half of one: the same answers as the weights they stand for, a fraction of the bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

tvm = pytest.importorskip("tvm", reason="needs apache-tvm")

from tvm import relax  # noqa: E402

from breakthrough.deploy import integer_kernels, sites, targets, tuning, weight_only  # noqa: E402
from breakthrough.deploy.compile import build  # noqa: E402
from breakthrough.deploy.export import Exported, to_relax  # noqa: E402
from breakthrough.errors import ConfigError  # noqa: E402


class Net(nn.Module):
    """A convolution, one of an odd number of inputs, a linear layer of odd outputs, a head of few."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 32, 3, 2, 1), nn.Conv2d(32, 20, 3, 1, 1)
        self.c, self.d = nn.Linear(20, 42), nn.Linear(42, 5)
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.2, generator=draw)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.b(self.a(x).relu()).relu().mean((2, 3))
        return self.d(self.c(x).relu())


@pytest.fixture(scope="module")
def net() -> tuple[Net, torch.Tensor, Exported]:
    model, x = Net().eval(), torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return model, x, to_relax(model, x)


def answer(module, x):
    target = targets.choose("cpu").target
    machine = relax.VirtualMachine(tvm.compile(tuning.apply(module, target), target=target), tvm.cpu())
    found = machine["main"](tvm.runtime.tensor(x.numpy()))
    return (found if hasattr(found, "numpy") else found[0]).numpy()


def real_weights(bits):
    """The same net with the weights that codes stand for, in float32."""

    def change(builder, site):
        if sites.few_outputs(site) or (bits == 4 and site.shape[-2] % 2):
            return None
        if bits == 8:
            codes, scales = integer_kernels.codes_of(site.weight)
            weight = codes * scales
        else:
            weight = weight_only.int4_weights(*weight_only.int4_codes(site.weight))
        return relax.Call(site.call.op, [site.input, relax.const(weight.astype(np.float32))], site.call.attrs)

    return change


@pytest.mark.parametrize("bits", [8, 4])
def test_codes_answer_as_the_weights_they_stand_for(net, bits):
    model, x, exported = net
    module = tvm.IRModule({"main": exported.module["batch_2"].with_attr("global_symbol", "main")})
    found = answer(weight_only.weight_only(module, bits=bits).module, x)
    stood_for = answer(sites.rewrite(sites.canonical(module), real_weights(bits)), x)
    np.testing.assert_allclose(found, stood_for, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        moved = np.abs(found - model(x).numpy()).max()
    assert 1e-4 < moved < (0.5 if bits == 4 else 0.05)  # coarse weights: another answer, not a far one


@pytest.mark.parametrize(("bits", "dtype"), [(8, "int8"), (4, "uint8")])
def test_the_file_holds_codes(net, bits, dtype):
    made = build(net[2], "cpu", f"int{bits}_weights")
    kinds = [str(w.dtype) for w in made.weights.values()]
    assert kinds.count(dtype) == (3 if bits == 8 else 2)
    ways = {one["site"]: one["way"] for one in made.manifest["quantized"]["products"]}
    assert ways["conv2d1"] == ways["linear0"] == f"int{bits} weights" and ways["linear1"] == "float32"
    largest = max(w.nbytes for w in made.weights.values())
    assert largest == 9 * 32 * 32 * bits // 8  # 20 outputs in vectors of 16
    assert "scales" in made.manifest["quantized"] and made.engine()(net[1].numpy()).shape == (2, 5)


def test_int4_comes_back_within_half_a_step():
    weight = np.random.default_rng(0).normal(size=(3, 3, 96, 16)).astype(np.float32)
    codes, scales = weight_only.int4_codes(weight)
    assert codes.nbytes * 2 == weight.size and scales.shape == (3, 3, 2, 16)
    error = np.abs(weight_only.int4_weights(codes, scales) - weight)
    assert (error <= np.repeat(scales, 48, 2) / 2 + 1e-6).all()
    assert len(np.unique(codes & 15)) == 15  # −7 … 7, symmetric


def test_odd_inputs_stay_and_say_so(net):
    found = {one.site: one for one in weight_only.weight_only(net[2].module, bits=4).chosen}
    assert found["conv2d0"].way == "float32" and "3 inputs" in found["conv2d0"].why


def test_other_bits_are_refused(net):
    with pytest.raises(ConfigError, match="4 or 8 bits"):
        weight_only.weight_only(net[2].module, bits=3)
