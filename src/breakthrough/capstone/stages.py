"""The stages of a line, what each needs, what it depends on, and how they hang together.

    train.<factory> ─┬─ central ──────────────────────────────┐
                     └─ federated ── quantized ── compiled ─┬─ answers ─┬─ line
    test.<factory> ─────────────────────────────────────────┼─ served ──┘
    traced.<factory> ───────────────────────────────────────┘
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from breakthrough.artifacts import Artifact
from breakthrough.capstone import keys
from breakthrough.capstone.spec import Spec
from breakthrough.digests import digest_of
from breakthrough.errors import unknown

OURS = "capstone/{}.py"


@dataclass(frozen=True)
class Kind:
    """One kind of stage: the function that makes it, the rooms and packages it is made by, what it does."""

    module: str
    does: str
    rooms: tuple[str, ...]
    packages: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The hash of all code that can change what it makes."""
        return keys.code_of((*self.rooms, OURS.format(self.module)), self.packages)


SEEING = ("scenes", "train/pictures.py", "train/sets.py")
KINDS: Mapping[str, Kind] = {
    "train": Kind("picturing", "pictures to learn from", SEEING, ("pybullet", "numpy")),
    "test": Kind("picturing", "held-out pictures", SEEING, ("pybullet", "numpy")),
    "traced": Kind("picturing", "held-out pictures, path traced", SEEING, ("pybullet", "mitsuba", "numpy")),
    "central": Kind("learning", "the control: all pictures in one place", ("train", "moe"), ("torch",)),
    "federated": Kind("learning", "one net by four factories", ("train", "moe", "federated"), ("torch", "flwr")),
    "quantized": Kind("shrinking", "the net in int8", ("quant", "train", "moe"), ("torch", "bitsandbytes")),
    "compiled": Kind("shrinking", "the net as machine code", ("deploy", "quant"), ("torch", "apache-tvm", "apache-tvm-ffi")),
    "answers": Kind("shrinking", "what every version says", ("train/inspection.py", "deploy/runtime.py"), ("torch", "apache-tvm-ffi")),
    "served": Kind("probing", "over HTTP, under load", ("deploy",), ("granian",)),
    "line": Kind("closing", "everything as one artifact", ()),
}
FUNCTIONS = {"train": "pictures", "test": "pictures", "traced": "pictures"}


@dataclass(frozen=True)
class Stage:
    """One stage of a line: `settings` is the part of the spec that it depends on."""

    name: str
    needs: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """What kind of stage it is."""
        return KINDS[_kind(self.name)]

    def key(self, inputs: Mapping[str, Artifact]) -> str:
        """Its key, once its inputs are there."""
        return keys.key_of(self.name, self.settings, self.kind.code, inputs)


def graph(spec: Spec) -> dict[str, Stage]:
    """The stages of a line by name, each after those that it needs."""
    train, test, traced = ([f"{part}.{name}" for name in spec.names] for part in ("train", "test", "traced"))
    learned = {name: getattr(spec, name) for name in ("net", "augmentation", "train", "seed")}
    together = {**learned, **{name: getattr(spec, name) for name in ("rounds", "steps", "lr", "lr_end", "batch_size", "protection", "strategy", "server_momentum", "average")}}
    machine = {"batches": list(spec.batches), "processor": keys.processor(), "runs": spec.seconds >= 1}
    stages = [_pictures(spec, name) for part in (train, traced, test) for name in part]
    stages += [
        Stage("central", tuple(train), _plain({**learned, "passes": spec.passes})),
        Stage("federated", tuple(train), _plain(together)),
        Stage("quantized", ("federated", *train), {}),
        Stage("compiled", ("quantized", "federated", *train), machine),
        Stage("answers", ("central", "federated", "quantized", "compiled", *train, *test, *traced), {}),
        Stage("served", ("compiled", *test), {"clients": list(spec.clients), "seconds": spec.seconds}),
    ]
    everything = tuple(stage.name for stage in stages)
    stages.append(Stage("line", everything, {"names": list(spec.names), "spec": digest_of(spec.to_dict(), 12)}))
    return {stage.name: stage for stage in stages}


def named(stages: Mapping[str, Stage], name: str) -> set[str]:
    """The stage of a name; for a kind of stage, such as `train`, those of all factories.

    Raises: UnknownNameError
    """
    found = {one for one in stages if name in (one, _kind(one))}
    if not found:
        raise unknown("stage", name, dict.fromkeys(one for stage in stages for one in (_kind(stage), stage)))
    return found


def leading_to(stages: Mapping[str, Stage], name: str) -> set[str]:
    """A stage, or those of a kind, and all that they need.

    Raises: UnknownNameError
    """
    found = named(stages, name)
    for one in reversed(list(stages.values())):
        if one.name in found:
            found |= set(one.needs)
    return found


def after(stages: Mapping[str, Stage], name: str) -> set[str]:
    """A stage, or those of a kind, and all that hang on them.

    Raises: UnknownNameError
    """
    found = named(stages, name)
    for one in stages.values():  # each comes after what it needs
        if found & set(one.needs):
            found.add(one.name)
    return found


def before_the_end(stages: Mapping[str, Stage]) -> dict[str, int]:
    """How many stages have to be made one after another from each to the end, itself among them."""
    found = dict.fromkeys(stages, 1)
    for one in reversed(list(stages.values())):
        for need in one.needs:
            if need in found:
                found[need] = max(found[need], 1 + found[one.name])
    return found


def perform(text: str) -> str:
    """Make one stage from its order, and say in which folder its artifact lies."""
    from breakthrough import artifacts, devices
    from breakthrough.capstone.order import Order

    order = Order.from_json(text)
    order.work.mkdir(parents=True, exist_ok=True)
    name = _kind(order.stage)
    module = importlib.import_module(f"{__package__}.{KINDS[name].module}")
    with artifacts.storing_in(order.store), devices.threads(1):
        return str(getattr(module, FUNCTIONS.get(name, name))(order).folder)


def _kind(name: str) -> str:
    return name.partition(".")[0]


def _pictures(spec: Spec, name: str) -> Stage:
    part, _, factory = name.partition(".")
    parts = ("train", "valid") if part == "train" else (part,)
    return Stage(name, (), _plain({one: asdict(spec.settings(factory, one)) for one in parts}))


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(settings))
