"""The attack suite and the honest slips are what they say: many, of every family, well formed; normalizing them is no risk."""

import ast
import re

import attacks
import honest
import pytest
from solved_labs import COURSE, master_answers, released, solved

from breakthrough.errors import NotebookError
from breakthrough.grading.normalize import normalize
from breakthrough.grading.records import ANSWER, CHECK
from breakthrough.grading.slices import needed

LAB = COURSE.lab(honest.MODULE)
ATTACKS = attacks.every()
MEANT_TO_STOP_PARSERS = {"a_source_that_stops_parsers"}
LARGE = {"an_archive_that_grows_a_thousandfold", "archives_in_archives", "a_million_cells", "a_source_of_a_hundred_megabytes", "twenty_thousand_entries"}


@pytest.fixture(scope="module")
def notebooks():
    return released(honest.MODULE), solved(honest.MODULE)


def test_there_are_enough_of_every_family():
    families = {one.family: sum(other.family == one.family for other in ATTACKS) for one in ATTACKS}
    assert len(ATTACKS) >= 75 and min(families.values()) >= 5 and len(families) >= 14
    assert len(honest.every()) >= 20


def test_what_an_attack_deserves_is_of_the_lab():
    for attack in ATTACKS:
        assert attack.least.items() <= attack.deserved.items() <= honest.FULL.items()
        assert sum(attack.deserved.values()) < sum(honest.FULL.values())
    assert sum(honest.FULL.values()) == 63


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.name not in LARGE], ids=lambda one: one.name)
def test_an_attack_is_normalized_or_refused(tmp_path, attack, notebooks):
    files = attack.make(*notebooks)
    assert not any(attacks.CANARY.encode() in data for data in files.values() if isinstance(data, bytes)), "it would find the canary in itself"
    attacks.lay(files, tmp_path)
    try:
        program = normalize(LAB, tmp_path)
    except NotebookError as error:
        assert attack.family in ("archives", "documents", "weights that lie") and "\n" not in str(error)
        return
    assert [cell.source for cell in program.checks] == [f'check("{cell.exercise}", {cell.variable})' for cell in program.checks]
    assert [cell.exercise for cell in program.checks] == list(honest.MODULE.exercises)
    assert not any(cell.kind == CHECK for cell in needed(program, ("moe.experiment",)))
    if attack.name not in MEANT_TO_STOP_PARSERS:
        for cell in program.cells:
            ast.parse("\n".join(line for line in cell.source.split("\n") if not re.match(r"\s*[%!]", line)))


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.least], ids=lambda one: one.name)
def test_beside_an_attack_the_other_answers_are_the_masters(tmp_path, attack, notebooks):
    program = normalize(LAB, attacks.lay(attack.make(*notebooks), tmp_path))
    mine = {cell.exercise: cell.source for cell in program.cells if cell.kind == ANSWER and cell.exercise in attack.least}
    wanted = {cell.exercise: master_answers(honest.MODULE)[cell.id] for cell in program.cells if cell.kind == ANSWER and cell.exercise in attack.least}
    assert mine == wanted and set(mine) == set(attack.least)


@pytest.mark.parametrize("name", ["the_gradebook_read", "frames_on_every_descriptor_at_the_start", "reference_of_the_bank", "check_replaced_by_nothing",
                                  "a_daemon_that_scribbles_later", "compiler_of_the_shell_replaced", "start_up_files_of_the_shell"])
def test_the_code_of_an_attack_reaches_the_cells_that_run(tmp_path, name, notebooks):
    attack = next(one for one in ATTACKS if one.name == name)
    program = normalize(LAB, attacks.lay(attack.make(*notebooks), tmp_path))
    kept = "\n".join(cell.source for cell in needed(program, ("moe.experiment",)))
    stubs = {line for cell in released(honest.MODULE)["cells"] for line in cell["source"].split("\n")}
    assert any(line not in stubs for line in kept.split("\n"))


def test_links_and_pipes_are_laid(tmp_path):
    attacks.lay({"a": attacks.Link("/etc/passwd"), "b/c": attacks.Pipe(), "d": b"1"}, tmp_path)
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b" / "c").is_fifo() and (tmp_path / "d").read_bytes() == b"1"
