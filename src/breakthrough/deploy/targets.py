"""What a library is compiled for: this machine's processor as found, an aarch64 board, a CUDA device."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from breakthrough import devices
from breakthrough.errors import ConfigError, MissingDependency, expected, unknown
from breakthrough.optional import require

NAMES = ("cpu", "aarch64", "cuda")
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
    return Chosen(name, Target({"kind": "llvm", "mcpu": cpu or host_cpu(), "num-cores": threads}))


def host_cpu() -> str:
    """This machine's processor, as LLVM names it."""
    from tvm.target import codegen

    return str(codegen.llvm_get_system_cpu())


def host_features() -> tuple[str, ...]:
    """The instruction sets of this machine's processor, as LLVM names them."""
    from tvm.target import codegen

    return tuple(str(f) for f in codegen.llvm_get_cpu_features(host_target()))


def host_target() -> Any:
    """This machine as a target."""
    return choose("cpu", threads=devices.cores()).target


def _cuda() -> Any:
    import tvm

    if not tvm.cuda().exist:
        raise ConfigError(expected("a CUDA device", "none found by TVM", "--target cpu"))
    return tvm.target.Target.from_device(tvm.cuda())
