"""Handing in: what is packed, and that it comes out again at the other end."""

import json
import os
import zipfile

import pytest
from toy_cohort import MODULE, cohort, cohort_template  # noqa: F401
from toy_course import lab_cells, write_notebook

from breakthrough import artifacts, events
from breakthrough.errors import ArtifactError, InputError
from breakthrough.grading import collecting, handin
from breakthrough.grading.intake import LIMITS


def save(content, **more):
    return artifacts.save("toy", {"w.npz": lambda path: path.write_text(content), "parts/n.json": lambda path: path.write_text("{}")}, **more)


@pytest.fixture
def lab(course):
    return write_notebook(course.lab(course.find("toy")), *lab_cells())


def names(path):
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_notebook_the_newest_own_artifact_and_the_modules_events_are_packed(course, lab):
    save("old")
    own = save("new")
    save("the staff's", staff=True)
    (artifacts.store() / "toy" / "99999999-broken").mkdir()
    events.append("check", exercise="toy.double", status="passed", points=40)
    events.append("check", exercise="start.softmax", status="passed", points=1)
    events.append("claim", claim="C01", verdict="holds")
    events.append("run", notebook="x")
    made = handin.pack(course, course.find("toy"))
    home = f"{MODULE}/artifacts/toy/{own.id}"
    assert names(made.archive) == {f"{MODULE}/{MODULE}.ipynb", f"{MODULE}/events.jsonl", *(f"{home}/{name}" for name in ("w.npz", "parts/n.json", "manifest.json"))}
    assert artifacts.load(made.folder / "artifacts" / "toy" / own.id).digest == own.digest
    assert [json.loads(line)["kind"] for line in (made.folder / "events.jsonl").read_text().splitlines()] == ["check", "claim"]
    assert (made.artifacts, made.missing, made.events) == ((f"toy/{own.id}",), (), 2)


def test_without_the_log_and_without_an_artifact_it_says_so(course, lab):
    save("the staff's", staff=True)
    events.append("check", exercise="toy.double", status="passed", points=40)
    made = handin.pack(course, course.find("toy"), log=False)
    assert names(made.archive) == {f"{MODULE}/{MODULE}.ipynb"}
    assert "no toy of your own yet" in "\n".join(made.lines())


def test_packed_again_it_replaces_what_was_packed(course, lab):
    save("one")
    handin.pack(course, course.find("toy"))
    save("two")
    made = handin.pack(course, course.find("toy"))
    assert [path.name for path in (made.folder / "artifacts" / "toy").iterdir()] == [made.artifacts[0].split("/")[1]]
    assert sorted(os.listdir(made.folder.parent)) == [MODULE, f"{MODULE}.zip"]


def test_what_is_too_large_or_altered_is_refused_and_nothing_is_packed(course, lab, monkeypatch):
    with pytest.raises(InputError, match="your lab at"):
        lab.rename(lab.with_suffix(".away"))
        handin.pack(course, course.find("toy"))
    lab.with_suffix(".away").rename(lab)
    made = save("x" * 1000)
    monkeypatch.setattr(handin, "LIMITS", type(LIMITS)(bytes_=900, notebook_bytes=10**6))
    with pytest.raises(InputError, match="at most 0 MB and 200 files"):
        handin.pack(course, course.find("toy"))
    monkeypatch.setattr(handin, "LIMITS", type(LIMITS)(notebook_bytes=100))
    with pytest.raises(InputError, match="clearing the outputs"):
        handin.pack(course, course.find("toy"))
    monkeypatch.setattr(handin, "LIMITS", LIMITS)
    (made.folder / "w.npz").write_text("other")
    with pytest.raises(ArtifactError, match="changed after it was saved"):
        handin.pack(course, course.find("toy"))
    assert not (course.root / "build" / "handin").exists()


def test_what_is_packed_is_what_is_collected(course, lab, cohort, monkeypatch):
    monkeypatch.chdir(course.root)
    own = save("new")
    events.append("check", exercise="toy.double", status="passed", points=40)
    packed = handin.pack(course, course.find("toy"))
    packed.archive.rename(packed.archive.with_name("ada.zip"))
    [got] = collecting.collect(cohort, MODULE, packed.archive.with_name("ada.zip"))
    assert (got.student, got.state, got.why) == ("ada", "collected", "")
    there = cohort.submitted("ada", MODULE)
    assert artifacts.load(there / "artifacts" / "toy" / own.id).digest == own.digest
    assert [event["exercise"] for event in events.read(there)] == ["toy.double"]
    assert (there / f"{MODULE}.ipynb").read_bytes() == lab.read_bytes()
