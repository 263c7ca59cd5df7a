"""A cohort of two hundred reviews each other: assigned, handed out, reviewed, collected, scored, exported, told."""

import copy
import csv
import io
import json
import random
import zipfile
from collections import Counter

import pytest
from solved_labs import as_bytes, cell_of, released, solved

from breakthrough.cli import main
from breakthrough.course import syllabus
from breakthrough.course.exchange import plain, reviews, rubric as rubrics
from breakthrough.course.exchange.reviews import Finding, Handed, Review
from breakthrough.grading import cohort as cohorts, releasing, setting_up
from breakthrough.grading.peers import handing_out, rounds, scoring

MODULE, COUNT, LATE = "01_moe", 200, 6
LAB = solved(syllabus.load().find(MODULE))
RUBRIC = rubrics.load(MODULE)
CRITERIA = [one.id for one in RUBRIC.criteria]
LAZY, HARSH, LEFT = range(60), range(60, 80), (81, 82)
NAMES = [f"learner{number:03}" for number in range(COUNT + LATE)]
SURNAMES = [f"Surname{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(COUNT + LATE)]


def true_levels(author):
    """What an author's work is worth, as a careful reader would see it."""
    lot = random.Random(f"true {author}")
    quality = lot.gauss(2.6, 0.7)
    return {name: min(4, max(0, round(quality + lot.gauss(0, 0.5)))) for name in CRITERIA}


def seen(levels, reviewer, lot):
    """The levels that a reviewer gives."""
    number = NAMES.index(reviewer)
    if number in LAZY:
        return dict.fromkeys(levels, 4)
    low = 1 if number in HARSH else 0
    return {name: min(4, max(0, level - low + lot.choice((-1, 0, 0, 0, 1)))) for name, level in levels.items()}


def hand_in(cohort, number):
    lab = copy.deepcopy(LAB)
    cell_of(lab, "moe-route-answer")["source"] += f"\n# {SURNAMES[number]}, in /home/{NAMES[number]}/labs\n"
    lab["metadata"]["authors"] = [{"name": SURNAMES[number]}]
    folder = cohort.submitted(NAMES[number], MODULE)
    folder.mkdir(parents=True)
    (folder / f"{MODULE}.ipynb").write_bytes(as_bytes(lab))


def review(cohort, found, packet, specimens):
    """What a reviewer writes: levels near the true ones, reasons, and findings in the specimen."""
    lot, made = random.Random(f"review {packet.reviewer}"), []
    lazy = NAMES.index(packet.reviewer) in LAZY
    for one in packet.handouts:
        key = specimens[one.specimen].key if one.calibrates else None
        levels = seen(key.levels if key else true_levels(one.author), packet.reviewer, lot)
        flaws = [flaw for flaw in key.flaws if flaw.section] if key and not lazy else []
        findings = tuple(Finding(exercise="experiment", kind=flaw.kind, evidence=plain.encode(flaw.section)) for flaw in flaws)
        reasons = {} if lazy else dict.fromkeys(CRITERIA, f"{SURNAMES[3]} would say: I ran it on inputs of my own.")
        made.append(Review(work=one.name, ratings=levels, reasons=reasons, findings=findings))
    return Handed(module=MODULE, packet=packet.token, reviews=tuple(made))


def collect(cohort, folder, packets):
    found = rounds.read(cohort, MODULE)
    specimens = [handing_out.specimen(cohort, found, number) for number in range(found.specimens)]
    folder.mkdir()
    for packet in packets:
        target = folder / packet.reviewer / reviews.FILE
        target.parent.mkdir()
        reviews.write(target, review(cohort, found, packet, specimens))
    return main(["exchange", "collect", "01", "--from", str(folder)])


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A cohort with two hundred submissions, in the current folder."""
    home = tmp_path_factory.mktemp("two-hundred")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAKTHROUGH_SEEDS", str(home / "seeds"))
        rows = "".join(f"{name},Given,{surname},{name}@x.org\n" for name, surname in zip(NAMES, SURNAMES, strict=True))
        (home / "students.csv").write_text(f"id,first_name,last_name,email\n{rows}")
        made = setting_up.init(home / "course", syllabus.load(), students_csv=home / "students.csv").cohort
        # one lot for every run of this test
        (home / "seeds" / f"{made.id}.json").write_text(json.dumps({"cohort": made.id, "seed": 4711}))
        releasing.release(made, MODULE)
        for number in range(COUNT):
            hand_in(made, number)
        patch.chdir(home / "course")
        yield made


def packet_files(cohort, reviewer):
    with zipfile.ZipFile(rounds.folder(cohort, MODULE) / "packets" / f"{reviewer}.zip") as archive:
        return {info.filename: (info, archive.read(info)) for info in archive.infolist()}


def test_assigning_is_balanced_and_packets_name_nobody(cohort, capsys):
    assert main(["exchange", "assign", "01"]) == 0
    assert "200 works, 200 reviewers: 3 reviews a work, 3 works a reviewer and a specimen each" in capsys.readouterr().out
    found = rounds.read(cohort, MODULE)
    read = Counter(author for many in found.given.values() for author in many)
    assert set(read.values()) == {3} and all(reviewer not in authors and len(set(authors)) == 3 for reviewer, authors in found.given.items())
    for packet in found.packets[:20]:
        assert sorted(one.name for one in packet.handouts) == ["A", "B", "C", "D"] and sum(one.calibrates for one in packet.handouts) == 1
        for name, (info, data) in packet_files(cohort, packet.reviewer).items():
            text = data.decode().lower()
            assert not any(word in text for word in ("surname", "learner0", "learner1", "@x.org", "/home/", "authors")), name
            assert info.date_time == handing_out.ZIP_TIME and "learner" not in name
    assert {packet.handouts.index(next(one for one in packet.handouts if one.calibrates)) for packet in found.packets} == {0, 1, 2, 3}


def test_who_comes_late_is_worked_in_and_who_leaves_is_replaced(cohort, capsys):
    before = rounds.read(cohort, MODULE)
    for number in range(COUNT, COUNT + LATE):
        hand_in(cohort, number)
    assert main(["exchange", "assign", "01", "--drop", NAMES[LEFT[0]], "--drop", NAMES[LEFT[1]]]) == 0
    after = rounds.read(cohort, MODULE)
    read = Counter(author for many in after.given.values() for author in many)
    assert len(read) == COUNT + LATE and set(read.values()) == {3}
    for packet in before.packets:
        grown = after.packet_of(packet.reviewer)
        assert grown.token == packet.token and grown.handouts[: len(packet.handouts)] == packet.handouts
    loads = Counter(map(len, after.given.values()))
    assert set(loads) <= {3, 4} and NAMES[LEFT[0]] not in after.reviewers
    changed = sum(packet.handouts != before.packet_of(packet.reviewer).handouts for packet in after.packets if before.packet_of(packet.reviewer))
    assert f"{changed + LATE} packets to hand out" in capsys.readouterr().out


def test_reviews_are_collected_scored_and_exported(cohort, tmp_path, capsys):
    found = rounds.read(cohort, MODULE)
    silent = {NAMES[90], NAMES[91]}
    assert collect(cohort, tmp_path / "reviews", [one for one in found.packets if not one.released and one.reviewer not in silent]) == 0
    assert "handed in by 202 reviewers, not yet by 2, as learner090, learner091; 0 files refused" in capsys.readouterr().out
    assert main(["exchange", "score", "01", "--workers", "2"]) == 0
    scores = scoring.read(cohort, MODULE)
    weights = RUBRIC.weights
    true = {one.author: sum(weights[name] * level / 4 for name, level in true_levels(one.author).items()) for one in scores.works}
    error = (sum((one.score - true[one.author]) ** 2 for one in scores.works) / len(scores.works)) ** 0.5
    plain_error = (sum((one.mean - true[one.author]) ** 2 for one in scores.works) / len(scores.works)) ** 0.5
    assert len(scores.works) == COUNT + LATE and error < 0.6 * plain_error
    inside = sum(one.low <= true[one.author] <= one.high for one in scores.works) / len(scores.works)
    assert inside > 0.8
    lazy = {NAMES[number] for number in LAZY}
    flagged = {one.reviewer for one in scores.flags if one.kind == "effort"}
    assert len(flagged & lazy) > 0.8 * len(lazy) and len(flagged - lazy) <= 6
    quality = {one.reviewer: one.quality for one in scores.reviewers}
    honest = [quality[name] for name in NAMES[100:200]]
    assert sorted(honest)[len(honest) // 4] > max(sorted(quality[name] for name in lazy)[: len(lazy) * 3 // 4])


def test_appeals_and_spot_checks_are_read_and_count(cohort, capsys):
    before = {one.author: one for one in scoring.read(cohort, MODULE).works}
    assert main(["exchange", "spot-checks", "01"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == (COUNT + LATE + 3) // 20
    author = NAMES[150]
    assert main(["exchange", "appeals", "01", "--add", author, "--reason", "the control does collapse"]) == 0
    assert "open: the control does collapse" in capsys.readouterr().out
    levels = [f"{name}={level}" for name, level in true_levels(author).items()]
    assert main(["exchange", "read", "01", author, *levels, "--because", "it does"]) == 0
    assert main(["exchange", "score", "01"]) == 0 and main(["exchange", "appeals", "01"]) == 0
    assert f"{author}: read: it does: the control does collapse" in capsys.readouterr().out
    after = {one.author: one for one in scoring.read(cohort, MODULE).works}[author]
    true = sum(RUBRIC.weights[name] * level / 4 for name, level in true_levels(author).items())
    assert after.read and after.score == pytest.approx(true, abs=1e-4) and after.high - after.low < 1e-6 < before[author].high - before[author].low


def test_the_export_is_the_twenty_percent_and_missing_is_no_zero(cohort, tmp_path, capsys):
    assert main(["exchange", "export", "01"]) == 0
    shown = capsys.readouterr().out
    assert "missing: learner090: no reviews handed in" in shown and "points in 01_moe_exchange: 206 learners" in shown
    assert main(["cohort", "grades", "01", "--csv", str(tmp_path / "g.csv")]) == 0
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO((tmp_path / "g.csv").read_text()))}
    assert float(rows[NAMES[120]]["01_moe_exchange_max"]) == 20 and rows[NAMES[120]]["01_moe_exchange_state"] == "graded"
    assert rows[NAMES[90]]["01_moe_exchange_state"] == "in part" and "12" in rows[NAMES[90]]["missing"]
    exchange = float(rows[NAMES[120]]["01_moe_exchange"])
    assert float(rows[NAMES[120]]["grade_percent"]) == pytest.approx(20 * exchange / 20, abs=0.01)


def test_what_comes_back_is_refused_with_the_reason(cohort, tmp_path, capsys):
    found = rounds.read(cohort, MODULE)
    mine, other = found.packets[0], found.packets[1]
    bad = {
        mine.reviewer: Handed(module=MODULE, packet=other.token).model_dump_json(),  # a neighbour's packet
        "x1": Handed(module=MODULE, packet="no such packet").model_dump_json(), "x2": Handed(module="02_scenes", packet=mine.token).model_dump_json(),
        "x3": "{", "x4": json.dumps({"version": 1, "module": MODULE, "packet": mine.token, "reviews": [{"work": "Z", "ratings": {}}]}),
        "x5": json.dumps({"version": 1, "module": MODULE, "packet": mine.token, "reviews": [{"work": "A", "ratings": {"style": 3}}]}),
        "x6": json.dumps({"version": 1, "module": MODULE, "packet": mine.token, "reviews": [{"work": "A", "ratings": {"code": 7}}]}),
    }
    for name, text in bad.items():
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / reviews.FILE).write_text(text)
    before = {path.name: path.read_bytes() for path in (rounds.folder(cohort, MODULE) / "handed").iterdir()}
    assert main(["exchange", "collect", "01", "--from", str(tmp_path / "in")]) == 1
    shown = capsys.readouterr().out
    assert "7 files refused" in shown and f"the reviews of {mine.reviewer}'s own packet" in shown and "02_scenes" in shown
    assert before == {path.name: path.read_bytes() for path in (rounds.folder(cohort, MODULE) / "handed").iterdir()}


def test_a_work_keeps_the_released_labs_own_words(cohort):
    packet = rounds.read(cohort, MODULE).packets[0]
    handout = next(one for one in packet.handouts if not one.calibrates)
    data = json.loads(packet_files(cohort, packet.reviewer)[f"{MODULE}/packet.json"][1])
    assert set(data["code"][handout.name]) == set(rounds.read(cohort, MODULE).exercises)
    assert released(syllabus.load().find(MODULE))["nbformat"] == 4 and "seed" not in {key for key, value in data.items() if value is not None}


def test_outside_a_cohort_the_commands_say_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["exchange", "assign", "01"]) == 2
    assert "breakthrough cohort init DIR" in capsys.readouterr().err
    with pytest.raises(Exception, match="a cohort's folder"):
        cohorts.find(tmp_path)
