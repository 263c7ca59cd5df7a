"""The tuning worker: builds and times candidates in a process of its own, without torch.

One JSON object a line in, one or more out. A candidate can crash the process or never end: the parent
starts a new one and remembers the candidate as failed. Building and timing happen in this process
(TVM's own builder and runner start a process for every batch, which imports everything again).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

MIN_REPEAT_MS, REPEATS = 2, 5
POPULATION = 48  # of MetaSchedule's search: its default of 512 takes longer than the measurements


class Worker:
    """The tasks of one module, and the searches under way."""

    def __init__(self, module_path: str, target: dict[str, Any]) -> None:
        import tvm

        with open(module_path, encoding="utf-8") as file:
            module = tvm.ir.load_json(file.read())
        self.target = tvm.target.Target(target)
        self.functions = {var.name_hint: function for var, function in module.functions_items()}
        self._arguments: dict[str, list[Any]] = {}
        self._searches: dict[str, Any] = {}

    def measure(self, task: str, rule: str, params: dict[str, int]) -> dict[str, Any]:
        """Time one candidate of a rule.

        Units: run_s, the fastest of several runs
        """
        from breakthrough.deploy import spaces

        return self._time(task, lambda: spaces.schedule(self.functions[task], spaces.Candidate(rule, params)))

    def search(self, task: str, count: int, seed: int, known: list[Any]) -> Iterator[dict[str, Any]]:
        """Let MetaSchedule propose candidates and time them, announcing each before it runs."""
        from breakthrough.deploy import search

        if task not in self._searches:
            self._searches[task] = search.Search(self.functions[task], self.target, seed, known, POPULATION)
        found = self._searches[task]
        for candidate in found.propose(count):
            yield {"trying": candidate.key, "trace": candidate.trace}
            result = self._time(task, lambda: candidate.function)  # noqa: B023 - called at once
            found.tell(candidate, result.get("run_s"))
            yield {**result, "candidate": candidate.key, "trace": candidate.trace}
        found.learn()
        yield {"end": True, "exhausted": found.exhausted}

    def _time(self, task: str, make: Callable[[], Any]) -> dict[str, Any]:
        import tvm

        try:
            built = tvm.compile(tvm.IRModule({"main": make()}), target=self.target)
            library = built.jit() if hasattr(built, "jit") else built
            timer = library.time_evaluator(
                "main", tvm.cpu(), number=3, repeat=REPEATS, min_repeat_ms=MIN_REPEAT_MS
            )
            return {"run_s": min(timer(*self._inputs(task)).results)}
        except Exception as error:  # noqa: BLE001 - whatever TVM raises, the candidate is no good
            return {"error": f"{type(error).__name__}: {str(error)[-300:]}"}

    def _inputs(self, task: str) -> list[Any]:
        if task not in self._arguments:
            from breakthrough.deploy import nests

            self._arguments[task] = nests.arguments(self.functions[task])
        return self._arguments[task]


def main() -> None:
    """Serve a parent until it closes the pipe."""
    sys.modules["torch"] = None  # type: ignore[assignment]  # tvm_ffi imports it where it is found: 200 MB
    out = sys.stdout
    sys.stdout = sys.stderr  # TVM prints; only answers go to the parent
    worker: Worker | None = None
    for line in sys.stdin:
        job = json.loads(line)
        kind = job.pop("kind")
        if kind == "open":
            worker = Worker(**job)
            answers: Any = [{"ready": True}]
        else:
            answer = getattr(worker, kind)(**job)
            answers = [answer] if isinstance(answer, dict) else answer
        for answer in answers:
            out.write(json.dumps(answer) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
