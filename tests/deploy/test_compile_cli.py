"""`breakthrough compile`: what it prints, what it writes, how it refuses."""

import json
import re

import numpy as np
import pytest
from compiled_toys import SIDE, fill_store

from breakthrough import artifacts, cli
from breakthrough.deploy import conversion, native
from breakthrough.deploy.conversion import Error
from breakthrough.deploy.opening import open_source
from breakthrough.deploy.pipelines import PIPELINES
from breakthrough.deploy.runtime import Engine
from breakthrough.errors import ArtifactError
from breakthrough.seeds import torch_generator


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(artifacts.VARIABLE, str(folder))
        fill_store()
    return folder


@pytest.fixture
def place(filled, tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.VARIABLE, str(filled))
    monkeypatch.setattr(conversion.convert, "__kwdefaults__", {**conversion.convert.__kwdefaults__, "runs": 20})
    return tmp_path


def run(*arguments):
    return cli.main(["compile", *map(str, arguments)])


def drawn(net, batch):
    return net.draw(batch, torch_generator(1))


def test_help_teaches_every_pipeline(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert "  breakthrough compile inspector --out build/inspector" in shown
    assert all(re.search(rf"\b{name}\b", shown) for name in (*PIPELINES, "cpu", "aarch64", "cuda"))
    assert cli.main(["--help"]) == 0 and "breakthrough compile inspector --out" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "options"), [("inspector", ["--batch", "2,1"]), ("inspector", ["--dynamic"]), ("moe_lm", ["--batch", "1"])])
def test_it_writes_what_answers_as_the_net_does(place, capsys, name, options):
    assert run(name, "--out", place / "made", "--pipeline", "tuned", *options) == 0
    shown, net, engine = capsys.readouterr().out, open_source(name), Engine(place / "made")
    for batch in (1, 3):
        x = drawn(net, batch)
        found = engine(x.numpy())
        for got, want in zip(found if isinstance(found, tuple) else (found,), net.answer(x)):
            np.testing.assert_allclose(got, want.numpy(), atol=1e-4)
    for path in (place / "made").glob("*.s*"):
        assert f"{path.stat().st_size:,} bytes" in re.search(rf"^{path.name} .*", shown, re.MULTILINE)[0]
    assert float(re.search(r"largest error: (\S+) on", shown)[1]) < 1e-4
    assert re.search(r"compiled +\d+ .* × ", shown) and "PyTorch" in shown
    sizes = "any" if "--dynamic" in options else "1, 2" if "2,1" in options else "1"
    assert f"batch sizes: {sizes}\n" in shown
    assert engine.manifest["about"]["made_from"] == net.origin and [spec["name"] for spec in engine.manifest["outputs"]] == list(net.outputs)


def test_one_trace_gives_the_code_that_a_trace_of_each_size_gives(place):
    """Batch sizes bound into a graph for any batch, constants folded before, are the loops of a graph of that size."""
    from breakthrough.deploy import targets, tuning
    from breakthrough.deploy.export import to_relax

    net, target = open_source("inspector"), targets.choose("cpu").target
    made = conversion.export_net(net, (1, 4), "tuned")
    for size in (1, 4):
        alone = to_relax(net.model, drawn(net, size))
        mine = conversion.changed(made, module=type(made.module)({"main": made.module[f"batch_{size}"].with_attr("global_symbol", "main")}))
        assert {task.key for task in tuning.tasks_of(mine.module, target)} == {task.key for task in tuning.tasks_of(alone.module, target)}


def test_int8_of_an_inspector_in_int8(place, capsys):
    assert run("inspector_int8", "--pipeline", "int8", "--batch", "1", "--out", place / "int8") == 0
    assert "pipeline int8" in capsys.readouterr().out
    manifest = json.loads((place / "int8" / "manifest.json").read_text())
    assert manifest["about"]["side"] == SIDE and manifest["source"] == "Inspector"
    net = open_source("inspector_int8")
    x = drawn(net, 1)
    want, got = net.answer(x)[0].numpy(), Engine(place / "int8")(x.numpy())[0]
    assert 0 < np.abs(got - want).max() < 0.3 * np.abs(want).max()


def test_a_bundle_runs_without_python(place, capsys):
    if missing := native.missing_tools(native.HOST):
        pytest.skip(f"{', '.join(missing)} not installed")
    assert run("inspector", "--pipeline", "default", "--batch", "1", "--bundle", "--out", place / "edge") == 0
    assert (place / "edge" / native.PROGRAM).is_file() and re.search(r"^run +[\d,]+ bytes", capsys.readouterr().out, re.MULTILINE)
    net = open_source("inspector")
    x = drawn(net, 1)
    np.testing.assert_allclose(native.Bundle(place / "edge", native.HOST).run(x.numpy()).y, net.answer(x)[0].numpy(), atol=1e-4)


def test_a_net_that_answers_something_else_is_not_written(place, monkeypatch):
    for error, said in ((Error(1e-2, 1.0, 1, ""), "within 0.0001"), (Error(float("inf"), 1.0, 1, ""), "within")):
        monkeypatch.setattr(conversion, "largest_error", lambda *args, error=error: error)
        with pytest.raises(ArtifactError, match=f"expected PyTorch's own answers {said}"):
            conversion.convert("inspector", place / "new", pipeline="default", batches=(1,))
        assert not any(place.iterdir())


def test_what_the_compiler_says_is_one_line(place, monkeypatch, capsys):
    def refuse(*args, **how):
        raise RuntimeError("Traceback\n  many lines\nInternalError: Check failed: no loop")

    monkeypatch.setattr(conversion, "build", refuse)
    assert run("inspector", "--out", place / "new", "--batch", "1", "--pipeline", "tuned") == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "by the pipeline tuned, got InternalError: Check failed: no loop; try --pipeline default" in shown


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["inspector", "--pipeline", "fast"], 2, "expected the name of a known pipeline, got 'fast'"),
    (["inspector", "--target", "toaster"], 2, "expected the name of a known target, got 'toaster'"),
    (["inspector", "--batch", "1,x"], 2, "expected batch sizes as whole numbers with commas, got '1,x'"),
    (["inspector", "--batch", "0"], 2, "expected batch sizes of at least 1"),
    (["inspector", "--batch", "1", "--dynamic"], 2, "expected --batch or --dynamic, got both"),
    (["inspector", "--trials", "10"], 2, "expected a file to keep measured schedules in"),
    (["inspector", "--pipeline", "default", "--database", "{}/db"], 2, "expected a pipeline with schedules of a database, got default"),
    (["inspector", "--pipeline", "int8", "--database", "{}/db", "--trials", "9"], 2, "expected a pipeline with schedules of a database, got int8"),
    (["{}/away"], 2, "expected a net to compile, got no such folder"),
    (["{}"], 2, "which has no manifest.json"),
])
def test_an_error_is_one_line_and_nothing_is_written(place, capsys, arguments, code, said):
    assert run(*(text.format(place) for text in arguments), "--out", place / "new") == code
    shown = capsys.readouterr()
    assert shown.err.startswith("breakthrough: ") and said in shown.err and shown.err.count("\n") == 1
    assert not any(place.iterdir())


def test_other_files_stay_and_a_compiled_net_is_no_source(place, capsys):
    (place / "mine.txt").write_text("mine")
    assert run("inspector", "--out", place) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err and (place / "mine.txt").read_text() == "mine"
    (place / "made").mkdir()
    (place / "made" / "model.so").write_bytes(b"")
    assert run(place / "made", "--out", place / "new") == 2
    assert "which is compiled; try what it was compiled from" in capsys.readouterr().err
