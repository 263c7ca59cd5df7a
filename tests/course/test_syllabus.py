import re
from pathlib import Path

import pytest
import yaml

from breakthrough.course import syllabus
from breakthrough.errors import ConfigError, UnknownNameError
from breakthrough.events import project_root

REAL = (project_root(Path(__file__)) / "course.yml").read_text()


def broken(old, new, text=REAL):
    assert text.count(old) >= 1
    with pytest.raises(ConfigError) as caught:
        syllabus.parse(text.replace(old, new, 1), Path())
    return str(caught.value)


def line_of(text, part):
    return next(i for i, line in enumerate(text.splitlines(), start=1) if part in line)


def test_the_course_itself_is_valid():
    course = syllabus.parse(REAL, Path())
    assert len(course.claims) == 28
    assert [claim.id for claim in course.claims] == [f"C{i:02d}" for i in range(1, 29)]
    assert course.shape.total == 100


def test_every_claim_belongs_to_the_module_it_names():
    course = syllabus.parse(REAL, Path())
    for claim in course.claims:
        for _number in re.findall(r"\b(\d\d) ", claim.where):
            homes = [module.id[:2] for module in course.modules if claim.id in module.claims]
            assert homes, claim.id
        if not re.match(r"\d\d ", claim.where):
            assert all(module.id == "00_start" for module in course.modules if claim.id in module.claims)


def test_a_wrong_type_names_line_field_and_value():
    line = line_of(REAL, "hours: {lab: 7,")
    message = broken("lab: 7,", "lab: seven,")
    assert message.startswith(f"course.yml:{line}: modules[1].hours.lab: expected ") and message.endswith("got 'seven'")


@pytest.mark.parametrize("value", ["-1", ".nan", ".inf", "[]", "null", "'7 h'"])
def test_hours_are_finite_and_not_negative(value):
    assert "modules[1].hours.lab: expected" in broken("lab: 7,", f"lab: {value},")


def test_a_misspelled_field_names_the_nearest():
    message = broken("prerequisites: [\"00_start\"]", "prerequisite: [\"00_start\"]")
    assert "modules[1].prerequisite: expected one of the fields" in message and message.endswith("try prerequisites")


def test_a_missing_field_is_named_at_its_module():
    message = broken("    room: moe\n", "")
    assert message.startswith(f"course.yml:{line_of(REAL, '01_moe')}: modules[1]: expected the field 'room', got none")


def test_a_repeated_key_is_no_silent_loss():
    message = broken("    room: moe\n", "    room: moe\n    room: other\n")
    assert "modules[1].room: expected one value, got 2" in message


def test_a_repeated_module_or_exercise_is_named_with_the_first():
    assert "modules[2].id: expected a name of its own, got '01_moe', which is already modules[1].id" in broken("02_scenes", "01_moe")
    assert "modules[1].exercises[1]: expected a name of its own" in broken("- moe.combine", "- moe.route")
    assert "claims[1].id: expected a name of its own" in broken("- id: C02", "- id: C01")


def test_prerequisites_come_before():
    assert "modules[1].prerequisites[0]: expected a module that comes before, got '02_scenes'; try 00_start" in broken(
        'prerequisites: ["00_start"]', 'prerequisites: ["02_scenes"]')


def test_claims_exist():
    assert "modules[1].claims[1]: expected a claim of the list below, got 'C99'" in broken("claims: [C01, C02]", "claims: [C01, C99]")


def test_artifacts_are_given_before_they_are_taken():
    assert "modules[3].takes[0]: expected an artifact that a module before gives, got 'inspector'" in broken(
        "takes: [scenes, moe_lm]", "takes: [inspector]")


def test_exercises_begin_with_their_room():
    assert "modules[1].exercises[0]: expected a name that begins with 'moe.', got 'train.route'" in broken("- moe.route", "- train.route")


@pytest.mark.parametrize("key", ["hours", "points"])
def test_the_shape_is_kept_by_hours_and_by_points(key):
    old = re.search(rf"    {key}: {{lab: [1-9][^}}]*}}", REAL).group()
    message = broken(old, f"    {key}: {{lab: 50, exchange: 40, lesson: 10}}")
    assert f"shape.lab: expected 70% of the {key} over the modules that are built" in message


NEXT = REAL.replace("\nclaims:\n", '\n  - id: "99_next"\n    title: Next\n    room: next\n    state: planned\n\nclaims:\n')
PLANNED = [module.get("state") for module in yaml.safe_load(NEXT)["modules"]].index("planned")  # the first of them


def test_a_planned_module_carries_no_points():
    assert f"modules[{PLANNED}].points: expected none while the module is planned" in broken(
        "    state: planned\n", "    state: planned\n    points: {lab: 1}\n", NEXT)


def test_a_built_module_has_hours():
    assert f"modules[{PLANNED}].hours: expected hours for a module that is built" in broken("    state: planned\n", "", NEXT)


def test_points_need_exercises():
    assert "modules[0].points.lab: expected points exactly when there are exercises" in broken(
        "points: {lab: 0, exchange: 0, lesson: 1}", "points: {lab: 1, exchange: 0, lesson: 1}")


def test_all_faults_come_at_once():
    text = NEXT.replace("lab: 7,", "lab: seven,", 1).replace("state: planned", "state: plan", 1)
    with pytest.raises(ConfigError) as caught:
        syllabus.parse(text, Path())
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "[]", "3", "title: [a", "a: b: c", "? [x]\n: y", "!!python/object:os.system {}"])
def test_what_is_no_syllabus_is_one_clear_error(text):
    with pytest.raises(ConfigError, match=r"course\.yml:\d+: "):
        syllabus.parse(text, Path())


def test_a_module_is_found_by_id_number_room_and_beginning(course):
    assert {course.find(name).id for name in ("01_toy", "01", "toy", "to", "01_")} == {"01_toy"}


@pytest.mark.parametrize("name", ["", "9", "moe"])
def test_an_unknown_module_names_those_there_are(course, name):
    with pytest.raises(UnknownNameError, match="00_start|01_toy"):
        course.find(name)


def test_a_beginning_of_several_is_refused(course):
    with pytest.raises(UnknownNameError, match="00_start or 01_toy or 02_later"):
        course.find("0")


def test_a_planned_module_is_no_module_to_run(course):
    with pytest.raises(UnknownNameError, match="in preparation; try 00_start or 01_toy"):
        course.find_built("02")


def test_an_exercise_has_an_owner(course):
    assert course.owner("toy.half").id == "01_toy"
    assert course.owner("start.softmax").id == "00_start"
    with pytest.raises(UnknownNameError, match="toy.half"):
        course.owner("toy.halff")


def test_a_folder_without_course_yml(tmp_path):
    with pytest.raises(ConfigError, match="running inside the project"):
        syllabus.load(tmp_path)


def test_hours_that_are_left_out_are_said_to_be_missing():
    text = re.sub(r"    hours: \{lab: 7,.*\n", "", REAL)
    with pytest.raises(ConfigError, match=r"modules\[1\]\.hours: expected hours for a module that is built, got no such field"):
        syllabus.parse(text, Path())


def test_a_name_is_offered_once_when_it_stands_there_twice():
    message = broken('id: "01_moe"', 'id: "00_start"')
    assert message.endswith("got '01_moe'; try 00_start")
