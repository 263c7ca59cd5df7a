"""Module 2: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.exercise import question

EXERCISES = (
    question(
        "scenes.q_zbuffer",
        "What a z-buffer holds",
        points=2,
        answer=182,
        alternatives=(182.0, "182", "182 mm"),
        wrong={
            550: "That takes the z-buffer for an even scale from near to far: it holds 1/z stretched to 0–1, so 0.5 lies much nearer than half way.",
            500: "That is half of the far plane: near and far both count, and it is 1/z that is stretched between them.",
            450: "That is half of the way from near to far, counted from the near plane, on an even scale: a z-buffer holds 1/z.",
            (0.182, 0.1818, 0.18): "Right, but in metres: the question asks for whole millimetres.",
            (181, 181.8, 181.82, 180): "Nearly: 100 / 0.55 is 181.8 mm, which rounds to another whole number.",
            100: "That is the near plane, where the value is 0.",
            316: "That is the geometric mean of near and far: 1/z is what is stretched evenly, so take the mean of 1/near and 1/far and turn it round.",
            190: "That is the depth of 0.526: put 0.5 into far · near / (far − (far − near) · value).",
        },
        hints=(
            "The GPU divides by z, so what grows evenly over the z-buffer is 1/z: from 1/near at 0 to 1/far at 1.",
            "near 0.1 → 1/near = 10; far 1 → 1/far = 1; half way between 10 and 1 lies 1/z",
            "1/z = (10 + 1) / 2; z = 1 / that, in millimetres, rounded",
        ),
    ),
    question(
        "scenes.q_gap",
        "Which factor is missing",
        points=2,
        answer="C",
        alternatives=("c", " C ", "C)"),
        wrong={
            "A": "Look at the light rows: dim or bright, the net is right about equally often, so light is covered.",
            "B": "Look at the material rows: steel or cast iron makes no difference, so materials are covered.",
            "D": "Look at the distractor rows: with and without them it is right about equally often.",
            "E": "More of the same pictures repeat what is in the set: the misses all sit in one row, which the set never shows.",
        },
        hints=(
            "A missing factor shows where the pictures are split by it: right on the side that the training set has, wrong on the other.",
            "For each factor compare its two rows: light 88 and 87, material 89 and 86, camera 93 and 41, distractors 88 and 87",
            "the factor with the widest gap between its rows is the one that the set does not vary",
        ),
    ),
    question(
        "scenes.q_randomize",
        "How wide a range should be",
        points=2,
        answer="B",
        alternatives=("b", " B ", "B."),
        wrong={
            "A": "The line's own values are known only roughly and drift with time: a set that shows nothing else fails at the first lamp that is changed.",
            "C": "Beyond what the picture can bear the label loses its sense: on a black picture nobody sees a scratch, and the net learns to guess.",
            "D": "A mean light is one light: what never varies in the set is a thing that the net may lean on.",
            "E": "More pictures of the same few looks teach the looks better: the number does not replace the range.",
        },
        hints=(
            "To the net the real line should be one more variation of what it has seen. What does that ask of the ranges?",
            "range of the set ⊇ range of the line; yet at every value in it the defect must still be seen",
            "wider than the line, so that the line lies inside; not so wide that the label cannot be read from the picture",
        ),
    ),
    question(
        "scenes.q_physics",
        "How far back a settle test must look",
        points=2,
        answer=24,
        alternatives=(24.0, "24", "24 steps"),
        wrong={
            (25, 20): "In one step of 1/240 s the slide moves 500 / 240 = 2.08 µm: divide 50 µm by that.",
            1: "In one step the slide moves 2 µm, less than the jitter: it takes many steps to come out of it.",
            (100, 0.1): "That is the time in milliseconds (or seconds): count it in steps of 1/240 s.",
            240: "That is a whole second, in which the slide moves 500 µm: 50 µm take a tenth of it.",
            2: "That is how many micrometres it moves in one step: how many such steps make 50 µm?",
            12: "That is half of it: 12 steps make 25 µm.",
            2400: "That is ten seconds, 5 mm: 0.5 mm are 500 µm.",
            (10, 6): "After so few steps the slide has moved about as far as the jitter: go on to 50 µm.",
        },
        hints=(
            "Jitter goes to and fro and stays within microns; a slide adds up. So wait until what it adds up to is far above the jitter.",
            "0.5 mm/s = 500 µm/s; 240 steps a second; 50 µm",
            "time = 50 µm / (500 µm/s); steps = time · 240",
        ),
    ),
    question(
        "scenes.q_split",
        "A split that leaks",
        points=2,
        answer=99,
        alternatives=(99.0, "99", "99%"),
        wrong={
            80: "That is the chance that one given sister is in training: a test picture has three, and one of them is enough.",
            20: "That is the share of pictures that were put into the test set.",
            (0.99, 0.992): "Right, but as a share: the question asks for per cent.",
            (99.2, 99.19): "Right, but the question asks for a whole number of per cent.",
            51: "That is the chance that all three sisters are in training: one of them is enough.",
            (0, 100): "Nearly every test picture has a sister in training, but not every one: all three may be in the test set too, by a chance of 0.2³.",
            (75, 60): "Count sisters, not pictures: the chance that none of the three is in training is 0.2 · 0.2 · 0.2.",
            (96, 98): "A scene has four shots, so a test picture has three sisters, and all three are in the test set with 0.2³.",
        },
        hints=(
            "A test picture is no test when the same scene, from a little to the left, was learned. How often does that happen by chance?",
            "three sisters, each in training with 0.8 and in the test set with 0.2",
            "1 − the chance that all three sisters are in the test set too = 1 − 0.2³, in per cent",
        ),
    ),
)
