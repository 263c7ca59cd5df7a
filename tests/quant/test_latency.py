"""Seconds a token: the matrices, the kernels, the line through the timings, answers on published machines."""

import json

import pytest
import torch
import torch.nn.functional as F
from study_toys import machine

from breakthrough import devices
from breakthrough.errors import InputError, UnknownNameError
from breakthrough.quant import bnb
from breakthrough.quant.answers import ACCELERATORS, MODELS, Accelerator, Model, answer, devices_for, table, tokens_within
from breakthrough.quant.figures import draw_latency
from breakthrough.quant.latency import Decoder, Latencies, fit_line, measure_latency
from breakthrough.quant.matvec import KERNELS, serves

CPU = torch.device("cpu")


def test_a_line_is_found_again():
    made = machine(bandwidth=10e9, overhead_s=2e-6)
    found = made.fit("fp32")
    assert found.bandwidth == pytest.approx(10e9, rel=1e-6) and found.overhead_s == pytest.approx(2e-6, rel=1e-4)
    assert found.error < 1e-6 and found.low == pytest.approx(found.high) and found.points == 4
    assert found.seconds(1e9, 100) == pytest.approx(0.1002)


def test_a_noisy_machine_has_a_spread_around_its_line():
    found = machine(noise=0.5).fit("fp32")
    assert found.low < 0.75 * found.high and found.low <= found.bandwidth <= found.high * 1.001


def test_no_time_is_negative():
    found = fit_line([timing for timing in machine(overhead_s=-1e-5).timings if timing.kernel == "fp32"])
    assert found.overhead_s == 0 and found.bandwidth == pytest.approx(10e9, rel=0.05)


def test_sizes_in_the_cache_are_left_out():
    made = machine()
    cached = Latencies("cpu", 1, made.bandwidth, 5 * 10**8, made.timings)
    assert cached.fit("fp32").points == 2  # those of 2.6 and 10 GB


def test_a_line_through_two_sizes_claims_no_fit():
    made = machine(kernels=("fp32",))
    cached = Latencies("cpu", 1, made.bandwidth, 5 * 10**8, made.timings)
    assert "of 4 sizes" in str(made) and "through 2 sizes only" in str(cached) and "within" not in str(cached)


def test_weights_are_those_of_the_matrices():
    decoder = Decoder(128, 2)
    assert len(decoder.shapes) == 8 and decoder.weights == sum(a * b for a, b in decoder.shapes)
    assert 12 * 128**2 <= decoder.weights / 2 <= 13 * 128**2


def test_kernels_read_their_codes():
    shapes = Decoder(128, 1).shapes
    weights = sum(a * b for a, b in shapes)
    for name, bits in {"fp32": 32, "bf16": 16, "int8": 8, "nf4": 4}.items():
        if serves(name, CPU):
            token = KERNELS[name](shapes, CPU, torch.Generator().manual_seed(0))
            token.run()
            assert bits <= 8 * token.nbytes / weights <= bits + 0.5


def test_the_four_bit_kernel_multiplies():
    functional = bnb.bitsandbytes().functional
    weight = torch.randn(96, 128, generator=torch.Generator().manual_seed(0))
    codes, state = functional.quantize_4bit(weight, quant_type="nf4", blocksize=64)
    right = functional.dequantize_4bit(codes, state)
    if functional.has_avx512bf16():  # then its kernel takes the codes of 32 rows side by side; their bytes are the same
        before = codes.numel(), state.absmax.numel()
        codes, state = functional._convert_weight_packed_for_cpu(codes, state)
        assert (codes.numel(), state.absmax.numel()) == before
    x = torch.randn(1, 128, generator=torch.Generator().manual_seed(1)).bfloat16()
    got = bnb.kernels(CPU).gemv_4bit(x, codes, [96, 128], state.absmax, state.code, 64).float()
    wanted = F.linear(x.float(), right)
    assert (got - wanted).abs().max() < 0.02 * wanted.abs().max()


def test_what_was_measured_as_data_text_and_picture():
    found = measure_latency("tiny", ("fp32", "bf16"), repeats=3, progress=False)
    assert found.kernels == ("fp32", "bf16") and len(found.timings) == 4 and found.bandwidth > 1e8
    assert all(len(timing.seconds) == 3 and timing.median_s > 0 for timing in found.timings)
    assert Latencies.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    assert "fp32" in str(found) and "GB/s" in str(found)
    (axes,) = draw_latency(machine()).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("nf4: 10.0 GB/s" in label for label in labels) and any("H100" in label for label in labels)
    assert devices.cores() >= found.threads == 1


def test_what_cannot_be_measured():
    with pytest.raises(UnknownNameError, match="kernel"):
        measure_latency("tiny", ("fp12",), progress=False)
    with pytest.raises(UnknownNameError, match="profile"):
        measure_latency("huge")
    with pytest.raises(InputError, match="3 repeats"):
        measure_latency("tiny", repeats=1)
    with pytest.raises(UnknownNameError, match="kernel"):
        machine().fit("int8")
    with pytest.raises(InputError, match="2 sizes"):
        fit_line(machine().timings[:1])


ONE = Accelerator("one", bandwidth=1e12, memory_bytes=100e9, flops=100e12, source="made")


def test_an_answer_is_the_reading_of_weights_after_the_arithmetic_of_the_prompt():
    found = answer(Model("m", 40e9, 40e9, "made"), 16, ONE, tokens=11, prompt=1000)
    assert found.devices == 1 and found.token_s == pytest.approx(0.08)
    assert found.first_s == pytest.approx(2 * 40e9 * 1000 / 100e12) and found.total_s == pytest.approx(0.8 + 10 * 0.08)
    assert tokens_within(0.5, found) == 0 and tokens_within(1.0, found) == 3
    slower = answer(Model("m", 40e9, 40e9, "made"), 16, ONE, tokens=11, prompt=1000, efficiency=0.5)
    assert slower.total_s == pytest.approx(2 * found.total_s)


def test_fewer_bits_need_fewer_devices_and_one_token_reads_only_its_experts():
    assert [devices_for(x, ONE) for x in (80e9, 91e9, 181e9)] == [1, 2, 4]
    sparse = Model("s", 80e9, 8e9, "made")
    found = answer(sparse, 16, ONE, prompt=1)
    assert found.devices == 2 and found.token_s == pytest.approx(8e9 * 2 / 2e12) and found.first_s == pytest.approx(found.token_s)
    assert answer(sparse, 16, ONE, prompt=50).first_s == pytest.approx(80e9 * 2 / 2e12)


def test_the_table_has_every_model_and_accelerator():
    text = table()
    assert all(name in text for name in (*MODELS, *ACCELERATORS)) and text.count("\n") == len(MODELS) * len(ACCELERATORS) * 3


def test_what_is_no_answer():
    with pytest.raises(UnknownNameError, match="accelerator"):
        answer("GPT-3 175B", 16, "abacus")
    with pytest.raises(UnknownNameError, match="model"):
        answer("GPT-9", 16, "H100 SXM")
    with pytest.raises(InputError, match="efficiency"):
        answer("GPT-3 175B", 16, "H100 SXM", efficiency=1.5)
