"""Module 5: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.draws import Draw
from breakthrough.exercises.numbers import listed, power, word, write
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn

OPERATORS = ("a bias", "a ReLU", "a scaling", "an offset", "a clipping", "a square root", "a rounding", "a threshold")


def _fusion(draw: Draw) -> Number:
    n = draw.pick([3, 5, 6, 7, 8])  # with 4 a mistake would give the same number as another one
    before, after = 2 * n, 2  # arrays moved: each operator reads one and writes one
    names = listed(OPERATORS[:n])
    return Number(
        asks=f"{names.capitalize().replace('relu', 'ReLU')} run one after another on the same large array, each as an operator of its own that reads one "
             "array and writes one (the bias itself is small). Fused, they are one operator. By what **factor** does the number of bytes moved fall?",
        answer=before / after,
        tolerance=0.001,
        unit="times|x|-?fold",
        wrong=(
            Wrong("operations", 1,
                  "The additions and multiplications are as many as before, true: but what is asked for are the bytes, and the arrays between the operators are gone."),
            Wrong("moves after", after,
                  f"Count again: each operator reads one array and writes one, so {word(n)} of them make {word(before)}; fused, one is read and one written."),
            Wrong("moves before", before, "That is how often an array is moved without fusion: divide by how often it is with it."),
            Wrong("shared arrays", n + 1,
                  f"{word(n).capitalize()} operators, each reading one array and writing one: {before} moves, as what one writes the next one reads again; divide by those that are left."),
            Wrong("one side", n / 2,
                  f"That counts only what is read, or only what is written, on one of the two sides: {before} moves become {after}."),
            Wrong("turned over", after / before, "Right, but turned over: how many times as many bytes were moved before?"),
            Wrong("last output kept", before - 1, f"The last output has to be written with fusion as well: two moves are left, of {before}."),
        ),
        hints=(
            "An operator on its own begins by loading its input and ends by storing its output. What is stored between two operators is loaded again at once.",
            f"{word(n)} operators: read + write each, so {before} arrays moved; fused: read once, write once, the rest stays in registers",
            "factor = moves before / moves after; the FLOPs do not change",
        ),
    )


def _roofline(draw: Draw) -> Choice:
    peak, bandwidth = draw.pick([(2e12, 5e10), (4e12, 1e11), (3e12, 1e11), (1e12, 2e10), (6e12, 2e11)])
    intensity = draw.pick([2, 1, 4, 3])
    ridge = f"{peak / bandwidth:g}"
    per_byte = "1 FLOP" if intensity == 1 else f"{intensity} FLOPs"
    return Choice(
        asks=f"A processor computes {power(peak)} FLOP/s and loads {power(bandwidth)} bytes/s. A layer has {per_byte} for each byte that it moves. "
             "What would make it faster?",
        options=(
            Wrong("peak", "A processor with twice the peak and the same memory.",
                  f"Twice the peak moves the ridge, and this layer lies far to the left of it: it waits for its bytes, at {per_byte} for each."),
            Wrong("fewer operations", "Half of the multiply-adds, with the same bytes.",
                  "Fewer multiply-adds with the same bytes lower the intensity still further: the bytes are what takes the time."),
            Right("Numbers of two bytes in place of four."),
            Wrong("cores", "A second core that shares the memory.",
                  "Nothing was said of several cores, and if they share the memory's bandwidth, they wait for it together."),
            Wrong("untold", "That cannot be told without its FLOPs.",
                  f"The roofline does tell: {intensity} is below {ridge}, the ridge, so memory bounds the layer, whatever its FLOPs."),
        ),
        hints=(
            "Find the ridge first: the intensity from which on arithmetic is what is waited for. On which side does the layer lie?",
            f"ridge = {power(peak)} FLOP/s / {power(bandwidth)} bytes/s = {ridge} FLOPs a byte; the layer has {intensity}; its time is bytes / bandwidth",
            "ask of each answer: does it change bytes / bandwidth?",
        ),
    )


def _tuning(draw: Draw) -> Choice:
    batch = draw.pick([1, 4, 8, 16])
    return Choice(
        asks=f"A tuning database was made for a net at batch {batch} on one machine. For what are its records good?",
        options=(
            Wrong("any processor", "For this net on any processor.",
                  "The fastest tile depends on caches, vector width and cores: on another processor the records are still right, but may be slower than its own default."),
            Right("For the same operators at the same shapes on this kind of processor, whatever the weights are."),
            Wrong("these weights", "For this net with these weights; after training it has to be made anew.",
                  "Weights are data: a schedule arranges loops, and the same loops run whatever numbers are in them. New weights need no new search."),
            Wrong("a cost model", "For nothing that a cost model could not say without measuring.",
                  "No model predicts the time well enough by itself: the search proposes with one, but what it keeps was measured."),
            Wrong("any batch", "For the same operators at any batch.",
                  "A record belongs to the loops of one operator at one shape: at another batch the loops have other lengths, and no record fits."),
        ),
        hints=(
            "A record says: for these loops, of these lengths, this order was the fastest of those that were measured. On what does the time of a loop nest depend?",
            "record: operator + shapes + dtype + target → trace of the schedule and its measured time",
            "ask of each change whether it changes the loops or the machine: weights, batch, processor, name of the model",
        ),
    )


def _int8(draw: Draw) -> Choice:
    return Choice(
        asks="A layer far to the right of the ridge gets int8 weights and activations. Its processor has no dot-product instruction for 8-bit numbers, "
             "so the codes become float32 before they are multiplied. What happens to its time?",
        options=(
            Wrong("a quarter", "It falls to a quarter, as there are a quarter of the bytes.",
                  "Fewer bytes help a layer that waits for its bytes: this one is bound by arithmetic, and that is done in float32 after the codes were made floats again."),
            Wrong("integers", "It falls, as integers are faster to multiply.",
                  "Integers are not faster by themselves: a vector of float32 and a vector of int32 hold as many numbers; it takes instructions that work on 8-bit numbers."),
            Wrong("never", "int8 never helps a layer that is bound by arithmetic, on any processor.",
                  "It can: where there are integer instructions for dot products a compute-bound layer gains, where memory is the bound the bytes do."),
            Right("It does not fall, and may rise: the products are as many as before, in float32, with the conversion on top."),
            Wrong("rounding", "That depends on how the codes were rounded.", "Rounding decides about accuracy, not about time."),
        ),
        hints=(
            "int8 has two gains to offer: a quarter of the bytes, and four times as many numbers in a vector. Each helps only where that is what is waited for, and the second only where the processor multiplies such vectors.",
            "compute-bound: time = operations / rate of the instructions used; no int8 dot product → codes widened to float32: the old rate, and the widening on top",
            "bytes: not the bound here; instructions: not there; what is left?",
        ),
    )


def _batching(draw: Draw) -> Number:
    batch, alone, full = draw.pick([  # requests, ms, ms
        (8, 10, 20), (8, 4, 10), (32, 10, 50), (16, 8, 20), (8, 6, 24), (4, 10, 16), (16, 10, 20), (8, 5, 25), (32, 4, 10), (16, 6, 40),
    ])
    factor = (batch / full) / (1 / alone)
    before, after = 1000 / alone, 1000 * batch / full  # requests a second
    times = write(full / alone)
    return Number(
        asks=f"A run at batch 1 takes {alone} ms, one at batch {batch} takes {full} ms. Under full load, **how many times** as many requests a second are "
             f"answered with batches of {batch}? (And, for yourself: what does the first request of a batch wait for, and what does that do to p99?)",
        answer=factor,
        tolerance=0.01 * factor,
        unit="times|x|-?fold",
        wrong=(
            Wrong("batch", batch,
                  f"{word(batch).capitalize()} requests are answered at once, but a batch of {batch} takes {full} ms, not {alone}: {times} times the time for {batch} times the work."),
            Wrong("longer run", full / alone, f"That is how much longer a single run takes: in it {word(batch)} requests are answered, not one."),
            Wrong("multiplied", batch * full / alone, f"The longer run goes the other way: {batch} times the requests in {times} times the time is {batch} / {times}."),
            Wrong("turned over", 1 / factor, "Right, but turned over: how many times as many requests are answered a second?"),
            Wrong("requests a second", (after, before),
                  f"Those are requests a second, {batch} / {full / 1000:g} s = {write(after)} against 1 / {alone / 1000:g} s = {write(before)}: the question asks for the quotient."),
            Wrong("how many more", (factor - 1, after - before),
                  f"That is how many more: the question asks how many times as many, {write(after)} / {write(before)}."),
            Wrong("slower run", alone / full,
                  f"That is how much slower a single run is, {alone} / {full} ms: but in it {word(batch)} requests are answered, not one."),
            Wrong("as many", 1, f"The batch takes {times} times the time but answers {word(batch)}: more than before."),
        ),
        hints=(
            "Throughput counts answers, latency counts waiting. The first request of a batch pays for both: it waits for the others, and then for a longer run.",
            f"batch 1: 1 request in {alone} ms; batch {batch}: {batch} requests in {full} ms",
            f"factor = ({batch} / {full} ms) / (1 / {alone} ms)",
        ),
    )


EXERCISES = (
    drawn("deploy.q_fusion", "What fusion saves", _fusion),
    drawn("deploy.q_roofline", "What would make it faster", _roofline),
    drawn("deploy.q_tuning", "What a tuning database is good for", _tuning),
    drawn("deploy.q_int8", "When int8 is faster", _int8),
    drawn("deploy.q_batching", "What a batch costs the one who waits", _batching),
)
