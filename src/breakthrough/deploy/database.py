"""Tuning records: which schedule made a loop nest fast, one JSON object a line, only ever appended to.

A record belongs to a *task*: the structural hash of a loop nest, which knows shapes and operators but
neither names nor weights. It holds a rule's numbers, or a MetaSchedule trace, never machine code: a
record stays right on any target, and is fast on machines whose vector registers are as long. So records
say for which instruction set they were measured, and one for another set is taken only where there is none.

A crash can cost half a line at most: it is left out when the file is read, and the next record begins a
line of its own.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from breakthrough import files
from breakthrough.errors import InputError, expected

ISAS = ("x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64")


@dataclass(frozen=True)
class Record:
    """One schedule of one task, measured or failed.

    Units: run_s is the fastest of several runs, None where the candidate failed
    """

    task: str
    name: str
    isa: str
    candidate: str
    rule: str | None = None
    params: dict[str, int] | None = None
    trace: Any = None
    run_s: float | None = None
    error: str | None = None
    cpu: str = ""

    @property
    def fastest_s(self) -> float:
        """`run_s`, infinite where the candidate failed."""
        return math.inf if self.run_s is None else self.run_s

    @property
    def ok(self) -> bool:
        """Whether the candidate ran."""
        return self.run_s is not None and math.isfinite(self.run_s)


class Database:
    """The records of one file, and new ones appended to it. A file that ends in .gz is read only."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.records: list[Record] = []
        self.damaged = 0  # lines that are no record: at most the last one, unless somebody edited the file
        self._seen: set[tuple[str, str, str]] = set()
        for line in _lines(self.path):
            record = _parse(line)
            if record is None:
                self.damaged += bool(line.strip())
            else:
                self._keep(record)

    def add(self, record: Record) -> None:
        """Append a record; it is on its way to the disk when this returns.

        Raises: InputError when the file is packed
        """
        if self.path.suffix == ".gz":
            raise InputError(expected("a database that can be written", self.path, "a path that ends in .jsonl"))
        line = json.dumps({k: v for k, v in asdict(record).items() if v not in (None, "")}, separators=(",", ":"))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab+") as file:
            if file.tell() and not _ends_a_line(file):
                line = "\n" + line
            file.write((line + "\n").encode())  # one write of one line: a reader sees all of it or a torn end
        self._keep(record)

    def has(self, task: str, isa: str, candidate: str) -> bool:
        """Whether a candidate was measured, or failed, before."""
        return (task, isa, candidate) in self._seen

    def of(self, task: str, isa: str | None = None) -> list[Record]:
        """The records of a task, fastest first, those that failed last."""
        found = [r for r in self.records if r.task == task and isa in (None, r.isa)]
        return sorted(found, key=lambda r: r.fastest_s if r.ok else math.inf)

    def best(self, task: str, isa: str) -> Record | None:
        """The fastest record for this instruction set, else for the nearest other one."""
        found = [record for record in self.of(task) if record.ok]
        return min(found, key=lambda r: (_distance(r.isa, isa), r.run_s), default=None)

    def _keep(self, record: Record) -> None:
        self.records.append(record)
        self._seen.add((record.task, record.isa, record.candidate))


def pack(sources: Iterable[str | Path], target: str | Path, most: int = 1) -> int:
    """Write the best records of every task and instruction set to one file; how many there are.

    A target that ends in .gz is packed, byte-identical for the same records.
    """
    best: dict[tuple[str, str], list[Record]] = {}
    for source in sources:
        for record in Database(source).records:
            if record.ok:
                best.setdefault((record.task, record.isa), []).append(record)
    kept = [r for _, group in sorted(best.items()) for r in sorted(group, key=lambda r: r.fastest_s)[:most]]
    lines = [{k: v for k, v in asdict(record).items() if v not in (None, "")} for record in kept]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    with files.aside(Path(target)) as aside:
        aside.write_bytes(gzip.compress(text, mtime=0) if str(target).endswith(".gz") else text)
    return len(kept)


def shipped() -> Path | None:
    """The database that came with the project; None in an installation without it."""
    path = Path(str(resources.files("breakthrough.deploy") / "records" / "cpu.jsonl.gz"))
    return path if path.is_file() else None


def task_key(function: Any) -> str:
    """The name of a loop nest: its structure, without names of functions and buffers."""
    import tvm_ffi

    plain = function.without_attr("global_symbol").without_attr("op_pattern")
    return f"{tvm_ffi.structural_hash(plain, map_free_vars=True) & (2**64 - 1):016x}"


def isa(target: Any) -> str:
    """The instruction set of a target, as far as schedules care."""
    from tvm.target import codegen

    if "aarch64" in str(target.attrs.get("mtriple", "")):
        return "aarch64"
    levels = (("avx512f", "x86-64-v4"), ("avx2", "x86-64-v3"))
    return next((name for feature, name in levels if codegen.target_has_features(feature, target)), "x86-64-v2")


def _distance(a: str, b: str) -> int:
    if a == b:
        return 0
    return 1 + abs(ISAS.index(a) - ISAS.index(b)) if a in ISAS and b in ISAS else len(ISAS) + 1


def _lines(path: Path) -> Iterable[str]:
    if not path.exists():
        return []
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode(errors="replace").split("\n")


def _parse(line: str) -> Record | None:
    try:
        return Record(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
