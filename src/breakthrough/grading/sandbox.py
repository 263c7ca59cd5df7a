"""The sandbox: bubblewrap around one warm process a worker, and namespaces around each student forked from it.

Seen inside: the system's libraries, Python and its packages, the library without the exercises' answers, all read
only; an empty /tmp of limited size. Not seen: the project, the course folder, other students, the gradebook, the
seed, the environment, the network, other processes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from breakthrough.errors import BreakthroughError, InputError, expected
from breakthrough.grading import visible
from breakthrough.grading.spaces import Caps

BUBBLEWRAP, NONE = "bubblewrap", "none"
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
NOBODY = 65533  # where the grader runs as root, students' processes run as this user
WARM_S, ORDER_S = 300, 60
INSTALL = "apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora)"
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "USER": "student", "LOGNAME": "student", "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
    "MPLBACKEND": "agg", "MPLCONFIGDIR": "/tmp/matplotlib", "IPYTHONDIR": "/tmp/ipython", "PYTHONWARNINGS": "ignore", "BREAKTHROUGH_ARTIFACTS": "/tmp/artifacts",
    "BREAKTHROUGH_PROGRESS": "/tmp/progress", "CUDA_VISIBLE_DEVICES": "",
}  # fmt: skip


class SandboxError(BreakthroughError):
    """There is no sandbox here, or it does not start."""


def _roots() -> list[Path]:
    """Python, its packages, and the library, wherever they are installed."""
    found = [Path(sys.base_prefix), Path(sys.prefix), visible.PACKAGE]
    return [path.resolve() for path in dict.fromkeys(found) if not str(path.resolve()).startswith("/usr/") and str(path.resolve()) != "/usr"]


def _shown() -> list[str]:
    """Arguments that show the system, Python and the library, read only."""
    arguments: list[str] = []
    made: set[str] = {"/"}
    for name in SYSTEM:
        if os.path.islink(name):
            arguments += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            arguments += ["--ro-bind", name, name]
    for name in SYSTEM_FILES:
        arguments += [*_parents(Path(name), made), "--ro-bind-try", name, name]
    for path in _roots():
        arguments += [*_parents(path, made), "--ro-bind", str(path), str(path)]
    return arguments


def _parents(path: Path, made: set[str]) -> list[str]:
    """Folders on the way to a place, open to every user."""
    arguments = []
    for parent in reversed(path.parents):
        if str(parent) not in made and not str(parent).startswith(SYSTEM):
            made.add(str(parent))
            arguments += ["--perms", "0755", "--dir", str(parent)]
    return arguments


def _exercises(material: Iterable[Path]) -> list[str]:
    """Arguments that put checks that say nothing, and the lab's material, in the place of the exercises."""
    home = str(visible.EXERCISES)
    arguments = ["--perms", "0755", "--tmpfs", home, "--ro-bind", str(visible.PACKAGE / "grading" / "inside.py"), f"{home}/__init__.py"]
    for path in material:
        arguments += ["--ro-bind", str(path), str(path)]
    return [*arguments, "--remount-ro", home]


def command(program: Sequence[str], *, material: Iterable[Path] = (), shown: Mapping[str, Path] = {}, exercises: bool = False) -> list[str]:
    """The command that runs a program in the sandbox. With `exercises` all of the library is shown; `shown` are other files and folders, read only, by the place where they are to be."""
    root = os.geteuid() == 0
    spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    arguments = ["bwrap", *spaces, *([] if root else ["--unshare-user"]), "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    arguments += [*_shown(), *([] if exercises else _exercises(material))]
    made = {"/"}
    for place, path in shown.items():
        arguments += [*_parents(Path(place), made), "--ro-bind", str(path), place]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--size", str(64 << 20), "--perms", "1777", "--tmpfs", "/tmp"]
    for name, value in {**ENVIRONMENT, "PYTHONPATH": str(visible.PACKAGE.parent)}.items():
        arguments += ["--setenv", name, value]
    arguments += ["--chdir", "/tmp"]
    if not root:
        return [*arguments, "--", *program]
    user = ["/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return [*arguments, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP", "--", *user, *program]


@cache
def tier() -> str:
    """The sandbox that works on this machine.

    Raises: SandboxError that says what to install or to allow
    """
    if shutil.which("bwrap") is None:
        raise SandboxError(expected("bubblewrap, in which submissions are run", "none installed", INSTALL))
    if hidden := [path for path in _roots() if path.is_relative_to("/tmp")]:
        raise SandboxError(expected("the course and its Python outside of /tmp, where a student sees only files of their own", hidden[0], "a clone elsewhere, in your home"))
    probe = "from breakthrough.grading import spaces\nimport os\nn = spaces.fork_apart(lambda: None, spaces.Caps(), set())\nprint('apart', n)"
    done = subprocess.run(command([sys.executable, "-c", probe]), capture_output=True, text=True, timeout=60)
    if "apart" not in done.stdout:
        why = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1][:200]
        hint = "allowing user namespaces (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)"
        raise SandboxError(expected("namespaces of a student's own within bubblewrap", why, hint))
    version = subprocess.run(["bwrap", "--version"], capture_output=True, text=True).stdout.split()[-1]
    return f"{BUBBLEWRAP} {version}, own namespaces{', as root' if os.geteuid() == 0 else ''}"


