"""Collecting: whose a submission is, what is kept of it, and archives that mean harm."""

import io
import json
import os
import stat
import zipfile

import pytest
from toy_cohort import MODULE, cohort, cohort_template, write_project  # noqa: F401
from toy_course import lab_cells, notebook

from breakthrough.errors import InputError
from breakthrough.grading import collecting, identity, intake
from breakthrough.grading.students import Student

LAB = json.dumps(notebook(*lab_cells()))
EARLY, LATE = (2026, 1, 1, 10, 0, 0), (2026, 1, 2, 10, 0, 0)


def archive(files, time=EARLY):
    """A zip of names and contents, as bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, time)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, content)
    return made.getvalue()


def collect_zip(cohort, files, *, update=False, time=EARLY, name="all.zip"):
    path = cohort.folder.parent / name
    path.write_bytes(archive(files, time))
    return {one.student or one.label: one for one in collecting.collect(cohort, MODULE, path, update=update)}


def tree(cohort, student="ada"):
    root = cohort.submitted(student, MODULE)
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [
    "ada/01_toy.ipynb", "Ada Lovelace_12345_assignsubmission_file_/01_toy.ipynb", "ada lovelace_7_assignsubmission_file_01_toy.ipynb",
    "lovelaceada_901_4711_01_toy.ipynb", "lovelaceada_LATE_901_4711_01_toy-2.ipynb", "ada.ipynb", "ada@x.org/lab.ipynb", "901/01_toy (1).ipynb",
    "Lovelace, Ada/01_toy/01_toy.ipynb", "submissions/ada/01_toy.ipynb", "ada\\01_toy.ipynb",
])
def test_a_submission_finds_its_student(cohort, name):
    found = collect_zip(cohort, {name: LAB, "__MACOSX/ada/._x": "junk"})
    assert {one: got.state for one, got in found.items()} == {"ada": "collected"}, found
    assert tree(cohort)["01_toy.ipynb"] == LAB and tree(cohort).keys() == {"01_toy.ipynb", "timestamp.txt", "submission_secret.txt"}


@pytest.mark.parametrize("name", [
    "eve/01_toy.ipynb", "adalovelace2/01_toy.ipynb", "Eve Adams_901_assignsubmission_file_/01_toy.ipynb", "mullerbob_901_4711_01_toy.ipynb",
    "lovelaceada_555_1_01_toy.ipynb", "_/01_toy.ipynb", "ad/01_toy.ipynb",
])
def test_a_submission_without_a_sure_student_is_listed_and_not_guessed(cohort, name):
    [got] = collect_zip(cohort, {name: LAB}).values()
    assert got.state == "unmatched" and got.why
    assert not list((cohort.folder / "submitted").iterdir())


def test_two_students_of_one_name_are_not_told_apart_by_it():
    twins = [Student("a1", "Ada", "Lovelace"), Student("a2", "Ada", "Lovelace", lms_user_id="7")]
    assert identity.find(identity.label_of("Ada Lovelace", folder=True), twins) == "2 students fit: a1, a2"
    assert identity.find(identity.label_of("lovelaceada_7_1_x.ipynb", folder=False), twins) == twins[1]


def test_the_newest_of_several_is_taken_and_an_older_one_never_replaces_it(cohort):
    newer = LAB.replace("Toy lab", "Newer lab")
    files = {zipfile.ZipInfo("lovelaceada_901_5_01_toy.ipynb", LATE): newer, zipfile.ZipInfo("lovelaceada_901_4_01_toy.ipynb", EARLY): LAB}
    assert collect_zip(cohort, files)["ada"].state == "collected"
    assert tree(cohort)["01_toy.ipynb"] == newer
    assert collect_zip(cohort, {"ada/01_toy.ipynb": LAB}, time=(2026, 1, 3, 1, 1, 1))["ada"].state == "kept"
    assert collect_zip(cohort, {"ada/01_toy.ipynb": LAB}, update=True)["ada"].why == "it is the newest"
    assert tree(cohort)["01_toy.ipynb"] == newer
    assert collect_zip(cohort, {"ada/01_toy.ipynb": LAB}, update=True, time=(2026, 1, 3, 1, 1, 1))["ada"].state == "updated"
    assert tree(cohort)["01_toy.ipynb"] == LAB and tree(cohort)["timestamp.txt"].startswith("2026-01-03")
    assert [path.name for path in cohort.submitted("ada", MODULE).parent.iterdir()] == [MODULE]


def packed(**more):
    files = {
        "01_toy/01_toy.ipynb": LAB, "01_toy/events.jsonl": '{"kind": "check"}\n', "01_toy/artifacts/toy/20260101-x/manifest.json": "{}",
        "01_toy/artifacts/toy/20260101-x/parts/w.safetensors": "w", **more}
    return archive(files)


@pytest.mark.parametrize("name", ["ada.zip", "Ada Lovelace_1_assignsubmission_file_/01_toy.zip", "lovelaceada_901_2_01_toy.zip"])
def test_a_packed_hand_in_is_unpacked_with_its_log_and_artifacts(cohort, name):
    extra = {"01_toy/numpy.py": "x", "01_toy/artifacts/toy/x.pkl": "x", "01_toy/artifacts/.hidden/a/b.json": "x", "other.txt": "x"}
    got = collect_zip(cohort, {name: packed(**extra)})["ada"]
    assert (got.state, got.why) == ("collected", "4 other files left out")
    assert set(tree(cohort)) == {"01_toy.ipynb", "events.jsonl", "artifacts/toy/20260101-x/manifest.json",
                                 "artifacts/toy/20260101-x/parts/w.safetensors", "timestamp.txt", "submission_secret.txt"}


def test_a_zip_of_one_hand_in_is_named_by_its_file(cohort):
    (cohort.folder.parent / "ada.zip").write_bytes(packed())
    [got] = collecting.collect(cohort, MODULE, cohort.folder.parent / "ada.zip")
    assert (got.student, got.state) == ("ada", "collected")


def link(name):
    info = zipfile.ZipInfo(name, EARLY)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def bomb():
    """300 MB of zeros in a few hundred kilobytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target, target.open("01_toy.ipynb", "w") as file:
        for _ in range(300):
            file.write(bytes(1_000_000))
    return made.getvalue()


