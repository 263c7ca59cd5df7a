"""A compiled net in a process that has neither torch nor the compiler, and in one that has not even Python."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

from breakthrough.deploy import compile, native, runtime
from breakthrough.deploy.export import source_sha256, to_relax, together
from breakthrough.deploy.runtime import Engine
from breakthrough.errors import ArtifactError, BreakthroughError, DtypeError, InputError, MissingDependency, ShapeError, UnknownNameError
from breakthrough.train.inspector import Inspector, InspectorConfig

SMALL = InspectorConfig(widths=(8, 16), blocks=(1, 1), experts=2, hidden=16)
FP32 = 1e-4


class Masked(nn.Module):
    """Keeps bools, integers and floats that are no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(40, 5)
        self.register_buffer("mask", torch.ones(40, 40).tril().bool())
        self.register_buffer("order", torch.randperm(40, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.where(self.mask, x[:, None], 0.5).mean(1).index_select(1, self.order))


@pytest.fixture(scope="module")
def model() -> Inspector:
    return Inspector(SMALL, torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def exported(model):
    return together([to_relax(model, torch.rand(size, 3, 32, 32)) for size in (1, 4)])


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    return compile.build(exported).save(tmp_path_factory.mktemp("compiled") / "model")


@pytest.fixture(scope="module")
def engine(folder) -> Engine:
    return Engine(folder)


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))


