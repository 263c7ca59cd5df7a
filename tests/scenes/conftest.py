"""Fixtures of the tests of scenes: a producer that needs no simulator, and a dataset made by it."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def here_in_workers():
    """Let processes that tests start find `toy_scenes`, and no orders of another run."""
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "TOY_SCENES")}
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    os.environ.pop("TOY_SCENES", None)
    yield
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory, here_in_workers):
    """A finished dataset of 22 pictures in 3 shards."""
    from toy_scenes import NAME

    from breakthrough.scenes.dataset import Settings, make

    folder = tmp_path_factory.mktemp("toy") / "data"
    make(folder, Settings(n=22, size=16, shots=2, shard_images=8), producer=NAME)
    return folder
