"""Module 6: the lesson's concept questions."""

from __future__ import annotations

from breakthrough.exercises.draws import Draw
from breakthrough.exercises.numbers import raised, write
from breakthrough.exercises.questions import Choice, Number, Right, Wrong, drawn

PER_CENT = "%|per ?cent"


def _interval(draw: Draw) -> Number:
    n = draw.pick([300, 150, 200, 600, 400, 500, 1000, 250])
    bound = 100 * 3 / n  # the rule of three, within a per cent or two of the exact bound
    exact = 100 * (1 - 0.05 ** (1 / n))
    half = bound / 2
    two_sided = 100 * (1 - 0.025 ** (1 / n))
    wilson = 100 * 1.96**2 / (n + 1.96**2)  # its upper end, at no miss
    return Number(
        asks=f"A line is shown {n:,} faulty parts and misses none. What share of faulty parts may it miss all the same? Give the largest miss rate, "
             f"**in per cent**, at which no miss among {n:,} would still happen with a chance of 5%. (Two per cent of the number more or less are forgiven.)",
        answer=bound,
        tolerance=0.02 * bound,
        unit=PER_CENT,
        wrong=(
            Wrong("what was seen", 0,
                  f"That is the share that was seen. A line that misses {write(half)}% would miss none of {n:,} more than one time in five: "
                  f"(1 − {write(half / 100)})^{n} = {(1 - half / 100) ** n:.2f}."),
            Wrong("one in all", 100 / n,
                  f"One in {n:,} is not excluded: a line that misses one in {n:,} misses none of {n:,} more than one time in three, "
                  f"(1 − 1/{n})^{n} = {(1 - 1 / n) ** n:.2f}. Which rate makes it one time in twenty?"),
            Wrong("the level", 5,
                  f"5% is how often you allow yourself to be wrong, not the rate: at a rate of 5% about {write(0.05 * n)} of {n:,} would be missed, not none."),
            Wrong("number of misses", 3, f"Three is the number of misses, ln(1 / 0.05) ≈ 3, that such a line makes on average in {n:,}: as a share that is 3 / {n}."),
            Wrong("as a share", (bound / 100, exact / 100), "Right, but a share: the question asks for per cent."),
            Wrong("half of it", half,
                  f"At {write(half)}% none of {n:,} would be missed with a chance of {(1 - half / 100) ** n:.2f}: that is not excluded with 95%. "
                  f"Ask for which rate p it is (1 − p)^{n} = 0.05."),
            Wrong("two sides", (two_sided, wilson),
                  f"That is the bound of an interval with two sides, 2.5% on each, or of Wilson's: here only one side is asked for, and with it ln(20) / {n}."),
            Wrong("found", 100 - bound, "That is how many are found at the least: the question asks how many are missed at the most."),
        ),
        hints=(
            f"Turn it round: suppose the line misses a share p. How likely is it then that {n:,} faulty parts pass its test without a miss? Which p makes that so unlikely that you no longer believe it?",
            f"chance of no miss among {n:,} = (1 − p)^{n}, about exp(−{n} · p); set it to 0.05",
            f"{n} · p = ln(20) = 3.0: the rule of three, p = 3 / n",
        ),
    )


def _base_rate(draw: Draw) -> Number:
    one_in, found, false = draw.pick([200, 100, 400, 500, 1000]), draw.pick([99.5, 99, 98, 95]), draw.pick([1, 2, 0.5, 4])
    parts = 100 * one_in  # so that 100 of them are faulty
    sound = parts - 100
    real, others = found, sound * false / 100  # alarms
    right = 100 * real / (real + others)
    return Number(
        asks=f"1 part in {one_in:,} is faulty. The line raises an alarm for {found:g}% of the faulty parts and for {false:g}% of the sound ones. Of its "
             "alarms, **how many per cent** come from a faulty part? (Half a per cent more or less is forgiven.)",
        answer=round(right, 2),
        tolerance=0.5,
        unit=PER_CENT,
        wrong=(
            Wrong("as a share", right / 100, "Right, but a share: the question asks for per cent."),
            Wrong("faulty ones found", found,
                  "That is how many of the faulty parts raise an alarm. Asked for is how many of the alarms come from a faulty part: most parts are good, "
                  f"and {false:g}% of them is a lot."),
            Wrong("as many", 50,
                  f"As many alarms come from sound parts as from faulty ones only if {write(round(100 * false / (found + false), 1))}% were faulty: here it is 1 in "
                  f"{one_in:,}, and {write(round(others / real, 1))} false alarms go with each real one."),
            Wrong("the false ones", (100 - right, 1 - right / 100), "That is the share of alarms that are false: the question asks for the real ones."),
            Wrong("of all parts", (100 * real / parts, real / parts), "That is how many of all parts are faulty and raise an alarm: divide by how many raise one."),
            Wrong("sound ones with alarm", (false, false / 100),
                  f"That is the share of sound parts that raise an alarm. Count among {parts:,} parts: how many real alarms, how many false ones?"),
            Wrong("all alarms", (100 * (real + others) / parts, (real + others) / parts),
                  "That is how many of all parts raise an alarm: of these, how many are faulty?"),
        ),
        hints=(
            f"Take {parts:,} parts and count heads: how many are faulty, how many of these raise an alarm, and how many of the sound ones do?",
            f"faulty: {parts:,} / {one_in:,} = 100, alarms among them {found:g}; sound: {sound:,}, alarms among them {write(others)}",
            f"share = real alarms / all alarms = {found:g} / ({found:g} + {write(others)})",
        ),
    )


