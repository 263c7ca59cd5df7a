import pytest

from breakthrough import devices


@pytest.fixture(autouse=True)
def one_thread():
    """Small matrices: more threads only wait for each other."""
    with devices.threads(1):
        yield
