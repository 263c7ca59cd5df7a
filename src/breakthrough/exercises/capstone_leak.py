"""Module 6: a planted leak: which test pictures has the served model seen, and in which stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator

from breakthrough.exercises.capstone_leak_trial import alike, looked
from breakthrough.exercises.capstone_leak_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise


def leaks(stages: dict[str, dict], served: str, test: list[dict]) -> set[tuple[str, str]]:
    """The test pictures that the served model has seen before, and in which of its stages.

    Why:    each stage splits its pictures with care; but what calibrates the codes, or chooses the threshold, is often
            taken from another folder, in which half of the test lies under other names
    Units:  stages: name → {"parents": names of the stages whose artifacts it takes, "made", "learned", "chosen",
            "measured": lists of pictures}, in any order. A stage made pictures, learned numbers from some (weights,
            scales of codes), chose with some (when to stop, a threshold), and measured on some, which changes nothing.
            The served model is the artifact of stage `served`; it hangs on that stage, on its parents, on their
            parents, and so on; on no other stage. A picture is {"id", "digest": hash of its pixels, "scene": name of
            what was photographed, None where unknown}. An id is a name in a folder: a copy may have another, and
            another picture the same. Two pictures show the same when their digests are equal, or when their scenes
            are equal and known; nothing else.
            Returned: the set of all (stage, id of the test picture) for which the served model hangs on the stage and
            the stage learned from or chose with a picture that shows the same. Ids within test differ
    Source: Kaufman et al. 2012, Leakage in data mining: formulation, detection, and avoidance
    """
    line, ask = set(), [served]
    while ask:
        stage = ask.pop()
        if stage not in line:
            line.add(stage)
            ask += stages[stage]["parents"]
    found = set()
    for stage in line:
        seen = stages[stage]["learned"] + stages[stage]["chosen"]
        digests = {picture["digest"] for picture in seen}
        scenes = {picture["scene"] for picture in seen} - {None}
        found |= {(stage, picture["id"]) for picture in test if picture["digest"] in digests or picture["scene"] in scenes}
    return found


def _pair_by_pair(stages, served, test):
    def hangs_on(name):
        return {name}.union(*(hangs_on(parent) for parent in stages[name]["parents"]))

    found = []
    for name in sorted(hangs_on(served)):
        for picture in test:
            for use in ("learned", "chosen"):
                for other in stages[name][use]:
                    same_scene = picture["scene"] is not None and picture["scene"] == other["scene"]
                    if (same_scene or picture["digest"] == other["digest"]) and (name, picture["id"]) not in found:
                        found.append((name, picture["id"]))
    return found


def _by_signs(stages, served, test):
    """Every test picture's signs in one dict; then each stage's pictures are looked up in it."""
    ids: dict[tuple[str, Any], set[str]] = {}
    for picture in test:
        for sign in (("digest", picture["digest"]), ("scene", picture["scene"])):
            ids.setdefault(sign, set()).add(picture["id"])
    ids.pop(("scene", None), None)
    ancestors = {served}
    before: set[str] = set()
    while ancestors != before:
        before = set(ancestors)
        ancestors.update(*(stages[name]["parents"] for name in before))
    return {
        (name, number)
        for name in ancestors
        for picture in (*stages[name]["learned"], *stages[name]["chosen"])
        for sign in picture.items()
        for number in ids.get(sign, ())
    }


def _from_the_pictures(stages, served, test):
    """First who saw a picture at all, then whether the served model hangs on that stage."""
    def reaches(name):
        return name == served or any(reaches(child) for child in stages if name in stages[child]["parents"])

    where = [(name, p) for name, stage in stages.items() for p in stage["chosen"] + stage["learned"]]
    pairs = {(name, t["id"]) for t in test for name, p in where if t["digest"] == p["digest"] or (t["scene"] or object()) == p["scene"]}
    return {pair for pair in pairs if reaches(pair[0])}


# who takes whose artifact: a line with two factories, an old model that is served no more, and a report
PARENTS = {
    "render": (),
    "trace": (),
    "pretrain": ("render",),
    "north": ("pretrain", "render"),
    "south": ("pretrain", "render"),
    "average": ("north", "south"),
    "int8": ("average", "trace"),
    "threshold": ("int8",),
    "serve": ("threshold", "int8"),
    "old": ("pretrain",),
    "report": ("serve", "trace"),
}
USES = ("made", "learned", "chosen", "measured")
USUAL = {"pretrain": "learned", "north": "learned", "south": "learned", "int8": "learned", "threshold": "chosen", "average": "chosen", "old": "learned", "report": "measured", "serve": "measured"}


class _Line:
    """A pipeline's stages with pictures of their own, and a test set; then something is planted."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.test = [self.picture() for _ in range(9)]
        for picture in self.test[-2:]:
            picture["scene"] = None
        self.stages: dict[str, dict[str, Any]] = {name: {"parents": list(parents), **{use: [] for use in USES}} for name, parents in PARENTS.items()}
        for name, use in USUAL.items():
            self.stages[name][use] += [self.picture() for _ in range(2)]
            self.stages[name][use][-1]["scene"] = None
        self.stages["render"]["made"] += [dict(picture) for picture in self.test]  # the test was rendered, too

    def word(self, letters: str = "0123456789abcdef", n: int = 8) -> str:
        """Some word."""
        return "".join(letters[i] for i in torch.randint(len(letters), (n,), generator=self.generator))

    def picture(self, **same: Any) -> dict[str, Any]:
        """A picture like no other, but for what is the same."""
        return {"id": self.word(n=5), "digest": self.word(), "scene": "s" + self.word(), **same}

    def plant(self, stage: str, kind: str, *which: int, use: str = "") -> _Line:
        """Let a stage use test pictures, as copies, as other shots of their scenes, or as others of the same name."""
        for i in which:
            picture = self.test[i]
            same = {
                "same": picture,
                "copy": {"digest": picture["digest"]},
                "bare copy": {"digest": picture["digest"], "scene": None},
                "shot": {"scene": picture["scene"]},
                "namesake": {"id": picture["id"]},
            }[kind]
            self.stages[stage][use or USUAL[stage]].append(self.picture(**same))
        return self

    def case(self, label: str, served: str = "serve") -> Case:
        """The line as a case, its stages in some order."""
        names = list(self.stages)
        order = torch.randperm(len(names), generator=self.generator)
        return Case(label, ({names[i]: self.stages[names[i]] for i in order}, served, self.test), look=looked)


