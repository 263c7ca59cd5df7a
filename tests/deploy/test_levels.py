"""The matmul at every level: each excerpt shows what it is there for, and instructions are counted right."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from breakthrough.deploy.levels import (
    LINES,
    _exported,
    _lowered,
    hot_block,
    hot_loop,
    inner_instructions,
    instructions,
    levels,
    loops,
    shorten,
    update_block,
)
from breakthrough.deploy.schedule import apply, build, host, program, text, tile_for
from breakthrough.errors import InputError, ShapeError

X86 = """
	.type	f,@function
	vaddps	%ymm9, %ymm8, %ymm7  # a comment
.LBB0_1:
	xorl	%eax, %eax
.LBB0_2:
.Ltmp3:
	vmovups	-64(%r13), %zmm16
	vbroadcastss	(%rax), %zmm20
	vfmadd231ps	%zmm16, %zmm20, %zmm2
	vfmadd231ps	4(%rax){1to16}, %zmm20, %zmm3
	vmovups	%zmm2, (%rdx,%rax,4)
	vfmadd213ss	%xmm0, %xmm1, %xmm4
	cmpq	$64, %r8
	jne	.LBB0_2
	mulsd	%xmm1, %xmm0
	jne	.LBB0_1
	vgatherqps	(,%zmm6), %ymm12 {%k1}
	retq
"""
ARM = """
.LBB3_11:
	ldr	s24, [x18, #2048] // of A
	ldp	q25, q26, [x15, #-16]
	fmla	v4.4s, v25.4s, v24.s[0]
	fadd	v5.2d, v25.2d, v24.2d
	fmadd	s0, s1, s2, s3
	str	q4, [x1]
	subs	x22, x22, #1
	b.ne	.LBB3_11
"""


@pytest.fixture(scope="module")
def found():
    return {level.name: level for level in levels(64)}


def test_instructions_of_x86_are_counted_by_width():
    counts = instructions(X86)
    assert (counts.scalar, counts.fma_scalar) == (2, 1)
    assert (counts.vector, counts.fma_vector, counts.vector_fmas) == ({256: 1, 512: 2}, {512: 2}, 2)
    assert (counts.stores, counts.piecemeal, counts.total, counts.bits) == (1, 1, 14, 512)
    assert counts.registers == len({9, 8, 7, 16, 20, 2, 3, 0, 1, 4, 6, 12})
    assert counts.vectorized and "2 × 512-bit FMA, 1 other vector, 2 scalar, 1 stores" in str(counts)


def test_instructions_of_aarch64_are_counted_by_width():
    counts = instructions(ARM)
    assert (counts.scalar, counts.fma_scalar, counts.vector, counts.fma_vector) == (1, 1, {128: 2}, {128: 1})
    assert (counts.stores, counts.total) == (1, 8) and counts.registers == len({24, 25, 26, 4, 5, 0, 1, 2, 3})


def test_the_innermost_loop_is_found_not_the_one_around_it():
    (loop,) = loops(X86)
    assert loop.startswith(".LBB0_2:") and loop.endswith("jne\t.LBB0_2") and ".Ltmp" not in loop
    assert hot_loop(X86) == loop and instructions(loop).fma_vector == {512: 2} and len(loops(ARM)) == 1
    straight = "\tvaddps\t%ymm1, %ymm2, %ymm3\n\tretq\n"
    assert inner_instructions(straight).vector == {256: 1}
    with pytest.raises(InputError, match="loop that computes"):
        hot_loop(straight)


def test_a_schedule_is_seen_in_the_machine_code():
    tile = tile_for(host())
    counts = {name: inner_instructions(build(program(name, 512, 512, 512, tile))) for name in ("naive", "vectorize", "cache_write")}
    assert not counts["naive"].vectorized and counts["naive"].bits == 0
    for name in ("vectorize", "cache_write"):
        assert counts[name].vectorized and counts[name].bits == 32 * tile.lanes and counts[name].scalar == 0
    assert counts["vectorize"].stores > counts["cache_write"].stores == 0  # C stays in registers
    assert counts["cache_write"].registers > tile.registers


def test_every_level_shows_what_it_is_there_for(found):
    marks = {"torch": "aten.matmul", "Relax": "R.matmul(", "TensorIR": "T.grid(64, 64, 64)", "TensorIR, scheduled": "T.vectorized(", "LLVM IR": "x float>"}
    assert list(found) == [*marks, "machine code, not scheduled", "machine code"]
    for name, level in found.items():
        assert 0 < len(level.excerpt.splitlines()) <= LINES and len(level.text.splitlines()) >= len(level.excerpt.splitlines()) - 2
        assert marks.get(name, "") in level.excerpt and level.what
    assert "fmuladd" in found["LLVM IR"].excerpt or "fmul" in found["LLVM IR"].excerpt
    assert "!dbg" not in found["LLVM IR"].excerpt and "T.reads" not in found["TensorIR"].text
    before, after = found["machine code, not scheduled"].counts, found["machine code"].counts
    assert not before.vectorized and after.vectorized and after.bits == 32 * tile_for(host()).lanes


@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning")  # torch's own, from inside torch
def test_what_came_through_the_levels_is_torchs_matmul():
    import torch

    exported = _exported(20)
    _, plain = _lowered(exported)
    a, b = np.random.default_rng(0).standard_normal((2, 20, 20), np.float32)
    for module in (plain, apply(plain, "unroll")):
        got = build(module)(a, b)
        assert np.abs(got - exported.module()(torch.from_numpy(a), torch.from_numpy(b)).numpy()).max() < 1e-5


def test_the_update_stands_in_its_loops_and_nothing_else():
    block = update_block(text(program("unroll", 16, 32, 16)))
    lines = block.splitlines()
    assert lines[0].startswith("for i_0") and "_init" not in block and "C[" not in block
    assert lines[-1].strip().startswith("C_local[v_i, v_j] = C_local[v_i, v_j] + A[")
    with pytest.raises(InputError, match="parted from its zeros"):
        update_block(text(program("naive", 4, 4, 4)))
    with pytest.raises(InputError, match="multiply-adds"):
        hot_block("define void @f() {\n  ret void\n}")
    with pytest.raises(ShapeError):
        levels(1)


def test_what_is_left_out_is_counted():
    code = "\n".join(f"line {index}" for index in range(40))
    short = shorten(code, "line 20$").splitlines()
    assert len(short) == LINES and "line 20" in short and short[0] == "line 0" and short[-1] == "line 39"
    gone = sum(int(line.split()[1]) for line in short if "more lines" in line)
    assert gone + sum("more lines" not in line for line in short) == 40
    assert shorten("a\nb") == "a\nb" and len(shorten(code).splitlines()) <= LINES
