"""`breakthrough scenes`: what it prints, what it writes, how it refuses."""

import json

import pytest

from breakthrough import cli
from breakthrough.scenes import dataset


@pytest.fixture
def toys(monkeypatch):
    """Commands make toy scenes."""
    real = dataset.make
    monkeypatch.setattr(dataset, "make", lambda *given, **named: real(*given, **named, producer="toy_scenes:Toy"))


def run(*arguments):
    return cli.main(["scenes", *map(str, arguments)])


@pytest.mark.parametrize("command", ["make", "look", "export"])
def test_every_command_shows_an_example(capsys, command):
    assert run(command, "--help") == 0
    assert f"  breakthrough scenes {command} " in capsys.readouterr().out


def test_make_look_export(toys, tmp_path, capsys):
    folder = tmp_path / "data"
    arguments = ("make", "--n", 12, "--size", 16, "--shots", 2, "--seed", 4, "--out", folder)
    assert run(*arguments) == 0
    shown = capsys.readouterr()
    assert f"{folder}: 12 pictures in" in shown.out and "missing_bolt 2" in shown.out and "6 drawn, 0 invalid" in shown.out
    assert shown.err == ""
    record = json.loads((folder / "manifest.json").read_text())
    assert record["settings"] | {"n": 12, "seed": 4, "size": 16, "shots": 2, "renderer": "tiny", "physics": True} == record["settings"]

    assert run(*arguments) == 0
    assert "complete with these settings already" in capsys.readouterr().out
    assert run("look", folder) == 0
    assert (folder / "look.png").read_bytes()[:4] == b"\x89PNG" and str(folder / "look.png") in capsys.readouterr().out
    assert run("export", folder, "--coco", "--out", tmp_path / "coco") == 0
    assert run("export", folder, "--yolo", "--labels", "boxes", "--out", tmp_path / "yolo") == 0
    assert len(list((tmp_path / "coco" / "images").iterdir())) == len(list((tmp_path / "yolo").glob("images/*/*.png"))) == 12


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["make", "--n", "0", "--out", "{}/new"], 2, "expected n of at least 1, got 0"),
    (["make", "--ranges", "alll", "--out", "{}/new"], 2, "expected the name of a known set of ranges, got 'alll'; try all"),  # codespell:ignore alll
    (["make", "--renderer", "blender", "--out", "{}/new"], 2, "expected the name of a known renderer, got 'blender'"),
    (["make", "--out", "{}"], 2, "expected an empty folder, or a dataset, in"),
    (["look", "{}"], 1, "expected a dataset in"),
    (["look", "{}", "--out", "sheet.gif"], 2, "expected a picture that ends in .png, .pdf or .svg, got sheet.gif"),
    (["export", "{}", "--out", "{}/new"], 2, "expected one of --coco, --yolo and --usd, got none of them"),
    (["export", "{}", "--coco", "--usd", "--out", "{}/new"], 2, "got --coco, --usd"),
    (["mak"], 2, "expected the name of a known command, got 'mak'; try make"),
])
def test_an_error_is_one_line_and_leaves_nothing_behind(tmp_path, capsys, arguments, code, said):
    (tmp_path / "mine.txt").write_text("keep me")
    assert run(*(text.format(tmp_path) for text in arguments)) == code
    shown = capsys.readouterr().err
    assert said in shown and len(shown.splitlines()) == 1 and shown.startswith("breakthrough: ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_scene_leaves_as_usd(tmp_path, capsys):
    pytest.importorskip("pybullet")
    usd = pytest.importorskip("breakthrough.scenes.usd")
    folder = tmp_path / "data"
    assert run("make", "--n", 4, "--size", 32, "--shots", 2, "--out", folder) == 0
    assert run("export", folder, "--usd", "--scene", 1, "--shot", 1, "--out", tmp_path / "scene.usda") == 0
    labels = dataset.open_dataset(folder).scene(1)[1].labels
    read = usd.read(tmp_path / "scene.usda")
    assert {one["name"] for one in labels["instances"]} <= set(read.transforms)
    assert run("export", folder, "--usd", "--scene", 2, "--out", tmp_path / "none.usda") == 2


def test_the_renderer_is_chosen_by_a_probe_and_said(toys, tmp_path, capsys):
    assert run("make", "--n", 4, "--size", 16, "--shots", 1, "--renderer", "auto", "--out", tmp_path / "data") == 0
    assert capsys.readouterr().err.startswith("renderer: ")