def eager(model: Inspector, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(x).numpy()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_every_batch_gets_the_nets_answer(engine, model, count):
    x = pictures(count)
    assert np.abs(engine(x.numpy()) - eager(model, x)).max() < FP32


def test_a_dynamic_batch_is_one_function(model):
    dynamic = compile.build(to_relax(model, pictures(2), batch="dynamic")).engine()
    assert dynamic.batches == ()
    for count in (1, 7, 64):
        assert np.abs(dynamic(pictures(count).numpy()) - eager(model, pictures(count))).max() < FP32


def test_answers_are_not_overwritten_by_the_next_call(engine):
    first = engine(pictures(1).numpy())
    before = first.copy()
    engine(pictures(4).numpy())
    assert (first == before).all()


def test_arrays_of_any_memory_are_taken(engine, model):
    x = pictures(4)
    wanted = eager(model, x)
    read_only = np.frombuffer(x.numpy().tobytes(), np.float32).reshape(x.shape)
    sliced = np.repeat(x.numpy(), 2, axis=0)[::2]
    odd = np.frombuffer(b"\0\0\0\0" + x.numpy().tobytes(), np.float32, offset=4).reshape(x.shape)
    for one in (read_only, sliced, odd):
        assert np.abs(engine(one) - wanted).max() < FP32


@pytest.mark.parametrize("x", [np.zeros((3, 32, 32), "f4"), np.zeros((1, 3, 32, 31), "f4"), np.zeros((0, 3, 32, 32), "f4"), np.zeros((1, 1, 3, 32, 32), "f4")])
def test_another_shape_is_refused(engine, x):
    with pytest.raises(ShapeError, match=r"expected an array of shape \(B, 3, 32, 32\), got"):
        engine(x)


def test_another_dtype_is_refused(engine):
    with pytest.raises(DtypeError, match=r"float32, got float64; try x.astype"):
        engine(np.zeros((1, 3, 32, 32)))


def test_a_fresh_process_needs_neither_torch_nor_the_compiler(folder, model, tmp_path):
    x = pictures(3)
    np.save(tmp_path / "x.npy", x.numpy())
    code = (
        "import sys, numpy as np\n"
        "from breakthrough.deploy.runtime import Engine\n"
        f"y = Engine({str(folder)!r})(np.load({str(tmp_path / 'x.npy')!r}))\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, y)\n"
        "maps = open('/proc/self/maps').read() if sys.platform == 'linux' else ''\n"
        "loaded = [name for name in ('torch', 'tvm', 'safetensors') if sys.modules.get(name)]\n"
        "print(loaded, 'libtvm_compiler' in maps, 'libtorch' in maps)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False False"
    assert np.abs(np.load(tmp_path / "y.npy") - eager(model, x)).max() < FP32


def test_torch_can_still_be_imported_afterwards(folder):
    code = f"from breakthrough.deploy.runtime import Engine\nEngine({str(folder)!r})\nimport torch\nprint(torch.ones(2).sum().item())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.0"


def test_weights_lie_once_for_all_batches(exported, folder):
    stored = runtime.read_weights(folder / runtime.WEIGHTS)
    one = compile.build(to_relax(Inspector(SMALL, torch.Generator().manual_seed(0)).eval(), pictures(1)))
    learned = [sum(w.nbytes for w in found.values() if w.any()) for found in (stored, one.weights)]  # folded zeros apart
    assert learned[0] == learned[1] > 0


def test_the_manifest_says_what_is_needed(folder, model):
    manifest = runtime.read_manifest(folder)
    assert manifest["inputs"] == [{"name": "x", "shape": [None, 3, 32, 32], "dtype": "float32"}]
    assert manifest["outputs"] == [{"name": "y0", "shape": [None, 5], "dtype": "float32"}]
    assert manifest["functions"] == {"batch_1": 1, "batch_4": 4}
    assert manifest["source"] == "Inspector" and manifest["source_sha256"] == source_sha256(model)
    target, flags = manifest["target"], Path("/proc/cpuinfo").read_text().split()
    assert target["name"] == "cpu" and target["mcpu"] and manifest["pipeline"] == "default"
    assert set(target["needs"]) <= set(flags) and (("avx2" in target["needs"]) == ("avx2" in flags))


def test_a_damaged_folder_is_refused_by_name(folder, tmp_path):
    def copy(name: str):
        return shutil.copytree(folder, tmp_path / name)

    for name in (runtime.MANIFEST, runtime.LIBRARY, runtime.WEIGHTS):
        home = copy(f"without-{name}")
        (home / name).unlink()
        with pytest.raises(ArtifactError, match="expected a compiled model"):
            Engine(home)
    for name in (runtime.LIBRARY, runtime.WEIGHTS):
        home = copy(f"cut-{name}")
        (home / name).write_bytes((home / name).read_bytes()[:-100])
        with pytest.raises(ArtifactError, match=name):
            Engine(home)
    home = copy("newer")
    manifest = json.loads((home / runtime.MANIFEST).read_text())
    (home / runtime.MANIFEST).write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(ArtifactError, match="version 1"):
        Engine(home)


def test_a_folder_for_another_processor_is_refused_before_it_crashes(folder, tmp_path):
    home = shutil.copytree(folder, tmp_path / "other")
    manifest = json.loads((home / runtime.MANIFEST).read_text())
    manifest["target"] |= {"name": "aarch64", "mtriple": "aarch64-linux-gnu"}
    (home / runtime.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="aarch64"):
        Engine(home)
    manifest["target"] = manifest["target"] | {"mtriple": "", "needs": ["avx1024"]}
    (home / runtime.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="expected a processor with avx1024"):
        Engine(home)


def test_saving_keeps_foreign_files_and_replaces_its_own(exported, tmp_path):
    compiled = compile.build(exported)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        compiled.save(tmp_path / "notes")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
    compiled.save(tmp_path / "model")
    compiled.save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [runtime.MANIFEST, runtime.LIBRARY, runtime.WEIGHTS]


@pytest.mark.parametrize("bad", [{"target": "toaster"}, {"pipeline": "faster"}])
def test_unknown_names_are_refused_with_those_there_are(exported, bad):
    with pytest.raises(UnknownNameError):
        compile.build(exported, **bad)


def test_without_the_runtime_library_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv(runtime.RUNTIME_VARIABLE, str(tmp_path))
    with pytest.raises(MissingDependency, match=r"pip install -e '.\[deploy\]'"):
        runtime.runtime_folder()


class TestPrograms:
    """The C++ program, on this machine and for aarch64 under qemu."""

    @pytest.fixture(scope="class", params=["cpu", "aarch64"])
    @classmethod
    def made(cls, request, exported, tmp_path_factory):
        machine = native.MACHINES[request.param]
        missing = native.missing_tools(machine)
        if missing:
            pytest.skip(f"{', '.join(missing)} not installed: apt-get install {machine.apt}")
        home = tmp_path_factory.mktemp(request.param)
        compiled = compile.build(exported, target=request.param).save(home / "model")
        try:
            return native.bundle(compiled, home / "bundle")
        except MissingDependency as error:  # no network to fetch the other machine's runtime from
            pytest.skip(str(error))

    def test_it_says_what_torch_says(self, made, model):
        for count in (1, 4):
            x = pictures(count)
            answer = made.run(x.numpy())
            assert answer.y.shape == (count, 5)
            assert np.abs(answer.y - eager(model, x)).max() < FP32
            assert answer.peak_bytes > 0

    def test_weights_of_every_dtype_are_read(self, tmp_path):
        if missing := native.missing_tools(native.HOST):
            pytest.skip(f"{', '.join(missing)} not installed")
        model, x = Masked().eval(), torch.randn(2, 40)
        compiled = compile.build(to_relax(model, x)).save(tmp_path / "model")
        kept = {str(weight.dtype) for weight in load_file(compiled / runtime.WEIGHTS).values()}
        assert {"bool", "int64", "float32"} <= kept
        answer = native.bundle(compiled, tmp_path / "bundle").run(x.numpy())
        assert np.abs(answer.y - eager(model, x)).max() < FP32

    def test_it_runs_where_it_is_copied_to(self, made, tmp_path, model):
        moved = native.Bundle(shutil.copytree(made.folder, tmp_path / "elsewhere"), made.machine)
        assert np.abs(moved.run(pictures(1).numpy()).y - eager(model, pictures(1))).max() < FP32

    def test_its_errors_are_one_sentence(self, made, tmp_path):
        with pytest.raises(BreakthroughError, match=r"expected a batch out of .*1.*4.*, got 2"):
            made.run(pictures(2).numpy())
        with pytest.raises(BreakthroughError, match="expected a multiple of"):
            made.run(pictures(1).numpy()[:, :2])
        home = native.Bundle(shutil.copytree(made.folder, tmp_path / "cut"), made.machine)
        weights = home.folder / runtime.WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-8])
        with pytest.raises(BreakthroughError, match="expected a whole .*weights.safetensors"):
            home.run(pictures(1).numpy())

    def test_foreign_files_stay(self, made, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(InputError, match="a program's folder to replace, got .* with other files"):
            native.bundle(made.folder, tmp_path)
        assert (tmp_path / "mine.txt").read_text() == "mine"

    def test_missing_tools_are_named(self, made, monkeypatch, tmp_path):
        monkeypatch.setattr(native.shutil, "which", lambda name: None)
        with pytest.raises(MissingDependency, match="apt-get install"):
            native.build_program(tmp_path / "run", made.machine)
