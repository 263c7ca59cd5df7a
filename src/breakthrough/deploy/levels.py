"""One matmul at every level: torch's graph, Relax, TensorIR before and after a schedule, LLVM IR, machine code.

What stands in an excerpt is found by what it does (the loop that holds the multiply-adds), never by line numbers.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

from breakthrough import optional
from breakthrough.deploy.schedule import Kernel, Tile, apply, build, host, text, tile_for
from breakthrough.errors import InputError, ShapeError, expected

LINES = 15  # of an excerpt, at most
_X86 = re.compile(r"v?(?:fn?m(?:add|sub)\d+|add|sub|mul|div|max|min)([ps])[sd]$")
_ARM = re.compile(r"f(?:n?m(?:add|sub|ul|la|ls|ax|in)|add|sub|div|maxnm|minnm)$")
_FMA = re.compile(r"vfn?m(?:add|sub)|fn?m(?:add|sub)$|fml[as]$")
_PIECEMEAL = re.compile(r"v?p?(?:gather|scatter|insert|extract)|ins$|ld1$|st1$")
_STORE = re.compile(r"v?mov[a-z0-9]+ %[xyz]mm\d+, [^%]*\(|v?extract\w+ .*\)$|v?p?scatter|st[rp1]\w* \{? ?[qsdv]\d")
_WIDTHS = {"x": 128, "y": 256, "z": 512}
_JUMP = re.compile(r"(?:j[a-z]+|b(?:\.\w+)?|cbn?z|tbn?z)\s.*?(\.L\w+)$")


@dataclass(frozen=True)
class Instructions:
    """The floating-point arithmetic in some machine code, counted by the bits that one instruction works on.

    Units:  `scalar` and the values of `vector` in instructions; keys in bits; the `fma_` ones are a part of those
    """

    scalar: int
    vector: dict[int, int]
    fma_scalar: int
    fma_vector: dict[int, int]
    registers: int  # different vector registers that are named
    piecemeal: int  # gathers, scatters, inserts, extracts: vectors put together from numbers that lie apart
    stores: int  # of vector registers to memory
    total: int  # instructions of every sort

    @property
    def bits(self) -> int:
        """Bits of the widest vector instruction; 0 when there is none."""
        return max(self.vector, default=0)

    @property
    def vectorized(self) -> bool:
        """Whether more numbers are worked on by vector instructions than one at a time."""
        return sum(count * bits // 32 for bits, count in self.vector.items()) > self.scalar

    @property
    def vector_fmas(self) -> int:
        """Vector instructions that multiply and add in one."""
        return sum(self.fma_vector.values())

    def __str__(self) -> str:
        wide = [f"{count} × {bits}-bit FMA" for bits, count in sorted(self.fma_vector.items(), reverse=True)]
        rest = sum(self.vector.values()) - self.vector_fmas
        named = {"other vector": rest, "scalar": self.scalar, "stores": self.stores, "gathers, scatters, inserts or extracts": self.piecemeal}
        parts = [*wide, *(f"{count} {name}" for name, count in named.items() if count)]
        return f"{', '.join(parts) or 'no arithmetic'} of {self.total} instructions; {self.registers} vector registers"


@dataclass(frozen=True)
class Level:
    """A program at one level, whole and as the lines that say most."""

    name: str
    what: str
    text: str
    excerpt: str
    counts: Instructions | None = None


def instructions(built: Kernel | str) -> Instructions:
    """Count the floating-point arithmetic in a kernel's machine code, or in a text of it: x86-64 or AArch64."""
    scalar, fma_scalar, vector, fma_vector, named = 0, 0, Counter[int](), Counter[int](), set[str]()
    code = [line.split(None, 1) for line in _code(built.source() if isinstance(built, Kernel) else built) if not line.endswith(":")]
    piecemeal = sum(bool(_PIECEMEAL.match(parts[0])) for parts in code)
    stores = sum(bool(_STORE.match(" ".join(parts))) for parts in code)
    for mnemonic, operands in (parts for parts in code if len(parts) == 2):
        named.update(re.findall(r"(?:%[xyz]mm|\b[vqsd])(\d+)\b", operands))
        bits = _bits(mnemonic, operands)
        if bits is None:
            continue
        fused = bool(_FMA.match(mnemonic))
        if bits:
            vector[bits] += 1
            fma_vector[bits] += fused
        else:
            scalar, fma_scalar = scalar + 1, fma_scalar + fused
    return Instructions(scalar, dict(vector), fma_scalar, dict(+fma_vector), len(named), piecemeal, stores, len(code))


