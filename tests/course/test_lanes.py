"""Which notebook begins when: what it takes is there first, and what measures time has the machine to itself."""

from threading import Lock
from time import sleep

import pytest

from breakthrough.course import lanes, syllabus
from breakthrough.course.plan import Plan
from breakthrough.errors import InputError

COURSE = Plan(syllabus.load())


def through(jobs, tasks=None, kernels=None, seconds=0.005):
    """Run the course's notebooks as short sleeps: the order in which they began, and how many ran beside each."""
    order, most, running, done, lock = [], {}, set(), set(), Lock()

    def begin(task):
        takes = {giver.name for giver in COURSE.givers(task.module)}
        assert takes <= done, f"{task.name} began before {takes - done} had ended"
        order.append(task.name)

        def work():
            with lock:
                running.add(task.name)
                for name in running:
                    most[name] = max(most.get(name, 0), len(running) - 1)
            sleep(seconds)
            with lock:
                running.discard(task.name)

        return work

    lanes.run(COURSE, tasks or COURSE.tasks(), jobs, begin, lambda task: done.add(task.name), kernels or lanes.Kernels())
    assert done == {task.name for task in tasks or COURSE.tasks()}
    return order, most


def test_one_at_a_time_is_in_course_order():
    order, beside = through(1)
    assert order == [task.name for task in COURSE.tasks()] and not any(beside.values())


@pytest.mark.parametrize("jobs", [2, 3, 8])
def test_what_measures_time_runs_alone_and_others_run_together(jobs):
    _, beside = through(jobs)
    quiet = {task.name for task in COURSE.tasks() if task.quiet}
    assert quiet == {"04_quant lesson", "04_quant lab", "05_deploy lesson", "05_deploy lab"}
    assert not any(beside[name] for name in quiet)
    assert 1 <= max(beside.values()) <= jobs - 1


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_longest_lab_begins_first_where_several_run_at_a_time(jobs):
    order, _ = through(jobs)
    assert order[:2] == ["06_capstone lab", "00_start lesson"]


def test_a_task_waits_only_for_givers_that_run_too():
    tasks = [task for task in COURSE.tasks() if task.module.room == "quant"]
    order = []
    lanes.run(COURSE, tasks, 2, lambda task: order.append(task.name), lambda task: None, lanes.Kernels())
    assert order == ["04_quant lesson", "04_quant lab"]


def test_what_a_notebook_raises_ends_the_kernels_and_is_raised():
    class Kernels(lanes.Kernels):
        ended = False

        def end(self):
            self.ended = True

    def fails():
        raise ZeroDivisionError

    kernels = Kernels()
    with pytest.raises(ZeroDivisionError):
        lanes.run(COURSE, COURSE.tasks(), 2, lambda task: fails, lambda task: None, kernels)
    assert kernels.ended


def test_fewer_than_one_at_a_time_is_refused():
    with pytest.raises(InputError, match="expected at least one notebook at a time, got 0"):
        through(0)


@pytest.mark.parametrize(("cores", "gib", "card", "device", "wanted"), [
    (2, 20, None, "auto", 2), (2, 5, None, "auto", 1), (16, 64, None, "cpu", 4), (1, 1, None, "cpu", 1),
    (16, 64, "H100", "auto", 1), (16, 64, "H100", "cuda", 1), (16, 64, "H100", "cpu", 4),
])
def test_how_many_run_at_once(monkeypatch, cores, gib, card, device, wanted):
    import psutil

    from breakthrough.course import doctor

    monkeypatch.setattr(lanes.devices, "cores", lambda: cores)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": gib << 30}))
    monkeypatch.setattr(doctor, "gpu", lambda: card)
    assert lanes.sensible(device) == wanted
