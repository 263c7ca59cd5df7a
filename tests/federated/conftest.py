"""Fixtures of the tests of federation."""

import pytest

from breakthrough import artifacts


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of artifacts for the length of a module's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(artifacts.VARIABLE, str(tmp_path_factory.mktemp("store")))
        yield artifacts.store()
