"""Three learners review each other: what is told, what is missing, and what goes wrong."""

import copy
import csv
import io
import json
import re
import zipfile

import pytest
from solved_labs import as_bytes, cell_of, points, solved

from breakthrough.course import syllabus
from breakthrough.course.exchange import plain, reviews, rubric as rubrics
from breakthrough.course.exchange.reviews import Finding, Handed, Review
from breakthrough.errors import InputError
from breakthrough.grading import course_config, entered, feedback, releasing, setting_up
from breakthrough.grading.gradebook import GradebookWriter
from breakthrough.grading.normalize import normalize
from breakthrough.grading.peers import evidence, export, handing_out, readings, rounds, scoring, taking_in
from breakthrough.grading.records import PASSED, Graded, Mark

MODULE = "01_moe"
COURSE = syllabus.load()
LAB = solved(COURSE.find(MODULE))
RUBRIC = rubrics.load(MODULE)
CRITERIA = [one.id for one in RUBRIC.criteria]
STUDENTS = "id,first_name,last_name\nada,Ada,Lovelace\nbob,Bob,Bauer\ncyd,Cyd,Chen\ndan,Dan,Doe\n"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Four students, of whom three have handed in and have packets."""
    home = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAKTHROUGH_SEEDS", str(home / "seeds"))
        (home / "students.csv").write_text(STUDENTS)
        made = setting_up.init(home / "course", COURSE, students_csv=home / "students.csv").cohort
        (home / "seeds" / f"{made.id}.json").write_text(json.dumps({"cohort": made.id, "seed": 4711}))  # one lot for every run
        releasing.release(made, MODULE)
        for name in ("ada", "bob", "cyd"):
            lab = copy.deepcopy(LAB)
            cell_of(lab, "moe-capacity-answer")["source"] += f"\n# by {name}"
            lab["cells"][-1]["source"] = lab["cells"][-1]["source"].replace("### Setup\n", f"### Setup\n\n600 steps, says {name.title()}.\n")
            made.submitted(name, MODULE).mkdir(parents=True)
            (made.submitted(name, MODULE) / f"{MODULE}.ipynb").write_bytes(as_bytes(lab))
        handing_out.assign(made, MODULE)
        patch.chdir(home / "course")
        yield made


def handed(found, reviewer, *, level=3, leave=(), findings=(), reason="Bob Bauer ran it: see the second table."):
    packet = found.packet_of(reviewer)
    kept = [name for name in CRITERIA if name not in leave]
    made = [Review(work=one.name, ratings=dict.fromkeys(kept, level), reasons=dict.fromkeys(kept, reason), findings=findings if one.calibrates else ())
            for one in packet.handouts]
    return Handed(module=MODULE, packet=packet.token, reviews=tuple(made))


def collect(cohort, folder, *many):
    for number, one in enumerate(many):
        (folder / str(number)).mkdir(parents=True)
        reviews.write(folder / str(number) / reviews.FILE, one)
    return taking_in.collect(cohort, MODULE, folder)


def test_with_three_learners_everybody_reads_the_two_others(cohort):
    found = rounds.read(cohort, MODULE)
    assert {reviewer: set(authors) for reviewer, authors in found.given.items()} == {"ada": {"bob", "cyd"}, "bob": {"ada", "cyd"}, "cyd": {"ada", "bob"}}
    assert all(len(packet.handouts) == 3 for packet in found.packets)


def test_a_packet_has_answers_and_account_and_no_name(cohort):
    found = rounds.read(cohort, MODULE)
    packet = found.packet_of("ada")
    with zipfile.ZipFile(rounds.folder(cohort, MODULE) / "packets" / "ada.zip") as archive:
        for one in packet.handouts:
            cells = json.loads(archive.read(f"{MODULE}/work_{one.name}.ipynb"))["cells"]
            text = "\n".join(cell["source"] for cell in cells)
            assert one.calibrates or "600 steps, says [removed]." in text
            assert all(f"`{name}`" in text for name in found.exercises) and "### Verdict" in text
        review = "\n".join(cell["source"] for cell in json.loads(archive.read(f"{MODULE}/review.ipynb"))["cells"])
    assert "desk.write()" in review and "desk.score()" not in review and "Others' code runs in your kernel" in review


def test_before_anything_came_in_the_next_step_is_said(cohort):
    with pytest.raises(InputError, match="try breakthrough exchange collect 01_moe"):
        scoring.score(cohort, MODULE)
    with pytest.raises(InputError, match="try breakthrough exchange score 01_moe"):
        export.export(cohort, MODULE)
    with pytest.raises(InputError, match="try breakthrough exchange assign 02_scenes"):
        scoring.score(cohort, "02_scenes")


def test_what_a_review_leaves_out_is_said_and_an_honest_score_is_wide(cohort, tmp_path):
    found = rounds.read(cohort, MODULE)
    states = collect(cohort, tmp_path, handed(found, "ada"), handed(found, "bob", leave=("control",)))
    assert [one.state for one in states] == ["collected", "incomplete"] and "without control" in states[1].why
    assert collect(cohort, tmp_path / "again", handed(found, "ada"))[0].state == "kept"
    scores = scoring.score(cohort, MODULE)
    assert {one.author: one.reviews for one in scores.works} == {"ada": 1, "bob": 1, "cyd": 2}
    assert all(one.high - one.low > 0.1 for one in scores.works)


def test_the_points_of_who_has_not_reviewed_are_missing(cohort):
    count, lacking = export.export(cohort, MODULE)
    assert (count, lacking) == (3, ["cyd: no reviews handed in"])
    with course_config.gradebook(cohort) as book:
        scores = entered.scores(book, MODULE, "exchange")
        assert scores["cyd"].there == 8 and scores["ada"].there == 20 and "dan" not in scores
        assert book.find_assignment(f"{MODULE}_exchange").max_score == 20


def test_nbgraders_own_pages_and_export_live_with_the_assignment(cohort, tmp_path):
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.plugins import CsvExportPlugin

    listed = NbGraderAPI(config=course_config.read_config(cohort), coursedir=course_config.course_directory(cohort, None)).get_assignments()
    assert MODULE in {one["name"] for one in listed}
    with course_config.gradebook(cohort) as book:
        CsvExportPlugin(to=str(tmp_path / "stock.csv")).export(book)
        score = entered.scores(book, MODULE, "exchange")["ada"].earned
    rows = list(csv.DictReader(io.StringIO((tmp_path / "stock.csv").read_text())))
    stock = {row["student_id"]: float(row["score"]) for row in rows if row["assignment"] == f"{MODULE}_exchange"}
    assert stock["ada"] == pytest.approx(score) and stock["dan"] == 0  # its export has no word for missing


def test_feedback_tells_what_reviewers_said_without_names_and_the_grade(cohort):
    program = normalize(cohort.release / MODULE / f"{MODULE}.ipynb", cohort.submitted("cyd", MODULE))
    worth = points(COURSE.find(MODULE))
    marks = tuple(Mark(check.exercise, PASSED, worth.get(check.exercise, 0), worth.get(check.exercise, 7), plain="ok", html="") for check in program.checks)
    record = Graded("cyd", MODULE, marks, "h", releasing.latest(cohort, MODULE), "bubblewrap", "s", program=program, graded_s=1.0)
    with GradebookWriter(cohort) as writer:
        writer.write(record)
    [path] = feedback.write(cohort, MODULE)
    text = re.sub(r"<[^>]+>|\s+", " ", path.read_text())
    assert "What your reviewers say" in text and "[removed] [removed] ran it: see the second table." in text
    assert "Bauer" not in text and "ada" not in text.split("What your reviewers say")[1].split("Your own reviews")[0]
    assert "No reviews handed in: missing, not zero." in text and "grade of the module, so far" in text
    assert re.search(r"exchange +20% +[\d.]+ / 20 +[\d.]+% +12 points, 12\.0% of the grade", text)


@pytest.mark.parametrize(("levels", "because", "says"), [
    ({"code": 3}, "x", "none for baseline"), (dict.fromkeys(CRITERIA, 5), "x", "code=5"), (dict.fromkeys(CRITERIA, 3), " ", "--because"),
    (dict.fromkeys([*CRITERIA, "style"], 3), "x", "style=3"),
])
def test_a_reading_is_whole_or_refused(cohort, levels, because, says):
    with pytest.raises(InputError, match=says):
        readings.read(cohort, MODULE, "ada", levels, because)
    assert readings.readings(cohort, MODULE) == {}


def test_only_reviewed_authors_may_appeal_and_once_at_a_time(cohort):
    with pytest.raises(InputError, match="somebody whose work of 01_moe is reviewed, got 'dan'"):
        readings.appeal(cohort, MODULE, "dan", "please")
    with pytest.raises(InputError, match="a reason"):
        readings.appeal(cohort, MODULE, "ada", "")
    readings.appeal(cohort, MODULE, "ada", "the control collapses")
    with pytest.raises(InputError, match="one open appeal of ada"):
        readings.appeal(cohort, MODULE, "ada", "again")


def test_levels_are_read_from_the_command_line():
    assert readings.parse_levels(RUBRIC, [f"{name}=2" for name in CRITERIA]) == dict.fromkeys(CRITERIA, 2)
    with pytest.raises(InputError, match="criterion=0 … criterion=4"):
        readings.parse_levels(RUBRIC, ["code:3"])


def test_one_writer_at_a_time(cohort):
    with rounds.writing(cohort, MODULE), pytest.raises(InputError, match="one writer of the reviews of 01_moe at a time"), rounds.writing(cohort, MODULE):
        pass


def test_evidence_is_run_apart_and_what_asks_for_too_much_earns_nothing(cohort):
    found = rounds.read(cohort, MODULE)
    specimens = [handing_out.specimen(cohort, found, number) for number in range(found.specimens)]
    given = {}
    for reviewer in found.reviewers:
        one = next(handout for handout in found.packet_of(reviewer).handouts if handout.calibrates)
        flaw = specimens[one.specimen].key.flaws[0]
        greedy = (plain.encode([[10**15]] * 3), 10**12, 1e300)
        given[reviewer] = handed(found, reviewer, findings=(Finding(exercise=flaw.exercise, kind=flaw.kind, evidence=plain.encode(greedy)),))
    shares = evidence.findings(found, given, specimens)
    assert set(shares) == {"ada", "bob", "cyd"} and all(0 <= share < 1 for share in shares.values())


def test_a_second_module_looks_back_at_the_first(cohort, tmp_path):
    other = "02_scenes"
    releasing.release(cohort, other)
    lab = solved(COURSE.find(other))
    for name in ("ada", "bob", "cyd"):
        cohort.submitted(name, other).mkdir(parents=True)
        (cohort.submitted(name, other) / f"{other}.ipynb").write_bytes(as_bytes(lab))
    found = handing_out.assign(cohort, other).round
    criteria = [one.id for one in rubrics.load(other).criteria]
    assert len(criteria) != len(CRITERIA) and rounds.earlier_pairs(cohort, other) == rounds.read(cohort, MODULE).pairs
    for packet in found.packets:
        made = tuple(Review(work=one.name, ratings=dict.fromkeys(criteria, 3)) for one in packet.handouts)
        (tmp_path / packet.reviewer).mkdir()
        reviews.write(tmp_path / packet.reviewer / reviews.FILE, Handed(module=other, packet=packet.token, reviews=made))
    assert [one.state for one in taking_in.collect(cohort, other, tmp_path)] == ["collected"] * 3
    assert {one.author for one in scoring.score(cohort, other).works} == {"ada", "bob", "cyd"}


def test_who_leaves_the_list_is_worked_around(cohort):
    with course_config.gradebook(cohort) as book:
        book.remove_student("cyd")
    assert handing_out.submitted(cohort, MODULE) == ["ada", "bob"]
    made = handing_out.assign(cohort, MODULE)
    assert made.round.reviewers == ("ada", "bob")
