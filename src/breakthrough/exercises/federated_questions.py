"""Module 3: the lesson's concept questions."""

from __future__ import annotations

import math

from breakthrough.exercises.draws import Draw
from breakthrough.exercises.numbers import word, write
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn


def _drift(draw: Draw) -> Number:
    # A's loss is ½ w², B's ½ · steep (w − b)²: optima 0 and b
    b, steep = draw.pick([1, 2, 3, 5, 10, 4]), draw.pick([4, 9, 1.5])
    average = b / 2
    common = steep * b / (1 + steep)  # the slopes w and steep (w − b) cancel
    distance = abs(common - average)
    s, sum_s = f"{steep:g}", f"{1 + steep:g}"
    return Number(
        asks=f"Two factories with equally many samples train one weight *w*. A's loss is ½ w², B's is ½ · {s} (w − {b})². In every round each trains "
             "until it stands at the minimum of its own loss, and the server averages the two. However many rounds: how far does *w* end from the "
             "minimum of both losses together?",
        answer=distance,
        tolerance=0.01 * distance,
        wrong=(
            Wrong("the average", average,
                  "That is where the average lies, half way between the two optima: how far is it from the minimum of both losses together?"),
            Wrong("the common minimum", common,
                  f"That is the minimum of both losses together, where w + {s}(w − {b}) = 0: how far from it is the average?"),
            Wrong("no distance", 0,
                  "More rounds do not help here: whatever a round starts from, each factory walks all the way to its own optimum, and the average is the same again."),
            Wrong("optima apart", b, "That is how far the two optima lie apart: take their average, and its distance to the minimum of both losses together."),
            Wrong("B's distance", b - common,
                  "That is how far B's own optimum is from the common minimum: the question is about the average of A's and B's."),
            Wrong("signed", -distance, "Right, but a distance has no sign."),
            Wrong("another minimum", abs((steep - 1) * b / steep - average),
                  f"That takes the common minimum for {write((steep - 1) * b / steep)}: the slopes w and {s}(w − {b}) cancel where {sum_s} w = {write(steep * b)}."),
        ),
        hints=(
            "Many local steps bring a client to its own optimum, wherever it started. The average of optima knows nothing of how steep the losses were; the sum of the losses does.",
            f"A's optimum 0, B's optimum {b} → their average; common minimum: slope w of A plus slope {s}(w − {b}) of B is 0",
            f"average = (0 + {b}) / 2; common = the w where w + {s}(w − {b}) = 0; their distance",
        ),
    )


def _leak(draw: Draw) -> Number:
    bias = draw.pick([-0.2, -0.4, -0.5, -0.25, -0.1])
    pixels = draw.pick([(0.3, 0.8, 0.5), (0.6, 0.2, 0.9), (0.4, 0.9, 0.7), (0.8, 0.4, 0.1), (0.9, 0.3, 0.6), (0.2, 0.7, 0.4), (0.5, 0.6, 0.8), (0.7, 0.1, 0.3)])
    weights = [round(pixel * bias, 9) for pixel in pixels]  # by the chain rule: the bias's gradient times the pixel
    first, x, third = pixels
    slope = weights[1]
    w1, w2, w3, b = map(write, (*weights, bias))
    return Number(
        asks="A node sends the gradient of one picture's loss. In the first layer, one neuron z = w · x + b over three pixels has "
             f"∂L/∂w = ({w1}, {w2}, {w3}) and ∂L/∂b = {b}. How bright, from 0 to 1, was the second pixel?",
        answer=x,
        tolerance=0.004,
        wrong=(
            Wrong("weight's gradient", (slope, -slope),
                  "That is the gradient of the weight: it is the pixel times the gradient of the bias, so divide by that."),
            Wrong("sign", -x, "Both gradients are negative, so their quotient is positive."),
            Wrong("product", (slope * bias, -slope * bias),
                  "That is the product of the two gradients: the weight's gradient is a product already, pixel times bias gradient, so divide."),
            Wrong("turned over", 1 / x, "That is the quotient turned over: divide the weight's gradient by the bias's, not the other way round."),
            Wrong("first pixel", first, f"That is the first pixel, {w1} / {b}: the question asks for the second."),
            Wrong("third pixel", third, f"That is the third pixel, {w3} / {b}: the question asks for the second."),
            Wrong("bias's gradient", (bias, -bias), "That is the gradient of the bias: the same for every pixel, so it is what to divide by."),
            Wrong("sum", (slope - bias, bias - slope, slope + bias, -slope - bias),
                  "Added or subtracted: w·x + b gives the weight's gradient as x times the bias's, a product, so divide."),
            Wrong("per cent", 100 * x, "Right, but as per cent: the question asks for a brightness from 0 to 1."),
        ),
        hints=(
            "A neuron computes z = w · x + b. By the chain rule each weight's gradient is the gradient of z times its own input, and the bias's is the gradient of z itself.",
            f"∂L/∂w₂ = ∂L/∂z · x₂ = {w2}; ∂L/∂b = ∂L/∂z = {b}",
            "x₂ = (∂L/∂w₂) / (∂L/∂b)",
        ),
    )


