"""Errors, seeds, digests, devices and optional packages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from breakthrough import devices, digests, errors, language, optional, seeds


def test_messages_have_one_form():
    assert errors.expected("a", "b", "c") == "expected a, got b; try c"
    assert errors.expected("a", 3) == "expected a, got 3"


def test_an_unknown_name_names_the_nearest():
    text = str(errors.unknown("module", "01_mole", ["00_start", "01_moe"]))
    assert "got '01_mole'" in text and "try 01_moe" in text


@pytest.mark.parametrize("kind", [errors.ShapeError, errors.ConfigError, errors.UnknownNameError])
def test_input_errors_are_value_errors(kind):
    assert issubclass(kind, errors.BreakthroughError) and issubclass(kind, ValueError)


def test_a_number_has_its_noun():
    said = [language.counted(number, "student") for number in (0, 1, 2, 1000, 1.0, 2.5, 2.0)]
    assert said == ["0 students", "1 student", "2 students", "1000 students", "1 student", "2.5 students", "2 students"]
    assert [language.counted(number, "process", "processes") for number in (1, 2)] == ["1 process", "2 processes"]


def test_seeds_are_the_same_everywhere_and_differ_by_name():
    assert seeds.derive(0, "a") == 7606779636460171844
    assert len({seeds.derive(s, n) for s in range(10) for n in "abc"}) == 30
    assert seeds.derive(1, "ab", "c") != seeds.derive(1, "a", "bc")


def test_digests_are_the_same_everywhere_and_know_no_order_of_keys():
    digest = "97f0d07083dc05c4b0b52421dae08357dc62e1fe935fdf340bba2f6242700bf6"
    assert digests.digest_of({"b": [1, 0.5, None], "a": "é"}) == digest
    assert digests.digest_of({"a": "é", "b": [1, 0.5, None]}, 12) == digest[:12]
    assert digests.digest_of({"a": "e", "b": [1, 0.5, None]}) != digest


def test_generators_leave_the_global_ones_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, two = seeds.torch_generator(1, "x"), seeds.torch_generator(1, "x")
    assert torch.equal(torch.randn(4, generator=one), torch.randn(4, generator=two))
    assert seeds.numpy_generator(1, "x").random() == seeds.numpy_generator(1, "x").random()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_a_device_is_chosen_by_argument_then_variable_then_machine(monkeypatch):
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert devices.choose().type == "cpu"
    monkeypatch.delenv(devices.VARIABLE)
    assert devices.choose().type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(errors.ConfigError, match="expected a device out of auto, cpu, cuda, got 'tpu'"):
        devices.choose("tpu")


def test_cuda_where_there_is_none_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(errors.ConfigError, match="try --device auto"):
        devices.choose("cuda")


def test_threads_are_restored_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), devices.threads(1):
        assert torch.get_num_threads() == 1
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_the_budget_is_what_the_machine_has(tmp_path):
    budget = devices.budget(str(tmp_path))
    assert budget.cores >= 1 and budget.memory_bytes > 2**28 and budget.disk_bytes > 0


def test_a_missing_package_names_its_install(monkeypatch):
    monkeypatch.setitem(optional.EXTRAS, "no_such_package", "scenes")
    with pytest.raises(errors.MissingDependency, match=r"try pip install -e '.\[scenes\]'"):
        optional.require("no_such_package", "to draw")
    assert not optional.available("no_such_package") and optional.available("torch")


def test_an_error_inside_an_installed_package_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import missing_part_of_it\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="missing_part_of_it") as caught:
        optional.require("half_there", "to draw")
    assert not isinstance(caught.value, errors.MissingDependency)
