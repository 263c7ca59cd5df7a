"""Module 6: leaks overlooked and leaks that are none, for capstone.leak."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from breakthrough.exercises.exercise import Misconception

Picture = dict[str, Any]
Pairs = Iterable[tuple[str, str]]
LEARNED, CHOSEN, MEASURED, MADE = "learned", "chosen", "measured", "made"


def _line(stages: dict[str, dict], served: str) -> list[str]:
    """The served stage and all it hangs on, the nearest first."""
    found = [served]
    for name in found:
        found += [parent for parent in stages[name]["parents"] if parent not in found]
    return found


def _first_parents(stages: dict[str, dict], served: str) -> list[str]:
    found = [served]
    while stages[found[-1]]["parents"]:
        found.append(stages[found[-1]]["parents"][0])
    return found


def _last_parents(stages: dict[str, dict], served: str) -> list[str]:
    found = [served]
    while stages[found[-1]]["parents"]:
        found.append(stages[found[-1]]["parents"][-1])
    return found


def _family(stages: dict[str, dict], served: str) -> list[str]:
    """What it hangs on, and what hangs on that."""
    found = [served]
    for name in found:
        children = [child for child, stage in stages.items() if name in stage["parents"]]
        found += [other for other in dict.fromkeys([*stages[name]["parents"], *children]) if other not in found]
    return found


def _after(stages: dict[str, dict], served: str) -> list[str]:
    """The served stage and what hangs on it."""
    found = [served]
    for name in found:
        found += [child for child, stage in stages.items() if name in stage["parents"] and child not in found]
    return found


def _known(scene: Any) -> bool:
    return scene is not None


def _same(one: Picture, other: Picture) -> bool:
    return one["digest"] == other["digest"] or (_known(one["scene"]) and one["scene"] == other["scene"])


def _by(*keys: str, every: bool = False) -> Callable[[Picture, Picture], bool]:
    """The same when one of these is the same and known; or every one."""
    how = all if every else any
    return lambda one, other: how(_known(one[key]) and one[key] == other[key] for key in keys)


def _none_is_a_scene(one: Picture, other: Picture) -> bool:
    return one["digest"] == other["digest"] or one["scene"] == other["scene"]


def _stages_and_ids(found: list[tuple[str, Picture, Picture]]) -> set[tuple[str, Any]]:
    return {(stage, mine["id"]) for stage, mine, _ in found}


def _wrong(
    line: Callable[[dict[str, dict], str], list[str]] = _line, uses: tuple[str, ...] = (LEARNED, CHOSEN),
    same: Callable[[Picture, Picture], bool] = _same, pick: Callable[[list[Picture]], list[Picture]] = lambda test: test,
    say: Callable[[list[tuple[str, Picture, Picture]]], Any] = _stages_and_ids,
) -> Callable[..., Any]:  # fmt: skip
    """A search that differs in what is given. `say` gets (stage, test picture, picture that was used), the nearest stage first."""

    def answer(stages, served, test):
        return say([
            (name, mine, other)
            for name in line(stages, served) for mine in pick(test) for use in uses for other in stages[name][use] if same(mine, other)
        ])  # fmt: skip

    return answer


def _ways(*ways: dict[str, Any]) -> dict[str, Any]:
    answers = [_wrong(**way) for way in ways]
    return {"answer": answers[0], "variants": tuple(answers[1:])}


def _crossed(**lists: Any) -> dict[str, Any]:
    """Every choice of one of each list."""
    return _ways(*(dict(zip(lists, choice)) for choice in product(*lists.values())))


def _last_of(key: str) -> Callable[[list[Picture]], list[Picture]]:
    """One test picture for each value of a key, as a dict keeps them; those without one all."""
    return lambda test: [*{picture[key]: picture for picture in test if _known(picture[key])}.values(), *(picture for picture in test if not _known(picture[key]))]


def _nearest(found: list[tuple[str, Picture, Picture]]) -> set[tuple[str, str]]:
    return {(stage, number) for number, stage in {mine["id"]: stage for stage, mine, _ in found[::-1]}.items()}


def _farthest(found: list[tuple[str, Picture, Picture]]) -> set[tuple[str, str]]:
    return {(stage, number) for number, stage in {mine["id"]: stage for stage, mine, _ in found}.items()}


def _everyone(stages: dict[str, dict], served: str) -> list[str]:
    return list(stages)


ALL_USES = (LEARNED, CHOSEN, MEASURED, MADE)

MISCONCEPTIONS = (
    Misconception(
        "by name",
        says="Pictures were compared by their id: a copy may have another name, and another picture the same; compare digests, and scenes where they are known.",
        **_crossed(line=(_line, _everyone), same=(_by("id"),), uses=((LEARNED, CHOSEN), ALL_USES, (LEARNED,), (LEARNED, CHOSEN, MEASURED))),
    ),
    Misconception(
        "by name as well",
        says="The id was compared besides: two pictures with the same name in two folders need not show the same; only digests and known scenes count.",
        **_ways({"same": _by("id", "digest", "scene")}, {"same": _by("id", "digest")}, {"same": _by("id", "scene")}),
    ),
    Misconception(
        "only the same pixels",
        says="Only equal digests were found: another shot of the same scene has other pixels, and shows the model what is asked in the test all the same.",
        **_crossed(same=(_by("digest"),), line=(_line, _everyone), uses=((LEARNED, CHOSEN), (LEARNED,), ALL_USES)),
    ),
    Misconception(
        "only the same scene",
        says="Only equal scenes were found: a copy whose scene is unknown is a copy still; compare digests as well.",
        **_ways({"same": _by("scene")}, {"same": lambda one, other: one["scene"] == other["scene"]}),
    ),
    Misconception(
        "both at once",
        says="Digest and scene were asked to be equal together: one of them is enough.",
        **_crossed(
            same=(_by("digest", "scene", every=True), lambda one, other: one["digest"] == other["digest"] and one["scene"] == other["scene"], lambda one, other: one == other),
            line=(_line, _everyone),
            uses=((LEARNED, CHOSEN), (LEARNED,)),
        ),
    ),
    Misconception(
        "unknown is not equal",
        says="Two unknown scenes were taken for the same: None == None is True in Python, and says nothing of what the pictures show.",
        **_ways({"same": _none_is_a_scene}),
    ),
    Misconception(
        "the last stage alone",
        says="Only the served stage itself was looked at: whatever its parents learned, and theirs, is in the model too.",
        **_ways({"line": lambda stages, served: [served]}),
    ),
    Misconception(
        "parents, not their parents",
        says="Only the stages next to the served one were looked at: follow the parents of the parents, until none is new.",
        **_ways({"line": lambda stages, served: [served, *stages[served]["parents"]]}, {"line": lambda stages, served: list(stages[served]["parents"])}, {"line": lambda stages, served: list(dict.fromkeys([served, *stages[served]["parents"], *(far for near in stages[served]["parents"] for far in stages[near]["parents"])]))}),
    ),
    Misconception(
        "one parent of several",
        says="Only one parent of each stage was followed: a stage may take several artifacts; follow them all.",
        **_ways({"line": _first_parents}, {"line": _last_parents}),
    ),
    Misconception(
        "not the stage itself",
        says="The served stage itself was left out: it may have learned or chosen, too.",
        **_ways({"line": lambda stages, served: _line(stages, served)[1:]}),
    ),
    Misconception(
        "every stage there is",
        says="All stages were looked at: an old model or a report has seen the test without harm, as the served model does not hang on it; follow the parents.",
        **_ways({"line": _everyone}, {"line": _family}, {"line": _everyone, "uses": ALL_USES}, {"line": _everyone, "uses": (LEARNED, CHOSEN, MEASURED)}, {"line": _everyone, "uses": (LEARNED,)}),
    ),
    Misconception(
        "the wrong way along",
        says="The stages that hang on the served one were looked at: what it hangs on lies the other way, along \"parents\".",
        **_ways({"line": _after}, {"line": lambda stages, served: _after(stages, served)[1:]}),
    ),
    Misconception(
        "without the first stages",
        says="Stages without parents were left out: they may have learned, too.",
        **_ways({"line": lambda stages, served: [name for name in _line(stages, served) if stages[name]["parents"]]}),
    ),
    Misconception(
        "measuring is no leak",
        says="Pictures on which was only measured were counted: that changes nothing in the model; what it learned from and chose with does.",
        **_ways({"uses": (LEARNED, CHOSEN, MEASURED)}, {"uses": (MEASURED,)}, {"uses": (CHOSEN, MEASURED)}, {"uses": (LEARNED, MEASURED)}),
    ),
    Misconception(
        "making is no leak",
        says="Pictures that a stage made were counted: whoever renders the test pictures has learned nothing from them.",
        **_ways({"uses": (LEARNED, CHOSEN, MADE)}, {"uses": ALL_USES}, {"uses": (MADE,)}, {"uses": (LEARNED, MADE)}),
    ),
    Misconception(
        "choosing is learning",
        says="Only \"learned\" was looked at: a threshold that was chosen with the test pictures fits them as well; look at \"chosen\" too.",
        **_ways({"uses": (LEARNED,)}),
    ),
    Misconception(
        "learning was left out",
        says="Only \"chosen\" was looked at: what a stage learned from counts as well, calibration of codes among it.",
        **_ways({"uses": (CHOSEN,)}),
    ),
    Misconception(
        "one test picture for a scene",
        says="Of several test pictures with the same scene only one was kept, as in a dict by scene: each of them leaks.",
        **_ways({"pick": _last_of("scene")}, {"pick": lambda test: _last_of("scene")(test[::-1])}),
    ),
    Misconception(
        "one stage for a picture",
        says="For each picture only one stage was named: it may have come in by several, and all have to be mended.",
        **_ways({"say": _nearest}, {"say": _farthest}),
    ),
    Misconception(
        "the other picture's name",
        says="The ids are those of the pictures the stage used: asked for is the id of the test picture, whose measurement they spoil.",
        **_ways({"say": lambda found: {(stage, other["id"]) for stage, _, other in found}}),
    ),
    Misconception(
        "the pair turned round",
        says="The pairs are turned round: first the stage, then the id of the test picture.",
        **_ways({"say": lambda found: {(mine["id"], stage) for stage, mine, _ in found}}),
    ),
    Misconception(
        "pictures without their stage",
        says="Only ids were returned: asked for are pairs (stage, id), so that the stage can be mended.",
        **_ways({"say": lambda found: {mine["id"] for _, mine, _ in found}}, {"say": lambda found: sorted({mine["id"] for _, mine, _ in found})}),
    ),
)
