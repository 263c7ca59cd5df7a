"""The parent's side of tuning: a worker process that may crash or hang, asked for one measurement at a time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from breakthrough import optional
from breakthrough.errors import BreakthroughError, expected

START_LIMIT_S = 300.0
PROPOSAL_LIMIT_S = 300.0  # MetaSchedule may think for so long before it proposes


class WorkerDied(BreakthroughError):
    """The worker crashed, or was stopped because it took too long."""


class Measuring:
    """A tuning worker, started when it is needed and started again when it dies."""

    command: ClassVar[tuple[str, ...]] = (sys.executable, "-W", "ignore", "-m", "breakthrough.deploy.tuner")

    def __init__(self, functions: dict[str, Any], target: Any, candidate_s: float) -> None:
        self._functions, self._target, self._limit_s = functions, target, candidate_s
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.crashes = 0

    def __enter__(self) -> Measuring:
        tvm = optional.require("tvm", "tuning")
        self._folder = tempfile.TemporaryDirectory(prefix="tuning-")
        named = {key: function.with_attr("global_symbol", key) for key, function in self._functions.items()}
        module = tvm.IRModule(named)
        (Path(self._folder.name) / "tasks.json").write_text(tvm.ir.save_json(module), encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()

    def candidate(self, task: str, rule: str, params: dict[str, int]) -> dict[str, Any]:
        """Time one candidate; an answer with `error` when it fails, crashes or does not end."""
        try:
            self._send({"kind": "measure", "task": task, "rule": rule, "params": params})
            return self._receive(self._limit_s)
        except WorkerDied as error:
            return {"error": str(error)}

    def search(self, task: str, count: int, seed: int, known: list[Any]) -> Iterator[dict[str, Any]]:
        """Time what MetaSchedule proposes; the candidate that kills the worker ends the round."""
        trying: dict[str, Any] | None = None
        try:
            self._send({"kind": "search", "task": task, "count": count, "seed": seed, "known": known})
            while True:
                answer = self._receive(self._limit_s if trying else PROPOSAL_LIMIT_S)
                if "end" in answer:
                    return
                if "trying" in answer:
                    trying = answer
                    continue
                trying = None
                yield answer
        except WorkerDied as error:
            if trying is not None:
                yield {"candidate": trying["trying"], "trace": trying["trace"], "error": str(error)}

    def _send(self, job: dict[str, Any]) -> None:
        if self._process is None:
            self._start()
        try:
            self._process.stdin.write(json.dumps(job) + "\n")  # type: ignore[union-attr]  # it was started with pipes
            self._process.stdin.flush()  # type: ignore[union-attr]  # it was started with pipes
        except OSError as error:
            raise self._died("the worker closed its input") from error

    def _receive(self, limit_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=limit_s)
        except queue.Empty:
            raise self._died(f"stopped after {limit_s:g} s") from None
        if line is None:
            code = self._process.wait()  # type: ignore[union-attr]  # it was started with pipes
            raise self._died(f"killed by signal {-code}" if code < 0 else f"the worker ended with status {code}")
        return json.loads(line)

    def _start(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1", "PYTHONPATH": _python_path()}
        log = open(Path(self._folder.name) / "log", "ab")  # type: ignore[union-attr]  # made before the process  # noqa: SIM115 - closed two lines on
        with log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
            )
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process, self._answers), daemon=True).start()
        path = str(Path(self._folder.name) / "tasks.json")  # type: ignore[union-attr]  # made before the process
        try:
            self._send({"kind": "open", "module_path": path, "target": _target_dict(self._target)})
            self._receive(START_LIMIT_S)
        except WorkerDied as error:
            tail = (Path(self._folder.name) / "log").read_text(errors="replace")[-800:]  # type: ignore[union-attr]  # made before the process
            raise BreakthroughError(expected("a tuning worker that starts", f"{error}\n{tail}")) from error

    def _died(self, why: str) -> WorkerDied:
        self.crashes += 1
        self._stop()
        return WorkerDied(why)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()
        deadline = time.monotonic() + 0.5
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            process.kill()
        process.wait()


def _read(process: subprocess.Popen[str], answers: queue.SimpleQueue[str | None]) -> None:
    for line in process.stdout:  # type: ignore[union-attr]  # it was started with pipes
        answers.put(line)
    answers.put(None)


def _target_dict(target: Any) -> dict[str, Any]:
    exported = target.export() if hasattr(target, "export") else dict(target)
    return json.loads(json.dumps({str(k): _plain(v) for k, v in exported.items()}))


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)) or type(value).__name__ == "Array":
        return [_plain(v) for v in value]
    return value if isinstance(value, (bool, int, float)) else str(value)


def _python_path() -> str:
    """The parent's own package comes first, wherever it was imported from."""
    import breakthrough

    here = str(Path(breakthrough.__file__).parent.parent)
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