def _bits(mnemonic: str, operands: str) -> int | None:
    """Bits of a vector instruction, 0 for a scalar one, None for what is not floating-point arithmetic."""
    if found := _X86.match(mnemonic):
        return 0 if found[1] == "s" else max((_WIDTHS[one] for one in re.findall(r"%([xyz])mm", operands)), default=128)
    if _ARM.match(mnemonic):
        lanes = re.search(r"\.(\d+)([sd])\b", operands)
        return int(lanes[1]) * (32 if lanes[2] == "s" else 64) if lanes else 0
    return None


def _code(assembly: str) -> list[str]:
    """Instructions and the labels of loops: no directives, no debug labels, no comments."""
    lines = (re.sub(r"\s+(#\s|//).*$", "", line).strip() for line in assembly.splitlines())
    return [line for line in lines if line and not re.match(r"\.(?!LBB\w+:)", line)]


def loops(assembly: str) -> list[str]:
    """The innermost loops of some machine code: from a label to the jump back to it, with none inside."""
    code = _code(assembly)
    at = {line[:-1]: index for index, line in enumerate(code) if line.endswith(":")}
    jumps = ((at[found[1]], end) for end, line in enumerate(code) if (found := _JUMP.match(line)) and found[1] in at)
    back = [(start, end) for start, end in jumps if start < end]
    inner = [one for one in back if not any(other != one and one[0] <= other[0] and other[1] <= one[1] for other in back)]
    return ["\n".join(code[start : end + 1]) for start, end in inner]


def hot_loop(built: Kernel | str) -> str:
    """The innermost loop that does the most arithmetic in one turn.

    Raises: InputError for machine code without a loop that computes
    """
    found = loops(built.source() if isinstance(built, Kernel) else built)
    work = max(found, key=_work, default="")
    if not _work(work):
        raise InputError(expected("machine code with a loop that computes", f"{len(found)} loops without arithmetic"))
    return work


def inner_instructions(built: Kernel | str) -> Instructions:
    """`instructions` of the hot loop; of all the code where no loop is left, as in a small program written out."""
    assembly = built.source() if isinstance(built, Kernel) else built
    return instructions(max(loops(assembly), key=_work, default="")) if any(map(_work, loops(assembly))) else instructions(assembly)


