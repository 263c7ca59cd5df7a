"""A cohort's folder: what nbgrader takes as it is, the students, the seed, releases."""

import json
import re
import stat
from pathlib import Path

import pytest
from toy_cohort import MODULE, cohort, cohort_template, write_project  # noqa: F401

from breakthrough.artifacts import sha256
from breakthrough.course import syllabus
from breakthrough.errors import InputError, MissingDependency
from breakthrough.grading import cohort as cohorts, course_config, releasing, seed, setting_up, students

CSV = "id,first_name,last_name,email,lms_user_id\nada,Ada,Lovelace,ada@x.org,901\n"


def init(folder, project, **options):
    return setting_up.init(folder, syllabus.load(project), **options)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("BREAKTHROUGH_SEEDS", str(tmp_path / "seeds"))
    return write_project(tmp_path / "project")


def test_nbgraders_own_commands_take_the_folder_as_it_is(cohort, capsys):
    from nbgrader.apps.dbapp import DbStudentListApp

    app = DbStudentListApp()
    app.initialize([])
    app.start()
    assert "ada (Lovelace, Ada) -- ada@x.org, 901" in capsys.readouterr().out
    assert (app.coursedir.root, app.coursedir.course_id) == (str(cohort.folder), "breakthrough")


def test_again_adds_what_is_new_and_keeps_what_is_the_instructors(tmp_path, project):
    listed = tmp_path / "students.csv"
    listed.write_text(CSV)
    first = init(tmp_path / "c", project, students_csv=listed, course_id="moe27")
    assert (first.config, first.copied, first.added) == (True, (MODULE,), 1)
    config, master = first.cohort.folder / "nbgrader_config.py", first.cohort.source / MODULE / f"{MODULE}.ipynb"
    config.write_text(config.read_text() + "# mine\n")
    master.write_text(master.read_text().replace("# Toy lab", "# My lab"))
    listed.write_text("id,last_name\nada,King\nbob,Müller\n")
    again = init(tmp_path / "c", project, students_csv=listed)
    assert (again.cohort, again.config, again.copied, again.differ, again.added, again.students) == (first.cohort, False, (), (MODULE,), 1, 2)
    assert "# mine" in config.read_text() and "# My lab" in master.read_text()
    with course_config.gradebook(first.cohort) as book:
        assert [(s.id, s.name, s.email) for s in students.of(book)] == [("ada", "Ada King", "ada@x.org"), ("bob", "Müller", None)]
    assert cohorts.find(master.parent) == first.cohort


@pytest.mark.parametrize(("text", "said"), [
    ("name\nada\n", r":1: expected a header with id"),
    ("id,colour\nada,red\n", r":1: expected each column once.*'colour'"),
    ("id,email,email\nada,a,b\n", r":1: expected each column once"),
    ("id,email\nada,a@x\nbob\n", r":3: expected 2 fields, id, email, got 1"),
    ("id,email\nada,a@x\n\n,b@x\n", r":4: expected an id of letters"),
    ("id\nada\n../eve\n", r":3: expected an id of letters.*'../eve'"),
    ("id\nada\na+b\n", r":3: expected an id"),
    ("id\nada\nbob\nada\n", r":4: expected an id of its own, got 'ada' again, first in line 2"),
    ("id,first_name\nada,A\x00da\n", r":2: expected"),
    (f"id,first_name\nada,{'A' * 200}\n", r":2: expected first_name of at most 128"),
    ('id,first_name\nada,"open\n', r"expected a row of a CSV file"),
    ("", r":1: expected a header"),
    (b"id\nad\xe9\n", r"expected a CSV file in UTF-8"),
])
def test_a_bad_row_is_one_error_with_its_line_and_nothing_is_made(tmp_path, project, text, said):
    listed = tmp_path / "students.csv"
    listed.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said):
        init(tmp_path / "c", project, students_csv=listed)
    assert not (tmp_path / "c").exists() and not (tmp_path / "seeds").exists()


