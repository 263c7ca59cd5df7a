"""Which notebook begins when: what it takes is there first, and what measures time has the machine to itself."""

from threading import Lock, Thread
from time import sleep

import pytest

from breakthrough.course import lanes, notebooks, syllabus
from breakthrough.course.plan import Plan
from breakthrough.errors import InputError

COURSE = Plan(syllabus.load())


def through(jobs, tasks=None, kernels=None, seconds=0.005):
    """Run the course's notebooks as short sleeps: the order in which they began, and how many ran beside each."""
    order, most, running, done, lock = [], {}, set(), set(), Lock()

    def begin(task):
        takes = {giver.name for giver in COURSE.givers(task)}
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
def test_as_many_run_together_as_are_asked_for(jobs):
    _, beside = through(jobs, seconds=0.02)
    assert 1 <= max(beside.values()) <= jobs - 1


@pytest.mark.parametrize("jobs", [2, 3])
def test_what_others_wait_for_begins_first_then_the_longest(jobs):
    order, _ = through(jobs)
    assert order[:3] == ["01_moe lab", "02_scenes lab", "06_capstone lab"]
    assert not COURSE.givers(next(task for task in COURSE.tasks() if task.name == "03_federated lesson"))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_cell_that_measures_time_runs_alone_and_others_run_together(count):
    turns, lock, running, alone, most = lanes.Turns(), Lock(), [], [], [0]

    def work(number):
        with lanes.Lane(turns, {"quiet"}) as lane:
            for name in ("a", "quiet", "b", "quiet", "c")[number % 3 :]:
                lane.cell(name)
                with lock:
                    running.append(name)
                    most[0] = max(most[0], len(running))
                sleep(0.01)
                with lock:
                    alone.extend([len(running)] if "quiet" in running else [])
                    running.remove(name)

    threads = [Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not running and alone and set(alone) == {1}
    assert most[0] > 1 or count == 1


def test_a_notebook_that_fails_keeps_no_turn():
    turns = lanes.Turns()
    with pytest.raises(ZeroDivisionError), lanes.Lane(turns, {"quiet"}) as lane:
        lane.cell("quiet")
        raise ZeroDivisionError
    with lanes.Lane(turns) as lane:
        lane.cell("another")


def test_the_cells_that_measure_time_are_those_of_two_modules():
    tagged = {task.name: notebooks.tagged(task.source, "quiet") for task in COURSE.tasks()}
    assert {name for name, cells in tagged.items() if cells} == {"04_quant lesson", "04_quant lab", "05_deploy lesson", "05_deploy lab"}
    assert tagged["04_quant lab"] == {"s14-run", "s14-roof"}


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
