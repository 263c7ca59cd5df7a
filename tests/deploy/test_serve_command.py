"""`breakthrough serve` of a compiled inspector, and the table of what batching gives."""

import json
import re
import shutil
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from breakthrough import artifacts
from breakthrough.cli import main
from breakthrough.deploy import compile, export, finding
from breakthrough.deploy.load import Load, Outcome
from breakthrough.deploy.models import WithCells
from breakthrough.deploy.served import Row, ServingTable, measure, started
from breakthrough.errors import ArtifactError, ConfigError, UnknownNameError
from breakthrough.train.inspector import CLASSES, Inspector, InspectorConfig


@pytest.fixture(scope="module")
def model():
    return WithCells(Inspector(InspectorConfig(widths=(8, 16), blocks=(0, 0)), torch.Generator().manual_seed(0))).eval()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    exported = export.together([export.to_relax(model, torch.rand(size, 3, 16, 16)) for size in (1, 4)])
    return compile.build(exported, about={"classes": list(CLASSES)}).save(tmp_path_factory.mktemp("served") / "model")


def post(url, body):
    request = urllib.request.Request(url, body, {"content-type": "application/octet-stream"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read())


def test_the_command_serves_what_the_net_says_without_torch_or_the_compiler(model, folder):
    x = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        scores, cells = model(x[None])
    wanted = scores[0].softmax(0).numpy()
    defects = cells[0].softmax(0)[1 : len(CLASSES)].sum(0).numpy()
    with started(folder) as running:
        found = post(running.inspect, x.numpy().astype("<f4").tobytes())
        mapped = Path(f"/proc/{running.process.pid}/maps").read_text(encoding="utf-8")
    assert np.abs(np.array([found["probabilities"][name] for name in CLASSES]) - wanted).max() < 1e-4
    assert np.abs(np.array(found["map"]) - defects).max() < 1e-3
    assert found["class"] == CLASSES[wanted.argmax()]
    assert "libtvm_runtime" in mapped
    assert not re.findall(r"libtorch\S*|libtvm_compiler\S*|libtvm\.so|libtvm_allvisible\S*", mapped)


def test_a_port_that_is_taken_is_told(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(folder), "--port", str(port)]) == 2
    assert f"got {port}" in (said := capsys.readouterr().err) and "--port" in said


def test_what_cannot_be_served_is_told(folder, tmp_path, capsys):
    def told(*given):
        assert main(["serve", *map(str, given)]) != 0
        return capsys.readouterr().err

    assert "no folder" in told(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "breakthrough compile" in told(tmp_path / "empty")
    assert "max_batch" in told(folder, "--max-batch", "0")
    assert "timeout" in told(folder, "--timeout-s", "0")
    texts = shutil.copytree(folder, tmp_path / "texts")
    manifest = json.loads((texts / "manifest.json").read_text())
    manifest["inputs"][0] |= {"shape": [None, 64], "dtype": "int32"}
    (texts / "manifest.json").write_text(json.dumps(manifest))
    assert "takes pictures" in told(texts)
    altered = shutil.copytree(folder, tmp_path / "altered")
    (altered / "model.so").write_bytes(b"no library")
    assert "model.so" in told(altered)


def test_help_teaches(capsys):
    assert main(["serve", "--help"]) == 0
    said = capsys.readouterr().out
    for word in ("--max-batch", "--max-wait-ms", "--queue", "--timeout-s", "--workers", "--variant", "curl", "429", "/metrics", "breakthrough serve compiled"):
        assert word in said


def test_a_model_is_found_by_folder_artifact_and_variant(tmp_path, monkeypatch):
    for name in ("fp32", "int8"):
        (tmp_path / "many" / name).mkdir(parents=True)
        (tmp_path / "many" / name / "model.so").touch()
    assert finding.find(tmp_path / "many") == tmp_path / "many" / "fp32"
    assert finding.find(tmp_path / "many", "int8") == tmp_path / "many" / "int8"
    assert finding.find(tmp_path / "many" / "int8") == tmp_path / "many" / "int8"
    with pytest.raises(UnknownNameError, match="int8"):
        finding.find(tmp_path / "many", "int9")
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "store"))
    monkeypatch.setattr(artifacts, "staff_builders", dict)
    with pytest.raises(ArtifactError, match="compiled"):
        finding.find("compiled")


# --- the table


def outcome(throughput, p99_ms=10.0, lost=0):
    return Outcome(8, 100, 100 - lost, 0, 0, lost, throughput, 1.0, 5.0, p99_ms)


def test_a_table_holds_only_with_twice_the_throughput_a_p99_not_twice_as_long_and_no_loss():
    def table(throughput, p99_ms, lost=0):
        row = Row(8, (outcome(throughput, p99_ms, lost),) * 3, (outcome(100.0),) * 3)
        return ServingTable((row,), outcome(50.0))

    assert table(200.0, 20.0).holds
    assert not table(199.0, 20.0).holds
    assert not table(200.0, 20.1).holds
    assert not table(200.0, 20.0, lost=1).holds
    few = replace(table(300.0, 5.0), overload=outcome(1.0, lost=1))
    assert few.lost == 1 and not few.holds


def test_the_best_number_of_clients_decides_and_spread_is_shown():
    slow = Row(1, (outcome(90.0),), (outcome(100.0),))
    fast = Row(64, (outcome(190.0), outcome(250.0), outcome(210.0)), (outcome(100.0),) * 3)
    table = ServingTable((slow, fast), outcome(50.0))
    assert table.best is fast and table.holds
    assert "2.10 (1.90 to 2.50)" in str(table)


def test_a_table_is_measured_on_real_services(folder, tmp_path):
    (tmp_path / "body").write_bytes(np.zeros((3, 16, 16), "<f4").tobytes())
    with started(folder) as batched, started(folder, "--max-batch", "1") as single, started(folder, "--queue", "1", "--max-batch", "1") as small:
        load = Load("", tmp_path / "body", seconds=0.2)
        table = measure(batched, single, small, load, clients=(1, 8), repeats=2)
    assert [row.clients for row in table.rows] == [1, 8]
    assert all(len(row.batched) == len(row.single) == 2 for row in table.rows)
    assert all(run.answered > 0 for row in table.rows for run in (*row.batched, *row.single))
    assert table.overload.refused > 0 and table.overload.answered > 0 and table.lost == 0


def test_a_load_is_bounded(tmp_path):
    for wrong in ({"clients": 0}, {"seconds": 0}, {"seconds": 1e6}, {"rate": 0.0}):
        with pytest.raises(ConfigError):
            Load("http://127.0.0.1:1/", tmp_path, **wrong)
