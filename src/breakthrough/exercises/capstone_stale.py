"""Module 6: which stages of a pipeline have to be done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from typing import Any

import torch
from torch import Generator

from breakthrough.exercises.capstone_stale_trial import Looked, Run, alike, short_hash
from breakthrough.exercises.capstone_stale_wrong import MISCONCEPTIONS
from breakthrough.exercises.exercise import Case, Exercise


def plan(stages: dict[str, dict], made: list[dict], run: "Callable[[str, dict[str, str]], str]") -> list[str]:
    """Run the stages that have to be run again, and say which, in that order.

    Why:    training takes an hour and rendering a night: what would come out as before should not be done again; yet
            what hangs on something that did change must be, or the line serves a model that no code here would make
    Units:  stages: name → {"needs": names of the stages whose outputs it reads, "settings": a dict, "code": hash of its
            code}, in any order; no stage needs itself, not even by way of others. made: what was made earlier, in any order, several
            records of a stage perhaps: {"stage": name, "settings", "code", "inputs": {name of a need: hash of the
            content that was read}, "content": hash of what was made, "on_disk": hash of the file that is there now,
            None if it is gone}. A stage is fresh when one record of it has the settings and the code it has now, as
            inputs the contents its needs have now, and on_disk equal to content, which is then the stage's content.
            Every other stage is run once: run(name, inputs), with inputs {name of a need: its content now} for all
            its needs, returns the content, which may well be what it was before.
            Returned: the names of the stages that were run, in the order of the calls
    Source: Mokhov, Mitchell, Peyton Jones 2018, Build systems à la carte (early cutoff)
    """
    content: dict[str, str] = {}
    ran: list[str] = []
    while len(content) < len(stages):
        for name, stage in stages.items():
            if name in content or any(need not in content for need in stage["needs"]):
                continue  # settled, or not to be settled yet
            inputs = {need: content[need] for need in stage["needs"]}
            now = {"stage": name, "settings": stage["settings"], "code": stage["code"], "inputs": inputs}
            like = [old for old in made if all(old[key] == now[key] for key in now) and old["on_disk"] == old["content"]]
            if like:
                content[name] = like[0]["content"]
            else:
                content[name] = run(name, inputs)
                ran.append(name)
    return ran


def _sorted_first(stages, made, run):
    """Keys of what is made, in a dict; stages in topological order."""
    def key(name, settings, code, inputs):
        return json.dumps([name, settings, code, inputs], sort_keys=True)

    store = {key(r["stage"], r["settings"], r["code"], r["inputs"]): r["content"] for r in made if r["content"] == r["on_disk"]}
    now: dict[str, str] = {}
    again = []
    for name in TopologicalSorter({name: stage["needs"] for name, stage in stages.items()}).static_order():
        inputs = {need: now[need] for need in stages[name]["needs"]}
        found = store.get(key(name, stages[name]["settings"], stages[name]["code"], inputs))
        if found is None:
            again.append(name)
            found = run(name, inputs)
        now[name] = found
    return again


def _by_asking(stages, made, run):
    """From the end: a stage asks those it needs."""
    known, ran = {}, []

    def content(name):
        if name not in known:
            stage = stages[name]
            inputs = dict(zip(stage["needs"], map(content, stage["needs"])))
            for old in reversed(made):
                same = (old["stage"], old["code"], old["settings"], old["inputs"]) == (name, stage["code"], stage["settings"], inputs)
                if same and old["on_disk"] is not None and old["on_disk"] == old["content"]:
                    known[name] = old["content"]
                    break
            else:
                known[name] = run(name, inputs)
                ran.append(name)
        return known[name]

    for name in reversed(list(stages)):
        content(name)
    return ran


def _by_counting(stages, made, run):
    """A stage is ready when none of its needs is open."""
    whole = [record for record in made if record["on_disk"] == record["content"]]
    open_needs = {name: set(stage["needs"]) for name, stage in stages.items()}
    contents: dict[str, str] = {}
    ran: tuple[str, ...] = ()
    while open_needs:
        name = min(name for name, needs in open_needs.items() if not needs)
        del open_needs[name]
        for needs in open_needs.values():
            needs.discard(name)
        stage, inputs = stages[name], {need: contents[need] for need in stages[name]["needs"]}
        match = next((r for r in whole if r["stage"] == name and r["settings"] == stage["settings"] and r["code"] == stage["code"] and r["inputs"] == inputs), None)
        contents[name] = match["content"] if match else run(name, inputs)
        ran += () if match else (name,)
    return ran


NEEDS = {
    "scenes": (),
    "photos": (),
    "split": ("scenes",),
    "north": ("scenes", "split"),
    "south": ("scenes", "split"),
    "average": ("north", "south"),
    "int8": ("average", "split"),
    "compile": ("int8",),
    "threshold": ("int8", "photos"),
    "serve": ("compile", "threshold"),
    "report": ("serve", "photos"),
}


class _Line:
    """The line's pipeline as it is now: stages, what of each matters to its output, and what was made before."""

    def __init__(self, generator: Generator, needs: dict[str, tuple[str, ...]] = NEEDS) -> None:
        self.generator = generator
        self.blind: frozenset[str] = frozenset()
        self.made: list[dict[str, Any]] = []
        self.stages: dict[str, dict[str, Any]] = {name: {"needs": list(each), "settings": {"seed": self.drawn(), "size": 64}, "code": self.hash()} for name, each in needs.items()}
        self.matters = {name: self.hash() for name in needs}
        if "south" in needs:  # the factories' stages differ in their names alone
            self.stages["south"] |= {key: self.stages["north"][key] for key in ("settings", "code")}

    def drawn(self) -> int:
        """A number for a setting."""
        return int(torch.randint(1000, 10**6, (), generator=self.generator))

    def hash(self) -> str:
        """Some hash."""
        return short_hash(self.drawn(), self.drawn())

    def edit(self, name: str, *what: str, matters: bool = True) -> _Line:
        """Change settings, code or nothing of a stage; whether its output changes is another question."""
        self.stages[name] = {**self.stages[name], **{key: {"seed": self.drawn(), "size": 64} if key == "settings" else self.hash() for key in what}}
        self.matters = {**self.matters, name: self.hash()} if matters else self.matters
        return self

    def make(self, *names: str) -> _Line:
        """Make all there is, and keep the records of these stages; of all without names."""
        run = self.run()
        contents: dict[str, str] = {}
        for name in TopologicalSorter({name: stage["needs"] for name, stage in self.stages.items()}).static_order():
            stage, inputs = self.stages[name], {need: contents[need] for need in self.stages[name]["needs"]}
            contents[name] = run(name, inputs)
            settings = dict(reversed(stage["settings"].items())) if name == "compile" else stage["settings"]  # the same, in another order
            inputs = dict(reversed(inputs.items())) if name == "serve" else inputs
            record = {"stage": name, "settings": settings, "code": stage["code"], "inputs": inputs, "content": contents[name], "on_disk": "".join(list(contents[name]))}
            self.made += [record] if not names or name in names else []
        return self

    def harm(self, name: str, on_disk: str | None) -> _Line:
        """The file of a stage's last record is another one now, or gone."""
        place = max(i for i, record in enumerate(self.made) if record["stage"] == name)
        self.made[place] = {**self.made[place], "on_disk": on_disk}
        return self

    def run(self) -> Run:
        """What `run` is now."""
        return Run({name: tuple(stage["needs"]) for name, stage in self.stages.items()}, self.matters, self.blind)

    def case(self, label: str, mixed: bool = True) -> Case:
        """The pipeline as a case, its stages from the last to the first, or mixed."""
        names = list(self.stages)[::-1]
        names = [names[i] for i in torch.randperm(len(names), generator=self.generator)] if mixed else names
        run = self.run()
        return Case(label, ({name: self.stages[name] for name in names}, self.made, run), look=Looked(run))


