"""The same warm process without a sandbox: a plain fork a student, to see what namespaces and limits cost.

For measurements only: a submission that it runs may do what its user may.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from breakthrough.grading import sandbox, student, zygote
from breakthrough.grading.spaces import Caps


class PlainZygote(zygote.Zygote):
    """A warm process that forks and does nothing else."""

    def do_fork(self, connection: int, caps: dict[str, int]) -> dict[str, Any]:
        """Fork a student's process that talks over a connection."""
        number = os.fork()
        if number == 0:
            try:
                student.main(socket.socket(fileno=connection))
            finally:
                os._exit(0)
        os.close(connection)
        self.students[number] = Caps(**caps)
        return {"number": number}


class PlainNest(sandbox.Nest):
    """A warm process as `sandbox.Nest` has it, outside of bubblewrap."""

    def start(self) -> None:
        """Start the process and let it import."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, str(Path(__file__).resolve()), str(theirs.fileno())]
        self.process = subprocess.Popen(program, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=os.environ | sandbox.ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        theirs.close()
        self.orders = ours
        self.missing = self._order(sandbox.WARM_S, do="warm", modules=self.modules)["missing"]


if __name__ == "__main__":
    PlainZygote(socket.socket(fileno=int(sys.argv[1]))).serve()
