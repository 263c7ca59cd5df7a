"""Module 4's training exercises: figures by hand, agreement with bitsandbytes and torch, what is left as it was."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from breakthrough.exercises import card, judge, load
from breakthrough.exercises.quant_adam8 import adam8_step, dynamic_levels
from breakthrough.exercises.quant_bytes import count_bytes
from breakthrough.exercises.quant_gptq import gptq
from breakthrough.exercises.quant_mend import set_up
from breakthrough.exercises.quant_mend_wrong import broken_set_up
from breakthrough.exercises.quant_outlier import mixed_product
from breakthrough.exercises.quant_ste import fake_quantize


def test_the_mixed_product_by_hand():
    x, w = torch.tensor([[1.27, -0.3, 20.0]]), torch.tensor([[0.5, 1.27, 0.25], [-2.54, 0.6, 1.0]])
    # 127·50 − 30·127 = 2,540 at 0.01 · 0.01, and 20 · 0.25; −127·127 − 30·30 = −17,029 at 0.01 · 0.02, and 20 · 1
    torch.testing.assert_close(mixed_product(x, w, 6.0), torch.tensor([[0.254 + 5, -3.4058 + 20]]))


def test_keeping_outliers_aside_is_what_makes_the_product_near():
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(32, 64, generator=generator), torch.randn(16, 64, generator=generator)
    x[:, 5] *= 40
    aside, not_aside = (float((mixed_product(x, w, t) - x @ w.T).norm() / (x @ w.T).norm()) for t in (6.0, 1e9))
    assert aside < not_aside / 5


def test_the_straight_gradient_by_hand():
    w = torch.tensor([0.3, -0.9, 1.75, 1.9, -2.5, 0.0], requires_grad=True)
    out = fake_quantize(w, torch.tensor(0.5), 3)
    (out * torch.tensor([1.0, 2, 3, 4, 5, 6])).sum().backward()
    assert out.tolist() == [0.5, -1, 1.5, 1.5, -1.5, 0] and w.grad.tolist() == [1, 2, 0, 0, 0, 6]


def test_gptq_by_hand_and_never_worse_than_rounding():
    w, h = torch.tensor([[0.6, 0.6]]).double(), torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
    assert gptq(w, h, torch.ones(1, 1).double(), 3).tolist() == [[1.0, 0.0]]  # rounding alone gives 1, 1
    x = torch.randn(12, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64) @ x
    w = torch.randn(40, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    h, scale = x @ x.T, w.abs().amax(1, keepdim=True) / 7
    off = [torch.trace((w - q) @ h @ (w - q).T) for q in (gptq(w, h, scale, 4), (w / scale).round() * scale)]
    assert off[0] < 0.8 * off[1]


def test_the_levels_are_those_of_bitsandbytes():
    functional = pytest.importorskip("bitsandbytes.functional")
    for signed in (True, False):
        assert torch.equal(dynamic_levels(signed), functional.create_dynamic_map(signed=signed))


def test_8_bit_adam_moves_as_that_of_bitsandbytes_and_its_codes_are_as_near_or_nearer():
    bnb = pytest.importorskip("bitsandbytes")
    generator, n, block, lr = torch.Generator().manual_seed(0), 5000, 256, 0.01
    w = torch.randn(n, generator=generator)
    theirs = nn.Parameter(w.clone())
    optimizer = bnb.optim.Adam8bit([theirs], lr=lr)
    tables = {"m": dynamic_levels(True), "v": dynamic_levels(False)}
    state = {x: (torch.full((n,), int(t.abs().argmin()), dtype=torch.uint8), torch.zeros(-(-n // block))) for x, t in tables.items()}
    for step in range(1, 11):
        gradient = torch.randn(n, generator=generator)
        w, state = adam8_step(w, gradient, state, tables, step, lr, block)
        theirs.grad = gradient.clone()
        optimizer.step()
        if step == 1:  # before any rounding
            torch.testing.assert_close(w, theirs.detach(), rtol=0, atol=1e-7)
            for name, k, x in (("m", 1, 0.1 * gradient), ("v", 2, 0.001 * gradient**2)):
                largest = state[name][1].repeat_interleave(block)[:n]
                coded = (state[name][0], optimizer.state[theirs][f"state{k}"])
                mine, other = ((tables[name][codes.long()] - x / largest).abs() for codes in coded)
                assert bool((mine <= other + 1e-7).all()) and float((mine < other - 1e-7).double().mean()) < 0.05
    away = (w - theirs.detach()).abs()
    assert float(away.mean()) < 0.02 * lr


def test_bytes_of_a_step_by_hand():
    """A linear layer 3 → 4 with AdamW on 5 samples."""
    model = nn.Linear(3, 4)
    counted = count_bytes(model, torch.optim.AdamW(model.parameters()), torch.randn(5, 3), torch.randint(4, (5,)))
    numbers = 3 * 4 + 4
    assert counted["weights"] == counted["gradients"] == 4 * numbers
    assert counted["state"] == 2 * 4 * numbers + 2 * 4  # two moments, and a counter for each of two parameters
    # x; the logarithms of the probabilities; y in 8 bytes each; the sum of the classes' weights
    assert counted["activations"] == 4 * 5 * 3 + 4 * 5 * 4 + 8 * 5 + 4


def test_checking_a_set_up_leaves_bitsandbytes_manager_as_it_was():
    bnb = pytest.importorskip("bitsandbytes")
    manager, layer = bnb.optim.GlobalOptimManager.get_instance(), nn.Embedding(3, 2)
    manager.register_module_override(layer, "weight", {"optim_bits": 32})
    before = {name: repr(value) for name, value in vars(manager).items()}
    for answer in (set_up, broken_set_up):
        judge(load("quant.mend"), answer, 0)
    assert {name: repr(value) for name, value in vars(manager).items()} == before
    manager.initialize()


@pytest.mark.parametrize("answer", [5, torch.optim.AdamW([nn.Parameter(torch.zeros(1))])], ids=["a number", "an optimizer"])
def test_what_is_no_function_is_told_so(answer):
    for name in ("quant.ste", "quant.bytes", "quant.mend"):
        verdict = judge(load(name), answer, 0)
        assert verdict.status == "wrong" and "expected your function" in card.plain(verdict, 1)


BAD_SHAPES = {
    "quant.adam8": (
        (lambda *args: args[0], "return w"),
        (lambda *args: (args[0], {"m": 1, "v": 2}), "(codes, largest) under m"),
        (lambda *args: (args[0], {x: (c.float(), s) for x, (c, s) in args[2].items()}), "as uint8"),
        (lambda *args: (args[0], {x: (F.pad(c, (0, 100)), s) for x, (c, s) in args[2].items()}), "dropping what was padded"),
        (lambda *args: None, "is there a `return`"),
    ),
    "quant.bytes": ((lambda *args: 5, "a dict with weights"), (lambda *args: {"weights": 1}, "other parts"), (lambda *args: None, "is there a `return`")),
    "quant.ste": ((lambda *args: 5, "expected a tensor"), (lambda *args: None, "is there a `return`")),
    "quant.mend": ((lambda model, lr: model.nothing, "has no attribute"), (lambda model: None, "positional argument")),
}


@pytest.mark.parametrize(("name", "answer", "words"), [(name, *pair) for name, pairs in BAD_SHAPES.items() for pair in pairs])
def test_what_has_another_form_is_told_so(name, answer, words):
    assert words in card.plain(judge(load(name), answer, 0), 1)
