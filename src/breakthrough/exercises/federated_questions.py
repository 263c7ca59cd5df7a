"""Module 3: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.exercise import question

EXERCISES = (
    question(
        "federated.q_drift",
        "Where the average of two optima lies",
        points=2,
        answer=0.3,
        alternatives=("0.3", 0.30, "0.30"),
        wrong={
            0.5: "That is where the average lies, half way between the two optima: how far is it from the minimum of both losses together?",
            0.8: "That is the minimum of both losses together, where w + 4(w − 1) = 0: how far from it is the average?",
            0: "More rounds do not help here: whatever a round starts from, each factory walks all the way to its own optimum, and the average is the same again.",
            1: "That is how far the two optima lie apart: take their average, and its distance to the minimum of both losses together.",
            0.2: "That is how far B's own optimum is from the common minimum: the question is about the average of A's and B's.",
            (-0.3,): "Right, but a distance has no sign.",
            0.25: "That takes the common minimum for 0.75: the slopes w and 4(w − 1) cancel where 5w = 4.",
            (0.15, 0.1, 0.4): "The optima are 0 and 1, so their average is 0.5; the slopes w and 4(w − 1) cancel at 0.8.",
        },
        hints=(
            "Many local steps bring a client to its own optimum, wherever it started. The average of optima knows nothing of how steep the losses were; the sum of the losses does.",
            "A's optimum 0, B's optimum 1 → their average; common minimum: slope w of A plus slope 4(w − 1) of B is 0",
            "average = (0 + 1) / 2; common = the w where w + 4(w − 1) = 0; their distance",
        ),
    ),
    question(
        "federated.q_leak",
        "A pixel out of a gradient",
        points=2,
        answer=0.8,
        alternatives=("0.8", 0.80, "0.80"),
        wrong={
            (-0.16, 0.16): "That is the gradient of the weight: it is the pixel times the gradient of the bias, so divide by that.",
            -0.8: "Both gradients are negative, so their quotient is positive.",
            (0.032, -0.032): "That is the product of the two gradients: the weight's gradient is a product already, pixel times bias gradient, so divide.",
            1.25: "That is the quotient turned over: divide the weight's gradient by the bias's, not the other way round.",
            0.3: "That is the first pixel, −0.06 / −0.2: the question asks for the second.",
            0.5: "That is the third pixel, −0.10 / −0.2: the question asks for the second.",
            (-0.2, 0.2): "That is the gradient of the bias: the same for every pixel, so it is what to divide by.",
            (0.04, -0.04, -0.36, 0.36): "Added or subtracted: w·x + b gives the weight's gradient as x times the bias's, a product, so divide.",
            80: "Right, but as per cent: the question asks for a brightness from 0 to 1.",
        },
        hints=(
            "A neuron computes z = w · x + b. By the chain rule each weight's gradient is the gradient of z times its own input, and the bias's is the gradient of z itself.",
            "∂L/∂w₂ = ∂L/∂z · x₂ = −0.16; ∂L/∂b = ∂L/∂z = −0.2",
            "x₂ = (∂L/∂w₂) / (∂L/∂b)",
        ),
    ),
    question(
        "federated.q_sum",
        "What secure aggregation hides",
        points=2,
        answer="C",
        alternatives=("c", " C ", "C)"),
        wrong={
            "A": "The server must get something, or there would be no model: the masks cancel in the sum, so the sum lies open, and with few clients it says much about each.",
            "B": "Single updates are what the masks hide: each arrives with masks on it and looks like random numbers.",
            "D": "That would need the masks' secrets of a node that answered: for a dropped node shares of its pairwise secret are handed out, for the others only those of their self masks.",
            "E": "Masks do not bound what one factory contributes to the sum: the final model can still have learned a sample by heart, and only clipping and noise limit that.",
        },
        hints=(
            "What each factory adds, another one takes away. So what is left when all is added up, and what is there before?",
            "x₁ + m, x₂ − m: each alone is random; the sum is x₁ + x₂, exactly",
            "strike out what claims that nothing is learned, that one update is seen, or that the sum itself is protected",
        ),
    ),
    question(
        "federated.q_key",
        "One key for ten factories",
        points=2,
        answer="D",
        alternatives=("d", " D ", "D."),
        wrong={
            "A": "The factories hold the key: whichever gets hold of another one's ciphertext, on the wire or from the server, reads that update.",
            "B": "It is the other way round: the server has no key and adds what it cannot read; it is the factories that could.",
            "C": "Strong encryption does not help where the key is handed over: one factory that works with the server opens all ten updates.",
            "E": "A shared key still keeps out all who do not have it, and the server, the one that receives every update, does not.",
        },
        hints=(
            "Encryption protects from those who have no key. So ask of each party: has it the key, and does it see single ciphertexts?",
            "server: sees ten ciphertexts, has no key; factory: has the key, sees the sum and, if it listens, ciphertexts; both together: everything",
            "protected = against a party that has ciphertexts and no key, for as long as nobody lends it one",
        ),
    ),
    question(
        "federated.q_epsilon",
        "What an ε allows an attacker",
        points=2,
        answer=75,
        alternatives=(75.0, "75", "75 %"),
        wrong={
            150: "e^ε = 3 multiplies the odds, not the probability: 1 : 1 becomes 3 : 1.",
            50: "That is what the attacker thinks beforehand: the published model may tell up to a factor e^ε more.",
            (100, 99): "Nobody can be sure within ε = 1.1, but for the one case in 100,000 that δ leaves open: the odds grow by e^ε at the most.",
            (0.75, 0.7503): "Right, but as a share: the question asks for per cent.",
            (300, 3): "That is e^ε, the factor by which the odds grow: odds of 3 : 1 are which probability?",
            25: "That is what is left for having stayed away: the question asks for the other side, 3 of 4.",
            (33, 67): "1/e^ε or 1 − 1/e^ε is not it: odds of 3 : 1 are 3 out of 3 + 1.",
            (55, 61, 60): "ε is not added to the probability, nor scales it: it stands in an exponent, and e^1.1 = 3 multiplies the odds.",
            (75.03, 75.0260106): "Right, but the question asks for whole per cent.",
            110: "That is ε in per cent: ε is no probability, it stands in an exponent, e^ε.",
        },
        hints=(
            "Differential privacy bounds how much likelier any result is with my data than without: by a factor e^ε. What somebody believes afterwards follows by Bayes' rule.",
            "odds before 1 : 1; the factor e^1.1 = 3; odds after at most 3 : 1",
            "probability = e^ε / (e^ε + 1), in per cent, rounded",
        ),
    ),
)
