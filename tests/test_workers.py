import os
import sys
import time

import pytest

from breakthrough.errors import BreakthroughError
from breakthrough.workers import run_all


@pytest.fixture
def jobs_module(tmp_path, monkeypatch):
    (tmp_path / "jobs_of_a_test.py").write_text(
        "import os, time\n"
        "def double(job, report):\n"
        "    print('noise'); report(3); report(4)\n"
        "    return {'value': 2 * job['x'], 'process': os.getpid()}\n"
        "def fail(job, report):\n"
        "    if job['x'] == 1: raise ValueError('no ones')\n"
        "    time.sleep(60)\n"
        "def die(job, report):\n"
        "    import sys; print('last words', file=sys.stderr, flush=True); os._exit(3)\n"
        "def refuse(job, report):\n"
        "    from breakthrough.errors import InputError\n"
        "    if job['x'] == 1: raise InputError('expected room, got none')\n"
        "def killed(job, report):\n"
        "    import signal\n"
        "    if job['x'] == 1: time.sleep(0.3); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return job['x']\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    return "jobs_of_a_test"


def test_results_come_in_order_from_other_processes_with_progress(jobs_module):
    progress = []
    results = run_all(f"{jobs_module}:double", [{"x": i} for i in range(5)], 2, progress.append)
    assert [result["value"] for result in results] == [0, 2, 4, 6, 8]
    processes = {result["process"] for result in results}
    assert 1 <= len(processes) <= 2 and os.getpid() not in processes
    assert sorted(progress) == [3] * 5 + [4] * 5


def test_a_failing_job_is_told_with_its_traceback_and_stops_the_others(jobs_module):
    begin = time.monotonic()
    with pytest.raises(BreakthroughError, match="job 1 to finish, got (?s:.*)no ones"):
        run_all(f"{jobs_module}:fail", [{"x": 0}, {"x": 1}], 2)
    assert time.monotonic() - begin < 30  # job 0 would have slept for 60


def test_a_worker_that_dies_is_told_with_its_last_words(jobs_module):
    with pytest.raises(BreakthroughError, match="code 3(?s:.*)last words"):
        run_all(f"{jobs_module}:die", [{"x": 0}], 1)


def test_an_error_raised_on_purpose_is_told_as_it_is(jobs_module):
    with pytest.raises(BreakthroughError) as told:
        run_all(f"{jobs_module}:refuse", [{"x": 0}, {"x": 1}], 1)
    assert str(told.value) == "expected room, got none"


def test_a_killed_worker_is_told_with_the_name_of_its_job_and_results_before_it_are_kept(jobs_module):
    kept = []
    with pytest.raises(BreakthroughError, match="expected the second to finish, got a worker that was killed by signal 9"):
        run_all(f"{jobs_module}:killed", [{"x": 0}, {"x": 1, "name": "the second"}], 1, on_result=kept.append)
    assert kept == [0]


def test_no_jobs_need_no_workers():
    assert run_all("nothing:at_all", [], 2) == []
