"""Module 4: the lesson's concept questions."""

from __future__ import annotations

import math

from breakthrough.exercises.draws import Draw
from breakthrough.exercises.numbers import write
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn


def _bits(draw: Draw) -> Number:
    before, more = draw.pick([(8, 1), (8, 2), (6, 4), (6, 2), (4, 1), (10, 3), (5, 4), (10, 2), (7, 3), (7, 5), (6, 5)])
    step = 2**more  # the old step over the new one
    return Number(
        asks=f"A grid of evenly spaced codes covers a fixed range, and numbers lie anywhere in it. The codes go from {before} bits to {before + more}. "
             "By what factor does the **mean squared** rounding error fall?",
        answer=step**2,
        tolerance=0.001 * step**2,
        unit="times|x|-?fold",
        wrong=(
            Wrong("the step", step, "That is what happens to the step, and to the error itself: the question asks for its square."),
            Wrong("decibels", 20 * math.log10(step), "That is the gain in decibels, 6.02 for every bit: which factor is 6.02 decibels?"),
            Wrong("turned over", 1 / step**2, "Right, but turned over: by what is the old one divided?"),
            Wrong("too many bits", (2 * step**2, 4 * step**2),
                  f"That is the factor of more bits than the {more} added here: each bit halves the step, and the error with it."),
            Wrong("codes", (2**before, 2**before - 1), f"That is how many codes {before} bits have: the question asks what becomes of the error."),
            Wrong("as before", (1, 0), "A bit more halves the step, so the error cannot stay as it was, nor does it vanish."),
            Wrong("the root", math.sqrt(step), "That goes the wrong way, as the root: the error is halved by a bit, and its square falls by more."),
        ),
        hints=(
            "A number's rounding error lies anywhere within half a step, up or down. One bit more gives twice as many codes over the same range.",
            "n bits: 2^n codes, step ~ range / 2^n; error within ± step / 2, its mean square step² / 12",
            "factor = (step before / step after)²",
        ),
    )


def _outlier(draw: Draw) -> Number:
    step, steps = draw.pick([0.05, 0.1, 0.02, 0.04, 0.01]), draw.pick([1, 2, 3, 4, 5, 6])
    block = draw.pick([64, 32, 128])
    most, rest = 127 * step, block - 1  # absmax lays the code 127 on the largest weight
    within, m, s = write(steps * step), write(most), write(step)
    return Number(
        asks=f"{rest} weights of a block lie anywhere within ±{within}, the last one is {m}. Stored by absmax in int8: how many different codes can the {rest} take?",
        answer=2 * steps + 1,
        unit="codes?",
        wrong=(
            Wrong("all codes", (255, 254, 256),
                  f"That is how many codes there are: the outlier takes the last one, and the others lie within ±{within}, which is how many steps of {m} / 127?"),
            Wrong("one side's codes", (127, 126),
                  f"That is the code of the outlier, or how many lie below it: which codes are left to weights within ±{within}?"),
            Wrong("one side", steps + 1, "That is zero and one side: negative weights take as many codes as positive ones."),
            Wrong("all zero", 1, f"That would be so if all rounded to 0: the step is {m} / 127 = {s}, and what is beyond half of it does not."),
            Wrong("with the outlier", 2 * steps + 2, f"The outlier's own code, 127, is not one that the other {rest} take."),
            Wrong("weights", (rest, block), "That is how many weights there are: how many different codes can they take?"),
            Wrong("the step", step, f"That is the step, {m} / 127: how many whole numbers of steps lie within ±{within}?"),
            Wrong("none", 0, "0 is one of the codes they take: the question asks how many different ones."),
            Wrong("a step too far", 2 * steps + 3,
                  f"That is one too many on either side: ±{steps + 1} would need numbers beyond {write((steps + 0.5) * step)}, {steps + 0.5:g} steps."),
        ),
        hints=(
            "Absmax stretches its 127 steps until the last one lies on the largest number. What is small against that number has few steps left.",
            f"step = {m} / 127 = {s}; weights within ±{within}, so within ±{steps} step{'s' * (steps > 1)}",
            f"count the whole numbers from round(−{within} / step) to round({within} / step)",
        ),
    )


def _levels(draw: Draw) -> Choice:
    return Choice(
        asks="Why do NF4's sixteen levels stand where they do?",
        options=(
            Wrong("evenly", "Evenly from −1 to 1, so that the largest error is least.",
                  "Evenly spaced levels have the smallest largest error, and that is int4: but most weights lie in the middle third, and share few levels there."),
            Right("At quantiles of the normal distribution, so that each is used by about as many weights, close together around zero."),
            Wrong("fitted", "They are fitted to each tensor's own weights when it is quantized.",
                  "They are not fitted to the tensor: the sixteen numbers are the same for every model, and only the blocks' scales are measured."),
            Wrong("powers of two", "At powers of two, so that every level is half of the next.",
                  "Powers of two have their levels crowded at zero as well, but more than weights are: that is a float's spacing, FP4's, not the normal distribution's."),
            Wrong("at the ends", "Close together at ±1, where the weights are that matter most.",
                  "Large weights do matter more one by one, but few lie out there: a level that hardly any weight uses is wasted, and NF4's are furthest apart at the ends."),
        ),
        hints=(
            "A level earns its place by the weights that are stored with it. Where do weights lie, and where are levels needed then?",
            "weights of a block ~ normal; 16 levels; each should get about as many weights as any other",
            "ask of each answer: does it put the levels close together where most weights are, and does it need to look at the weights for that?",
        ),
    )