def lying_bomb():
    """The same, with a header that says that ten bytes come out."""
    data = bytearray(bomb())
    size = (300_000_000).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at:at + 4] = (10).to_bytes(4, "little")
    return bytes(data)


HARM = {
    "a path upwards": {"ada/../../../../evil.ipynb": LAB},
    "a path upwards beside the notebook": {"ada/01_toy.ipynb": LAB, "ada/artifacts/../../../evil.json": "x"},
    "an absolute path": {"/ada/01_toy.ipynb": LAB},
    "a drive": {"ada/C:/01_toy.ipynb": LAB},
    "a link for a notebook": {link("ada/01_toy.ipynb"): "/etc/passwd"},
    "a link beside it": {"ada/01_toy.ipynb": LAB, link("ada/artifacts/toy/x/w.safetensors"): "/etc/passwd"},
    "a bomb": {"ada.zip": bomb()},
    "a bomb that lies": {"ada.zip": lying_bomb()},
    "too many files": {"ada.zip": archive({"01_toy.ipynb": LAB, **{f"f{i}": "" for i in range(300)}})},
    "a zip in a zip in a zip": {"ada.zip": archive({"a.zip": packed()})},
    "no zip": {"ada.zip": b"PK\x05\x06" + bytes(40)},
    "no notebook": {"ada/readme.txt": "x"},
    "two notebooks": {"ada/a.ipynb": LAB, "ada/b.ipynb": LAB},
}


@pytest.mark.parametrize("harm", HARM)
def test_an_archive_that_means_harm_is_refused_alone_and_writes_nothing(cohort, harm):
    before = set(cohort.folder.parent.rglob("*"))
    found = collect_zip(cohort, {**HARM[harm], "bob/01_toy.ipynb": LAB})
    assert found.pop("bob").state == "collected"
    assert all(one.state in ("refused", "unmatched") and one.why for one in found.values()) and found
    new = set(cohort.folder.parent.rglob("*")) - before
    assert all(path.name == "all.zip" or path.is_relative_to(cohort.folder / "submitted" / "bob") for path in new), new


def test_a_list_of_millions_of_files_is_refused_before_it_is_read(monkeypatch):
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + (90_000_000).to_bytes(4, "little") + bytes(6)
    entry = intake.Entry(("ada.zip",), 0.0, lambda: io.BytesIO(b"x" * 1000 + end))
    monkeypatch.setattr(zipfile, "ZipFile", None)  # it must not come to this
    with pytest.raises(InputError, match="a list of files"), intake.opened_inside(entry):
        pass


