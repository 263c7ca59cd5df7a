"""Bytes of a step against known sizes, a second way of counting, and the operating system."""

import os
import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from breakthrough.errors import InputError
from breakthrough.moe import MoEConfig
from breakthrough.quant.allocations import Allocations, Resident
from breakthrough.quant.memory import Saved, gradient_bytes, held, measure, state_bytes, weight_bytes
from breakthrough.quant.quantized import Quantized
from breakthrough.seeds import torch_generator
from breakthrough.train.language import ByteLM, LanguageConfig

DENSE = LanguageConfig(d_model=32, n_layers=2, context=64, ffn=80)
SPARSE = LanguageConfig(d_model=32, n_layers=2, context=64, ffn=MoEConfig(32, 32, 4, 2))


def language_model(config):
    generator = torch_generator(0)
    tokens = torch.randint(256, (4, 65), generator=generator)
    model = ByteLM(config, generator)
    return model, lambda: model.loss(tokens)[0]


class LiveStorages(TorchDispatchMode):
    """The oracle: every storage that an operator makes, until it dies."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.known = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        before = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.see(tensor.untyped_storage(), before)
        return out

    def see(self, storage, before):
        key, size = storage._cdata, storage.nbytes()
        if key not in before and key not in self.known:
            self.live += size
            self.peak = max(self.peak, self.live)
            self.known[key] = weakref.ref(storage, lambda _: self.gone(key, size))

    def gone(self, key, size):
        self.live -= size
        self.known.pop(key, None)


def test_known_allocations():
    with Allocations():
        before = torch.zeros(500)
    with Allocations() as seen:
        kept = torch.zeros(1000)
        torch.zeros(3000).neg_()
        del before
    assert (seen.kept, seen.peak) == (4 * (len(kept) - 500), 16_000)
    with Allocations() as seen:
        del kept
    assert (seen.kept, seen.peak) == (-4000, 0)


def test_a_failure_inside_ends_the_record():
    with pytest.raises(ZeroDivisionError), Allocations():
        1 / 0  # noqa: B018
    with Allocations() as seen:
        kept = torch.zeros(10)
    assert seen.kept == kept.nbytes


@pytest.mark.parametrize("config", [DENSE, SPARSE])
def test_the_allocator_and_live_storages_agree(config):
    model, loss = language_model(config)
    loss().backward()
    model.zero_grad()
    with LiveStorages() as oracle, Allocations() as seen:
        out = loss()
    assert seen.kept == pytest.approx(oracle.live, rel=0.01)
    after = oracle.live
    with oracle, Allocations() as backward:
        out.backward()
    assert backward.kept + after == pytest.approx(oracle.live, rel=0.01)
    assert max(seen.peak, after + backward.peak) == pytest.approx(oracle.peak, rel=0.01)


def test_what_autograd_keeps_is_what_stays_after_the_forward_pass():
    model, loss = language_model(DENSE)
    with Allocations() as allocated, Saved(model) as saved:
        out = loss()
    assert saved.nbytes == pytest.approx(allocated.kept, rel=0.01) and saved.nbytes > 10**5
    del out
    assert saved.nbytes < 10**4  # the graph is gone: only the batch, held by the test, stays


def test_saved_tensors_count_once_and_without_the_weights():
    weight = nn.Parameter(torch.ones(100, 100))
    model = nn.ParameterList([weight])
    x = torch.ones(50, 100, requires_grad=True)
    with Saved(model) as saved:
        y = x @ weight + x.view(100, 50).t().reshape(50, 100) * x.detach()
    assert y.requires_grad and saved.nbytes == x.nbytes  # twice; no gradient asks for the copy


def test_the_parts_of_adam_are_counted():
    model, loss = language_model(DENSE)
    numbers = sum(weight.numel() for weight in model.parameters())
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    found = measure(loss, model, torch.optim.AdamW(model.parameters()))
    assert found.weights == 4 * numbers + buffers == weight_bytes(model)
    assert found.gradients == 4 * numbers == gradient_bytes(model)
    steps = 4 * len(list(model.parameters()))
    assert found.state == 8 * numbers + steps
    assert found.activations > 0 and found.peak > found.weights + found.state + found.activations
    assert found.when in ("forward", "backward", "step")
    assert measure(loss, model.to(torch.bfloat16), torch.optim.AdamW(model.parameters())).gradients == 2 * numbers


def test_an_answer_has_no_gradients_state_or_activations():
    model, loss = language_model(DENSE)
    loss().backward()
    found = measure(loss, model)
    assert (found.gradients, found.state, found.activations, found.when) == (0, 0, 0, "forward")
    assert found.peak > found.weights == found.parts


def test_frozen_weights_have_no_gradients():
    model, loss = language_model(DENSE)
    for weight in model.blocks.parameters():
        weight.requires_grad_(False)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    found = measure(loss, model, torch.optim.SGD(trained))
    assert found.gradients == sum(weight.nbytes for weight in trained) and found.state == 0


def test_tied_weights_views_and_quantized_parts_count_once():
    x = torch.zeros(10, 10)
    assert held([x, x.t(), x[3], torch.zeros(5)]) == 400 + 20
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    parts = {"codes": torch.zeros(6, dtype=torch.uint8), "scales": torch.zeros(2)}
    model.inner = Quantized(None, parts, (2, 3), torch.float32)
    assert weight_bytes(model) == 64 + 6 + 8


def test_state_is_found_in_whatever_it_is_nested():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(3))])
    table = torch.zeros(256)
    optimizer.state["a"] = {"deep": [table, {"map": table[:4]}, (torch.zeros(2),)], "step": 3}
    assert state_bytes(optimizer) == 1024 + 8


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="weights"):
        measure(lambda: torch.zeros(()), nn.ReLU())
    model = nn.Linear(2, 2)
    with pytest.raises(InputError, match="gradient"):
        measure(lambda: torch.zeros(()), model, torch.optim.SGD(model.parameters()))
    with pytest.raises(InputError, match="one number"):
        measure(lambda: model(torch.zeros(1, 2)), model, torch.optim.SGD(model.parameters()))


PROGRAM = """
import torch
from breakthrough.quant.memory import measure
from breakthrough.train.language import ByteLM, LanguageConfig
torch.set_num_threads(1)
model = ByteLM(LanguageConfig(d_model=128, n_layers=2, ffn=344), torch.Generator().manual_seed(0))
tokens = torch.zeros(16, 129, dtype=torch.int64)
found = measure(lambda: model.loss(tokens)[0], model, torch.optim.AdamW(model.parameters()))
print(found.peak, found.rss or 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts pages by Linux's records")
def test_the_operating_system_counts_the_same():
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    peak, rss = map(int, done.stdout.split())
    if not rss:
        pytest.skip("this system keeps no record of resident pages")
    assert peak == pytest.approx(rss, rel=0.1) and peak > 3 * 10**7


def test_pages_that_are_touched_are_seen():
    with Resident() as seen:
        torch.ones(5_000_000)
    assert seen.growth is None or seen.growth >= 19_000_000
