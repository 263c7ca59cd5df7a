"""Marked processes: found whoever their parent is, ended even when they will not go."""

import os
import sys
import time
import uuid

import psutil
import pytest

from breakthrough.errors import MissingDependency
from breakthrough.federated import processes

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
# starts a process in a session of its own and leaves it an orphan
ORPHANING = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True)"


@pytest.fixture
def tokens():
    """Two marks that no other test has; what carries them is ended."""
    made = [uuid.uuid4().hex for _ in range(2)]
    yield made
    for one in made:
        processes.end(one, patience_s=0)


def wait_for(condition, limit_s=20):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def begin(code, token, tmp_path, log="log.txt"):
    return processes.start([sys.executable, "-c", code], tmp_path / log, processes.environment(token, tmp_path / "flwr"))


def test_orphans_in_other_sessions_are_found_and_killed(tmp_path, tokens):
    a, b = tokens
    child = begin(ORPHANING, a, tmp_path)
    other = begin(STUBBORN, b, tmp_path, "other.txt")
    wait_for(lambda: "ready" in (tmp_path / "log.txt").read_text() and "ready" in (tmp_path / "other.txt").read_text())
    assert child.wait(20) == 0
    [orphan] = processes.marked(a)
    assert orphan.pid != child.pid and os.getpgid(orphan.pid) not in (child.pid, os.getpgid(0))
    assert processes.end(a, patience_s=0.3) == 1
    assert processes.marked(a) == [] and not processes.alive(orphan.pid, a)
    assert processes.alive(other.pid, b) and not processes.alive(other.pid, a)
    assert processes.end(b, patience_s=0.1) == 1 and not processes.alive(other.pid, b)
    assert processes.end(b) == 0


def test_a_process_is_asked_once_before_it_is_killed(tmp_path, tokens):
    code = ("import signal, sys, time\ndef go(*_):\n    print('asked', flush=True); time.sleep(0.5); print('clean', flush=True); sys.exit()\n"
            "signal.signal(signal.SIGTERM, go); print('ready', flush=True); time.sleep(60)")
    begin(code, tokens[0], tmp_path)
    wait_for(lambda: "ready" in (tmp_path / "log.txt").read_text())
    assert processes.end(tokens[0], patience_s=20) == 1
    assert (tmp_path / "log.txt").read_text().split() == ["ready", "asked", "clean"]


def test_an_environment_keeps_flower_quiet_and_to_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    made = processes.environment("t", tmp_path, OMP_NUM_THREADS="3")
    assert made["FLWR_TELEMETRY_ENABLED"] == "0" and made["FLWR_DISABLE_UPDATE_CHECK"] == "1" and made["FLWR_HOME"] == str(tmp_path)
    assert made[processes.MARK] == "t" and made["OMP_NUM_THREADS"] == "3"
    assert processes.MARK not in os.environ
    assert made["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)


def test_a_request_to_terminate_is_taken_as_ctrl_c():
    with pytest.raises(KeyboardInterrupt), processes.interrupts():
        psutil.Process().terminate()
        time.sleep(10)


def test_flower_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setitem(sys.modules, "flwr", None)
    with pytest.raises(MissingDependency, match=r"pip install -e '.\[federated\]'"):
        processes.program("flower-superlink")