def test_a_spreadsheets_csv_is_read(tmp_path):
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbfid, last_name\r\nada,\"Love, lace\"\r\n\r\n")
    assert students.read_csv(tmp_path / "s.csv") == [students.Student("ada", last_name="Love, lace")]


@pytest.mark.parametrize(("options", "error", "said"), [
    ({"course_id": "a b"}, InputError, "a course id"),
    ({"db_url": "no url"}, InputError, "the URL of a database"),
    ({"db_url": "oracle+oracledb://x@localhost/grades"}, MissingDependency, "pip install oracledb"),
])
def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path, project, options, error, said):
    with pytest.raises(error, match=said):
        init(tmp_path / "c", project, **options)
    assert not (tmp_path / "c").exists()


def test_a_folder_with_other_things_and_another_course_id_are_refused(tmp_path, project, cohort):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="a new or empty folder"):
        init(tmp_path / "full", project)
    with pytest.raises(InputError, match="the course id of this cohort"):
        init(cohort.folder, project, course_id="another")
    with pytest.raises(InputError, match="editing"):
        init(cohort.folder, project, db_url="sqlite:////tmp/x.db")


def test_another_databases_url_is_used_and_kept_private(tmp_path, project):
    made = init(tmp_path / "c", project, db_url=f"sqlite:///{tmp_path}/grades.db")
    assert (tmp_path / "grades.db").is_file() and not (made.cohort.folder / "gradebook.db").exists()
    assert stat.S_IMODE((made.cohort.folder / "nbgrader_config.py").stat().st_mode) == 0o600


def test_a_gradebook_that_is_made_is_what_nbgrader_makes(tmp_path, cohort, monkeypatch):
    """The same tables as from nbgrader's own constructor, and the version that no other of its versions follows."""
    import sqlite3

    from nbgrader import api, dbutil

    monkeypatch.setattr(api, "get_alembic_version", lambda: "asked of a command")
    api.Gradebook(f"sqlite:///{tmp_path}/stock.db", "breakthrough").close()

    def tables(path):
        with sqlite3.connect(path) as base:
            return {re.sub(r"\s+", " ", sql or "").rstrip(";") for (sql,) in base.execute("select sql from sqlite_master")}

    assert tables(cohort.folder / "gradebook.db") == tables(tmp_path / "stock.db") and len(tables(tmp_path / "stock.db")) > 10
    versions = [path.read_text() for path in (Path(dbutil.ALEMBIC_DIR) / "versions").glob("*.py")]
    named, followed = (set(re.findall(rf"^{name} = ['\"](\w+)", "\n".join(versions), re.MULTILINE)) for name in ("revision", "down_revision"))
    with sqlite3.connect(cohort.folder / "gradebook.db") as base:
        assert set(base.execute("select version_num from alembic_version")) == {(one,) for one in named - followed}


