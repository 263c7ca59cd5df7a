"""The integer products that processors have: four bytes times four bytes, summed into 32 bits, in every lane.

A product of quantized numbers is worth nothing without an instruction for it: widened to 32 bits and
multiplied there, it is slower than floating point. So a target either has one of these, or its weights
alone are quantized.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from breakthrough.optional import require

DEPTH = 4  # bytes of a reduction that one lane takes at once


@dataclass(frozen=True)
class Instruction:
    """One instruction: int32 lanes += four `activation` bytes · four int8 bytes.

    Units:  `lanes` is 32-bit sums at once, `registers` how many vectors of sums and operands there are; an
            activation is a number from `low` to `high`; `mnemonic` is what the assembly shows
    """

    name: str
    feature: str
    lanes: int
    registers: int
    activation: str
    low: int
    high: int
    llvm: str
    mnemonic: str

    @property
    def intrinsic(self) -> str:
        """The name under which TVM tensorizes with it."""
        return f"breakthrough.{self.name}"


# the first that a target has is taken
INSTRUCTIONS = (
    Instruction("avx512_vnni", "avx512vnni", 16, 32, "uint8", 0, 255, "llvm.x86.avx512.vpdpbusd.512", "vpdpbusd"),
    Instruction("avx_vnni", "avxvnni", 8, 16, "uint8", 0, 255, "llvm.x86.avx512.vpdpbusd.256", "vpdpbusd"),
    Instruction("neon_dotprod", "dotprod", 4, 32, "int8", -128, 127, "llvm.aarch64.neon.sdot.v4i32.v16i8", "sdot"),
)


def instruction_of(target: Any) -> tuple[Instruction | None, str]:
    """The integer product that a target has, or none; and how that was found."""
    require("tvm", "compiling")
    from tvm.target import codegen

    kind, cpu = str(target.kind.name), str(target.attrs.get("mcpu", "generic"))
    if kind != "llvm":
        return None, f"no integer kernels for targets of kind {kind!r} are written here"
    for one in INSTRUCTIONS:
        if codegen.target_has_features(one.feature, target):
            return one, f"{cpu} has {one.feature}: {one.mnemonic}"
    return None, f"{cpu} has none of {', '.join(one.feature for one in INSTRUCTIONS)}"


def register(instruction: Instruction) -> str:
    """Make an instruction known to TVM's `tensorize`; the name to give it.

    TVM's own VNNI intrinsic passes 32-bit lanes, LLVM from version 22 on wants bytes and refuses it.
    """
    from tvm.s_tir import TensorIntrin

    if TensorIntrin.get(instruction.intrinsic, allow_missing=True) is None:
        TensorIntrin.register(instruction.intrinsic, *_functions(instruction))
    return instruction.intrinsic


def _functions(instruction: Instruction) -> tuple[Callable[..., Any], Callable[..., Any]]:
    from tvm.script import tirx as T

    lanes, kind, name = instruction.lanes, instruction.activation, instruction.llvm
    four, sums, data = f"{kind}x4", f"int32x{lanes}", f"x{4 * lanes}"

    @T.prim_func(s_tir=True)
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (4,), kind, offset_factor=1)
        B = T.match_buffer(b, (lanes, 4), "int8", offset_factor=1)
        C = T.match_buffer(c, (lanes,), "int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:4], B[0:lanes, 0:4])
            T.writes(C[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, 4):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        C[vi] = C[vi] + T.cast(A[vk], "int32") * T.cast(B[vi, vk], "int32")

    @T.prim_func(s_tir=True)
    def code(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (4,), kind, offset_factor=1)
        B = T.match_buffer(b, (lanes, 4), "int8", offset_factor=1)
        C = T.match_buffer(c, (lanes,), "int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:4], B[0:lanes, 0:4])
            T.writes(C[0:lanes])
            word = T.reinterpret(A.vload([0], four), dtype="int32")
            C[T.ramp(T.int32(0), 1, lanes)] = T.call_llvm_pure_intrin(
                T.llvm_lookup_intrinsic_id(name),
                C.vload([0], dtype=sums),
                T.reinterpret(T.broadcast(word, lanes), dtype=kind + data),
                B.vload([0, 0], dtype="int8" + data),
                dtype=sums,
            )

    return meaning, code


def uses(executable: Any, instruction: Instruction) -> dict[str, int]:
    """How often each function of a compiled module has an instruction in its machine code: what was really made."""
    found: dict[str, int] = {}
    modules = [executable.mod]
    while modules:
        one = modules.pop()
        modules.extend(one.imports)
        if one.kind == "llvm":
            _count(str(one.inspect_source("asm")), instruction.mnemonic, found)
    return found


def _count(assembly: str, mnemonic: str, found: dict[str, int]) -> None:
    function = ""
    for line in assembly.splitlines():
        if line and not line[0].isspace() and not line.startswith((".", "/", "#")):
            function = line.partition(":")[0]
        elif mnemonic in line.split():
            found[function] = found.get(function, 0) + 1