def _reverted(line: _Line) -> _Line:
    """Edited, made, and taken back: what was made with the edit is the last that was made."""
    before = dict(line.make().stages), dict(line.matters)
    line.edit("average", "settings").make()
    line.stages, line.matters = before
    return line


def _crossed(line: _Line) -> _Line:
    """Now with the settings of one record and the code of another."""
    first = line.make().stages["compile"]
    line.edit("compile", "settings", "code").make("compile", "serve", "report")
    line.stages["compile"] = {**line.stages["compile"], "code": first["code"]}
    line.matters = {**line.matters, "compile": line.hash()}
    return line


def _needing(line: _Line, name: str, *needs: str, blind: bool = False) -> _Line:
    """Now with other needs; the output may not depend on them."""
    line.blind = frozenset({name}) if blind else frozenset()
    line.make().stages[name] = {**line.stages[name], "needs": list(needs)}
    return line


def _cases(generator: Generator) -> Iterator[Case]:
    def line(**how: Any) -> _Line:
        return _Line(generator, **how)

    def blind(name: str) -> _Line:
        made = line()
        made.blind = frozenset({name})
        return made.make()

    short = {"scenes": (), "train": ("scenes",), "serve": ("train",)}
    yield line(needs=short).make().edit("train", "settings").case("scenes → train → serve, train with other settings: train, serve", False)
    yield line().make().case("nothing has changed")
    yield line().case("nothing was ever made", False)
    yield line().make().edit("split", "code", matters=False).case("a comment in the code of split: its output stays as it was")
    yield line().make().edit("average", "settings").case("other settings for average")
    yield line().make().edit("photos", "code").edit("scenes", "settings", matters=False).case("new code of photos; a setting of scenes that does nothing")
    yield blind("split").edit("scenes", "settings").case("new scenes, split as before all the same")
    yield blind("int8").edit("split", "settings").case("a new split, which int8 rounds away")
    yield line().make().harm("int8", line().hash()).case("somebody wrote into the file of int8")
    yield line().make().harm("scenes", None).case("the file of scenes is gone")
    yield line().make().harm("photos", None).edit("photos").case("the file of photos is gone, and a new one comes out otherwise")
    yield _reverted(line()).case("an edit that was made, and is taken back")
    yield line().make().edit("north", "code").make().case("an edit that was made")
    yield _crossed(line()).case("compile with the settings of one record and the code of another", False)
    yield line().make("scenes", "split", "north", "photos").case("made up to north; south differs in its name alone")
    yield _needing(line(), "threshold", "int8", "photos", "split", blind=True).case("threshold has a need more")
    yield _needing(line(), "threshold", "int8", blind=True).case("threshold has a need less")
    yield line().make().make("average").harm("average", None).case("average was made twice, the second file is gone")


EXERCISES = (
    Exercise(
        name="capstone.stale",
        title="What has to be done again",
        points=8,
        minutes=50,
        difficulty=2,
        reference=plan,
        cases=_cases,
        compare=alike,
        patience_s=10,
        alternatives=(_sorted_first, _by_asking, _by_counting),
        misconceptions=MISCONCEPTIONS,
        hints=(
            "Whether a stage is fresh can be asked only when the contents of all its needs are known. So settle stages one after another, needs first, and keep for each the content it has now: from a record, or from run. What changed further up does not matter by itself; it matters if it changed what this stage reads.",
            "content: a dict name → hash, for the settled stages; a stage can be settled when all of stage['needs'] are in content; inputs = {need: content[need] for need in stage['needs']}, a dict, so == does not ask for an order; fresh: some record in made with stage, settings, code and inputs equal and on_disk == content; returned: a list of names",
            "content, ran = empty dict, empty list\nuntil every stage is in content:\n    for each stage not in content whose needs all are:\n        inputs = {need: content[need]}\n        look for a record of this stage with the same settings, code and inputs, and on_disk == content\n        if there is one: content[stage] = its content\n        else: content[stage] = run(stage, inputs); append the stage to ran\nreturn ran",
        ),
    ),
)
