"""Experts on two gloo processes against the single-process layer."""

import os
import re
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from breakthrough.errors import ConfigError
from breakthrough.moe import MoEConfig, SparseMoE
from breakthrough.moe.parallel import ExpertParallelMoE
from breakthrough.seeds import torch_generator

CASES = [
    MoEConfig(16, 24, n_experts=4, top_k=2, n_shared=1),
    MoEConfig(16, 24, n_experts=4, top_k=1, dispatch="capacity"),
    MoEConfig(16, 24, n_experts=2, top_k=1, dispatch="grouped"),
]
SHARES = [(9, 6), (0, 5), (4, 4)]  # tokens of process 0 and 1, by case


def whole_layer(config):
    layer = SparseMoE(config, torch_generator(0))
    if config.n_experts == 2:  # everything goes to process 1
        layer.routing_bias[1] = 10
    return layer


def run(config, share, rank=None):
    """Output and gradients; of one process's tokens, or of all without a rank."""
    layer = whole_layer(config)
    x = torch.randn(sum(share), 16, generator=torch_generator(1))
    target = torch.randn(sum(share), 16, generator=torch_generator(2))
    if rank is not None:
        layer = ExpertParallelMoE(layer)
        x, target = x.split(share)[rank], target.split(share)[rank]
    x = x.clone().requires_grad_()
    y, stats = layer(x)
    (y * target).sum().backward()
    if rank is not None:
        layer.sync_gradients()
    grads = {name: weight.grad for name, weight in layer.named_parameters()}
    return {"y": y.detach(), "x": x.grad, "load": stats.load, **grads}


def worker(rank, store, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    results = [run(config, share, rank) for config, share in zip(CASES, SHARES)]
    torch.save(results, f"{out}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    mp.spawn(worker, (str(folder / "store"), str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_two_processes_equal_one(results, case):
    want = run(CASES[case], SHARES[case])
    parts = [results[rank][case] for rank in range(2)]
    assert torch.equal(sum(part["load"] for part in parts), want["load"])
    for name in set(want) - {"load"}:
        if name in ("y", "x", "gate_up", "down"):  # tokens and experts are spread
            got = torch.cat([part[name] for part in parts])
        else:
            got = parts[0][name]
            torch.testing.assert_close(got, parts[1][name], atol=0, rtol=0)
        torch.testing.assert_close(got, want[name], atol=1e-6, rtol=1e-6)


def test_torchrun_demo():
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "-m", "breakthrough.moe.parallel"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    errors = re.findall(r"error (\d\.\de[+-]\d\d)", done.stdout)  # lines may run together
    assert len(errors) == 2 and max(map(float, errors)) < 1e-6


def test_needs_torch_distributed():
    with pytest.raises(ConfigError, match="expected torch.distributed initialised"):
        ExpertParallelMoE(SparseMoE(CASES[0]))


def test_experts_must_divide(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dist, "get_world_size", lambda group: 3)
            with pytest.raises(ConfigError, match="n_experts divisible by 3 processes, got 4"):
                ExpertParallelMoE(SparseMoE(CASES[0]))
    finally:
        dist.destroy_process_group()
