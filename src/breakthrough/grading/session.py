"""One submission's process as the examiner uses it: started again when it dies, with its cells run again."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from breakthrough.errors import expected
from breakthrough.grading.frames import Limits, WireError
from breakthrough.grading.records import Output, ProgramCell
from breakthrough.grading.remote import GoneError, Peer, SilentError
from breakthrough.grading.spaces import Caps

if TYPE_CHECKING:
    from breakthrough.grading.sandbox import Nest

GRACE_S = 3.0  # a cell that is interrupted may take so long to notice


@dataclass(frozen=True)
class Patience:
    """How long a submission may take.

    Units: cell_s of one cell, call_s of one call, exercise_s of all calls for one exercise, total_s of all;
           restarts of its process in all
    """

    cell_s: float = 60.0
    call_s: float = 30.0
    exercise_s: float = 180.0
    total_s: float = 900.0
    restarts: int = 40


class Line(Peer):
    """The examiner's end of the socket to a student's process: it says why an answer does not come."""

    def __init__(self, session: Session, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.session, self.depth, self.dead = session, 0, ""

    def request(self, what: str, *data: Any) -> Any:
        """As `Peer.request`, within the time that one call may take.

        Raises: EndlessError when no answer comes in time; GoneError when the process is no longer there
        """
        from breakthrough.exercises.calling import EndlessError

        if self.dead:
            raise GoneError(self.dead)
        if not self.depth:
            self.deadline = self.session.until(self.limit_s(what, data))
        self.depth += 1
        try:
            return super().request(what, *data)
        except SilentError:
            self.dead = expected("an answer in time", f"none within {self.limit_s(what, data):g} s", "a loop that ends")
            self.session.end()
            raise EndlessError(self.dead) from None
        except (GoneError, WireError) as error:
            how = self.session.end()
            self.dead = expected("an answer", how or "none: the process ended") if isinstance(error, GoneError) else str(error)
            raise GoneError(self.dead) from None
        finally:
            self.depth -= 1

    def limit_s(self, what: str, data: Sequence[Any]) -> float:
        """How long a request may take."""
        return data[1] + GRACE_S if what == "run" else self.session.patience.call_s


@dataclass
class Session:
    """A submission's process, and what was run in it so far."""

    nest: Nest
    caps: Caps = Caps()
    patience: Patience = Patience()
    ran: list[ProgramCell] = field(default_factory=list)
    outputs: dict[str, tuple[Output, ...]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)  # cells that are not run again, and why
    restarts: int = 0
    started_s: float = field(default_factory=time.monotonic)
    ends_s: float = math.inf  # of the calls for this exercise
    line: Line | None = None
    number: int = 0

    def until(self, limit_s: float) -> float:
        """The time of time.monotonic() at which a request has to be answered."""
        return min(time.monotonic() + limit_s, self.ends_s, self.started_s + self.patience.total_s)

    def begin(self) -> None:
        """Begin with another exercise: what one before took is not taken from it."""
        self.ends_s = time.monotonic() + self.patience.exercise_s

    def run(self, cell: ProgramCell) -> None:
        """Run a cell; one that ends the process, or does not end, is left out from then on."""
        self.ends_s = math.inf
        try:
            self.outputs[cell.id] = self._run(self._live(), cell)
            self.ran.append(cell)
        except Exception as error:  # noqa: BLE001 - whatever a cell does, the others go on
            self.skipped[cell.id] = str(error)
            self.outputs[cell.id] = (_error(error),)

    def answer(self, variable: str) -> Any:
        """What a variable of the submission's stands for; a function of it goes on after the process died in a call.

        Raises: NameError when there is no such name
        """
        found = self._live().request("answer", variable)
        if hasattr(type(found), "renewed_by"):
            found.renewed_by(lambda: self.answer(variable))
        return found

    def end(self) -> str:
        """End the process and all that it started; how it had ended, where that is telling."""
        line, self.line = self.line, None
        if line is None:
            return ""
        line.sock.close()
        line.dead = line.dead or expected("an answer", "none: the process ended")
        return self.nest.end(self.number)

    def _run(self, line: Line, cell: ProgramCell) -> tuple[Output, ...]:
        made = line.request("run", cell.source, self.patience.cell_s)
        self._settle()
        return tuple(one for one in made if type(one) is dict) if type(made) is list else ()

    def _settle(self) -> None:
        """Memory is looked at now and then: what this call took must not end the process in the next.

        Raises: GoneError when it was too much, after the process's end
        """
        if self.line is not None and not self.line.dead and (how := self.nest.look(self.number)):
            self.end()
            raise GoneError(expected("an answer", how))

    def _live(self) -> Line:
        """The line to a process, in which the cells so far were run."""
        from breakthrough.grading.proxies import make_proxy

        with contextlib.suppress(GoneError):
            self._settle()
        if self.line is not None and not self.line.dead:
            return self.line
        if self.restarts > self.patience.restarts or self.started_s + self.patience.total_s <= time.monotonic():
            raise GoneError(expected("a submission that runs in the time it has", f"one that was started {self.restarts} times"))
        self.restarts += 1
        self.number, sock = self.nest.fork(self.caps)
        self.line = line = Line(self, sock, Limits(), trusted=False)
        line.make_proxy = make_proxy
        ends_s, self.ends_s = self.ends_s, math.inf  # a cell is not left out because an exercise's time is up
        for cell in list(self.ran):
            line = self._again(line, cell)
        self.ends_s = ends_s
        return line

    def _again(self, line: Line, cell: ProgramCell) -> Line:
        """Run a cell once more, after a death; one that ends this process as well is left out."""
        try:
            self._run(line, cell)
            return line
        except Exception as error:  # noqa: BLE001
            self.ran.remove(cell)
            self.skipped[cell.id] = str(error)
            return self._live()


def _error(error: Exception) -> Output:
    return {"output_type": "error", "ename": type(error).__name__, "evalue": str(error)[:2000], "traceback": [f"{type(error).__name__}: {error}"[:2000]]}
