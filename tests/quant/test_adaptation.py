"""Adaptation to a new domain: methods, what is kept, differences, the picture."""

import json
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex

from breakthrough.errors import UnknownNameError
from breakthrough.quant.adaptation import ADAPTATIONS, AdaptationStudy, new_domain, run_adaptation
from breakthrough.quant.adapted import Adaptation, Run
from breakthrough.quant.figures import draw_adaptation
from breakthrough.train import corpus

SMALL = replace(ADAPTATIONS["tiny"], name="small", steps=12, windows=16)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adaptation")
    return run_adaptation(SMALL, seeds=(0,), folder=folder, progress=False), folder


def test_the_new_domain_is_no_part_of_the_old():
    new, old = new_domain(), corpus.load()
    assert not any(name.startswith("encodings/") for name in old.train_files + old.valid_files)
    assert len(new.train) > 500_000 and "ascii.py" in new.train_files + new.valid_files


def test_every_method_learns_the_new_domain_but_the_control(found):
    adaptation, _ = found
    for method in ("full", "full, 8-bit Adam", "LoRA", "QLoRA"):
        assert adaptation.change(method).mean < -0.3
        assert all(run.steps == (0, 6, 12) and len(run.new) == len(run.old) == 3 for run in adaptation.runs["dense", method])
    assert adaptation.change("QLoRA, old text").mean > adaptation.change("QLoRA").mean + 0.2


def test_adapters_train_less_and_keep_less(found):
    adaptation, _ = found
    full, lora, qlora = (adaptation.runs["dense", method][0] for method in ("full", "LoRA", "QLoRA"))
    assert qlora.trained == lora.trained < full.trained / 3
    assert qlora.bytes.weights < lora.bytes.weights and qlora.bytes.state < full.bytes.state and qlora.bytes.gradients < full.bytes.gradients
    assert adaptation.peak_share("full") == 1 and adaptation.peak_share("QLoRA") < 1


def test_a_study_that_was_run_is_read(found):
    adaptation, folder = found
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert run_adaptation(SMALL, seeds=(0,), folder=folder, progress=False) == adaptation
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")} == times


def test_differences_are_paired_by_seed():
    runs = {("dense", "full"): (Run((0, 1), (3.0, 1.0), (1.0, 1.2), 9), Run((0, 1), (3.0, 2.0), (1.0, 1.4), 9)),
            ("dense", "QLoRA"): (Run((0, 1), (3.1, 1.3), (1.0, 1.1), 3), Run((0, 1), (3.1, 2.1), (1.0, 1.1), 3))}  # fmt: skip
    made = Adaptation("made", (0, 1), runs)
    assert made.behind("QLoRA").values == pytest.approx((0.3, 0.1))
    assert made.change("QLoRA").mean == pytest.approx(-1.4) and made.change("full", domain="old").mean == pytest.approx(0.3)
    with pytest.raises(UnknownNameError, match="a run of the study"):
        made.after("LoRA")


def test_as_data_text_and_picture(found, tmp_path):
    adaptation, _ = found
    assert Adaptation.from_dict(json.loads(json.dumps(adaptation.to_dict(), allow_nan=False))) == adaptation
    adaptation.save(tmp_path / "a.json")
    assert Adaptation.load(tmp_path / "a.json") == adaptation
    assert str(adaptation).count("\n") == len(adaptation.runs)
    left, _, right = draw_adaptation(adaptation).axes
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels == ["full", "full, 8-bit Adam", "LoRA", "QLoRA"]
    under, over = left.lines[:2]
    assert under.get_linewidth() > 2 * over.get_linewidth() and under.get_markersize() > over.get_markersize()  # else one hides the other
    parts = {to_hex(bar.get_facecolor()) for bar in right.patches}
    assert len(parts) == 3 and not parts & {line.get_color() for line in left.lines}


def test_what_is_no_study(tmp_path):
    with pytest.raises(UnknownNameError, match="adaptation"):
        run_adaptation("quik", folder=tmp_path)
    with pytest.raises(UnknownNameError, match="method"):
        AdaptationStudy("x", "tiny", steps=1, methods=("prompting",))
