"""The gate over the wire: answers in another process are judged as they are in this one."""

import zlib

import numpy as np
import pytest
import torch
from over_the_wire import other_process

from breakthrough.exercises import every, judge, load, quant_there
from breakthrough.grading.visible import EXERCISES, drivers, material

JUDGED = [exercise.name for exercise in every() if not exercise.question and not exercise.training]


def _tried(name):
    """A right answer in other words than the reference's, which test_every_lab tries, and a misconception: always the same."""
    exercise, number = load(name), zlib.crc32(name.encode())
    wrong = exercise.misconceptions[number % len(exercise.misconceptions)]
    return f"alternative {number % len(exercise.alternatives)}", f"{wrong.name} 0"


def _found(peer, name, which):
    verdict = judge(load(name), peer.request("answer", name, which), 3)
    diagnosis = f"{verdict.diagnosis.name} 0" if verdict.diagnosis else None
    return verdict.status, diagnosis, verdict.difference.text if verdict.difference else ""


@pytest.mark.parametrize("name", JUDGED)
def test_answers_of_another_process_are_judged_as_they_are_here(name):
    right, wrong = _tried(name)
    with other_process() as peer:
        status, _, why = _found(peer, name, right)
        assert status == "passed", f"{right}: {why}"
        status, diagnosis, why = _found(peer, name, wrong)
        assert (status, diagnosis) == ("wrong", wrong), why


def test_the_faults_of_an_optimizer_show_in_where_it_leads_when_its_process_says_it_has_none(monkeypatch):
    monkeypatch.setattr(quant_there, "mended", lambda answer, args: ("", "", "", ""))
    with other_process() as peer:
        for which in ("32 bits everywhere 0", "some embeddings 0", "another weight decay 0"):
            status, _, why = _found(peer, "quant.mend", which)
            assert status == "wrong" and "is not where a right set-up leads" in why, f"{which}: {why}"
        assert _found(peer, "quant.mend", "alternative 1")[0] == "passed"


def test_no_right_answer_lies_where_a_students_process_can_import_it():
    shown = {path.stem for path in material(())}
    assert set(drivers()) <= shown
    with_exercises = {path.stem for path in EXERCISES.glob("*.py") if "\nEXERCISES = (" in path.read_text()}
    homes = {getattr(answer, "__module__", "").rpartition(".")[2] for name in JUDGED for answer in (load(name).reference, *load(name).alternatives)}
    assert len(with_exercises) > 40 and not shown & with_exercises
    assert not shown & homes, shown & homes


def test_an_answer_that_changes_what_it_was_given_is_seen_to():
    def _doubled(x):
        return x.mul_(2) if isinstance(x, torch.Tensor) else np.multiply(x, 2, out=x)

    with other_process(make=lambda name, which: _doubled) as peer:
        double = peer.request("answer", "", "")
        for x in (torch.arange(6.0).reshape(2, 3).t(), np.arange(6.0)):
            before = x.clone() if isinstance(x, torch.Tensor) else x.copy()
            assert (double(x) == 2 * before).all() and (x == 2 * before).all()


def test_a_schedule_is_taken_by_its_steps_and_by_nothing_else():
    def make(name, which):
        def schedule(sch, tell):
            block = sch.get_sblock("C")
            i, j, k = sch.get_loops(block)
            tell("extents", [sch.get(loop).extent for loop in (i, j, k)])
            sch.split(i, [None, 4])
            sch.transform_layout(block, ("write", 0), lambda a, b: (a // 4, b, (a + 0 * b) % 4))
            tell("script", sch.mod.script())
            for key, value in (("pragma_import_llvm", "define void @f() {ret void}"), ("pragma_auto_unroll_max_step", 10**9)):
                try:
                    sch.annotate(j, key, value)
                except Exception as error:  # noqa: BLE001 - its name is what is asked for
                    tell(key, type(error).__name__)
            sch.annotate(j, "pragma_auto_unroll_max_step", 16)
            tell("others", [name for name in ("tensorize", "state", "get_block", "_sch", "unsafe_set_dtype") if hasattr(sch, name)])
            try:
                sch.vectorize(k)
            except Exception as error:  # noqa: BLE001 - its name is what is asked for
                tell("refused", type(error).__name__)

        return schedule

    from tvm.s_tir import Schedule as Real

    from breakthrough.exercises.deploy_schedule_afar import Schedule
    from breakthrough.exercises.deploy_schedule_trial import matmul

    real, told = Real(matmul(8, 6, 5)), {}
    with other_process(make=make) as peer:
        peer.request("answer", "", "")(Schedule(real), lambda name, value: told.__setitem__(name, value))
    assert told["extents"] == [8, 5, 6] and "C" in told["script"] and told["others"] == [] and told["refused"] == "ScheduleError"
    assert told["pragma_import_llvm"] == told["pragma_auto_unroll_max_step"] == "InputError"
    assert [int(size) for size in real.mod["main"].params[2].shape] == [2, 5, 4]
    assert [step.kind.name for step in real.trace.insts if not step.kind.name.startswith("Get")] == ["Split", "TransformLayout", "Annotate"]