def _by_hand() -> Case:
    def stage(*parents: str, **uses: list) -> dict[str, Any]:
        return {"parents": list(parents), **{use: [] for use in USES}, **uses}

    def picture(name: str, digest: str, scene: str | None) -> dict[str, Any]:
        return {"id": name, "digest": digest, "scene": scene}

    stages = {
        "train": stage(learned=[picture("a", "11", "x"), picture("t2", "22", "y")]),
        "calibrate": stage("train", learned=[picture("b", "91", "u")]),
        "serve": stage("calibrate", measured=[picture("c", "92", "v")]),
    }
    test = [picture("t1", "91", None), picture("t2", "93", "w"), picture("t3", "94", "x"), picture("t4", "92", "v")]
    return Case("by hand: (calibrate, t1) by its digest, (train, t3) by its scene; t2 is a namesake", (stages, "serve", test), look=looked)


def _cases(generator: Generator) -> Iterator[Case]:
    def line() -> _Line:
        return _Line(generator)

    yield _by_hand()
    yield line().case("nothing leaks")
    yield line().plant("threshold", "same", 0, 3).case("threshold was chosen with two test pictures")
    yield line().plant("int8", "copy", 1, 4, 8).case("int8 was calibrated with renamed copies")
    yield line().plant("pretrain", "shot", 2, 5).case("pretrain learned from other shots of two scenes")
    yield line().plant("south", "bare copy", 2).plant("south", "namesake", 3, 4).case("south: a copy without its scene, and two namesakes")
    yield line().plant("north", "same", 1).plant("average", "shot", 1, 6).plant("threshold", "copy", 1).case("one picture in three stages, another in one")
    yield line().plant("old", "same", 0, 1).plant("report", "same", 2, use="learned").plant("trace", "copy", 3, use="made").case("only in the old model, in the report, or made")
    yield line().plant("int8", "same", 5, use="measured").plant("serve", "copy", 6).plant("serve", "shot", 0, use="chosen").case("serve chose with another shot; others were measured only")
    both = line().plant("int8", "shot", 4)
    both.test += [both.picture(scene=both.test[4]["scene"]), both.picture(digest=both.test[4]["digest"], scene=None)]
    yield both.case("two test pictures of one scene, another shot of which was learned from")
    yield line().plant("render", "copy", 2, use="learned").plant("trace", "shot", 3, use="chosen").case("stages at the very beginning")
    yield line().plant("old", "copy", 5).plant("pretrain", "shot", 6).plant("serve", "same", 1, use="learned").case("the old model is served", "old")


EXERCISES = (
    Exercise(
        name="capstone.leak",
        title="A planted leak between stages",
        points=11,
        minutes=65,
        difficulty=2,
        reference=leaks,
        cases=_cases,
        compare=alike,
        patience_s=10,
        alternatives=(_pair_by_pair, _by_signs, _from_the_pictures),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Two questions, one after the other. Which stages does the served model hang on? Follow the parents from it, and theirs, until none is new. And which test pictures show what such a stage learned from or chose with? A name says nothing there: equal pixels do, and so does the same scene, if it is known.",
            "line: a set of stage names, with an open list of those to follow, at first [served]; for each stage of it: digests and scenes, two sets, of stages[stage]['learned'] + stages[stage]['chosen'], None not among the scenes; a test picture leaks there if its digest or its scene is in them; returned: a set of pairs (stage, id)",
            "line = empty set; ask = [served]\nwhile ask:\n    take a stage from ask; if it is not in line yet: add it, and put its parents into ask\nfound = empty set\nfor stage in line:\n    seen = what it learned from and what it chose with\n    digests, scenes = the sets of theirs, without None\n    for picture in test:\n        if its digest is in digests or its scene in scenes: add (stage, its id) to found\nreturn found",
        ),
    ),
)
