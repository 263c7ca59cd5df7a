"""Module 1: the lesson's concept questions."""

from __future__ import annotations

import math

from breakthrough.exercises.draws import Draw
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn


def _active(draw: Draw) -> Number:
    d, hidden = draw.pick([(4096, 14336), (4096, 11008), (5120, 13824), (6144, 16384), (2048, 8192), (3072, 8192), (2048, 5632)])
    experts, k = draw.pick([8, 16, 32]), draw.pick([2, 3, 4])
    matrix, router = d * hidden, experts * d
    active = k * 3 * matrix + router
    million = 1e-6
    return Number(
        asks=f"A Mixtral-like layer: *d* = {d:,}, *H* = {hidden:,}, {experts} SwiGLU experts (three matrices each), *k* = {k}, no shared experts, "
             "no biases. How many **million** parameters does one token use, rounded to a whole number of millions? "
             "(Include the router, which hardly matters. One million more or less is forgiven.)",
        answer=round(active * million),
        tolerance=1,
        unit="millions?|mio|m|parameters?",
        wrong=(
            Wrong("all experts", (experts * 3 * matrix + router) * million,
                  f"That is the whole layer, all {experts} experts: one token passes through only {k} of them."),
            Wrong("one expert", 3 * matrix * million, f"That is one expert: k = {k}, so a token passes through {k} of them."),
            Wrong("two matrices", k * 2 * matrix * million,
                  "That counts two matrices in each expert: a SwiGLU has three (gate, up, down)."),
            Wrong("operations", 2 * active * million,
                  "That is the number of FLOPs per token, in millions: a parameter in use costs a multiplication and an addition, but it is one parameter."),
            Wrong("two matrices of one expert", 2 * matrix * million,
                  f"That is two matrices of one expert: count three matrices (gate, up, down) in each of {k} experts."),
            Wrong("not in millions", (active, active - router),
                  "The right count, but the question asks for a whole number of millions: divide by a million and round."),
        ),
        hints=(
            "A token passes through the router and k experts; the other experts only take up memory.",
            f"gate ({hidden}, {d}), up ({hidden}, {d}), down ({d}, {hidden}); router ({experts}, {d})",
            f"{k} experts × 3 matrices × {d} × {hidden}, plus {experts} × {d} for the router; divide by 1,000,000 and round",
        ),
    )


def _collapse(draw: Draw) -> Choice:
    experts, dead, steps = draw.pick([(16, 12, 600), (8, 5, 400), (32, 26, 900), (64, 51, 1200), (24, 17, 700)])
    return Choice(
        asks=f"A layer with {experts} experts is trained without any load balancing; after {steps:,} steps {dead} experts get no tokens any more. "
             "Why does the training not bring them back?",
        options=(
            Wrong("NaN", "Their weights have become NaN.",
                  "Their weights are as finite as on the first day: nothing has touched them since they were last chosen. Why not?"),
            Wrong("learning rate", f"The optimizer's learning rate is too low for {experts} experts.",
                  "A higher learning rate multiplies the gradient, and an idle expert's gradient is zero."),
            Right("An expert that is not chosen gets no gradient, so it does not improve, so it is not chosen."),
            Wrong("softmax", f"The softmax has only {experts - dead} outputs above zero.",
                  "Softmax gives every expert a probability above zero; it is top-k that leaves the rest without tokens."),
            Wrong("validation data", f"The validation data has too few tokens for {experts} experts.",
                  "The collapse happens in training, where tokens are plenty; validation only shows it."),
        ),
        hints=(
            "What has to happen to an expert's weights for it to become better, and where does that come from?",
            "The output is a sum over the k chosen experts: whose weights does the loss depend on, and so who gets a gradient?",
            "not chosen → not in the output → gradient 0 → not better → … continue the circle",
        ),
    )