def _cache(draw: Draw) -> Choice:
    does, things, stage, later = draw.pick([
        ("renders the pictures", "the pictures come", "rendering", "training"),
        ("splits the pictures among the factories", "their shares come", "splitting", "federated training"),
        ("quantizes the model", "its files come", "quantization", "compilation"),
        ("draws the scenes", "their descriptions come", "drawing of scenes", "rendering"),
    ])
    return Choice(
        asks="Stages are cached; a stage's key covers its settings, its code and the content hashes of its inputs. You tidy up the code of the stage that "
             f"{does}; {things} out byte for byte as before. What runs again?",
        options=(
            Wrong("nothing", "Nothing: no output has changed.",
                  "The key of the stage covers its code, and nobody can tell from the text of an edit that it changes no output: the stage itself runs again."),
            Wrong("all after it", f"The {stage} and everything after it.",
                  "That is what time stamps do. Here the key of a stage covers the contents of its inputs, and those are what they were."),
            Right(f"The {stage} alone."),
            Wrong("the pipeline", "The whole pipeline, from the first stage.",
                  "The stages before it do not hang on it: nothing that they read has changed."),
            Wrong("the next one", f"The {stage} and the {later}, which reads its output.",
                  "The key of the next stage covers what it reads, not how that was made: equal contents give an equal key."),
        ),
        hints=(
            "A stage runs again when its key is another. What does the key cover, and which of that did the edit change, for the stage itself and for those after it?",
            "key(stage) = hash(its settings, its code, the content hashes of its inputs); early cut-off: equal content, equal key",
            f"{stage}: its code differs, so its key does; {later}: settings, code and contents are the same",
        ),
    )


def _lineage(draw: Draw) -> Choice:
    return Choice(
        asks="Every manifest names its parents and the hash of each file, and all of them verify, from the served model back to the ranges. What does this prove?",
        options=(
            Wrong("right data", "That the data are right, and nothing leaked between stages.",
                  "A hash says which bytes they are, not whether they are good: a wrong label has a hash as well, and a leak between stages too."),
            Right("That no file differs from what its manifest says: nothing was changed since, unless its manifest was changed with it."),
            Wrong("nobody can", "That nobody, even with access to the whole store, can have exchanged a model unnoticed.",
                  "Whoever can write all manifests can write a chain that fits, with other files: it takes a hash kept elsewhere, or a signature, to tell."),
            Wrong("same bytes again", "That running everything again gives the same bytes.",
                  "Only if everything that went into it is on record, and if it is computed the same twice: threads, another processor or a missing seed give other bytes from the same parents."),
            Wrong("nothing else read", "That the stages read nothing but what the manifests name.",
                  "Manifests say what somebody wrote down. A stage that read one more file without saying so leaves no trace in the chain."),
        ),
        hints=(
            "Think of somebody who wants to deceive you, and of somebody who only made a mistake. What would you notice by recomputing hashes, and what not?",
            "manifest: names of parents, hash of each file; verify: hash what lies on the disk, compare, go to the parents",
            "bytes changed after saving: seen. Bad from the beginning, left out of the manifest, or all rewritten: not seen",
        ),
    )


def _canary(draw: Draw) -> Choice:
    looks = draw.pick([1000, 800, 2000, 1500])
    return Choice(
        asks="Old and new model are equally good. You test after every inspection, two-sided at 5%, and stop as soon as it is significant; after "
             f'{looks:,} inspections you give up. How often do you "find" a difference?',
        options=(
            Wrong("the level", "In 5% of cases: that is what the level says.",
                  "5% holds for one look, fixed in advance. Each further look is another chance to be deceived, and you stop at the first that deceives you."),
            Wrong("less", "In less than 5%: there are more and more data.",
                  "More data make an estimate better, true, but the test's limit shrinks along with it: at each look chance has its 5% again."),
            Wrong("always", f"Practically always: 1 − 0.95{raised(looks)}.",
                  f"The looks hang together, as each has all earlier pictures in it: so it is far less than 1 − 0.95^{looks}, which would be certainty after some hundred; "
                  "but it is far more than 5%, and it goes on growing."),
            Right("Far more often than 5%, in some tens of per cent, and the more the longer you look."),
            Wrong("hardly ever", "Hardly ever: without a difference the statistic stays near 0.",
                  "Without a difference the statistic wanders; it stays within limits at most looks, but it is the worst look that stops you."),
        ),
        hints=(
            f"The rule is: stop as soon as it is significant. So ask not how often one look deceives, but how often at least one of all {looks:,} does.",
            "one look: 5%; some looks that hang together: the chance that any of them lies beyond 1.96 standard errors; as the number of looks grows without end it goes to 1 (the law of the iterated logarithm)",
            "simulated: 400 looks at streams without a difference, and about 40 of 100 streams come to a verdict",
        ),
    )


EXERCISES = (
    drawn("capstone.q_interval", "No miss among many", _interval),
    drawn("capstone.q_base_rate", "How many alarms are real", _base_rate),
    drawn("capstone.q_cache", "What runs again after an edit", _cache),
    drawn("capstone.q_lineage", "What a chain of hashes proves", _lineage),
    drawn("capstone.q_canary", "What peeking does to 5%", _canary),
)
