"""MetaSchedule's evolutionary search, one round at a time, for loop nests that no rule of this room fits.

It runs in the tuning worker. What was measured before, by this process or an earlier one, comes in as
`known` and is neither proposed again nor lost as a teacher of the cost model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Proposal:
    """A candidate of MetaSchedule: its trace as JSON, and the loop nest that it makes."""

    key: str
    trace: Any
    function: Any
    candidate: Any


class Search:
    """One task's search."""

    def __init__(self, function: Any, target: Any, seed: int, known: list[Any], population: int) -> None:
        from tvm.s_tir import meta_schedule as ms

        _only_cpu_intrinsics()
        self._ms = ms
        self._target = target
        self._module = _module(function)
        self._database = ms.database.MemoryDatabase()
        self._workload = self._database.commit_workload(self._module)
        self._seen: set[str] = set()
        strategy = ms.search_strategy.EvolutionarySearch(
            population_size=population, init_min_unmeasured=population // 4, genetic_num_iters=2
        )
        logger = logging.getLogger("breakthrough.tuner")
        logger.setLevel(logging.ERROR)
        self._context = ms.TuneContext(
            self._module,
            target=target,
            space_generator=ms.space_generator.PostOrderApply(),
            search_strategy=strategy,
            rand_state=seed % (2**31 - 1) + 1,
            num_threads=1,
            logger=logger,
        )
        self._spaces = self._context.generate_design_space()
        self._model = ms.cost_model.RandomModel()
        self._round: list[tuple[Any, Any]] = []
        self.exhausted = False
        self._started = False
        for trace, run_s in known:
            self._remember(trace, run_s)

    def propose(self, count: int) -> Iterator[Proposal]:
        """The next candidates that were not measured before, `count` at most."""
        if not self._started:
            self._context.pre_tuning(10**6, count, self._spaces, self._database, self._model)
            self._started = True
        found = self._context.generate_measure_candidates() or []
        self._round = []
        fresh = 0
        for candidate in found:
            if fresh == count:  # TVM's rounds are all as large as the first one was
                break
            trace = candidate.sch.trace.as_json()
            key = key_of(trace)
            if key in self._seen:
                continue
            self._seen.add(key)
            fresh += 1
            yield Proposal(key, _plain(trace), candidate.sch.mod["main"], candidate)
        self.exhausted = not fresh
        self._offered = list(found)

    def tell(self, proposal: Proposal, run_s: float | None) -> None:
        """Keep a measurement for the cost model and for the next round."""
        self._round.append((proposal.candidate, run_s))
        if run_s is not None:
            self._commit(proposal.candidate.sch.trace, run_s)

    def learn(self) -> None:
        """Tell the search what the round found."""
        times = {id(candidate): run_s for candidate, run_s in self._round}
        results = []
        for candidate in self._offered:
            run_s = times.get(id(candidate))
            error = None if run_s is not None else "failed or known"
            results.append(self._ms.runner.RunnerResult([run_s] if run_s is not None else None, error))
        if self._offered:
            self._context.notify_runner_results(self._offered, results)

    def _remember(self, trace: Any, run_s: float | None) -> None:
        self._seen.add(key_of(trace))
        if run_s is not None:
            schedule = replay(self._module, trace)
            self._commit(schedule.trace, run_s)

    def _commit(self, trace: Any, run_s: float) -> None:
        record = self._ms.database.TuningRecord(trace, self._workload, [run_s], self._target)
        self._database.commit_tuning_record(record)


def _only_cpu_intrinsics() -> None:
    """Register the tensor instructions of CPUs alone: those of GPUs take ten seconds to parse in every process."""
    import importlib
    import sys
    from types import ModuleType

    import tvm.s_tir

    name = "tvm.s_tir.tensor_intrin"
    if name in sys.modules:
        return
    package = ModuleType(name)
    package.__path__ = [f"{folder}/tensor_intrin" for folder in tvm.s_tir.__path__]
    sys.modules[name] = package
    for part in ("x86", "arm_cpu"):
        importlib.import_module(f"{name}.{part}")


def replay(module: Any, trace: Any) -> Any:
    """The schedule that a trace, read from JSON, makes of a module."""
    from tvm import s_tir

    schedule = s_tir.Schedule(module)
    s_tir.schedule.Trace.apply_json_to_schedule(trace, schedule)
    return schedule


def apply_trace(function: Any, trace: Any) -> Any:
    """The loop nest after the schedule of a trace."""
    return replay(_module(function), trace).mod["main"]


def key_of(trace: Any) -> str:
    """A short name of a trace."""
    import hashlib
    import json

    return "trace " + hashlib.sha256(json.dumps(_plain(trace)).encode()).hexdigest()[:16]


def _module(function: Any) -> Any:
    import tvm

    return tvm.IRModule({"main": function.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)})


def _plain(value: Any) -> Any:
    """Plain data out of TVM's JSON, whose numbers may be objects."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "value"):
        return value.value
    return str(value) if isinstance(value, str) else value