def _work(code: str) -> int:
    """Operations of some machine code that runs through once, an FMA counted twice."""
    counts = instructions(code)
    wide = sum(bits // 32 * (counts.vector[bits] + counts.fma_vector.get(bits, 0)) for bits in counts.vector)
    return wide + counts.scalar + counts.fma_scalar


def hot_block(llvm: str) -> str:
    """The basic block of LLVM IR with the most multiply-adds, without what is for debuggers only.

    Raises: InputError for LLVM IR without any
    """
    clean = re.sub(r"^\s*#dbg_.*\n|, ![\w.]+ !\d+|\s+; preds = .*$", "", llvm, flags=re.MULTILINE)
    blocks = re.split(r"\n(?=[-\w.\"]+:)|\n\s*\n", clean)
    width = re.compile(r"@llvm\.(?:fmuladd|fma)\.(?:v(\d+))?f(?:32|64)")
    best = max(blocks, key=lambda block: sum(int(lanes or 1) for lanes in width.findall(block)))
    if not width.search(best):
        raise InputError(expected("LLVM IR with multiply-adds", "none"))
    return "\n".join(line for line in best.splitlines() if line.strip())


def shorten(code: str, about: str = "", lines: int = LINES) -> str:
    """The first line of some code, the lines around the first that has the pattern `about`, and the last three.

    Lines in between are left out, and a line says how many.
    """
    every = code.splitlines()
    if len(every) <= lines:
        return code
    tail = max(1, min(3, lines - 4))
    found = next((index for index, line in enumerate(every) if about and re.search(about, line)), 0)
    size = lines - tail - 3  # the first line and two lines that count what is left out
    start = min(max(1, found - size // 3), len(every) - tail - size)
    parts = [every[:1], _left_out(start - 1), every[start : start + size], _left_out(len(every) - tail - start - size), every[-tail:]]
    return "\n".join(line for part in parts for line in part)


def _left_out(count: int) -> list[str]:
    return [f"    … {count} more lines …"] if count else []


def update_block(script: str) -> str:
    """From a scheduled TensorIR program: the block that adds to the sum, in the loops around it."""
    lines = script.splitlines()
    at = next((index for index, line in enumerate(lines) if "_update\")" in line), None)
    if at is None:
        raise InputError(expected("a program whose sum has been parted from its zeros", "none", "a step after 'naive'"))
    kept, depth = [lines[at]], _indent(lines[at])
    for line in reversed(lines[:at]):
        if _indent(line) < depth and line.strip().startswith("for "):
            kept.insert(0, line)
            depth = _indent(line)
    for line in lines[at + 1 :]:
        if _indent(line) <= _indent(lines[at]):
            break
        kept.append(line)
    least = _indent(kept[0])
    return "\n".join(line[least:] for line in kept)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def levels(n: int = 512, *, step: str = "pack", tile: Tile | None = None, target: Any = None) -> tuple[Level, ...]:
    """A matmul of n by n as every tool on the way sees it, from torch's graph to the loop that the core runs.

    Raises: ShapeError for n below 2
    """
    if n < 2:
        raise ShapeError(expected("n of at least 2", n))
    target = target or host()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, from inside torch
        exported = _exported(n)
        relax, plain = _lowered(exported)
    scheduled = apply(plain, step, tile or tile_for(target))
    before, after = build(plain, "naive", target), build(scheduled, step, target)
    graph, graph_text, after_text = str(exported.graph).strip(), _function(text(relax)), text(scheduled)
    return (
        Level("torch", "what is computed: a graph of operators", graph, shorten(graph)),
        Level("Relax", "the same graph with shapes and types, TVM's own", graph_text, shorten(graph_text)),
        Level("TensorIR", "how: three loops around one product", _function(text(plain)), shorten(_function(text(plain)))),
        Level("TensorIR, scheduled", f"the same product after {step!r}: another order, another place", after_text, shorten(update_block(after_text))),
        Level("LLVM IR", "vectors as values, for any processor", after.source("ll"), shorten(hot_block(after.source("ll")), "fma|fmul")),
        _machine("machine code, not scheduled", "the loop that the three loops became", before),
        _machine("machine code", "the loop that the schedule became", after),
    )


def _machine(name: str, what: str, kernel: Kernel) -> Level:
    loop = hot_loop(kernel)
    lines = (line.split(None, 1) for line in loop.splitlines())
    aligned = "\n".join(line[0] if line[0].endswith(":") else f"    {line[0]:<15}{''.join(line[1:])}".rstrip() for line in lines)
    return Level(name, what, kernel.source(), shorten(aligned, "fm|mul"), instructions(loop))


def _function(script: str) -> str:
    """A printed module's first function, moved to the left."""
    lines = script.splitlines()
    start = next((index for index, line in enumerate(lines) if re.match(r"\s*@\w\.(prim_func|function)", line)), 0)
    return "\n".join(line[_indent(lines[start]) :] for line in lines[start:])


def _exported(n: int) -> Any:
    import torch

    class Product(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    return torch.export.export(Product(), (torch.zeros(n, n), torch.zeros(n, n)))


def _lowered(exported: Any) -> tuple[Any, Any]:
    """Relax of an exported program, and a module with the one TensorIR function that its operator becomes."""
    tvm = optional.require("tvm", "the compiler")
    front = optional.require("tvm.relax.frontend.torch", "the compiler")
    relax = front.from_exported_program(exported)
    legal = tvm.relax.transform.LegalizeOps()(relax)
    ((name, function),) = ((one.name_hint, legal[one]) for one in legal.get_global_vars() if isinstance(legal[one], tvm.tirx.PrimFunc))
    return relax, tvm.IRModule({name: function.with_attr("global_symbol", name)})
