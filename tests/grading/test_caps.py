"""Every cap of the sandbox, with a cell that violates it: the cell ends, the session goes on, nothing else notices."""

import socket
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from breakthrough.grading.records import ProgramCell
from breakthrough.grading.remote import GoneError
from breakthrough.grading.sandbox import Nest
from breakthrough.grading.session import Patience, Session
from breakthrough.grading.spaces import Caps

pytestmark = pytest.mark.sandbox
CAPS = Caps(memory_bytes=256 << 20, all_memory_bytes=700 << 20, processes=24, files=64, cpu_s=60, disk_bytes=16 << 20, file_bytes=8 << 20)
PATIENCE = Patience(cell_s=5, call_s=20, total_s=300)


@pytest.fixture(scope="module")
def nest():
    with Nest(["numpy", "torch"]) as made:
        yield made


@pytest.fixture
def session(nest):
    made = Session(nest, CAPS, PATIENCE)
    yield made
    made.end()


def ran(session, source):
    """What a cell gave: its printed text, and the name of its error or why it was left out."""
    cell = ProgramCell("cell", source, "added")
    session.run(cell)
    outputs = session.outputs["cell"]
    text = "".join(one.get("text", "") for one in outputs)
    errors = [f"{one['ename']}: {one['evalue']}" for one in outputs if one["output_type"] == "error"]
    return text, "; ".join(errors)


