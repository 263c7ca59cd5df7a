"""What facts say in words. Every sentence is chosen by the numbers it is about, so that they cannot contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakthrough.capstone.facts import DETECTION, MOST_LOST
from breakthrough.capstone.figures import words
from breakthrough.capstone.line import DOMAINS, LINE, SYNTHETIC, VALID
from breakthrough.capstone.measures import FAILS, HOLDS

Facts = Mapping[str, Any]
Shared = Mapping[str, Any]  # a share as plain data
NONE = "–"
KIND_OF = {SYNTHETIC: "synthetic", LINE: "path-traced", VALID: "kept"}  # pictures


def percent(share: Shared) -> str:
    """A share in per cent: `99.62%`."""
    return NONE if share["value"] is None else f"{100 * share['value']:.2f}%"


def span(share: Shared, signed: bool = False) -> str:
    """The interval of a share, in per cent: `99.41 to 99.77`."""
    if share["low"] is None:
        return NONE
    form = "+.2f" if signed else ".2f"
    return " to ".join(_minus(f"{100 * share[end]:{form}}") for end in ("low", "high"))


def interval(share: Shared) -> str:
    """A share with its interval: `99.62% (99.41 to 99.77)`."""
    return NONE if share["value"] is None else f"{percent(share)} ({span(share)})"


def points(share: Shared) -> str:
    """A difference of shares with its interval, in points: `−0.12 (−0.30 to +0.06)`."""
    return NONE if share["value"] is None else f"{_minus(format(100 * share['value'], '+.2f'))} ({span(share, True)})"


def euros(value: float | None) -> str:
    """An amount: `€12.34`, with more digits below a cent."""
    if value is None:
        return NONE
    return f"€{value:,.2f}" if value == 0 or value >= 0.1 else f"€{value:.2g}"


def duration(seconds: float) -> str:
    """Seconds as people read them: `0.4 s`, `48 s`, `3 min 20 s`."""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60:02d} s"


def size(count: int) -> str:
    """Bytes as people read them: `412 kB`."""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def number(value: float | None) -> str:
    """A number with three digits, whole ones above 1,000; a dash for none."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def listed(value: Any) -> str:
    """A setting as text: lists with commas, pairs by name."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {listed(one)}" for name, one in value.items()) or "none"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value:,}" if isinstance(value, int) else str(value)


def verdict(judged: Shared, of: str = "pictures") -> str:
    """A verdict, and where there is none the number that would give one."""
    if judged["verdict"] in (HOLDS, FAILS):
        return judged["verdict"]
    said = f"cannot be told from {judged['n']:,} {of}"
    return f"{said}; {judged['needed']:,} would tell, if the rate stayed" if judged["needed"] else said


def built(facts: Facts) -> str:
    """What the line is."""
    spec, count = facts["spec"], len(facts["factories"])
    seen = f"{count * spec['train']:,} simulated pictures of {count} factories"
    return f"One net learned from {seen} in federated rounds, so that no picture left its factory; then it was quantized, compiled and served over HTTP."


def answer(facts: Facts, domain: str) -> str:
    """Whether the claim of 99.5% holds on a domain."""
    told = facts["claim"][domain][DETECTION]
    if not told["n"]:
        return f"Among the {KIND_OF[domain]} pictures there is no defect to detect."
    said = f"the line detected {percent(told)} of {told['n']:,} defects, and with an interval of 95% from {span(told)}% the claim of more than 99.5%"
    return f"On {KIND_OF[domain]} pictures {said} {verdict(told, 'defects')}."


def goals(facts: Facts) -> str:
    """Whether the line is what it was to be."""
    accuracy, lost = facts["accuracy"][SYNTHETIC][facts["versions"][-1]]["all"], facts["served"]["gained"]
    said = "reached" if facts["goals"]["accuracy"]["met"] else "missed"
    first = f"The goal of 99.5% accuracy on synthetic pictures, with an interval that begins at 99.0% or above, is {said}: {interval(accuracy)}."
    kept = "kept" if facts["goals"]["lost"]["met"] else "broken"
    return f"{first} The limit of {100 * MOST_LOST:g} points lost from {facts['versions'][0]} to served is {kept}: a change of {points(lost)} points."


def changed(facts: Facts, domain: str) -> str:
    """What the way from the first version to the last did to accuracy."""
    first, last = facts["versions"][0], facts["versions"][-1]
    gained = facts["accuracy"][domain][last]["gained"]
    said = _by_sign(gained, "more answers became right than wrong", "more answers became wrong than right", "a change for better or worse cannot be told")
    return f"On {KIND_OF[domain]} pictures, from {first} to {last}, {said}: {points(gained)} points, in pairs of the same picture."


def served(facts: Facts) -> str:
    """Whether the service says what the compiled net says."""
    told = facts["served"]
    if told["agreement"]["value"] == 1:
        return f"Over HTTP the service gave the same class as the compiled net for each of {told['agreement']['n']:,} pictures."
    return f"Over HTTP the service gave the same class as the compiled net for {interval(told['agreement'])} of {told['agreement']['n']:,} pictures."


def hardest(facts: Facts, domain: str) -> str:
    """The defect that was found least."""
    shares = {name: one for name, one in facts["recall"][domain].items() if name != "none" and one["n"]}
    if len({one["value"] for one in shares.values()}) < 2:
        return f"On {KIND_OF[domain]} pictures no defect was harder to name than another."
    name = min(shares, key=lambda one: shares[one]["value"])
    return f"The hardest to name on {KIND_OF[domain]} pictures: {words(name)}, {interval(shares[name])} of {shares[name]['n']:,}."


def mistake(facts: Facts, domain: str) -> str:
    """The most frequent mistake."""
    table, classes = facts["confusion"][domain], facts["classes"]
    wrong = {(row, column): table[row][column] for row in range(len(classes)) for column in range(len(classes)) if row != column}
    row, column = max(wrong, key=lambda one: wrong[one])
    count = facts["errors"][domain]["count"]
    if not count:
        return f"On {KIND_OF[domain]} pictures no answer was wrong."
    return f"On {KIND_OF[domain]} pictures {count:,} answers were wrong; most often, {wrong[row, column]:,} times, {words(classes[row])} was taken for {words(classes[column])}."


def gap(facts: Facts) -> str:
    """What the other renderer costs."""
    told, compared = facts["gap"]["all"], "{} path-traced pictures are named rightly than synthetic ones"
    said = _by_sign(told, compared.format("Fewer"), compared.format("More"), "Whether path-traced pictures are harder cannot be told from so many")
    return f"{said}: a gap of {points(told)} points."


def threshold(told: Shared) -> str:
    """A threshold in words."""
    return f"log-odds of at least {_minus(format(told['threshold'], '.2f'))}, a probability of {number(100 * told['probability'])}%"


def operating(facts: Facts) -> str:
    """Where the line would stand to meet the claim, and on what that was decided."""
    told, n = facts["operating"], facts["operating"][VALID]["recall"]["n"]
    return f"Chosen on {sum(facts['valid'].values()):,} synthetic pictures kept from training, {n:,} of them of defects, so that at least 99.5% of those are stopped: a part is stopped at {threshold(told)} of any defect."


def at_goal(facts: Facts, domain: str) -> str:
    """What that does on a domain."""
    told = facts["operating"][domain]
    if not told["recall"]["n"]:
        return f"Among the {KIND_OF[domain]} pictures there is no defect to stop."
    said = f"it stops {interval(told['recall'])} of the defects and {interval(told['false_alarms'])} of the sound parts"
    return f"On {KIND_OF[domain]} pictures {said}; that it stops more than 99.5% of all defects {verdict(told['recall'], 'defects')}."


def cheapest(facts: Facts, domain: str) -> str:
    """What the threshold that was cheapest on VALID changes on a domain."""
    told = facts["cost"][domain]
    if told["default"] is None:
        return f"On {KIND_OF[domain]} pictures one kind of part is missing, so nothing can be said of the cost."
    usual, chosen = told["default"]["total_eur"], told["cheapest"]["total_eur"]
    said = "less than" if chosen < usual else "more than" if chosen > usual else "as much as"
    return f"On {KIND_OF[domain]} pictures the decisions then cost {euros(chosen)}, {said} stopping what the likeliest class says, {euros(usual)}; the box comes on top."


def compute(facts: Facts) -> str:
    """What the box adds to the cost of decisions."""
    box = facts["measured"]["box"]
    many = "One box keeps up" if box["boxes"] == 1 else f"{box['boxes']} boxes keep up"
    if facts["measured"]["throughput"] is None:
        many = "Nobody measured what a box answers in a second; one is assumed to keep up"
    return f"{many} with the parts; bought, used up and powered, that is {euros(box['total_eur'])} for a thousand inspections."


def loaded(facts: Facts) -> str:
    """What the service bore."""
    load = facts["measured"]["load"]
    if not load:
        return "No load was put on the service."
    most, lost = max(load, key=lambda one: one["throughput"]), sum(one["failed"] + one["lost"] for one in load)
    ended = "none failed or was lost" if not lost else f"{lost:,} failed or were lost"
    return f"At most it answered {most['throughput']:,.0f} pictures a second, to {most['clients']:,} clients at once; of {sum(one['sent'] for one in load):,} requests {ended}."


def summary(facts: Facts) -> list[str]:
    """The report's first three sentences: what was built, and the claim on either domain."""
    return [built(facts), *(answer(facts, domain) for domain in DOMAINS)]


def _by_sign(told: Shared, above: str, below: str, neither: str) -> str:
    """What is said of a difference: by the side of 0 that its whole interval is on, if it is."""
    return above if told["low"] > 0 else below if told["high"] < 0 else neither


def _minus(text: str) -> str:
    return text.replace("-", "−")


FILTERS = {
    "percent": percent, "span": span, "interval": interval, "points": points, "euros": euros, "duration": duration, "size": size,
    "number": number, "listed": listed, "verdict": verdict, "words": words,
}  # fmt: skip
SENTENCES = {
    "built": built, "answer": answer, "goals": goals, "changed": changed, "served_said": served, "hardest": hardest, "mistake": mistake, "gap": gap,
    "threshold": threshold, "operating": operating, "at_goal": at_goal, "cheapest": cheapest, "compute": compute, "loaded": loaded,
}  # fmt: skip