class Nest:
    """The warm process of one worker, and its orders. A context manager; `fork` gives a connection to a new student's process."""

    def __init__(self, modules: Sequence[str], material: Iterable[Path] = (), *, sandboxed: bool = True) -> None:
        self.modules, self.material, self.sandboxed = list(modules), tuple(material), sandboxed
        self.process: subprocess.Popen | None = None
        self.orders: socket.socket | None = None
        self.missing: dict[str, str] = {}

    def __enter__(self) -> Nest:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and let it import.

        Raises: SandboxError when it does not start
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, "-m", "breakthrough.grading.zygote", str(theirs.fileno())]
        arguments = command(program, material=self.material) if self.sandboxed else program
        environment = None if self.sandboxed else {**os.environ, **ENVIRONMENT, "PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(visible.PACKAGE.parent)}
        self.process = subprocess.Popen(arguments, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        theirs.close()
        self.orders = ours
        told = self._order(WARM_S, do="warm", modules=self.modules)
        self.missing = told["missing"]

    def stop(self) -> None:
        """End the process and every student's with it."""
        if self.orders is not None:
            self.orders.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stderr:
                self.process.stderr.close()
        self.process = self.orders = None

    def fork(self, caps: Caps) -> tuple[int, socket.socket]:
        """A student's process: its number, and the connection to it.

        Raises: SandboxError when it cannot be made
        """
        ours, theirs = socket.socketpair()
        with theirs:
            told = self._order(ORDER_S, [theirs.fileno()], do="fork", caps=asdict(caps), apart=self.sandboxed)
        return told["number"], ours

    def look(self, number: int) -> str:
        """Why a student's process was ended for its memory, as it is now; empty while it goes on."""
        return self._order(ORDER_S, do="look", number=number)["how"]

    def end(self, number: int) -> str:
        """End a student's process and what it started; how it ended, where that is telling."""
        return self._order(ORDER_S, do="end", number=number)["how"]

    def _order(self, limit_s: float, passed: Sequence[int] = (), **order: object) -> dict:
        if self.orders is None or self.process is None:
            raise SandboxError(expected("a sandbox that was started", "none"))
        try:
            self.orders.settimeout(limit_s)
            socket.send_fds(self.orders, [json.dumps(order).encode()], list(passed))
            data = self.orders.recv(1 << 16)
        except OSError as error:
            data = f"{error}".encode() if isinstance(error, TimeoutError) else b""
        if not data.startswith(b"{"):
            self.process.kill()
            said = (self.process.stderr.read() if self.process.stderr else b"").decode(errors="replace").strip()
            raise SandboxError(expected("a sandbox that answers", (said.splitlines() or [data.decode() or "nothing"])[-1][:300]))
        told = json.loads(data)
        if "error" in told:
            raise SandboxError(expected("a student's process", told["error"]))
        return told


def require_sandbox(unsandboxed: bool = False) -> str:
    """The tier that is recorded with grades.

    Raises: InputError without a sandbox, unless it is given up in words
    """
    try:
        return tier()
    except SandboxError as error:
        if unsandboxed:
            return NONE
        raise InputError(f"{error}; --unsandboxed grades without, among people you trust") from None
