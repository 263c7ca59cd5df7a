import json

import pytest
from toy_course import PARAMETERS, TOY_CHECK, write_notebook

from breakthrough.course import keeping, notebooks
from breakthrough.errors import NotebookError

LOG = "from breakthrough import events\nprint(len(list(events.read())))\nevents.append('x')"


def lesson(tmp_path, *cells):
    return write_notebook(tmp_path / "notebooks" / "00_start.ipynb", ("markdown", "# A lesson"), PARAMETERS, *cells)


def soil(path):
    """What JupyterLab and papermill leave behind, and outputs of before."""
    made = json.loads(path.read_text())
    made["metadata"] |= {"papermill": {"duration": 1}, "language_info": {"name": "python", "version": "3.9"}, "title": "kept"}
    made["metadata"]["kernelspec"]["name"] = "my-own-env"
    made["cells"][2]["metadata"] = {"execution": {"iopub.status.busy": "2026-01-01"}, "tags": ["nbval-ignore-output"]}
    made["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "of before\n"}]
    path.write_text(json.dumps(made))


def test_outputs_are_kept_and_nothing_of_the_machine(tmp_path):
    path = lesson(tmp_path, ("code", "print('now', PROFILE)"))
    soil(path)
    assert keeping.keep(path)
    made = notebooks.read(path)
    assert made["metadata"] == {"kernelspec": keeping.KERNEL, "language_info": {"name": "python"}, "title": "kept"}
    _title, parameters, cell = made["cells"]
    assert [one["id"] for one in made["cells"]] == ["cell-00", "cell-01", "cell-02"]
    assert cell["metadata"] == {"tags": ["nbval-ignore-output"]} and cell["execution_count"] == 2
    assert ["".join(output["text"]) for output in cell["outputs"]] == ["now quick\n"]
    assert parameters["metadata"] == {"tags": ["parameters"]}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_keeping_again_changes_nothing(tmp_path):
    path = lesson(tmp_path, ("code", "print('now')"))
    assert keeping.keep(path)
    before = path.read_bytes()
    assert not keeping.keep(path)
    assert path.read_bytes() == before


def test_the_log_is_fresh_and_the_maintainers_own_stays(tmp_path, monkeypatch):
    from breakthrough import events

    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "mine"))
    events.append("hint", exercise="a.b", level=1)
    path = lesson(tmp_path, ("code", LOG))
    keeping.keep(path)
    assert "".join(notebooks.read(path)["cells"][2]["outputs"][0]["text"]) == "0\n"
    assert len(list(events.read())) == 1


def test_questions_stay_unanswered(tmp_path):
    answer = ("code", 'answer_one = None  # your answer\ncheck("toy.q_one", answer_one)', {"tags": ["answer"]})
    path = lesson(tmp_path, ("code", TOY_CHECK), answer)
    keeping.keep(path)
    made = notebooks.read(path)
    assert made["cells"][3]["source"] == answer[1]
    assert notebooks.checks(made)["toy.q_one"]["status"] == "wrong"


def test_a_lesson_that_fails_stays_as_it_was(tmp_path):
    path = lesson(tmp_path, ("code", "print('now')"), ("code", "1 / 0"))
    before = path.read_bytes()
    with pytest.raises(NotebookError, match="ZeroDivisionError"):
        keeping.keep(path)
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == [path.name]


def test_an_error_that_is_meant_is_kept(tmp_path):
    path = lesson(tmp_path, ("code", "1 / 0", {"tags": ["raises-exception"]}), ("code", "print('after')"))
    keeping.keep(path)
    made = notebooks.read(path)
    assert [cell["outputs"][0]["output_type"] for cell in made["cells"][2:]] == ["error", "stream"]


def test_questions_are_the_standard_ones_whoever_keeps_them(tmp_path, monkeypatch):
    from breakthrough import learner

    monkeypatch.setenv(learner.VARIABLE, "the maintainer")
    path = lesson(tmp_path, ("code", "from breakthrough import learner\nprint(repr(learner.current()))"))
    keeping.keep(path)
    assert "".join(notebooks.read(path)["cells"][2]["outputs"][0]["text"]) == "''\n"
