"""Module 6: the lesson's concept questions."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from breakthrough.exercises.compare import Difference, choice
from breakthrough.exercises.exercise import Exercise, question


def _within(tolerance: float, exercise: Exercise) -> Exercise:
    """The same question, of which the answer may be rounded otherwise."""

    def rounded(value: Any) -> Any:
        number = float("nan")
        with suppress(TypeError, ValueError):
            number = float(value.strip(" %") if isinstance(value, str) else value)
        return exercise.reference if abs(number - exercise.reference) <= tolerance and not isinstance(value, bool) else value

    def compare(want: Any, got: Any) -> Difference | None:
        return choice(rounded(want), rounded(got))

    return replace(exercise, compare=compare)


EXERCISES = (
    _within(0.011, question(
        "capstone.q_interval",
        "No miss among 300",
        points=2,
        answer=1,
        alternatives=(1.0, "1", "1%", "1 %", 0.99, 0.994, "0.993 %"),
        wrong={
            (0, "0%"): "That is the share that was seen. A line that misses 1 in 200 would miss none of 300 more than one time in five: (1 − 0.005)^300 = 0.22.",
            (0.33, 0.333, 0.3, "1/3"): "One in 300 is not excluded: a line that misses one in 300 misses none of 300 more than one time in three, (1 − 1/300)^300 = 0.37. Which rate makes it one time in twenty?",
            (5, "5%"): "5% is how often you allow yourself to be wrong, not the rate: at a rate of 5% no miss among 300 would happen twice in ten million times.",
            3: "Three is the number of misses, ln(1 / 0.05) ≈ 3, that such a line makes on average in 300: as a share that is 3 / 300.",
            (0.01, 0.00993, 0.00994, "0.01"): "Right, but a share: the question asks for per cent.",
            (0.5, "0.5%"): "At 0.5% none of 300 would be missed with a chance of 0.22: that is not excluded with 95%. Ask for which rate p it is (1 − p)^300 = 0.05.",
            (1.2, 1.22, 1.23, 1.26, 1.264, 1.3): "That is the bound of an interval with two sides, 2.5% on each, or of Wilson's: here only one side is asked for, and with it ln(20) / 300.",
            (99, "99%"): "That is how many are found at the least: the question asks how many are missed at the most.",
        },
        hints=(
            "Turn it round: suppose the line misses a share p. How likely is it then that 300 faulty parts pass its test without a miss? Which p makes that so unlikely that you no longer believe it?",
            "chance of no miss among 300 = (1 − p)^300, about exp(−300 · p); set it to 0.05",
            "300 · p = ln(20) = 3.0: the rule of three, p = 3 / n",
        ),
    )),
    _within(0.4, question(
        "capstone.q_base_rate",
        "How many alarms are real",
        points=2,
        answer=33,
        alternatives=(33.3, 33.33, 33.0, 33 + 1 / 3, "33", "33%", "33.3 %", "33 per cent", 33.4),
        wrong={
            (1 / 3, 0.33, 0.333, "0.333", 0.3333, "1/3"): "Right, but a share: the question asks for per cent.",
            (99.5, 99, 0.995, "99.5%"): "That is how many of the faulty parts raise an alarm. Asked for is how many of the alarms come from a faulty part: most parts are good, and 1% of them is a lot.",
            (50, 50.1, 50.13, 0.5): "As many alarms come from sound parts as from faulty ones only if 1% were faulty: here it is 1 in 200, and 2 false alarms go with each real one.",
            (66.7, 67, 66, 66.6, 0.67, 0.667, 66.67): "That is the share of alarms that are false: the question asks for the real ones.",
            (0.4975, 0.498, 0.005): "That is how many of all parts are faulty and raise an alarm: divide by how many raise one.",
            (1, 0.01): "That is the share of sound parts that raise an alarm. Count among 20,000 parts: how many real alarms, how many false ones?",
            (1.5, 0.015, 1.49, 1.4925): "That is how many of all parts raise an alarm: of these, how many are faulty?",
        },
        hints=(
            "Take 20,000 parts and count heads: how many are faulty, how many of these raise an alarm, and how many of the sound ones do?",
            "faulty: 20,000 / 200 = 100, alarms among them 99.5; sound: 19,900, alarms among them 199",
            "share = real alarms / all alarms = 99.5 / (99.5 + 199)",
        ),
    )),
    question(
        "capstone.q_cache",
        "What runs again after an edit",
        points=2,
        answer="C",
        alternatives=("c", " C ", "C)"),
        wrong={
            "A": "The key of the stage covers its code, and nobody can tell from the text of an edit that it changes no output: the stage itself runs again.",
            "B": "That is what time stamps do. Here the key of a stage covers the contents of its inputs, and the contents of the pictures are what they were.",
            "D": "The stages before it do not hang on it: nothing that they read has changed.",
            "E": "The key of the next stage covers what it reads, not how that was made: equal pictures give an equal key.",
        },
        hints=(
            "A stage runs again when its key is another. What does the key cover, and which of that did the edit change, for the stage itself and for those after it?",
            "key(stage) = hash(its settings, its code, the content hashes of its inputs); early cut-off: equal content, equal key",
            "pictures: its code differs, so its key does; training: settings, code and contents are the same",
        ),
    ),
    question(
        "capstone.q_lineage",
        "What a chain of hashes proves",
        points=2,
        answer="B",
        alternatives=("b", " B ", "B."),
        wrong={
            "A": "A hash says which bytes they are, not whether they are good: a wrong label has a hash as well, and a leak between stages too.",
            "C": "Whoever can write all manifests can write a chain that fits, with other files: it takes a hash kept elsewhere, or a signature, to tell.",
            "D": "Only if everything that went into it is on record, and if it is computed the same twice: threads, another processor or a missing seed give other bytes from the same parents.",
            "E": "Manifests say what somebody wrote down. A stage that read one more file without saying so leaves no trace in the chain.",
        },
        hints=(
            "Think of somebody who wants to deceive you, and of somebody who only made a mistake. What would you notice by recomputing hashes, and what not?",
            "manifest: names of parents, hash of each file; verify: hash what lies on the disk, compare, go to the parents",
            "bytes changed after saving: seen. Bad from the beginning, left out of the manifest, or all rewritten: not seen",
        ),
    ),
    question(
        "capstone.q_canary",
        "What peeking does to 5%",
        points=2,
        answer="D",
        alternatives=("d", " D ", "D)"),
        wrong={
            "A": "5% holds for one look, fixed in advance. Each further look is another chance to be deceived, and you stop at the first that deceives you.",
            "B": "More data make an estimate better, true, but the test's limit shrinks along with it: at each look chance has its 5% again.",
            "C": "The looks hang together, as each has all earlier pictures in it: so it is far less than 1 − 0.95^1000, which would be certainty after some hundred; but it is far more than 5%, and it goes on growing.",
            "E": "Without a difference the statistic wanders; it stays within limits at most looks, but it is the worst look that stops you.",
        },
        hints=(
            "The rule is: stop as soon as it is significant. So ask not how often one look deceives, but how often at least one of a thousand does.",
            "one look: 5%; some looks that hang together: the chance that any of them lies beyond 1.96 standard errors; as the number of looks grows without end it goes to 1 (the law of the iterated logarithm)",
            "simulated: 400 looks at streams without a difference, and about 40 of 100 streams come to a verdict",
        ),
    ),
)
