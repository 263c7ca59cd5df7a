import base64
import json
import re

import pytest
from toy_course import notebook

from breakthrough.course import report, runs

PNG = base64.b64encode(b"\x89PNG not really").decode()
EVIL = "<script>alert(1)</script>"


def image(mime="image/png", data=PNG):
    return {"output_type": "display_data", "metadata": {}, "data": {mime: data, "text/plain": "<Figure>"}}


def result(name, **fields):
    module, kind = name.split()
    base = {"status": "passed", "seconds": 61.5, "points": 70, "of": 70}
    return vars(runs.Result(**({"name": name, "module": module, "kind": kind} | base | fields)))


@pytest.fixture
def plan(course):
    return runs.Plan(course, "quick")


def keep(plan, *results):
    plan.folder.mkdir(parents=True, exist_ok=True)
    (plan.folder / runs.RESULTS).write_text(json.dumps({one["name"]: one for one in results}))


def test_before_any_run_the_page_says_how_to_start_one(plan):
    page = report.render(plan)
    assert "breakthrough run --profile quick" in page and "module 02 in preparation" in page


def test_the_page_needs_nothing_beside_it(plan):
    made = notebook(("markdown", "## Load by expert"), ("code", "plot"))
    made["cells"][1]["outputs"] = [image()]
    keep(plan, result("01_toy lab"))
    target = plan.tasks()[-1].target
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(made))
    page = report.render(plan)
    sources = re.findall(r"(?:src|href)=\"([^\"]*)\"", page) + re.findall(r"url\(([^)]*)\)", page)
    assert sources and all(source.startswith("data:") for source in sources)
    assert f"data:image/png;base64,{PNG}" in page and "<figcaption>Load by expert</figcaption>" in page
    assert "@import" not in page and "<link" not in page


def test_the_page_shows_results_points_and_every_claim(plan):
    record = {"claim": "C01", "verdict": "does not hold", "measured": "1.30 ± 0.01", "reason": "", "profile": "quick", "figures": {"x": 1.5}}
    keep(plan, result("01_toy lab", claims={"C01": record}), result("01_toy lesson", status="failed", points=0, of=9, error="In [3]: E: x"))
    page = report.render(plan)
    for text in ("does not hold", "1.30 ± 0.01", "70 / 70", "0 / 9", "✗ failed", "In [3]: E: x", "1 of 2 notebooks did not", "2 min 03 s"):
        assert text in page, text
    for claim in plan.course.claims:
        assert f">{claim.id}<" in page
    assert "elective, in preparation" in page and "module 02 in preparation" in page


def test_the_page_shows_the_grade_and_what_no_run_can_earn_as_missing(plan):
    keep(plan, result("01_toy lab"), result("01_toy lesson", points=9, of=9), result("00_start lesson", points=1, of=1))
    page = re.sub(r"<[^>]+>|\s+", " ", report.render(plan))
    assert re.search(r"grade, so far +80\.0%", page) and re.search(r"exchange +20% +– / 20 +0\.0% +20\.0% of the grade: 01_toy", page)


def test_everything_is_escaped(plan):
    record = {"claim": "C01", "verdict": "holds", "measured": EVIL, "reason": EVIL, "profile": EVIL, "figures": {EVIL: 1.0}}
    check = {"exercise": EVIL, "status": EVIL, "points": 0, "of": 1, "diagnosis": None, "says": EVIL}
    keep(plan, result("01_toy lab", error=EVIL, checks={EVIL: check}, claims={"C01": record}))
    made = notebook(("markdown", f"# {EVIL}"), ("code", ""))
    made["cells"][1]["outputs"] = [image("image/svg+xml", f"<svg>{EVIL}</svg>")]
    target = plan.tasks()[-1].target
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(made))
    (plan.folder / runs.ENVIRONMENT).write_text(json.dumps({EVIL: EVIL}))
    page = report.render(plan)
    assert "<script" not in page and "<fast>" not in page and "&lt;script&gt;" in page


def test_captions_come_from_the_heading_above():
    made = notebook(("markdown", "## The *load* of `experts`\ntext\n```\n# no heading\n```"), ("code", ""), ("code", ""))
    made["cells"][1]["outputs"], made["cells"][2]["outputs"] = [image()], [image("image/jpeg")]
    found = list(report.pictures(made))
    assert [picture.caption for picture in found] == ["The load of experts", "The load of experts (2)"]
    assert found[1].uri.startswith("data:image/jpeg;base64,")


def test_a_damaged_executed_notebook_costs_its_figures_only(plan):
    keep(plan, result("01_toy lab"))
    plan.tasks()[-1].target.parent.mkdir(parents=True)
    plan.tasks()[-1].target.write_text("{")
    assert "01_toy lab" in report.render(plan)


def test_the_charts_show_shares_and_earned_points(plan):
    keep(plan, result("01_toy lab", points=35))
    page = report.render(plan)
    assert page.count("70%") >= 2 and "35 / 99" in page and page.count('class="aim"') == 6


def test_writing_leaves_only_the_page(plan):
    path = report.write(plan)
    assert [one.name for one in path.parent.iterdir()] == ["index.html"]


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (89, "89 s"), (90, "1 min 30 s"), (3600, "60 min 00 s")])
def test_durations_read_like_people_say_them(seconds, text):
    assert report.duration(seconds) == text