def _memory(draw: Draw) -> Number:
    n = draw.pick([1, 2, 3, 4, 6, 7, 8, 10, 12])  # billions of parameters, so GB are bytes a parameter times n
    weight, gradient, moments, nibble = 4 * n, 4 * n, 8 * n, 0.5 * n
    before, after = weight + gradient + moments, nibble + gradient + moments
    count = "10⁹" if n == 1 else f"{n} · 10⁹"
    return Number(
        asks=f"A model of {count} parameters is trained in float32 with Adam: {weight} GB of weights, {gradient} GB of gradients, {moments} GB of Adam's "
             f"moments, {before} GB beside the activations. Now only the weights are stored in 4 bits (scales neglected); gradients and moments "
             f"stay as they are. How many **GB** are left of the {before}?",
        answer=after,
        tolerance=0.005 * after,
        unit="gb|gigabytes?",
        wrong=(
            Wrong("an eighth of all", before / 8,
                  "That is an eighth of everything: only the weights shrink to 4 bits, gradients and Adam's two moments are left as they were."),
            Wrong("weights alone", nibble, "Those are the weights alone: gradients and Adam's two moments are there too."),
            Wrong("a quarter of all", before / 4,
                  f"That is 75% less, as if everything took a quarter: only the weights' {weight} GB shrink, to {write(nibble)}."),
            Wrong("what is saved", weight - nibble, "That is what is saved: the question asks for what is left."),
            Wrong("one moment", nibble + gradient + moments / 2,
                  "Adam keeps two numbers a parameter, momentum and variance, so 8 bytes, and gradients take 4 more."),
            Wrong("no weights", gradient + moments, "The weights are small now, not gone: half a byte each."),
            Wrong("bytes for nibbles", (gradient + moments + n, gradient + moments + 2 * n),
                  "That takes the weights for 1 or 2 bytes each: 4 bits are half a byte."),
            Wrong("no moments", nibble + gradient, "That leaves out Adam's state, 8 bytes a parameter, or the largest part of it."),
            Wrong("all of it", before, "The weights do shrink, from 4 bytes each to half a byte: what about the rest?"),
            Wrong("half a byte off", before - nibble, "Half a byte each was taken off: that is what the weights take now, of 4 before."),
            Wrong("per cent", 100 * after / before, "Right, but in per cent: the question asks for GB."),
        ),
        hints=(
            "A training step holds four things for every parameter: its value, its gradient, and two moments that Adam keeps. Which of them does the format of the weights touch?",
            f"{count} parameters: weights {weight} GB, gradients {gradient} GB, moments 2 · {gradient} GB; 4 bits = half a byte",
            f"{count} · (0.5 + 4 + 4 + 4) bytes, in GB",
        ),
    )


def _speed(draw: Draw) -> Choice:
    batch = draw.pick([64, 32, 128, 96])
    return Choice(
        asks="A linear layer's weights are stored in 4 bits and become floats just before they are multiplied. At batch 1 it gets faster than in float32, "
             f"at batch {batch} slower. Why?",
        options=(
            Wrong("nothing to load", "At batch 1 nothing has to be loaded, so unpacking is all that counts.",
                  "At batch 1 nearly all of the time goes into bringing weights from memory, and there fewer bytes do help: it is the large batch where they do not."),
            Wrong("faster products", "4-bit products are computed faster, but only for one row at a time.",
                  "The 4-bit weights are not multiplied as they are: neither CPU nor GPU has an instruction for NF4's levels, so they become floats first."),
            Wrong("slow look-ups", "Looking up the levels takes longer than loading weights, at any batch.",
                  "Looking up sixteen levels costs something at any batch, but loading is what is waited for at batch 1, and the look-ups can go on beside it."),
            Right(f"At batch 1 the time goes into loading weights, of which there are fewer bytes; at batch {batch} into multiplications, of which there are "
                  "as many as before, with the unpacking on top."),
            Wrong("accuracy", "Coarser weights need fewer products for the same accuracy, which a large batch loses.",
                  "Accuracy has nothing to do with time: the same number of products is computed, however coarse the weights."),
        ),
        hints=(
            "A layer's time is the longer of two: bringing its weights from memory, and computing with them. Which of the two does the batch change?",
            f"bytes of weights: the same at batch 1 and {batch}; multiplications: {batch} times as many; 4-bit weights become floats before they are multiplied",
            f"batch 1: waits for memory, an eighth of the bytes; batch {batch}: waits for the multiplications, of which there are as many as before, and the unpacking comes on top",
        ),
    )


EXERCISES = (
    drawn("quant.q_bits", "What a bit buys", _bits),
    drawn("quant.q_outlier", "What one outlier does", _outlier),
    drawn("quant.q_levels", "Where NF4's levels stand", _levels),
    drawn("quant.q_memory", "What a 4-bit weight leaves as it was", _memory),
    drawn("quant.q_speed", "Smaller and yet not faster", _speed),
)
