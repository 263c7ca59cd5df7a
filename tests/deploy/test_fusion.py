"""Fused or apart, the answer is the same; what is counted is what runs."""

import numpy as np
import pytest

pytest.importorskip("tvm")
import torch
from torch import nn

from breakthrough.deploy import fusion, targets
from breakthrough.deploy.export import to_relax
from breakthrough.errors import InputError
from breakthrough.seeds import numpy_generator


class Chain(nn.Module):
    def forward(self, x):
        return torch.relu(x - 0.5) * 3.0


@pytest.fixture(scope="module")
def exported():
    return to_relax(Chain(), torch.zeros(3, 40))


@pytest.fixture(scope="module")
def target():
    return targets.choose("cpu").target


def test_three_operators_become_one(exported):
    assert len(fusion.lower(exported, fused=False).calls) == 3
    assert len(fusion.lower(exported, fused=True).calls) == 1


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("scheduled", [False, True])
def test_every_way_gives_the_same_answer(exported, target, fused, scheduled):
    x = numpy_generator(0, "fusion").standard_normal((3, 40), np.float32)
    run, answer = fusion.chain(fusion.lower(exported, fused=fused), x, target, scheduled=scheduled)
    assert not answer.any()
    run()
    np.testing.assert_allclose(answer, np.maximum(x - 0.5, 0) * 3, rtol=1e-6)
    np.testing.assert_allclose(fusion.engine(fusion.lower(exported, fused=fused), target)(x), answer, rtol=1e-6)


def test_what_is_no_chain_is_refused(target):
    exported = to_relax(nn.Linear(4, 4).eval(), torch.zeros(2, 4))
    with pytest.raises(InputError, match="read one array"):
        fusion.chain(fusion.lower(exported, fused=False), np.zeros((2, 4), np.float32), target)