VIOLATIONS = {
    "memory of one process": ("hoard = []\nwhile True: hoard.append(bytearray(20 << 20))", "MemoryError"),
    "shared memory": ("import mmap\nhoard = []\nwhile True:\n    m = mmap.mmap(-1, 50 << 20)\n    m.write(b'x' * (50 << 20))\n    hoard.append(m)", "more than 700 MiB|Cannot allocate"),
    "memory of all processes": (
        "import os, time\nfor i in range(8):\n    if os.fork() == 0:\n        hoard = bytearray(b'x') * (150 << 20)\n        time.sleep(60)\ntime.sleep(60)", "more than 700 MiB"),
    "anonymous files": ("import os\nos.memfd_create('x')", "PermissionError"),
    "processes": ("import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60)", "BlockingIOError"),
    "threads": ("import threading, time\nfor i in range(1000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "can't start new thread"),
    "open files": ("kept = [open('/dev/null') for i in range(1000)]", "Too many open files"),
    "one file's size": ("with open('/tmp/x', 'wb') as f:\n    while True: f.write(bytes(1 << 20))", "File too large"),
    "the disk": ("for i in range(99):\n    open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))", "No space left"),
    "the shared-memory disk": ("for i in range(99):\n    open(f'/dev/shm/{i}', 'wb').write(bytes(1 << 20))", "No space left"),
    "many small files": ("for i in range(10**6): open(f'/tmp/{i}', 'w').close()", "No space left"),
    "time of a cell": ("while True: pass", "interrupted after 5 s"),
    "time, interrupts swallowed": ("while True:\n    try:\n        while True: pass\n    except BaseException: continue", "EndlessError|more CPU time|KeyboardInterrupt"),
    "CPU time, elsewhere than in the cell": ("import os, time\nif os.fork() == 0:\n    while True: pass\nprint(os.WTERMSIG(os.wait()[1]))", "^9|^24"),
    "recursion": ("import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", "ended|segmentation fault|EndlessError|RecursionError|MemoryError"),
    "the network": ("import socket\nsocket.create_connection(('127.0.0.1', PORT), 2)", "OSError"),
    "namespaces": ("import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.unshare(0x10000000): raise OSError(ctypes.get_errno(), 'refused')", "PermissionError|refused"),
    "mounts": ("import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.mount(b'none', b'/tmp', b'tmpfs', 0, None): raise OSError(ctypes.get_errno(), 'refused')", "PermissionError|refused"),
    "the library": ("import breakthrough.errors as e\nopen(e.__file__, 'a').write('#')", "Read-only|Permission"),
    "signals to others": ("import os\nos.kill(2, 9)", "ProcessLookupError|PermissionError"),
    "signals to its group": ("import os, signal\nos.killpg(0, signal.SIGKILL)", "GoneError|^"),
    "the end of the process": ("import os\nos._exit(0)", "GoneError"),
    "a crash": ("import ctypes\nctypes.string_at(0)", "segmentation fault|GoneError"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_cap_that_is_violated_ends_the_cell_and_nothing_else(session, name):
    source, says = VIOLATIONS[name]
    if name.startswith("CPU"):
        session.caps, session.patience = replace(CAPS, cpu_s=1), replace(session.patience, cell_s=60)
    else:
        session.caps = CAPS
    with socket.create_server(("127.0.0.1", 0)) as server:
        called = []
        threading.Thread(target=lambda: called.append(server.accept()), daemon=True).start()
        text, error = ran(session, source.replace("PORT", str(server.getsockname()[1])))
        assert not called
    assert any(part.lstrip("^") in (text if part.startswith("^") else error) for part in says.split("|")), (text, error)
    session.run(ProgramCell("next", "alive = 6 * 7", "added"))
    assert session.answer("alive") == 42


def test_output_is_kept_up_to_a_size(session):
    text, _ = ran(session, "for i in range(20000): print('x' * 100)")
    assert 0 < len(text) <= 20_000
    ran(session, "from IPython.display import display, HTML\nfor i in range(300): display(HTML('x'))\ndisplay(HTML('y' * 10**6))")
    assert len(session.outputs["cell"]) <= 101


def test_a_student_sees_no_neighbour_no_project_no_environment(session):
    text, error = ran(session, "import os\nprint(sorted(os.environ))\nprint(os.getuid() != 0, [n for n in os.listdir('/proc') if n.isdigit()])")
    assert (not error and "SECRET" not in text and "True" in text and "['1'" in text) or "[]" in text
    seen, _ = ran(session, "import os\ntops = [top for top in os.listdir('/') if top not in ('usr', 'lib', 'lib64', 'bin', 'sbin', 'proc')]\n"
                  "print([base for top in tops for base, _, files in os.walk('/' + top) if '-packages' not in base for f in files"
                  " if f.endswith(('.ipynb', 'course.yml', 'gradebook.db'))])")
    assert seen.strip() == "[]"


def test_references_are_not_there(session):
    text, error = ran(session, "import breakthrough.exercises as e\nprint(hasattr(e, 'load'))\nimport breakthrough.exercises.moe_routing")
    assert text.strip() == "False" and "ModuleNotFoundError" in error


def test_one_submission_leaves_nothing_for_the_next(nest):
    first = Session(nest, CAPS, PATIENCE)
    ran(first, "open('/tmp/left', 'w').write('x')\nimport os, sys\nsys.modules['left'] = 1\nif os.fork() == 0:\n    os.setsid()\n    import time; time.sleep(60)")
    first.end()
    second = Session(nest, CAPS, PATIENCE)
    text, error = ran(second, "import os, sys\nprint(os.path.exists('/tmp/left'), 'left' in sys.modules, len([n for n in os.listdir('/proc') if n.isdigit()]) <= 1)")
    second.end()
    assert (text.split(), error) == (["False", "False", "True"], "")


def test_a_process_that_dies_in_a_call_costs_that_call(session):
    session.run(ProgramCell("a", "def answer(x):\n    import os\n    if x == 2: os._exit(1)\n    return x + 1", "answer"))
    answer = session.answer("answer")
    assert answer(1) == 2
    with pytest.raises(Exception, match="ended"):
        answer(2)
    assert answer(3) == 4


HOARD = "import mmap\nhoard = []\nfor i in range(12):\n    hoard.append(mmap.mmap(-1, 64 << 20))\n    hoard[-1].write(bytes(64 << 20))"


def test_memory_that_a_call_left_behind_costs_that_call_only(session):
    session.caps = replace(CAPS, memory_bytes=1 << 30)
    session.run(ProgramCell("a", "def answer(x):\n    if x == 2:\n        global hoard\n        " + HOARD.replace("\n", "\n        ") + "\n    return x + 1", "answer"))
    answer = session.answer("answer")
    try:
        assert answer(2) == 3  # looked at too late
    except GoneError as error:
        assert "more than 700 MiB" in str(error)
    session.run(ProgramCell("next", "alive = 6 * 7", "added"))
    assert session.answer("alive") == 42 and session.answer("answer")(1) == 2
    assert not session.skipped and session.restarts == 2


def test_a_cell_that_leaves_too_much_memory_is_left_out(session):
    session.caps = replace(CAPS, memory_bytes=1 << 30)
    assert "more than 700 MiB" in ran(session, HOARD)[1]
    session.run(ProgramCell("next", "alive = 6 * 7", "added"))
    assert session.answer("alive") == 42 and list(session.skipped) == ["cell"]


def test_without_a_sandbox_a_student_is_charged_for_its_own_processes_only():
    hoards = f"hoard = bytearray(b'x') * {CAPS.all_memory_bytes}; print(flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", hoards], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        with Nest(["numpy", "torch"], sandboxed=False) as bare:
            made = Session(bare, CAPS, PATIENCE)
            assert ran(made, "import time\ntime.sleep(1)\nprint('here')") == ("here\n", "")
            assert "more than 700 MiB" in ran(made, VIOLATIONS["memory of all processes"][0])[1]
            made.end()
    finally:
        other.kill()
        other.communicate()
