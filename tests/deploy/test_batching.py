"""How requests become batches."""

import asyncio
import threading

import numpy as np
import pytest

from breakthrough.deploy.batching import Batcher, parts


@pytest.mark.parametrize(
    "waiting, sizes",
    [(1, [1]), (2, [2]), (3, [3]), (5, [4, 1]), (7, [7]), (9, [8, 1]), (12, [12]), (17, [16, 1]), (20, [16, 4]), (23, [16, 7]), (24, [24]), (32, [32]), (33, [32, 1]), (70, [32, 32, 6])],
)
def test_requests_are_cut_into_compiled_sizes_with_little_padding(waiting, sizes):
    items = list(range(waiting))
    cut = parts(items, (1, 2, 4, 8, 16, 32))
    assert [len(part) for part in cut] == sizes
    assert [item for part in cut for item in part] == items


def test_without_compiled_sizes_all_go_together_and_small_sets_are_padded():
    assert parts([1, 2, 3], ()) == [[1, 2, 3]]
    assert parts([], ()) == parts([], (1, 4)) == []
    assert parts([1], (4, 8)) == [[1]]


class Held:
    """A model that waits to be let go, and tells the batches it saw."""

    def __init__(self):
        self.go, self.seen = threading.Event(), []

    def __call__(self, x):
        self.seen.append(x[:, 0].tolist())
        self.go.wait(10)
        if (x < 0).any():
            raise ValueError("below 0")
        return [row[0] * 10 for row in x]


def run(scenario, **options):
    async def main():
        model = Held()
        batcher = Batcher(lambda: model, **options)
        batcher.start(asyncio.get_running_loop())
        try:
            return await scenario(batcher, model)
        finally:
            model.go.set()
            batcher.stop()

    return asyncio.run(main())


def put(batcher, *numbers):
    return [batcher.put(np.array([n], float)).future for n in numbers]


async def begun(model, count):
    while len(model.seen) < count:
        await asyncio.sleep(0.001)


def test_one_that_comes_alone_does_not_wait_and_those_behind_it_go_together():
    async def scenario(batcher, model):
        first = put(batcher, 1)
        await begun(model, 1)
        rest = put(batcher, 2, 3, 4, 5, 6)
        model.go.set()
        return await asyncio.gather(*first, *rest), model.seen

    answers, seen = run(scenario, max_batch=4)
    assert answers == [10, 20, 30, 40, 50, 60]
    assert seen == [[1], [2, 3, 4, 5], [6]]


def test_a_wait_gathers_those_that_come_soon():
    async def scenario(batcher, model):
        model.go.set()
        found = put(batcher, 1)
        await asyncio.sleep(0.05)
        found += put(batcher, 2, 3)  # the third fills it: the wait ends
        return await asyncio.gather(*found), model.seen

    answers, seen = run(scenario, max_batch=3, max_wait_s=20.0)
    assert seen == [[1, 2, 3]] and answers == [10, 20, 30]


def test_one_that_fails_fails_alone():
    async def scenario(batcher, model):
        held = put(batcher, 0)
        await begun(model, 1)
        found = put(batcher, 1, -2, 3)
        model.go.set()
        return await asyncio.gather(*held, *found, return_exceptions=True)

    zero, one, two, three = run(scenario)
    assert (zero, one, three) == (0, 10, 30) and isinstance(two, ValueError)


def test_one_that_was_given_up_is_not_computed():
    async def scenario(batcher, model):
        held = put(batcher, 0)
        await begun(model, 1)
        gone, kept = put(batcher, 1, 2)
        gone.cancel()
        model.go.set()
        await asyncio.gather(*held, kept)
        return model.seen

    assert run(scenario) == [[0], [2]]


def test_it_tells_its_batches_depth_and_what_is_stuck():
    told = []

    async def scenario(batcher, model):
        while not batcher.ready:
            await asyncio.sleep(0.001)
        held = put(batcher, 0)
        await begun(model, 1)
        rest = put(batcher, 1, 2)
        await asyncio.sleep(0.02)
        depth, stuck_s = batcher.depth, batcher.stuck_s
        model.go.set()
        await asyncio.gather(*held, *rest)
        return depth, stuck_s, batcher.stuck_s

    depth, stuck_s, after_s = run(scenario, told=lambda size, took_s: told.append(size))
    assert depth == 2 and stuck_s >= 0.02 and after_s < stuck_s
    assert told == [1, 2]
