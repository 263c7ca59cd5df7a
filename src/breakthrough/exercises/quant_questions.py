"""Module 4: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.exercise import question

EXERCISES = (
    question(
        "quant.q_bits",
        "What a bit buys",
        points=2,
        answer=4,
        alternatives=(4.0, "4", "4 times"),
        wrong={
            2: "That is what happens to the step, and to the error itself: the question asks for its square.",
            6: "That is the gain in decibels, 6.02 for every bit: as a factor it is 10^0.602.",
            0.25: "Right, but turned over: by what is the old one divided?",
            (8, 16): "That would be the square of more than a bit's worth: one bit more halves the step, and the error with it.",
            (256, 255): "That is how many codes 8 bits have: the question asks what one more bit does to the error.",
            (1, 0): "A bit more halves the step, so the error cannot stay as it was, nor does it vanish.",
            1.414: "That goes the wrong way, as the root: the error is halved by a bit, and its square falls by more.",
            12: "That 12 is in the formula, step² / 12, before and after: what does the quotient of the two come to?",
        },
        hints=(
            "A number's rounding error lies anywhere within half a step, up or down. One bit more gives twice as many codes over the same range.",
            "n bits: 2^n codes, step ~ range / 2^n; error within ± step / 2, its mean square step² / 12",
            "factor = (step before / step after)²",
        ),
    ),
    question(
        "quant.q_outlier",
        "What one outlier does",
        points=2,
        answer=3,
        alternatives=(3.0, "3", "3."),
        wrong={
            (255, 254, 256): "That is how many codes there are: the outlier takes the last one, and the others lie within ±0.05, which is how many steps of 6.35 / 127?",
            (127, 128): "That is the code of the outlier, or how many there are on its side: which codes are left to weights within ±0.05?",
            2: "That is zero and one side: numbers above 0.025 become 1, those below −0.025 become −1, the rest 0.",
            1: "That would be so if all rounded to 0: the step is 6.35 / 127 = 0.05, and what is beyond half of it becomes ±1.",
            4: "The outlier's own code, 127, is not one that the other 63 take.",
            (63, 64): "That is how many weights there are: how many different codes can they take?",
            0.05: "That is the step, 6.35 / 127: how many whole numbers of steps lie within ±0.05?",
            0: "0 is one of the codes they take: the question asks how many different ones.",
            5: "That is one too many on either side: ±2 would need numbers beyond 1.5 steps, 0.075.",
        },
        hints=(
            "Absmax stretches its 127 steps until the last one lies on the largest number. What is small against that number has few steps left.",
            "step = 6.35 / 127 = 0.05; weights within ±0.05, so within ±1 step",
            "count the whole numbers from round(−0.05 / step) to round(0.05 / step)",
        ),
    ),
    question(
        "quant.q_levels",
        "Where NF4's levels stand",
        points=2,
        answer="B",
        alternatives=("b", " B ", "B)"),
        wrong={
            "A": "Evenly spaced levels have the smallest largest error, and that is int4: but most weights lie in the middle third, and share few levels there.",
            "C": "They are not fitted to the tensor: the sixteen numbers are the same for every model, and only the blocks' scales are measured.",
            "D": "Powers of two have their levels crowded at zero as well, but more than weights are: that is a float's spacing, FP4's, not the normal distribution's.",
            "E": "Large weights do matter more one by one, but few lie out there: a level that hardly any weight uses is wasted, and NF4's are furthest apart at the ends.",
        },
        hints=(
            "A level earns its place by the weights that are stored with it. Where do weights lie, and where are levels needed then?",
            "weights of a block ~ normal; 16 levels; each should get about as many weights as any other",
            "ask of each answer: does it put the levels close together where most weights are, and does it need to look at the weights for that?",
        ),
    ),
    question(
        "quant.q_memory",
        "What a 4-bit weight leaves as it was",
        points=2,
        answer=12.5,
        alternatives=("12.5", 12.50, "12.50"),
        wrong={
            2: "That is an eighth of everything: only the weights shrink to 4 bits, gradients and Adam's two moments are left as they were.",
            0.5: "Those are the weights alone: gradients and Adam's two moments are there too.",
            4: "That is 75 % off, as if everything took a quarter: only the weights' 4 GB shrink, to 0.5.",
            3.5: "That is what is saved: the question asks for what is left.",
            8.5: "Adam keeps two numbers a parameter, momentum and variance, so 8 bytes, and gradients take 4 more.",
            12: "The weights are small now, not gone: half a byte each.",
            (13, 14): "That takes the weights for 1 or 2 bytes each: 4 bits are half a byte.",
            4.5: "That leaves out Adam's state, 8 bytes a parameter, or the largest part of it.",
            16: "The weights do shrink, from 4 bytes each to half a byte: what about the rest?",
            15.5: "Half a gigabyte was taken off: that is what the weights take now, of 4 before.",
            (78, 78.1, 78.125): "Right, but in per cent: the question asks for GB.",
        },
        hints=(
            "A training step holds four things for every parameter: its value, its gradient, and two moments that Adam keeps. Which of them does the format of the weights touch?",
            "10⁹ parameters: weights 4 GB, gradients 4 GB, moments 2 · 4 GB; 4 bits = half a byte",
            "10⁹ · (0.5 + 4 + 4 + 4) bytes, in GB",
        ),
    ),
    question(
        "quant.q_speed",
        "Smaller and yet not faster",
        points=2,
        answer="D",
        alternatives=("d", " D ", "D."),
        wrong={
            "A": "At batch 1 nearly all of the time goes into bringing weights from memory, and there fewer bytes do help: it is the large batch where they do not.",
            "B": "The 4-bit weights are not multiplied as they are: neither CPU nor GPU has an instruction for NF4's levels, so they become floats first.",
            "C": "Looking up sixteen levels costs something at any batch, but loading is what is waited for at batch 1, and the look-ups can go on beside it.",
            "E": "Accuracy has nothing to do with time: the same number of products is computed, however coarse the weights.",
        },
        hints=(
            "A layer's time is the longer of two: bringing its weights from memory, and computing with them. Which of the two does the batch change?",
            "bytes of weights: the same at batch 1 and 64; multiplications: 64 times as many; 4-bit weights become floats before they are multiplied",
            "batch 1: waits for memory, an eighth of the bytes; batch 64: waits for the multiplications, of which there are as many as before, and the unpacking comes on top",
        ),
    ),
)