def test_a_folder_of_folders_and_files_is_collected_and_no_link_in_it_followed(cohort, tmp_path):
    secret = tmp_path / "seed.json"
    secret.write_text("secret")
    handed = tmp_path / "handed"
    (handed / "ada" / "artifacts" / "toy" / "x").mkdir(parents=True)
    (handed / "ada" / "01_toy.ipynb").write_text(LAB)
    (handed / "ada" / "artifacts" / "toy" / "x" / "w.safetensors").symlink_to(secret)
    (handed / "bob.ipynb").write_text(LAB)
    os.utime(handed / "bob.ipynb", (1_700_000_000, 1_700_000_000))
    found = {one.student: one for one in collecting.collect(cohort, MODULE, handed)}
    assert found["ada"].state == "refused" and "a link" in found["ada"].why and found["bob"].state == "collected"
    assert tree(cohort, "bob")["timestamp.txt"] == "2023-11-14 22:13:20.000000 UTC"
    (handed / "ada" / "artifacts").rename(tmp_path / "elsewhere")
    (handed / "ada" / "artifacts").symlink_to(tmp_path / "elsewhere")
    assert {one.student: one.state for one in collecting.collect(cohort, MODULE, handed)} == {"ada": "refused", "bob": "kept"}


@pytest.mark.parametrize("content", [None, "text"])
def test_what_is_no_folder_and_no_zip_is_refused(cohort, tmp_path, content):
    if content:
        (tmp_path / "x").write_text(content)
    with pytest.raises(InputError, match="a folder or a zip"):
        collecting.collect(cohort, MODULE, tmp_path / "x")


def exchange_submission(cohort, student, time, **files):
    """What `nbgrader submit` leaves in the exchange."""
    folder = cohort.folder / "exchange" / "breakthrough" / "inbound" / f"{student}+{MODULE}+{time}+abc"
    folder.mkdir(parents=True)
    (folder / "01_toy.ipynb").write_text(LAB)
    (folder / "timestamp.txt").write_text(time)
    (folder / "submission_secret.txt").write_text("ab" * 64)
    return folder


def test_the_exchange_is_collected_as_nbgraders_collector_chooses(cohort):
    exchange_submission(cohort, "ada", "2026-01-01 10:00:00.000000 UTC")
    exchange_submission(cohort, "ada", "2026-01-02 10:00:00.000000 UTC")
    exchange_submission(cohort, "eve", "2026-01-01 10:00:00.000000 UTC")
    exchange_submission(cohort, "mallory", "when I like")
    exchange_submission(cohort, "..", "2026-01-01 10:00:00.000000 UTC")
    found = {one.student: one for one in collecting.collect(cohort, MODULE)}
    assert {name: one.state for name, one in found.items()} == {"ada": "collected", "eve": "collected"}
    assert tree(cohort)["timestamp.txt"] == "2026-01-02 10:00:00.000000 UTC" and tree(cohort)["submission_secret.txt"] == "ab" * 64
    assert "belongs to" in found["ada"].why
    assert not (cohort.folder / MODULE).exists()


def test_a_link_in_the_exchange_does_not_bring_the_seed_into_a_submission(cohort):
    folder = exchange_submission(cohort, "eve", "2026-01-01 10:00:00.000000 UTC")
    (folder / "events.jsonl").symlink_to(next((cohort.folder.parent / "seeds").iterdir()))
    (folder / "submission_secret.txt").unlink()
    (folder / "submission_secret.txt").symlink_to(cohort.folder / "cohort.json")
    [got] = collecting.collect(cohort, MODULE)
    assert got.state == "refused" and not cohort.submitted("eve", MODULE).exists()


def test_nbgraders_own_submit_and_collect_meet_ours(cohort, tmp_path, monkeypatch):
    """A hand-in through nbgrader's submit is what ours collects, and nbgrader reads what ours collected."""
    from nbgrader.exchange.default import ExchangeSubmit

    from breakthrough.grading import course_config

    config = course_config.read_config(cohort)
    where = course_config.course_directory(cohort, config, MODULE)
    where.student_id = "ada"
    (tmp_path / MODULE).mkdir()
    (tmp_path / MODULE / "01_toy.ipynb").write_text(LAB)
    monkeypatch.chdir(tmp_path)
    from nbgrader.auth import Authenticator

    ExchangeSubmit(coursedir=where, authenticator=Authenticator(config=config), config=config).start()
    [got] = collecting.collect(cohort, MODULE)
    assert (got.student, got.state) == ("ada", "collected")
    assert where.get_existing_timestamp(str(cohort.submitted("ada", MODULE))) is not None
