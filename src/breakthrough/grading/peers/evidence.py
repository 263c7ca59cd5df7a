"""What reviewers found in the calibration specimen: their inputs are run, each review's in a process of its own, with limits.

An input is data and the functions are the course's; but data can ask for more memory or time than there is.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from breakthrough import workers as processes
from breakthrough.course.exchange import rubric as rubrics
from breakthrough.course.exchange.reviews import Handed
from breakthrough.course.exchange.specimens import Key, Planted, Specimen
from breakthrough.grading.peers.rounds import Round

MORE_BYTES, MOST_S = 2 * 2**30, 120  # beyond what a warm process has; for all findings of one review


def findings(found: Round, handed: Mapping[str, Handed], specimens: Sequence[Specimen], workers: int = 1) -> dict[str, float]:
    """The share of its flaws that each reviewer found and showed in the specimen, by reviewer.

    Raises: BreakthroughError when the processes fail
    """
    jobs: list[dict[str, Any]] = []
    for packet in found.packets:
        given = handed.get(packet.reviewer)
        for handout in packet.handouts:
            review = given.of(handout.name) if given and handout.calibrates else None
            if review is not None:
                one = replace(specimens[handout.specimen], name=handout.name)
                mine = Handed(module=found.module, packet=packet.token, reviews=(review,))
                jobs.append({"name": packet.reviewer, "specimen": asdict(one), "handed": mine.model_dump(mode="json")})
    plain = [job for job in jobs if not job["handed"]["reviews"][0]["findings"]]
    run = [job for job in jobs if job["handed"]["reviews"][0]["findings"]]
    shares = processes.run_all(f"{__name__}:apart", run, workers) if run else []
    return dict.fromkeys((job["name"] for job in plain), 0.0) | dict(zip((job["name"] for job in run), shares, strict=True))


def apart(job: dict[str, Any], progress: Callable[[int], None]) -> float:
    """Score one review in a process of its own; 0 when it ends otherwise than with a score."""
    import breakthrough.exercises  # noqa: F401 - once, for all that are forked from here

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _score(job, reading, writing)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], MOST_S)
        text = os.read(reading, 100) if ready else b""
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return float(json.loads(text)) if text else 0.0


def _score(job: dict[str, Any], reading: int, writing: int) -> None:
    from breakthrough.course.exchange import scoring

    try:
        os.close(reading)
        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MORE_BYTES, size + MORE_BYTES))
        handed = Handed.model_validate(job["handed"])
        scored = scoring.score(handed, [_specimen(job["specimen"])], rubrics.load(handed.module))
        os.write(writing, json.dumps(scored.findings).encode())
    finally:
        os._exit(0)  # nothing of the parent's is closed twice


def _specimen(data: dict[str, Any]) -> Specimen:
    key = Key(tuple(Planted(**flaw) for flaw in data["key"]["flaws"]), data["key"]["levels"])
    return Specimen(data["code"], data["account"], data["name"], key)
