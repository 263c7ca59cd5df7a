"""Module 5: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.exercise import question

EXERCISES = (
    question(
        "deploy.q_fusion",
        "What fusion saves",
        points=2,
        answer=3,
        alternatives=(3.0, "3", "3 times"),
        wrong={
            1: "The additions and multiplications are as many as before, true: but what is asked for are the bytes, and the arrays between the operators are gone.",
            2: "Count again: each operator reads one array and writes one, so three of them make six; fused, one is read and one written.",
            6: "That is how often an array is moved without fusion: divide by how often it is with it.",
            4: "Three operators, each reading one array and writing one: six moves. The input still has to be read and the output written.",
            1.5: "That counts only what is read, or only what is written, on one of the two sides: six moves become two.",
            (0.33, 0.333, 0.3333, 1 / 3, "1/3", "1 / 3"): "Right, but turned over: how many times as many bytes were moved before?",
            5: "The last output has to be written with fusion as well: two moves are left, of six.",
        },
        hints=(
            "An operator on its own begins by loading its input and ends by storing its output. What is stored between two operators is loaded again at once.",
            "three operators: read + write each, so 6 arrays moved; fused: read once, write once, the rest stays in registers",
            "factor = moves before / moves after; the FLOPs do not change",
        ),
    ),
    question(
        "deploy.q_roofline",
        "What would make it faster",
        points=2,
        answer="C",
        alternatives=("c", " C ", "C)"),
        wrong={
            "A": "Twice the peak moves the ridge, and this layer lies far to the left of it: it waits for its bytes, at 2 FLOPs for each.",
            "B": "Fewer multiply-adds with the same bytes lower the intensity still further: the bytes are what takes the time.",
            "D": "Nothing was said of several cores, and if they share the memory's bandwidth, they wait for it together.",
            "E": "The roofline does tell: 2 is below 40, the ridge, so memory bounds the layer, whatever its FLOPs.",
        },
        hints=(
            "Find the ridge first: the intensity from which on arithmetic is what is waited for. On which side does the layer lie?",
            "ridge = 2·10¹² FLOP/s / 5·10¹⁰ bytes/s = 40 FLOPs a byte; the layer has 2; its time is bytes / bandwidth",
            "ask of each answer: does it change bytes / bandwidth?",
        ),
    ),
    question(
        "deploy.q_tuning",
        "What a tuning database is good for",
        points=2,
        answer="B",
        alternatives=("b", " B ", "B."),
        wrong={
            "A": "The fastest tile depends on caches, vector width and cores: on another processor the records are still right, but may be slower than its own default.",
            "C": "Weights are data: a schedule arranges loops, and the same loops run whatever numbers are in them. New weights need no new search.",
            "D": "No model predicts the time well enough by itself: the search proposes with one, but what it keeps was measured.",
            "E": "A record belongs to the loops of one operator at one shape: at another batch the loops have other lengths, and no record fits.",
        },
        hints=(
            "A record says: for these loops, of these lengths, this order was the fastest of those that were measured. On what does the time of a loop nest depend?",
            "record: operator + shapes + dtype + target → trace of the schedule and its measured time",
            "ask of each change whether it changes the loops or the machine: weights, batch, processor, name of the model",
        ),
    ),
    question(
        "deploy.q_int8",
        "When int8 is faster",
        points=2,
        answer="D",
        alternatives=("d", " D ", "D)"),
        wrong={
            "A": "Fewer bytes help a layer that waits for its bytes: this one is bound by arithmetic, and that is done in float32 after the codes were made floats again.",
            "B": "Integers are not faster by themselves: a vector of float32 and a vector of int32 hold as many numbers; it takes instructions that work on 8-bit numbers.",
            "C": "It can be both: where there are integer instructions for dot products a compute-bound layer gains, where memory is the bound the bytes do.",
            "E": "Rounding decides about accuracy, not about time.",
        },
        hints=(
            "int8 has two gains to offer: a quarter of the bytes, and four times as many numbers in a vector. Each helps only where that is what is waited for, and the second only where the processor multiplies such vectors.",
            "compute-bound: time = operations / rate of the instructions used; no int8 dot product → codes widened to float32: the old rate, and the widening on top",
            "bytes: not the bound here; instructions: not there; what is left?",
        ),
    ),
    question(
        "deploy.q_batching",
        "What a batch costs the one who waits",
        points=2,
        answer=4,
        alternatives=(4.0, "4", "4 times"),
        wrong={
            8: "Eight requests are answered at once, but a batch of 8 takes 20 ms, not 10: twice the time for eight times the work.",
            2: "That is how much longer a single run takes: in it eight requests are answered, not one.",
            16: "Both go the other way: eight times the requests in twice the time is 8 / 2.",
            0.25: "Right, but turned over: how many times as many requests are answered a second?",
            (400, 100): "Those are requests a second, 8 / 0.020 s = 400 against 1 / 0.010 s = 100: the question asks for the quotient.",
            (3, 300): "That is how many more: the question asks how many times as many, 400 / 100.",
            0.5: "That is how much slower a single run is, 10 / 20 ms: but in it eight requests are answered, not one.",
            1: "The batch takes twice the time but answers eight: more than before.",
        },
        hints=(
            "Throughput counts answers, latency counts waiting. The first request of a batch pays for both: it waits for the others, and then for a longer run.",
            "batch 1: 1 request in 10 ms; batch 8: 8 requests in 20 ms",
            "factor = (8 / 20 ms) / (1 / 10 ms)",
        ),
    ),
)
