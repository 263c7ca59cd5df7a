"""Module 1: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.exercise import question

EXERCISES = (
    question(
        "moe.q_active",
        "How much of the layer a token uses",
        points=2,
        answer=352,
        alternatives=(352.0, "352", "352 million", "352M"),
        wrong={
            1409: "That is the whole layer, all 8 experts: one token passes through only 2 of them.",
            176: "That is one expert: k = 2, so a token passes through two.",
            235: "That counts two matrices in each expert: a SwiGLU has three (gate, up, down).",
            705: "That is the number of FLOPs per token, in millions: a parameter in use costs a multiplication and an addition, but it is one parameter.",
            117: "That is two matrices of one expert: count three matrices (gate, up, down) in each of two experts.",
            (352354304, 352321536, 352.3, 352.32, 352.35, 352.354): "The right count, but the question asks for a whole number of millions: divide by a million and round.",
        },
        hints=(
            "A token passes through the router and k experts; the other experts only take up memory.",
            "gate (14336, 4096), up (14336, 4096), down (4096, 14336); router (8, 4096)",
            "2 experts × 3 matrices × 4096 × 14336, plus 8 × 4096 for the router; divide by 1,000,000 and round",
        ),
    ),
    question(
        "moe.q_collapse",
        "Why dead experts stay dead",
        points=2,
        answer="C",
        alternatives=("c", " C ", "C)"),
        wrong={
            "A": "Their weights are as finite as on the first day: nothing has touched them since they were last chosen. Why not?",
            "B": "A higher learning rate multiplies the gradient, and an idle expert's gradient is zero.",
            "D": "Softmax gives every expert a probability above zero; it is top-k that leaves the rest without tokens.",
            "E": "The collapse happens in training, where tokens are plenty; validation only shows it.",
        },
        hints=(
            "What has to happen to an expert's weights for it to become better, and where does that come from?",
            "The output is a sum over the k chosen experts: whose weights does the loss depend on, and so who gets a gradient?",
            "not chosen → not in the output → gradient 0 → not better → … continue the circle",
        ),
    ),
    question(
        "moe.q_capacity",
        "How many assignments are dropped",
        points=2,
        answer=4,
        alternatives=(4.0, "4", "4 assignments"),
        wrong={
            14: "That is a capacity of 5, from the 16 tokens: every token makes k = 2 assignments, so 32 are shared out.",
            7: "That is a capacity of 8, an exactly even share: the capacity factor 1.25 leaves room for a quarter more.",
            0: "Assignments over the capacity do not move on to another expert: they are dropped, whatever room the others have.",
            10: "That is the capacity of each expert: count what goes beyond it.",
            28: "That is how many are kept: the question asks for the rest.",
            2: "You divided by k: the question asks for assignments, and each of a token's k = 2 counts as one.",
        },
        hints=(
            "An expert accepts a little more than an even share of the assignments; what comes after that is dropped.",
            "T · k = 32 assignments over E = 4 experts: 8 each when even; times the factor, rounded up, is the capacity",
            "C = ceil(1.25 · 16 · 2 / 4); add up load − C over the experts whose load is above C",
        ),
    ),
    question(
        "moe.q_bias",
        "What the bias changes",
        points=2,
        answer="B",
        alternatives=("b", " B ", "B."),
        wrong={
            "A": "It is the other way round: the weights are taken from the probabilities without the bias, and the choice from the probabilities with it.",
            "C": "If the weights changed too, balancing would change the output of every token: the bias stays out of them on purpose.",
            "D": "No gradient reaches the bias: it moves by a rule, a small step against the load after each batch.",
            "E": "Every token still gets k experts: the bias tips which ones.",
        },
        hints=(
            "Loss-free balancing wants an even load without touching what the layer computes for the chosen experts.",
            "probabilities (T, E) + bias (E,) → topk indices (T, k); then gather (T, k), from what?",
            "choose by probability + bias; weigh by probability alone; after the batch move the bias a small step against the load",
        ),
    ),
    question(
        "moe.q_parallel",
        "How often tokens travel",
        points=1,
        answer=2,
        alternatives=(2.0, "2", "2 exchanges"),
        wrong={
            1: "One exchange brings the tokens to their experts, but the outputs must also come back to the tokens' own GPU.",
            4: "That is forward and backward together: the backward pass makes the same two journeys again; the question is about forward.",
            0: "A token's experts usually live on other GPUs, so its row has to travel there.",
            8: "One all-to-all serves all 8 GPUs at once: every GPU sends to every other in the same exchange.",
            16: "One all-to-all serves all 8 GPUs at once, so the number of GPUs does not multiply it.",
            64: "One all-to-all carries the rows for all experts at once, whatever their number.",
        },
        hints=(
            "Follow one token: where does it start, where does the work happen, and where is its output needed?",
            "rows (T·k, d) on the tokens' GPU → all-to-all → rows on the experts' GPU → experts → ? → (T, d) on the tokens' GPU",
            "dispatch: rows travel to the experts\nexperts work\ncombine: outputs travel back",
        ),
    ),
)
