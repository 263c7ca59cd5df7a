"""bitsandbytes: quiet when it is there, named when it is not, and the formats work without it."""

import logging
import subprocess
import sys

import pytest
import torch
from quant_numbers import numbers

from breakthrough.errors import MissingDependency
from breakthrough.quant import blockwise, bnb, nf4
from breakthrough.quant.blockwise import Blockwise
from breakthrough.quant.nf4 import FourBit


def test_its_import_says_nothing():
    code = "from breakthrough.quant.bnb import bitsandbytes; print(bitsandbytes().__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "bitsandbytes\n" and done.stderr == ""


def test_later_warnings_are_heard():
    bnb.bitsandbytes()
    assert logging.getLogger("bitsandbytes.backends.cpu.ops").filters == []


def test_missing_it_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.delitem(sys.modules, "bitsandbytes")
    monkeypatch.setattr(bnb.optional.importlib, "import_module", _missing)
    with pytest.raises(MissingDependency, match=r"pip install -e '.\[quant\]'"):
        bnb.bitsandbytes()


def _missing(name):
    raise ModuleNotFoundError(name=name)


def test_other_devices_are_not_its():
    assert bnb.kernels(torch.device("cpu")) is not None and bnb.kernels(torch.device("meta")) is None


@pytest.mark.parametrize("format", [FourBit(), FourBit("fp4", double=False), Blockwise(), Blockwise(signed=False)], ids=str)
def test_without_it_the_same_to_the_last_bit(format, monkeypatch):
    x = numbers((5, 97)).abs()
    found = format.quantize(x)
    back = found.dequantize()
    monkeypatch.setattr(nf4, "kernels", lambda device: None)
    monkeypatch.setattr(blockwise, "kernels", lambda device: None)
    alone = format.quantize(x)
    assert all(torch.equal(alone.parts[name], part) for name, part in found.parts.items())
    assert torch.equal(alone.dequantize(), back)


def test_its_manager_keeps_nothing_of_other_nets():
    """bitsandbytes keeps what it was told by a weight's place, for every net of the process."""
    manager = bnb.bitsandbytes().optim.GlobalOptimManager.get_instance()
    before = dict(vars(manager))
    with bnb.own_manager():
        manager.override_config(torch.nn.Parameter(torch.zeros(3)), "optim_bits", 32)
        assert manager.pid2config != before.get("pid2config", {})
    assert vars(manager) == before
