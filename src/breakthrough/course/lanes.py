"""Several notebooks at a time: which may begin, how many, and with what share of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Condition, Lock

from breakthrough import devices
from breakthrough.course.plan import Plan, Task
from breakthrough.errors import InputError, expected

MEMORY_BYTES = 3 << 30  # of a notebook, at the most
MOST = 4  # the course is a chain in parts: more would wait for each other
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "TVM_NUM_THREADS")


def sensible(device: str = "auto") -> int:
    """How many notebooks this machine runs at once: by its cores and its free memory; one where they would share a GPU."""
    import psutil

    from breakthrough.course import doctor

    if device == "cuda" or (device == "auto" and doctor.gpu()):
        return 1
    return max(1, min(MOST, devices.cores(), psutil.virtual_memory().available // MEMORY_BYTES))


def share(jobs: int) -> dict[str, str]:
    """The variables that give a kernel its part of the cores; where the user gave fewer threads, these."""
    cores = max(1, devices.cores() // jobs)
    if jobs == 1:
        return {}
    given = {name: os.environ.get(name, "") for name in THREADS}
    return {name: str(min(cores, int(text)) if text.isdecimal() and int(text) else cores) for name, text in given.items()} | {devices.CORES: str(cores)}


class Turns:
    """Who executes a cell now. A cell that measures time executes alone: others end first, and the next ones wait for it."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._running, self._waiting, self._alone = 0, 0, False

    def take(self, alone: bool) -> None:
        """Wait until a cell may execute."""
        with self._changed:
            self._waiting += alone
            self._changed.wait_for(lambda: not self._alone and not (self._running if alone else self._waiting))
            self._waiting -= alone
            self._running, self._alone = self._running + 1, alone

    def give_back(self) -> None:
        """A cell ended."""
        with self._changed:
            self._running, self._alone = self._running - 1, False
            self._changed.notify_all()


class Lane:
    """The turns of one notebook: it has one at a time, from a cell's begin to the next one's. A context manager."""

    def __init__(self, turns: Turns, quiet: Collection[str] = ()) -> None:
        self.turns, self.quiet, self._mine = turns, quiet, False

    def __enter__(self) -> Lane:
        return self

    def __exit__(self, *error: object) -> None:
        if self._mine:
            self._mine = False
            self.turns.give_back()

    def cell(self, name: str) -> None:
        """A cell begins, once it may."""
        self.__exit__()
        self.turns.take(name in self.quiet)
        self._mine = True


class Kernels:
    """The kernels that run, to be ended from another thread."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._ended, self._lock = False, Lock()

    def add(self, pid: int) -> None:
        """Know a kernel that started; it ends at once when the others were ended."""
        with self._lock:
            self._pids.add(pid)
        if self._ended:
            self.end()

    def end(self) -> None:
        """End every kernel and what it started, now and from now on."""
        import psutil

        self._ended = True
        with self._lock:
            pids = set(self._pids)
        for pid in pids:
            try:
                kernel = psutil.Process(pid)
                tree = [*kernel.children(recursive=True), kernel]
            except psutil.Error:
                continue
            for process in tree:
                try:
                    process.kill()
                except psutil.Error:  # it ended meanwhile
                    continue


def run(plan: Plan, tasks: Sequence[Task], jobs: int, begin: Callable[[Task], Callable[[], None] | None], end: Callable[[Task], None],
        kernels: Kernels) -> None:
    """Run tasks, several at a time: a task begins when the labs it takes from are done.

    `begin` is called in this thread and gives the work to do in another, or None when there is none;
    `end` is called in this thread after it. When either raises, and on Ctrl-C, every kernel is ended.

    Raises: InputError for fewer jobs than one
    """
    if jobs < 1:
        raise InputError(expected("at least one notebook at a time", jobs))
    names = {task.name for task in tasks}
    waits = {task.name: {giver.name for giver in plan.givers(task)} & names for task in tasks}
    todo, done = list(tasks), set[str]()
    running: dict[Future[None], Task] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="notebook") as pool:
        try:
            while todo or running:
                while (task := may_begin(todo, len(running), waits, done, jobs)) is not None:
                    todo.remove(task)
                    work = begin(task)
                    if work is None:
                        end(task)
                        done.add(task.name)
                    else:
                        running[pool.submit(work)] = task
                for future in _first(running):
                    task = running.pop(future)
                    future.result()
                    end(task)
                    done.add(task.name)
        except BaseException:
            kernels.end()
            raise


def may_begin(todo: Sequence[Task], running: int, waits: Mapping[str, set[str]], done: set[str], jobs: int) -> Task | None:
    """The next task to begin, if one may: where several run, those first that most others wait for, then long ones."""
    if running >= jobs:
        return None
    ready = [task for task in todo if waits[task.name] <= done]
    if jobs > 1:
        ready.sort(key=lambda task: (-_waiting_for(task.name, waits), not task.early))
    return next(iter(ready), None)


def _waiting_for(name: str, waits: Mapping[str, set[str]]) -> int:
    """How many tasks cannot begin before one of this name has ended, and those that wait for them in turn."""
    after = {name}
    while more := {one for one, before in waits.items() if before & after} - after:
        after |= more
    return len(after) - 1


def _first(running: Mapping[Future, Task]) -> set[Future]:
    return wait(running, return_when=FIRST_COMPLETED).done if running else set()
