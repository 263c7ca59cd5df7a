"""A cohort of forty: made, collected from a platform's zip, graded by two workers, killed, resumed, graded again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from honest import FULL, MODULE, every
from solved_labs import cell_of, released, solved

from breakthrough.course import syllabus
from breakthrough.grading import cohort as cohorts, gradebook, setting_up

pytestmark = pytest.mark.sandbox
MODULE_ID = "01_moe"
UNASKED = "moe.prove"  # left out by all but one: it takes as long as the others together
APART = ("outputs_of_sixty_megabytes", "a_copy_beside_the_untouched_lab")  # too large for forty; for people to decide on
SLIPS = [slip for slip in every() if slip.name not in APART][:37]


def submissions():
    """Forty submissions with what each deserves, by student."""
    lab, whole = released(MODULE), solved(MODULE)
    work = solved(MODULE)
    cell_of(work, "moe-prove-answer")["source"] = cell_of(lab, "moe-prove-answer")["source"]
    made = {}
    for number, slip in enumerate(SLIPS):
        deserved = sum(points for name, points in slip.deserved.items() if name != UNASKED)
        made[f"s{number:02}"] = (slip.make(lab, work), deserved)
    made["whole"] = ({f"{MODULE_ID}.ipynb": json.dumps(whole).encode()}, sum(FULL.values()))
    made["untouched"] = ({f"{MODULE_ID}.ipynb": json.dumps(lab).encode()}, 0)
    made["unreadable"] = ({f"{MODULE_ID}.ipynb": b"{"}, 0)
    return made


def breakthrough(folder, *arguments, **how):
    """Run a command in the cohort's folder."""
    return subprocess.run([sys.executable, "-m", "breakthrough.cli", *arguments], cwd=folder, capture_output=True, text=True, **how)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The cohort's folder with forty submissions collected, and what each deserves."""
    home = tmp_path_factory.mktemp("forty")
    os.environ["BREAKTHROUGH_SEEDS"] = str(home / "seeds")
    every_one = submissions()
    students = home / "students.csv"
    students.write_text("id,first_name,last_name\n" + "".join(f"{name},{name.title()},Learner\n" for name in every_one))
    setting_up.init(home / "course", syllabus.load(), students_csv=students)
    assert breakthrough(home / "course", "cohort", "release", "01").returncode == 0
    upload = home / "upload.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for name, (files, _) in every_one.items():
            for path, data in files.items():
                archive.writestr(f"{name}/{path}", data)
    done = breakthrough(home / "course", "cohort", "collect", "01", "--from", str(upload))
    assert "40 collected" in done.stdout, done.stdout + done.stderr
    yield home / "course", {name: deserved for name, (_, deserved) in every_one.items()}
    os.environ.pop("BREAKTHROUGH_SEEDS")
    shutil.rmtree(home, ignore_errors=True)


def test_a_cohort_of_forty_is_graded_killed_resumed_and_graded_again(made):
    folder, deserved = made
    cohort = cohorts.load(folder)
    run = subprocess.Popen([sys.executable, "-m", "breakthrough.cli", "cohort", "grade", "01", "--workers", "2"], cwd=folder,
                           stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"), start_new_session=True)
    while len(list((cohort.records / MODULE_ID).glob("[!.]*.json"))) < 5:
        assert run.poll() is None, (folder / "log").read_text()
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = {graded.student: graded for graded in gradebook.graded_of(cohort, MODULE_ID)}
    assert 5 <= len(before) < 40

    done = breakthrough(folder, "cohort", "grade", "01", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    after = {graded.student: graded for graded in gradebook.graded_of(cohort, MODULE_ID)}
    assert {name: graded.points for name, graded in after.items()} == deserved
    assert all(after[name].graded_s == graded.graded_s for name, graded in before.items()), "graded again without need"
    assert f"{40 - len(before)} graded" in done.stdout or "was finished" in done.stdout
    assert in_the_gradebook(folder) == deserved

    again = breakthrough(folder, "cohort", "grade", "01")
    assert again.stdout.startswith("0 graded") and "40 were graded before" in again.stdout
    three = [part for name in ("s00", "whole", "untouched") for part in ("--student", name)]
    assert "3 of 3 as before" in breakthrough(folder, "cohort", "regrade", "01", *three).stdout


def in_the_gradebook(folder):
    """Points by student as nbgrader has them."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        return {one.student.id: one.score for one in book.assignment_submissions(MODULE_ID)}


def test_every_grade_says_how_it_came_about(made):
    folder, _ = made
    graded = gradebook.graded_of(cohorts.load(folder), MODULE_ID)
    assert len(graded) == 40
    for one in graded:
        assert len(one.submission_hash) == len(one.release_hash) == 64 and one.tier.startswith("bubblewrap") and len(one.seed_id) == 12
        assert {"python", "torch", "breakthrough"} <= set(one.versions) and one.duration_s > 0
    assert "(seed " not in "".join(mark.plain + mark.html for one in graded for mark in one.marks)


def test_pages_grades_items_and_a_canary_come_of_it(made):
    folder, _deserved = made
    for command in (("feedback", "01"), ("grades", "01", "--csv", "grades.csv"), ("items", "01", "--csv", "items.csv"), ("canary", "01")):
        done = breakthrough(folder, "cohort", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(folder.glob(f"feedback/*/{MODULE_ID}/*.html"))) == 40
    assert len((folder / "grades.csv").read_text().splitlines()) == 41
    rows = (folder / "items.csv").read_text()
    assert all(name in rows for name in FULL)