def test_others_on_the_machine_reach_the_exchange_and_nothing_else(cohort_template):
    folder = cohort_template / "cohort"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711
    for name in ("source", "release", "submitted", "autograded", "feedback", "records", "release_history"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700, name
    assert stat.S_IMODE((folder / "gradebook.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "exchange").stat().st_mode) == 0o777


def test_the_seed_lies_outside_private_and_is_named_by_a_hash(cohort, tmp_path):
    path = tmp_path / "seeds" / f"{cohort.id}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    value = seed.seed_of(cohort)
    assert 0 <= value < 1 << 63 and seed.seed_of(cohort) == value
    assert re.fullmatch(r"[0-9a-f]{12}", seed.seed_id(value)) and str(value) not in seed.seed_id(value)
    seed.make_seed(cohort)
    assert seed.seed_of(cohort) == value
    for written in cohort.folder.rglob("*"):
        assert not written.is_file() or str(value).encode() not in written.read_bytes(), written


def test_a_seed_that_is_lost_open_or_damaged_is_not_used(cohort, tmp_path):
    path = tmp_path / "seeds" / f"{cohort.id}.json"
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        seed.seed_of(cohort)
    path.chmod(0o600)
    for text in ('{"seed": 1}', '{"cohort": "another", "seed": 1}', "[", json.dumps({"cohort": cohort.id, "seed": "1"})):
        path.write_text(text)
        with pytest.raises(InputError, match="the file from a backup"):
            seed.seed_of(cohort)
    path.unlink()
    with pytest.raises(InputError, match="a new seed would draw other cases"):
        seed.seed_of(cohort)


def test_a_seed_in_the_course_folder_is_refused(tmp_path, project, monkeypatch):
    monkeypatch.setenv("BREAKTHROUGH_SEEDS", str(tmp_path / "c" / "seeds"))
    with pytest.raises(InputError, match="outside the course folder"):
        init(tmp_path / "c", project)


def test_a_cohort_is_found_from_below_and_its_absence_said(cohort, tmp_path, monkeypatch):
    assert cohorts.find(cohort.source / MODULE) == cohort
    with pytest.raises(InputError, match="breakthrough cohort init"):
        cohorts.find(tmp_path)
    (cohort.folder / "cohort.json").write_text("{}")
    with pytest.raises(InputError, match="a whole cohort.json"):
        cohorts.find()


def test_a_release_is_kept_by_its_hash_and_lies_in_the_exchange(cohort):
    [entry] = releasing.history(cohort)
    kept = cohort.released(MODULE, entry["release_hash"])
    assert sha256(kept) == entry["release_hash"] == sha256(cohort.release / MODULE / f"{MODULE}.ipynb")
    assert (cohort.folder / "exchange" / "breakthrough" / "outbound" / MODULE / f"{MODULE}.ipynb").read_bytes() == kept.read_bytes()
    assert "return x + x" not in kept.read_text() and releasing.release(cohort, MODULE).new is False


def test_a_new_release_is_fetched_by_learners_and_the_old_one_kept(cohort):
    before = releasing.latest(cohort, MODULE)
    master = cohort.source / MODULE / f"{MODULE}.ipynb"
    master.write_text(master.read_text().replace("# Toy lab", "# Better lab"))
    made = releasing.release(cohort, MODULE)
    assert made.new and made.release_hash != before and releasing.latest(cohort, MODULE) == made.release_hash
    assert cohort.released(MODULE, before).is_file()
    assert "# Better lab" in (made.exchange / f"{MODULE}.ipynb").read_text()


def test_cells_that_submissions_answered_cannot_be_taken_away(cohort):
    from toy_cohort import graded

    from breakthrough.grading.gradebook import GradebookWriter

    with GradebookWriter(cohort) as writer:
        writer.write(graded(cohort))
    master = cohort.source / MODULE / f"{MODULE}.ipynb"
    before = (cohort.release / MODULE / f"{MODULE}.ipynb").read_bytes()
    master.write_text(master.read_text().replace("toy-half", "toy-quarter"))
    with pytest.raises(InputError, match="that its submissions answered"):
        releasing.release(cohort, MODULE)
    assert (cohort.release / MODULE / f"{MODULE}.ipynb").read_bytes() == before and len(releasing.history(cohort)) == 1


def test_without_an_exchange_a_release_is_a_folder(cohort):
    config = cohort.folder / "nbgrader_config.py"
    config.write_text(config.read_text().replace('c.Exchange.root = str(root / "exchange")', ""))
    assert releasing.release(cohort, MODULE).exchange is None


def test_a_configuration_that_does_not_run_is_said(cohort):
    (cohort.folder / "nbgrader_config.py").write_text("c = get_config()\nc.Exchange.root = missing\n")
    with pytest.raises(InputError, match="that runs.*missing"):
        releasing.release(cohort, MODULE)
