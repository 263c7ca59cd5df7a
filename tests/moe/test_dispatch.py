"""The plan: order, drops, padding."""

import pytest
import torch

from breakthrough.moe.dispatch import bag, make_plan
from breakthrough.moe.memory import LARGE_BYTES, empty
from breakthrough.seeds import torch_generator


def assignments(tokens=23, k=2, experts=5, seed=0):
    scores = torch.rand(tokens, experts, generator=torch_generator(seed))
    return scores.topk(k).indices


@pytest.mark.parametrize("capacity", [None, 3, 100])
@pytest.mark.parametrize(("pad", "to_max"), [(1, False), (8, False), (1, True)])
@pytest.mark.parametrize("tokens", [0, 1, 23])
def test_plan_against_a_loop(capacity, pad, to_max, tokens):
    experts = assignments(tokens)
    plan = make_plan(experts, 5, capacity, pad, to_max)
    limit = tokens * 2 if capacity is None else capacity
    kept = [[s for s, e in enumerate(experts.flatten().tolist()) if e == i] for i in range(5)]
    dropped = sum(len(slots[limit:]) for slots in kept)
    kept = [slots[:limit] for slots in kept]
    assert plan.load.tolist() == [len(slots) for slots in kept]
    assert plan.dropped == dropped
    valid = torch.ones(len(plan.slots), dtype=bool) if plan.valid is None else plan.valid
    for i, (slots, real) in enumerate(zip(plan.split(plan.slots), plan.split(valid))):
        assert slots[real].tolist() == kept[i]
        assert not len(slots) % pad
        if to_max:
            assert len(slots) == (capacity or max(map(len, kept)))
    assert torch.equal(plan.tokens, plan.slots // 2)
    for slot, row in enumerate(plan.rows.flatten().tolist()):
        if row == len(plan.tokens):
            assert all(slot not in slots for slots in kept)
        else:
            assert plan.slots[row] == slot and valid[row]
    assert plan.offsets.tolist() == plan.sizes.cumsum(0).tolist()


def test_bag_leaves_out_the_dropped():
    rows = torch.cat([torch.randn(4, 3, generator=torch_generator(0)), torch.zeros(1, 3)])
    index, weights = torch.tensor([[0, 4], [2, 1]]), torch.tensor([[0.5, 9.0], [0.25, 0.75]])
    want = torch.stack([0.5 * rows[0], 0.25 * rows[2] + 0.75 * rows[1]])
    torch.testing.assert_close(bag(rows, index, weights), want)
    torch.testing.assert_close(bag(rows, index[:, :1]), rows[[0, 2]])


@pytest.mark.parametrize("size", [0, 3, LARGE_BYTES // 4 + 5])
def test_large_buffers_are_ordinary_tensors(size):
    buffer = empty(size, 2, like=torch.zeros(1))
    assert buffer.shape == (size, 2) and buffer.dtype == torch.float32
    assert buffer.fill_(3).eq(3).all()
