"""Module 2: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.draws import Draw
from breakthrough.exercises.numbers import raised, word, write
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn


def _zbuffer(draw: Draw) -> Number:
    near, far = draw.pick([(0.1, 1.0), (0.1, 0.5), (0.1, 2.0), (0.2, 1.0), (0.2, 2.0), (0.05, 1.0)])
    value = draw.pick([0.5, 0.75, 0.8, 0.9])
    inverse = (1 - value) / near + value / far  # 1/z grows evenly from 1/near to 1/far
    depth = 1 / inverse
    a, b, share = write(1 / near), write(1 / far), f"{value:g}"
    mm = 1000
    return Number(
        asks=f"A camera has its near plane at {near:g} m and its far plane at {far:g} m. The z-buffer holds {share} at a pixel. How deep is the "
             "surface there? Write **millimetres**, rounded to a whole number (one more or less is forgiven).",
        answer=round(depth * mm),
        tolerance=1,
        unit="mm|millimet(?:re|er)s?",
        wrong=(
            Wrong("even scale", (near + value * (far - near)) * mm,
                  f"That takes the z-buffer for an even scale from near to far: it holds 1/z stretched to 0–1, so {share} lies much nearer than that."),
            Wrong("share of far", value * far * mm,
                  "That is a share of the far plane: near and far both count, and it is 1/z that is stretched between them."),
            Wrong("from the near plane", value * (far - near) * mm,
                  "That is a share of the way from near to far, counted from the near plane, on an even scale: a z-buffer holds 1/z."),
            Wrong("metres", depth, "Right, but in metres: the question asks for whole millimetres."),
            Wrong("near plane", near * mm, "That is the near plane, where the value is 0."),
            Wrong("even ratios", near * (far / near) ** value * mm,
                  "That spaces ratios of depth evenly, as a geometric mean does: it is 1/z that is stretched evenly, from 1/near to 1/far."),
            Wrong("only the difference", mm / (value * (1 / near - 1 / far)),
                  "You took a share of the difference between 1/near and 1/far: it has to be taken off 1/near, where the scale begins."),
        ),
        hints=(
            "The GPU divides by z, so what grows evenly over the z-buffer is 1/z: from 1/near at 0 to 1/far at 1.",
            f"near {near:g} → 1/near = {a}; far {far:g} → 1/far = {b}; {share} of the way from {a} to {b} lies 1/z",
            f"1/z = {a} − {share} · ({a} − {b}); z = 1 / that, in millimetres, rounded",
        ),
    )


FACTORS = {  # name → what the training set varies, its two halves, and how the table calls its rows
    "light": ("the range of lights", ("dim", "bright")),
    "material": ("the materials", ("steel", "cast iron")),
    "camera": ("the range of cameras", ("straight", "turned")),
    "distractors": ("the number of distractors", ("none", "some")),
}
COVERED = {
    "light": "Look at the light rows: dim or bright, the net is right about equally often, so light is covered.",
    "material": "Look at the material rows: steel or cast iron makes no difference, so materials are covered.",
    "camera": "Look at the camera rows: straight or turned, the net is right about equally often, so cameras are covered.",
    "distractors": "Look at the distractor rows: with and without them it is right about equally often.",
}


def _gap(draw: Draw) -> Choice:
    missing = draw.pick(["camera", "light", "material", "distractors"])
    wide = draw.pick([(93, 41), (91, 38), (41, 92), (94, 46), (37, 90)])
    even = iter(draw.shuffled([(88, 87), (89, 86), (88, 87), (86, 88)]))
    scores = {name: wide if name == missing else next(even) for name in FACTORS}
    rows = [f"| {name} | {halves[0]} {scores[name][0]} | {halves[1]} {scores[name][1]} |" for name, (_, halves) in FACTORS.items()]
    table = "\n".join(["| factor | one half | the other |", "|---|---|---|", *rows])
    told = ", ".join(f"{name} {a} and {b}" for name, (a, b) in scores.items())
    return Choice(
        asks="A network trained on a synthetic set is tested on the line. Right answers, per cent, split by one factor at a time:\n\n"
             f"{table}\n\nWhat do you change in the training set?",
        options=(
            *(Right(what) if name == missing else Wrong(name, what, COVERED[name]) for name, (what, _) in FACTORS.items()),
            Wrong("more of the same", "nothing but its size: more of the same pictures",
                  "More of the same pictures repeat what is in the set: the misses all sit in one half of a row, which the set never shows."),
        ),
        hints=(
            "A missing factor shows where the pictures are split by it: right on the side that the training set has, wrong on the other.",
            f"For each factor compare its two halves: {told}",
            "the factor with the widest gap between its halves is the one that the set does not vary",
        ),
    )


def _randomize(draw: Draw) -> Choice:
    low, high, month = draw.pick([(400, 600, "May"), (300, 500, "March"), (500, 900, "June"), (250, 350, "November"), (350, 750, "August")])
    return Choice(
        asks="You choose the range of light intensities for a training set. On the real line it was measured between "
             f"{low} and {high} lux, on two days in {month}. Which range do you take?",
        options=(
            Wrong("as measured", f"{low} to {high} lux: exactly what the line has.",
                  "The line's own values are known only roughly and drift with time: a set that shows nothing else fails at the first lamp that is changed."),
            Right("Wider than that, so that the line lies well inside, up to where the defect can still be seen."),
            Wrong("all there is", "As wide as the renderer allows, from black to white.",
                  "Beyond what the picture can bear the label loses its sense: on a black picture nobody sees a scratch, and the net learns to guess."),
            Wrong("the mean", f"{(low + high) // 2} lux, the mean, in all pictures.",
                  "A mean light is one light: what never varies in the set is a thing that the net may lean on."),
            Wrong("any", "Any: with enough pictures the range does not matter.",
                  "More pictures of the same few looks teach the looks better: the number does not replace the range."),
        ),
        hints=(
            "To the net the real line should be one more variation of what it has seen. What does that ask of the ranges?",
            "range of the set ⊇ range of the line; yet at every value in it the defect must still be seen",
            "wider than the line, so that the line lies inside; not so wide that the label cannot be read from the picture",
        ),
    )


def _physics(draw: Draw) -> Number:
    rate, speed, limit = draw.pick([  # steps a second, µm/s, µm: a whole number of steps
        (240, 500, 50), (240, 500, 75), (240, 500, 100), (240, 400, 50), (240, 400, 60), (240, 800, 60), (120, 500, 50), (120, 300, 50), (480, 500, 50),
        (480, 800, 40), (240, 600, 50), (240, 400, 80), (120, 400, 60),
    ])
    steps = limit / speed * rate
    a_step = f"{speed / rate:.3g}"
    return Number(
        asks=f"A part slides down a tilted tray at {speed / 1000:g} mm/s. Its position also jitters by a few µm. A test compares positions some "
             f"steps apart and calls anything beyond {limit} µm a motion. With steps of 1/{rate} s, how many steps back must it look to catch "
             "the slide? Write a whole number (one more or less is forgiven).",
        answer=round(steps),
        tolerance=1,
        unit="steps?",
        wrong=(
            Wrong("one step", 1, f"In one step the slide moves {a_step} µm, no more than the jitter: it takes many steps to come out of it."),
            Wrong("time", (1000 * limit / speed, limit / speed), f"That is the time in milliseconds (or seconds): count it in steps of 1/{rate} s."),
            Wrong("a whole second", rate, f"That is a whole second, in which the slide moves {speed} µm: {limit} µm take a part of it."),
            Wrong("length of a step", (speed / rate, rate / speed),
                  f"That comes from how far it moves in one step, {a_step} µm: how many such steps make {limit} µm?"),
            Wrong("half way", steps / 2, f"That is half of it: these steps make {write(limit / 2)} µm."),
            Wrong("factor of ten", (100 * steps, steps / 10), f"Mind the units: {speed / 1000:g} mm/s are {speed} µm/s."),
        ),
        hints=(
            "Jitter goes to and fro and stays within microns; a slide adds up. So wait until what it adds up to is far above the jitter.",
            f"{speed / 1000:g} mm/s = {speed} µm/s; {rate} steps a second; {limit} µm",
            f"time = {limit} µm / ({speed} µm/s); steps = time · {rate}",
        ),
    )


def _split(draw: Draw) -> Number:
    shots, share = draw.pick([(4, 80), (4, 75), (4, 70), (4, 60), (4, 65), (5, 60), (5, 70), (6, 60), (4, 55), (5, 55)])
    p, sisters = share / 100, shots - 1
    q = 1 - p
    met = 100 * (1 - q**sisters)
    rest = f"{1 - p:g}"
    return Number(
        asks=f"A dataset has {word(shots)} shots of each scene. Every picture is put into training with a chance of {share}%, else into the test set, "
             "whatever its scene. What per cent of the test pictures have at least one shot of the same scene in training? Round to a whole number.",
        answer=round(met),
        tolerance=0.5,
        unit="%|per ?cent",
        wrong=(
            Wrong("one given sister", share,
                  f"That is the chance that one given sister is in training: a test picture has {word(sisters)}, and one of them is enough."),
            Wrong("share of tests", 100 - share, "That is the share of pictures that were put into the test set."),
            Wrong("as a share", met / 100, "Right, but as a share: the question asks for per cent."),
            Wrong("all of them", 100 * p**sisters, f"That is the chance that all {word(sisters)} sisters are in training: one of them is enough."),
            Wrong("never or always", (0, 100),
                  f"Nearly every test picture has a sister in training, but not every one: all {word(sisters)} may be in the test set too, "
                  f"by a chance of {rest}{raised(sisters)}."),
            Wrong("a sister too few", 100 * (1 - q ** (sisters - 1)),
                  f"A scene has {word(shots)} shots, so a test picture has {word(sisters)} sisters, and all of them are in the test set with {rest}{raised(sisters)}."),
        ),
        hints=(
            "A test picture is no test when the same scene, from a little to the left, was learned. How often does that happen by chance?",
            f"{word(sisters)} sisters, each in training with {p:g} and in the test set with {rest}",
            f"1 − the chance that all {word(sisters)} sisters are in the test set too = 1 − {rest}{raised(sisters)}, in per cent",
        ),
    )


EXERCISES = (
    drawn("scenes.q_zbuffer", "What a z-buffer holds", _zbuffer),
    drawn("scenes.q_gap", "Which factor is missing", _gap),
    drawn("scenes.q_randomize", "How wide a range should be", _randomize),
    drawn("scenes.q_physics", "How far back a settle test must look", _physics),
    drawn("scenes.q_split", "A split that leaks", _split),
)
