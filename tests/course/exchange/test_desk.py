"""A review as a learner does it: folder, desk, findings, score, from the command line and in the notebook."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from breakthrough import cli, errors, events
from breakthrough.course.exchange import desk as desks, reviews, sheet, specimens, works
from breakthrough.course.exchange.reviews import EXPERIMENT

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copy(ROOT / "course.yml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BREAKTHROUGH_PROGRESS", raising=False)
    return tmp_path


@pytest.fixture
def folder(project, capsys):
    assert cli.main(["exchange", "solo", "01"]) == 0
    assert capsys.readouterr().out == f"next: jupyter lab {project / 'exchange/01_moe/review.ipynb'}\n"
    return project / "exchange" / "01_moe"


@pytest.fixture
def desk(folder):
    return desks.open_desk(folder)


def test_the_folder_has_notebooks_that_are_whole_and_the_same_each_time(folder, tmp_path, project):
    for name in ("review.ipynb", "work_A.ipynb", "work_B.ipynb", "work_C.ipynb"):
        nbformat.validate(nbformat.read(folder / name, 4))
    assert cli.main(["exchange", "solo", "01", "--seed", "1", "--out", "other"]) == 0
    for file in folder.iterdir():
        assert file.read_bytes() == (project / "other" / file.name).read_bytes()


def test_nothing_in_the_folder_says_what_is_wrong(folder):
    made = specimens.make("01_moe", 1)
    text = "".join(file.read_text() for file in folder.iterdir())
    for flaw in (flaw for one in made for flaw in one.key.flaws):
        assert flaw.says not in text and json.dumps(flaw.says)[1:-1] not in text


def test_a_review_in_progress_is_never_overwritten(folder, desk, capsys):
    desk.rate("A", code=2)
    desk.write()
    assert cli.main(["exchange", "solo", "moe"]) == 2
    said = capsys.readouterr().err
    assert f"expected no review in progress, got the one in {folder}" in said and "--again" in said
    assert cli.main(["exchange", "solo", "01", "--again"]) == 0
    kept = Path(capsys.readouterr().out.split("the review that was there is in ")[1].splitlines()[0])
    assert reviews.read(kept / "review.json").of("A").ratings == {"code": 2}
    assert works.read(folder).seed == 2 and not (folder / "review.json").exists()


def test_other_files_are_left_alone(project, capsys):
    (project / "mine").mkdir()
    (project / "mine" / "thesis.txt").write_text("x")
    assert cli.main(["exchange", "solo", "01", "--out", "mine"]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert (project / "mine" / "thesis.txt").read_text() == "x"


def test_a_works_functions_can_be_run(desk):
    import torch

    exercise = desk.packet.exercises[0]
    work, short = desk.work("A"), exercise.partition(".")[2]
    assert getattr(work, short) is work[exercise] and short in dir(work) and f"A.{short}" in repr(work)
    drawn = desk.inputs(exercise)
    first = next(iter(drawn))
    assert work[exercise](*drawn[first].args) is not None
    assert first in repr(drawn) and "<table" in drawn._repr_html_()
    with pytest.raises(errors.UnknownNameError):
        work["moe.no_such"]
    with pytest.raises(AttributeError, match="known function in work A"):
        _ = work.no_such
    assert torch is not None


@pytest.mark.parametrize(("call", "said"), [
    (lambda d: d.work("Z"), "known work, got 'Z'; try A or B or C"),
    (lambda d: d.rate("A", cod=1), "known criterion, got 'cod'; try code"),
    (lambda d: d.rate("A", code=5), "expected a level from 0 to 4 for code, got 5"),
    (lambda d: d.rate("A", code=True), "expected a level from 0 to 4 for code, got True"),
    (lambda d: d.finding("A", "moe.nothing", kind="x"), "known exercise in these works"),
    (lambda d: d.finding("A", "experiment", kind="x"), "known kind of mistake for experiment"),
    (lambda d: d.finding("A", "experiment", kind="unfair baseline", evidence="nowhere"), "known section of the account"),
    (lambda d: d.withdraw("A", "moe.route"), "known finding in work A"),
])
def test_slips_are_told_in_one_form(desk, call, said):
    with pytest.raises(errors.InputError, match=said):
        call(desk)


def test_a_finding_is_told_whether_it_can_count_and_not_whether_it_is_right(desk, capsys):
    exercise = desk.packet.exercises[0]
    kind, drawn = next(iter(desk.kinds(exercise))), desk.inputs(exercise)
    desk.finding("A", exercise, kind=kind, evidence=drawn[next(iter(drawn))])
    assert "The evidence can be run: right answers agree on this input." in capsys.readouterr().out
    desk.finding("A", exercise, kind=kind)
    assert "Without evidence yet" in capsys.readouterr().out
    assert len(desk.handed.of("A").findings) == 1
    with pytest.raises(errors.InputError, match="as a tuple, got int"):
        desk.finding("A", exercise, kind=kind, evidence=3)
    desk.withdraw("A", exercise)
    assert desk.handed.of("A").findings == ()


def test_a_desk_that_is_opened_again_has_what_was_written(folder, desk):
    desk.rate("B", code=3, reasons={"code": "ran them"})
    desk.finding("B", EXPERIMENT, kind="unfair baseline", evidence="baseline")
    desk.write()
    again = desks.open_desk(folder)
    assert again.handed == desk.handed and "1 finding: experiment" in repr(again)


def test_only_the_first_score_counts(folder, desk, capsys):
    assert cli.main(["exchange", "solo-score", "01"]) == 2
    assert "to run the review notebook to its last cell" in capsys.readouterr().err
    assert "an empty review earns nothing" in repr(desk.score())
    assert list(events.read()) == []
    for one in specimens.make("01_moe", 1):
        desk.rate(one.name, **one.key.levels)
    first = desk.score()
    [event] = events.read()
    assert (event["module"], event["seed"], event["points"]) == ("01_moe", 1, first.scored.points) and 0 < event["share"] < 1
    from breakthrough.course import progress

    assert progress.measure().earned.exchange == first.scored.points
    for one in specimens.make("01_moe", 1):
        for flaw in one.key.flaws:
            desk.finding(one.name, flaw.exercise, kind=flaw.kind)
    again = desk.score()
    assert "The first score of these specimens stands" in repr(again) and len(list(events.read())) == 1
    assert "text/html" in again._repr_mimebundle_()
    assert cli.main(["exchange", "solo-score", "01"]) == 0
    assert "The first score" in capsys.readouterr().out


def test_others_works_are_scored_by_the_instructor(project):
    made = specimens.make("01_moe", 4)
    packet = works.Packet(module="01_moe", packet="k3x", code={one.name: dict(one.code) for one in made})
    sheet.write(project / "mine", "01_moe", packet, {one.name: one for one in made}, desks.rubrics.load("01_moe"))
    cells = nbformat.read(project / "mine" / "review.ipynb", 4).cells
    text = "\n".join(cell.source for cell in cells)
    assert "runs in your kernel" in text and "desk.score()" not in text
    with pytest.raises(errors.InputError, match="whose reviews your instructor scores"):
        desks.open_desk(project / "mine").score()


def test_specimens_that_cannot_be_made_again_say_so(folder, desk):
    packet = json.loads((folder / "packet.json").read_text())
    packet["code"]["A"] = {}
    (folder / "packet.json").write_text(json.dumps(packet))
    desk.write()
    with pytest.raises(errors.InputError, match="--again"):
        desk.score()


def test_a_folder_without_works_says_what_to_do(tmp_path):
    with pytest.raises(errors.InputError, match="breakthrough exchange solo 01"):
        desks.open_desk(tmp_path)


def test_prompts_are_printed(project, capsys):
    assert cli.main(["exchange", "prompts", "01"]) == 0
    assert capsys.readouterr().out.startswith("1. ")
    assert cli.main(["exchange", "prompts", "00"]) == 2


def test_help_shows_examples(capsys):
    for command in ("solo", "solo-score", "prompts"):
        assert cli.main(["exchange", command, "--help"]) == 0
        assert f"  breakthrough exchange {command} 01" in capsys.readouterr().out


def test_a_learner_who_finds_one_flaw_runs_the_notebook_to_its_end(folder, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    made = specimens.make("01_moe", 1)
    one = next(one for one in made if one.key.flaws)
    flaw = one.key.flaws[0]
    notebook = nbformat.read(folder / "review.ipynb", 4)
    cells = {cell.id: cell for cell in notebook.cells}
    drawn = f'desk.inputs("{flaw.exercise}", seed=2)'
    cells[f"{one.name}-find"].source = "\n".join([
        f'rows = {drawn}', f'desk.finding("{one.name}", "{flaw.exercise}", kind="{flaw.kind}", evidence=rows[next(iter(rows))])'])
    for other in made:
        levels = ", ".join(f"{name}={level}" for name, level in other.key.levels.items())
        cells[f"{other.name}-rate"].source = f'desk.rate("{other.name}", {levels})'
    cells["score"].source = "desk.score()"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    shown = cells["score"].outputs[0].data["text/plain"]
    flaws = sum(len(other.key.flaws) for other in made)
    assert f"found 1 of {flaws} flaws, 0 false alarms" in shown and "levels 100%" in shown
    assert reviews.read(folder / "review.json").of(one.name).findings[0].exercise == flaw.exercise
    [event] = events.read()
    assert event["kind"] == "exchange" and event["of"] == 20
