"""What a library is compiled for: this machine's processor as found, an aarch64 board, a CUDA device."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakthrough.errors import ConfigError, MissingDependency, expected, unknown
from breakthrough.optional import require

NAMES = ("cpu", "aarch64", "cuda")
# instruction sets that compiled code would stop at with SIGILL where they are missing: LLVM's name → /proc/cpuinfo's
SETS = {
    "avx": "avx", "avx2": "avx2", "fma": "fma", "f16c": "f16c", "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512vl": "avx512vl",
    "avx512vnni": "avx512_vnni", "avxvnni": "avx_vnni", "avx512bf16": "avx512_bf16", "amx-int8": "amx_int8",
    "neon": "asimd", "dotprod": "asimddp", "i8mm": "i8mm", "sve": "sve",
}  # fmt: skip
AARCH64_CPU, AARCH64_CC = "cortex-a72", "aarch64-linux-gnu-g++"


@dataclass(frozen=True, eq=False)
class Chosen:
    """A target by name: TVM's own description, and the compiler that links for it (None: TVM's default)."""

    name: str
    target: Any
    linker: str | None = None


def choose(name: str = "cpu", *, threads: int = 1, cpu: str | None = None) -> Chosen:
    """The target of a name. Features of this machine are asked of LLVM, not guessed.

    `cpu` is LLVM's name of another processor.

    Raises: UnknownNameError; ConfigError for cuda without a device; MissingDependency without the cross-compiler
    """
    require("tvm", "compiling")
    from tvm.target import Target

    if name not in NAMES:
        raise unknown("target", name, NAMES)
    if threads < 1:
        raise ConfigError(expected("threads of at least 1", threads))
    if name == "cuda":
        return Chosen(name, _cuda())
    if name == "aarch64":
        if shutil.which(AARCH64_CC) is None:
            raise MissingDependency(expected(f"{AARCH64_CC} to link for aarch64", "none", "apt-get install g++-aarch64-linux-gnu"))
        facts = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": cpu or AARCH64_CPU, "num-cores": threads}
        return Chosen(name, Target(facts), AARCH64_CC)
    facts = {"kind": "llvm", "mcpu": cpu or host_cpu(), "num-cores": threads}
    absent = [] if cpu else _masked(Target(facts))
    return Chosen(name, Target(facts | ({"mattr": [f"-{feature}" for feature in absent]} if absent else {})))


def host_cpu() -> str:
    """This machine's processor, as LLVM names it."""
    from tvm.target import codegen

    return str(codegen.llvm_get_system_cpu())


def needs(target: Any) -> list[str]:
    """The instruction sets that code for a target may use, as Linux names them in /proc/cpuinfo."""
    from tvm.target import codegen

    has = {str(feature) for feature in codegen.llvm_get_cpu_features(target)}
    return [ours for llvm, ours in SETS.items() if llvm in has]


def _masked(target: Any) -> list[str]:
    """What a processor of this name has and this machine has not: a hypervisor may hide instruction sets."""
    from tvm.target import codegen

    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return []
    flags, has = set(info.read_text().split()), {str(feature) for feature in codegen.llvm_get_cpu_features(target)}
    return [llvm for llvm, ours in SETS.items() if llvm in has and ours not in flags]


def _cuda() -> Any:
    import tvm

    if not tvm.cuda().exist:
        raise ConfigError(expected("a CUDA device", "none found by TVM", "--target cpu"))
    return tvm.target.Target.from_device(tvm.cuda())
