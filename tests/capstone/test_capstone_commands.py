"""`breakthrough capstone`, `lineage`, `leaderboard`, and the staff's line, on one line of the profile tiny."""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from breakthrough import artifacts, lineage
from breakthrough.capstone import handover, leaderboard, pipeline, streams
from breakthrough.capstone.spec import spec_of
from breakthrough.cli import main
from breakthrough.deploy import finding
from breakthrough.errors import ArtifactError, InputError, ShapeError, UnknownNameError
from breakthrough.train.inspector import Inspector, load_inspector, save_inspector


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    home = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(artifacts.VARIABLE, str(home))
        yield home


@pytest.fixture(scope="module")
def told(store, tmp_path_factory):
    """What the command says, and where its report lies."""
    import contextlib
    import io

    out, said = tmp_path_factory.mktemp("out"), io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["capstone", "--profile", "tiny", "--out", str(out)]) == 0
    return said.getvalue(), out


@pytest.fixture(scope="module")
def line(told):
    return artifacts.latest("line")


def test_the_command_builds_and_reports(told):
    said, out = told
    assert "19 stages made, 0 already there" in said and "path-traced" in said
    assert {path.name for path in out.iterdir()} == {"report.html", "model_card.md", "data_sheet.md", "facts.json"}
    facts = json.loads((out / "facts.json").read_text())
    assert facts["accuracy"]["synthetic"]["compiled"]["all"]["n"] == 80
    page = (out / "report.html").read_text()
    assert "19 artifacts, every file of each has its hash" in page and "<script" not in page


def test_again_nothing_is_made(told, capsys, tmp_path):
    assert main(["capstone", "--profile", "tiny", "--out", str(tmp_path)]) == 0
    assert "0 stages made, 19 already there" in capsys.readouterr().out


def test_the_stages_are_listed_and_wrong_ones_are_named(capsys):
    assert main(["capstone", "--stages"]) == 0
    assert "the net as machine code" in capsys.readouterr().out
    assert main(["capstone", "--profile", "tiny", "--from", "compile"]) == 2
    assert "compiled" in capsys.readouterr().err


def test_the_staffs_line_is_the_line_and_opens(line, store):
    assert line.staff and line.folder.parent == store / "line"
    opened = pipeline.open_line(line)
    assert opened.spec == spec_of("tiny") and set(opened.artifacts) >= {"train.north", "served"}
    assert not lineage.trace(line).broken


def test_lineage_says_where_it_comes_from(line, capsys, tmp_path):
    assert main(["lineage", "line", "--draw", str(tmp_path / "chain.svg")]) == 0
    said = capsys.readouterr().out
    assert "train.north" in said and "seed" in said and "<svg" in (tmp_path / "chain.svg").read_text()
    assert main(["lineage", line.id]) == 0 and main(["lineage", str(line.folder)]) == 0
    assert main(["lineage", "nothing"]) == 1
    assert "compiled" in capsys.readouterr().err


def test_lineage_fails_when_a_byte_was_altered(line, tmp_path, capsys):
    copy = tmp_path / "line" / line.id
    shutil.copytree(line.folder, copy)
    with (copy / "spec.json").open("a") as file:
        file.write(" ")
    assert main(["lineage", str(copy)]) == 1
    assert "spec.json" in capsys.readouterr().out


def test_lineage_holds_a_parent_to_the_content_that_its_child_was_made_from(line, tmp_path):
    copy = tmp_path / "line" / line.id
    shutil.copytree(line.folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["metrics"]["inputs"]["federated"] = 64 * "0"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    broken = lineage.trace(copy).broken
    assert [one.id for one in broken] == [line.id] and "made from federated" in broken[0].why


def test_the_line_is_served_by_its_name(line):
    assert finding.find("line", "int8") == line.folder / "int8"
    assert (finding.find("line") / "model.so").is_file()


def test_an_unfinished_build_hands_nothing_over(told):
    built = pipeline.build("tiny", until="quantized")
    with pytest.raises(ArtifactError, match="without until"):
        handover.save_line(built)


def test_features_know_the_light_and_the_doubt():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[1] = (200, 100, 50)
    found = streams.features(images, np.array([[3.0, 1.0, 0.0], [0.0, 0.5, 2.0]]))
    assert found.shape == (2, len(streams.FEATURES))
    brightness, contrast, warmth, sharpness, margin, defect = found[1]
    assert brightness == pytest.approx(350 / 3) and (contrast, sharpness) == pytest.approx((0, 0), abs=1e-9) and warmth == pytest.approx(np.log(201 / 51))
    assert (margin, defect) == (1.5, 2.0) and found[0, 4] == 2.0 and found[0, 5] == -2.0
    with pytest.raises(ShapeError):
        streams.features(images, np.zeros((3, 5)))


def test_a_camera_watched_is_held_out_and_shifts_with_its_ranges(told):
    spec = spec_of("tiny")
    quiet = streams.watched(spec, "north", 6, profile="tiny")
    dark = streams.watched(spec, "north", 6, {"light_power": [0.2, 0.25], "ambient": [0.05, 0.1]}, profile="tiny")
    assert len(quiet) == len(dark) == 6 and dark.images.mean() < 0.7 * quiet.images.mean()
    test = pipeline.open_line().sets["synthetic"]
    assert not any((one == other).all() for one in quiet.images for other in test.images)
    with pytest.raises(UnknownNameError, match="light_power"):
        streams.watched(spec, "north", 6, {"light_powers": [1, 2]}, profile="tiny")


def test_the_leaderboard_measures_again_what_submissions_hold(line, store, tmp_path, capsys):
    net = Inspector.from_files(line.folder / "net" / "config.json", line.folder / "net" / "model.safetensors")
    for weight in net.parameters():
        weight.data.zero_()
    broken = save_inspector(net, {"accuracy": 1.0}, "tiny")  # what it says of itself counts for nothing
    board = leaderboard.measure([str(line.folder), str(broken.folder), str(tmp_path / "none")], "tiny", seed=5, progress=False)
    assert [one.name for one in board.places][-1].endswith(broken.id)
    places = {one.name: one for one in board.places}
    same, zero = places[f"line/{line.id}"], places[f"inspector/{broken.id}"]
    assert same.gained.value == 0 and not same.better and same.traced == places["baseline"].traced
    assert zero.synthetic.value == pytest.approx(0.2, abs=0.05) and zero.traced.n == 20 and zero.bytes == same.bytes
    assert len(board.refused) == 1 and "none" in board.refused[0][0]
    assert main(["leaderboard", str(line.folder), "--profile", "tiny", "--seed", "5", "--traced", "2"]) == 0
    assert "8 path-traced and 80 rendered" in capsys.readouterr().out


def test_a_submission_may_not_be_huge_nor_another_kind(line, told, tmp_path):
    home = tmp_path / "inspector" / line.id
    net = load_inspector(next((pipeline.stage_store() / "inspector").glob("[0-9]*")))
    config, weights = net.to_files()
    config["widths"] = [100_000, 100_000]
    home.mkdir(parents=True)
    (home / "config.json").write_text(json.dumps(config))
    save_file(weights, home / "model.safetensors")
    assert load_file(home / "model.safetensors")
    huge = artifacts.save("inspector", {name: home / name for name in ("config.json", "model.safetensors")})
    answers = next((pipeline.stage_store() / "answers").glob("[0-9]*"))
    board = leaderboard.measure([str(huge.folder), str(answers)], "tiny", seed=5, progress=False)
    assert [why for _, why in board.refused if "widths" in why] and [why for _, why in board.refused if "kind line" in why]
    with pytest.raises(InputError):
        leaderboard.measure([], "tiny")
