"""Targets: this machine's features as found, other processors by name."""

import pytest

from breakthrough.deploy import targets
from breakthrough.errors import ConfigError, MissingDependency, UnknownNameError


def test_this_machine_is_found():
    chosen = targets.choose("cpu", threads=3)
    facts = dict(chosen.target.export())
    assert facts["mcpu"] == targets.host_cpu() and facts["num-cores"] == 3


def test_instruction_sets_that_a_hypervisor_hides_are_not_used(monkeypatch):
    before = targets.choose("cpu").target
    hidden = targets.needs(before)[-1]
    text = targets.Path("/proc/cpuinfo").read_text().replace(f" {hidden} ", " ")
    monkeypatch.setattr(targets.Path, "read_text", lambda self: text)
    after = targets.needs(targets.choose("cpu").target)
    assert hidden not in after and set(after) < set(targets.needs(before))


def test_another_processor_by_its_name():
    assert "avx512f" in targets.needs(targets.choose("cpu", cpu="skylake-avx512").target)
    assert "avx" not in targets.needs(targets.choose("cpu", cpu="x86-64").target)


def test_a_board_needs_its_compiler(monkeypatch):
    monkeypatch.setattr(targets.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependency, match="apt-get install g\\+\\+-aarch64"):
        targets.choose("aarch64")


@pytest.mark.parametrize(("name", "options", "error"), [("toaster", {}, UnknownNameError), ("cpu", {"threads": 0}, ConfigError)])
def test_bad_input(name, options, error):
    with pytest.raises(error, match="expected"):
        targets.choose(name, **options)


def test_cuda_without_a_device_says_so():
    import tvm

    if tvm.cuda().exist:
        assert targets.choose("cuda").target.kind.name == "cuda"
    else:
        with pytest.raises(ConfigError, match="--target cpu"):
            targets.choose("cuda")
