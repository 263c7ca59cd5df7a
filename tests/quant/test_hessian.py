"""What weights are multiplied with: against inputs caught by hooks, by hand, and by the definition."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.errors import InputError, ShapeError, UnknownNameError
from breakthrough.moe import MoEConfig, SparseMoE, SwiGLU
from breakthrough.quant.hessian import Hessian, collect
from breakthrough.train.language import ByteLM, LanguageConfig

D, HIDDEN = 16, 12


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def moments(x):
    return x.T @ x / len(x), x.abs().mean(0)


def same(hessian, group, x):
    matrix, magnitude = moments(x)
    torch.testing.assert_close(hessian.matrix[group], matrix, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(hessian.magnitude[group], magnitude, rtol=1e-4, atol=1e-5)
    assert int(hessian.count[group]) == len(x)


def test_a_dense_network_with_raw_parameters():
    net, batches = SwiGLU(D, HIDDEN, draws()), [torch.randn(2, 5, D, generator=draws(i)) for i in range(3)]
    found = collect(net, batches)
    x = torch.cat(batches).flatten(0, 1)
    gate, up = F.linear(x, net.gate_up).chunk(2, -1)
    assert set(found) == {"gate_up", "down"}
    same(found["gate_up"], 0, x)
    same(found["down"], 0, (F.silu(gate) * up).detach())


@pytest.mark.parametrize("dispatch", ["sorted", "grouped"])
def test_each_expert_has_the_inputs_that_were_sent_to_it(dispatch):
    net = SparseMoE(MoEConfig(D, HIDDEN, 4, 2, dispatch=dispatch), draws())
    batches = [torch.randn(9, D, generator=draws(i)) for i in range(3)]
    found = collect(net, batches, ["gate_up", "down"])
    x = torch.cat(batches)
    experts = net.route(x).experts
    assert found["gate_up"].matrix.shape == (4, D, D)
    for expert in range(4):
        mine = x[(experts == expert).any(1)]
        gate, up = F.linear(mine, net.gate_up[expert]).chunk(2, -1)
        same(found["gate_up"], expert, mine)
        same(found["down"], expert, (F.silu(gate) * up).detach())


def test_every_expert_on_every_token_counts_every_token():
    net = SparseMoE(MoEConfig(D, HIDDEN, 4, 2, dispatch="dense"), draws())
    x = torch.randn(9, D, generator=draws())
    found = collect(net, [x])
    for expert in range(4):
        same(found["gate_up"], expert, x)
    assert found["down"].count.tolist() == [9] * 4


def test_an_expert_without_tokens_has_none():
    net = SparseMoE(MoEConfig(D, HIDDEN, 4, 1), draws())
    net.routing_bias[2] = -1e9
    found = collect(net, [torch.randn(9, D, generator=draws())])
    assert int(found["down"].count[2]) == 0 and not found["down"].matrix[2].any()


@pytest.mark.parametrize("groups,stride,padding,dilation", [(1, 1, 0, 1), (1, 2, 1, 1), (2, 1, 1, 2)])
def test_convolutions_see_patches(groups, stride, padding, dilation):
    conv = nn.Conv2d(4, 6, 3, stride, padding, dilation, groups)
    x = torch.randn(20, 4, 9, 8, generator=draws())
    hessian = collect(conv, [x])["weight"]
    patches = F.unfold(x, 3, dilation, padding, stride).unflatten(1, (groups, -1))  # (B, G, K, places)
    for group in range(groups):
        same(hessian, group, patches[:, group].transpose(1, 2).flatten(0, 1))
    with torch.no_grad():  # the error in the weight's terms is that of the output
        other = conv.weight + 0.1 * torch.randn(conv.weight.shape, generator=draws())
        kind = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
        off = F.conv2d(x, conv.weight, **kind) - F.conv2d(x, other, **kind)
        assert hessian.error(conv.weight, other) == pytest.approx(float(off.square().sum(1).mean()), rel=1e-4)


def test_a_convolution_over_one_axis():
    conv, x = nn.Conv1d(3, 5, 3, padding=1), torch.randn(4, 3, 10, generator=draws())
    patches = F.pad(x, (1, 1)).unfold(2, 3, 1).permute(0, 2, 1, 3).reshape(-1, 9)
    same(collect(conv, [x])["weight"], 0, patches)


class Turned(nn.Module):
    """A weight kept as (in, out), a tied one used twice, and a product of a weight with a vector."""

    def __init__(self):
        super().__init__()
        self.turned = nn.Parameter(torch.randn(D, HIDDEN, generator=draws(1)))
        self.tied = nn.Parameter(torch.randn(D, D, generator=draws(2)))
        self.unused = nn.Parameter(torch.randn(D, D))
        self.gain = nn.Parameter(torch.ones(D))

    def forward(self, x, y):
        return torch.addmm(torch.zeros(HIDDEN), x * self.gain, self.turned), self.tied @ x.T, torch.mv(self.tied, y)


def test_inputs_are_found_on_whichever_side_the_weight_stands():
    net = Turned()
    x, y = torch.randn(7, D, generator=draws()), torch.randn(D, generator=draws(3))
    found = collect(net, [(x, y)])
    assert set(found) == {"turned", "tied"} and found["turned"].axis == -2 and found["tied"].axis == -1
    same(found["turned"], 0, x)
    same(found["tied"], 0, torch.cat([x, y[None]]))
    rows = found["turned"].rows(net.turned)
    assert torch.equal(rows[0], net.turned.T) and torch.equal(found["turned"].restore(rows, (D, HIDDEN)), net.turned)
    assert found["turned"].for_matrix().rows(net.turned.T.contiguous()).equal(rows)


def test_the_error_is_that_of_the_output():
    net, x = nn.Linear(D, HIDDEN, bias=False), torch.randn(50, D, generator=draws())
    hessian = collect(net, [x])["weight"]
    with torch.no_grad():
        other = net.weight + 0.1 * torch.randn(HIDDEN, D, generator=draws())
        assert hessian.error(net.weight, other) == pytest.approx(float((net(x) - x @ other.T).square().sum(1).mean()), rel=1e-4)


def test_batches_may_be_keywords_or_called_otherwise_and_the_mode_comes_back():
    net = Turned().train()
    x, y = torch.randn(7, D, generator=draws()), torch.randn(D, generator=draws(3))
    by_name = collect(net, [{"x": x, "y": y}], ["turned"])["turned"]
    called = collect(net, [x], ["turned"], lambda model, batch: model(batch, y))["turned"]
    assert torch.equal(by_name.matrix, called.matrix) and net.training and net.turned.grad is None


def test_a_language_model_in_half_precision_and_its_tied_head():
    model = ByteLM(LanguageConfig(d_model=D, n_layers=1, n_heads=2, context=8, ffn=HIDDEN), draws()).bfloat16()
    found = collect(model, [torch.randint(256, (2, 8), generator=draws())])
    assert {"embedding.weight", "blocks.0.attention.qkv.weight", "blocks.0.ffn.down"} <= set(found)
    assert all(h.matrix.dtype == torch.float32 and int(h.count[0]) == 16 for h in found.values())


def test_bad_input():
    net, x = Turned(), (torch.randn(7, D), torch.randn(D))
    with pytest.raises(UnknownNameError, match="turned"):
        collect(net, [x], ["turnd"])
    with pytest.raises(InputError, match="at least one batch"):
        collect(net, [])
    with pytest.raises(InputError, match="unused"):
        collect(net, [x], ["turned", "unused"])
    with pytest.raises(InputError, match="finite inputs.*turned"):
        collect(net, [(torch.full((7, D), torch.inf), torch.randn(D))], ["turned"])
    assert net.training
    hessian = Hessian(torch.eye(4)[None], torch.ones(1, 4), torch.ones(1))
    for wrong in (torch.ones(3, 5), torch.ones(4), torch.ones(4, 3)):
        with pytest.raises(ShapeError, match="4 inputs"):
            hessian.rows(wrong)
