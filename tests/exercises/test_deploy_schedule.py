"""deploy.schedule: what TVM refuses becomes a sentence, and memory beyond an array is never at risk."""

from __future__ import annotations

import pytest

from breakthrough.exercises import card, judge, load
from breakthrough.exercises.deploy_schedule_loops import nest, on_one_thread
from breakthrough.exercises.deploy_schedule_trial import matmul

pytest.importorskip("tvm", reason="TVM is not installed: pip install -e '.[deploy]'")


def scheduled(answer):
    from tvm.s_tir import Schedule

    sch = Schedule(matmul(61, 70, 45))
    answer(sch)
    return sch.mod


def test_the_loops_of_a_schedule_are_read_from_it():
    plain = nest(matmul(61, 70, 45))
    assert [(sorted(loop.axes), loop.extent) for loop in plain.loops] == [(["rows"], 61), (["columns"], 45), (["sum"], 70)]
    assert plain.starts_inside and plain.inside() == frozenset() and plain.copies == 1
    tiles = nest(scheduled(load("deploy.schedule").reference))
    assert tiles.inside() == {"rows", "columns"} and tiles.vectors() == {"columns"} and not tiles.starts_inside
    assert tiles.copies == 4 * 64


def test_parallel_loops_run_one_after_the_other_when_timed():
    mod = scheduled(lambda sch: sch.parallel(sch.get_loops(sch.get_sblock("C"))[0]))
    assert "T.parallel" in mod.script() and "T.parallel" not in on_one_thread(mod).script()
    assert on_one_thread(matmul(2, 3, 4))["main"] is not None


def again(sch):
    i, _, _ = sch.get_loops(sch.get_sblock("C"))
    sch.reorder(i, i)


def wrong_type(sch):
    i, _, _ = sch.get_loops(sch.get_sblock("C"))
    sch.split(i, 8)


def sum_in_vectors(sch):
    _, _, k = sch.get_loops(sch.get_sblock("C"))
    sch.vectorize(k)


@pytest.mark.parametrize(("answer", "step"), [(again, "reorder"), (wrong_type, "split"), (sum_in_vectors, "vectorize")])
def test_a_refused_step_is_one_sentence_that_names_it_and_the_line(answer, step):
    verdict = judge(load("deploy.schedule"), answer, 0)
    lines = card.plain(verdict, 1).splitlines()
    assert verdict.status == "wrong" and any(step in line for line in lines[:3]), lines
    assert answer.__name__ in "".join(lines) and ".cc" not in "".join(lines)


def test_a_refusal_without_a_name_has_the_readers_own_lines_last():
    lines = card.plain(judge(load("deploy.schedule"), again, 0), 1).splitlines()
    assert "refuses the step reorder" in lines[0]
    assert "sch.reorder(i, i)" in lines[-2] and lines[-1].startswith("breakthrough.errors.InputError")