def _capacity(draw: Draw) -> Number:
    tokens, most = draw.pick([
        (16, (14, 9, 6, 3)), (16, (16, 7, 6, 3)), (16, (13, 12, 5, 2)), (16, (17, 11, 3, 1)),
        (24, (21, 17, 7, 3)), (24, (23, 11, 9, 5)), (24, (18, 17, 8, 5)), (32, (29, 22, 9, 4)), (32, (27, 15, 12, 10)),
    ])
    factor = draw.pick([1.25, 1.5])
    loads, experts, k = draw.shuffled(most), len(most), 2
    even = tokens * k // experts
    capacity = math.ceil(factor * tokens * k / experts)

    def dropped(room: int) -> int:
        return sum(max(0, load - room) for load in loads)

    first, second, third, last = loads
    return Number(
        asks=f"{tokens} tokens, *E* = {experts}, *k* = {k}, capacity factor {factor:g}. The router gives the experts "
             f"{first}, {second}, {third} and {last} assignments. How many assignments are dropped? Write a whole number.",
        answer=dropped(capacity),
        unit="assignments?",
        wrong=(
            Wrong("capacity from tokens", dropped(math.ceil(factor * tokens / experts)),
                  f"That is a capacity of {math.ceil(factor * tokens / experts)}, from the {tokens} tokens: every token makes k = {k} assignments, "
                  f"so {tokens * k} are shared out."),
            Wrong("even share", dropped(even),
                  f"That is a capacity of {even}, an exactly even share: the capacity factor {factor:g} leaves room for more."),
            Wrong("moved on", 0, "Assignments over the capacity do not move on to another expert: they are dropped, whatever room the others have."),
            Wrong("the capacity", capacity, "That is the capacity of each expert: count what goes beyond it."),
            Wrong("the kept ones", tokens * k - dropped(capacity), "That is how many are kept: the question asks for the rest."),
            Wrong("tokens", dropped(capacity) / k,
                  f"You divided by k: the question asks for assignments, and each of a token's k = {k} counts as one."),
        ),
        hints=(
            "An expert accepts a little more than an even share of the assignments; what comes after that is dropped.",
            f"T · k = {tokens * k} assignments over E = {experts} experts: {even} each when even; times the factor, rounded up, is the capacity",
            f"C = ceil({factor:g} · {tokens} · {k} / {experts}); add up load − C over the experts whose load is above C",
        ),
    )


def _bias(draw: Draw) -> Choice:
    return Choice(
        asks="Loss-free balancing adds a bias to each expert's probability. What does the bias change?",
        options=(
            Wrong("weights", "The weights with which the expert outputs are added.",
                  "It is the other way round: the weights are taken from the probabilities without the bias, and the choice from the probabilities with it."),
            Right("Which experts are chosen, and nothing else."),
            Wrong("choice and weights", "Both the choice and the weights.",
                  "If the weights changed too, balancing would change the output of every token: the bias stays out of them on purpose."),
            Wrong("gradient", "The gradient of the router: the bias is trained with it.",
                  "No gradient reaches the bias: it moves by a rule, a small step against the load after each batch."),
            Wrong("how many", "How many experts a token gets.", "Every token still gets k experts: the bias tips which ones."),
        ),
        hints=(
            "Loss-free balancing wants an even load without touching what the layer computes for the chosen experts.",
            "probabilities (T, E) + bias (E,) → topk indices (T, k); then gather (T, k), from what?",
            "choose by probability + bias; weigh by probability alone; after the batch move the bias a small step against the load",
        ),
    )


def _parallel(draw: Draw) -> Number:
    gpus, each = draw.pick([(8, 8), (16, 4), (4, 16), (8, 16), (32, 8)])
    layers = draw.pick([3, 5, 6, 7, 9, 10, 11, 12, 20])
    experts, journeys = gpus * each, 2  # there and back
    return Number(
        asks=f"{experts} experts are spread over {gpus} GPUs, {each} on each; every GPU has its own tokens. A net has {layers} such layers, one after "
             "another. How many all-to-all exchanges of token rows does its *forward* pass need? Write a whole number.",
        answer=journeys * layers,
        unit="exchanges?",
        wrong=(
            Wrong("one way", layers, "One exchange a layer brings the tokens to their experts, but the outputs must also come back to the tokens' own GPU."),
            Wrong("with backward", 2 * journeys * layers,
                  "That is forward and backward together: the backward pass makes the same two journeys again; the question is about forward."),
            Wrong("none", 0, "A token's experts usually live on other GPUs, so its row has to travel there."),
            Wrong("a layer alone", journeys, f"That is one layer: between two of them the rows are at home again, and there are {layers}."),
            Wrong("by GPUs", (gpus * layers, journeys * gpus * layers, gpus, journeys * gpus),
                  f"One all-to-all serves all {gpus} GPUs at once: every GPU sends to every other in the same exchange, so their number does not multiply it."),
            Wrong("by experts", (experts * layers, journeys * experts * layers, experts),
                  "One all-to-all carries the rows for all experts at once, whatever their number."),
        ),
        hints=(
            "Follow one token through one layer: where does it start, where does the work happen, and where is its output needed?",
            "rows (T·k, d) on the tokens' GPU → all-to-all → rows on the experts' GPU → experts → ? → (T, d) on the tokens' GPU",
            f"dispatch: rows travel to the experts\nexperts work\ncombine: outputs travel back\n… in each of the {layers} layers",
        ),
    )


EXERCISES = (
    drawn("moe.q_active", "How much of the layer a token uses", _active),
    drawn("moe.q_collapse", "Why dead experts stay dead", _collapse),
    drawn("moe.q_capacity", "How many assignments are dropped", _capacity),
    drawn("moe.q_bias", "What the bias changes", _bias),
    drawn("moe.q_parallel", "How often tokens travel", _parallel, points=1),
)