def _sum(draw: Draw) -> Choice:
    factories = word(draw.pick([10, 4, 6, 12, 8]))
    return Choice(
        asks=f"{factories.capitalize()} factories mask their updates with pairwise masks that cancel, and the server adds up what arrives. "
             "What does secure aggregation do?",
        options=(
            Wrong("nothing learned", "The server learns nothing at all, not even what the sum tells.",
                  "The server must get something, or there would be no model: the masks cancel in the sum, so the sum lies open, and with few clients it says much about each."),
            Wrong("updates seen", "The server sees every update, but not the data behind it.",
                  "Single updates are what the masks hide: each arrives with masks on it and looks like random numbers."),
            Right("The server learns the sum of the updates and what follows from it, and no single one."),
            Wrong("drop-outs", "As soon as one factory drops out, the server can read the updates of those that answered.",
                  "That would need the masks' secrets of a node that answered: for a dropped node shares of its pairwise secret are handed out, for the others only those of their self masks."),
            Wrong("memory", "It keeps the final model from remembering a single sample.",
                  "Masks do not bound what one factory contributes to the sum: the final model can still have learned a sample by heart, and only clipping and noise limit that."),
        ),
        hints=(
            "What each factory adds, another one takes away. So what is left when all is added up, and what is there before?",
            "x₁ + m, x₂ − m: each alone is random; the sum is x₁ + x₂, exactly",
            "strike out what claims that nothing is learned, that one update is seen, or that the sum itself is protected",
        ),
    )


def _key(draw: Draw) -> Choice:
    n = word(draw.pick([10, 4, 6, 12, 8]))
    return Choice(
        asks=f"{n.capitalize()} factories share one secret CKKS key; the server has none and adds their ciphertexts. Whom does the encryption keep out?",
        options=(
            Wrong("the factories", "The other factories, but not the server.",
                  "The factories hold the key: whichever gets hold of another one's ciphertext, on the wire or from the server, reads that update."),
            Wrong("both", "Both: the server and the other factories.",
                  "It is the other way round for the factories: the server has no key and adds what it cannot read; it is the factories that could."),
            Wrong("everyone", "Everyone, even a server and a factory that work together.",
                  f"Strong encryption does not help where the key is handed over: one factory that works with the server opens all {n} updates."),
            Right("The server, as long as no factory works with it."),
            Wrong("nobody", f"Nobody: a key that {n} have is no key.",
                  "A shared key still keeps out all who do not have it, and the server, the one that receives every update, does not."),
        ),
        hints=(
            "Encryption protects from those who have no key. So ask of each party: has it the key, and does it see single ciphertexts?",
            f"server: sees {n} ciphertexts, has no key; factory: has the key, sees the sum and, if it listens, ciphertexts; both together: everything",
            "protected = against a party that has ciphertexts and no key, for as long as nobody lends it one",
        ),
    )


def _epsilon(draw: Draw) -> Number:
    epsilon = draw.pick([1.1, 1.4, 2.2, 1.8, 0.9, 1.2, 0.8, 1.3])
    odds = math.exp(epsilon)  # 1 : 1 before, odds : 1 after
    sure = 100 * odds / (odds + 1)
    e, about = f"{epsilon:g}", f"{odds:.2g}"
    return Number(
        asks=f"A model was trained with ε = {e} and a negligible δ. Before seeing it, an attacker holds it for equally likely (50%) that your factory "
             "took part. How sure can the model make the attacker at the most, in **per cent**, rounded to a whole number?",
        answer=round(sure),
        tolerance=0.5,
        unit="%|per ?cent",
        wrong=(
            Wrong("times the probability", 50 * odds, f"e^ε = {about} multiplies the odds, not the probability: 1 : 1 becomes {about} : 1."),
            Wrong("as before", 50, "That is what the attacker thinks beforehand: the published model may tell up to a factor e^ε more."),
            Wrong("certain", (100, 99.5),
                  f"Nobody can be sure within ε = {e}, but for the rare case that δ leaves open: the odds grow by e^ε at the most."),
            Wrong("as a share", sure / 100, "Right, but as a share: the question asks for per cent."),
            Wrong("the odds", (100 * odds, odds), f"That is e^ε, the factor by which the odds grow: odds of {about} : 1 are which probability?"),
            Wrong("stayed away", 100 - sure, f"That is what is left for having stayed away: the question asks for the other side of odds of {about} : 1."),
            Wrong("one over", (100 / odds, 100 - 100 / odds), f"1/e^ε or 1 − 1/e^ε is not it: odds of {about} : 1 are {about} out of {about} + 1."),
            Wrong("scaled by ε", (50 * epsilon, 50 * (1 + epsilon)),
                  f"ε is not added to the probability, nor scales it: it stands in an exponent, and e^{e} = {about} multiplies the odds."),
            Wrong("ε in per cent", 100 * epsilon, "That is ε in per cent: ε is no probability, it stands in an exponent, e^ε."),
        ),
        hints=(
            "Differential privacy bounds how much likelier any result is with my data than without: by a factor e^ε. What somebody believes afterwards follows by Bayes' rule.",
            f"odds before 1 : 1; the factor e^{e} = {about}; odds after at most {about} : 1",
            "probability = e^ε / (e^ε + 1), in per cent, rounded",
        ),
    )


EXERCISES = (
    drawn("federated.q_drift", "Where the average of two optima lies", _drift),
    drawn("federated.q_leak", "A pixel out of a gradient", _leak),
    drawn("federated.q_sum", "What secure aggregation hides", _sum),
    drawn("federated.q_key", "One key for all factories", _key),
    drawn("federated.q_epsilon", "What an ε allows an attacker", _epsilon),
)
