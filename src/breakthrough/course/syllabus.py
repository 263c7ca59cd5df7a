"""The syllabus: course.yml, read and validated; every fault at once, each with its line and field."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from breakthrough.course.schema import KINDS, Claim, Exchange, Module, Split, Syllabus
from breakthrough.errors import ConfigError, expected
from breakthrough.events import project_root

Location = tuple[str | int, ...]
Fault = tuple[Location, str]
FILE = "course.yml"
SHAPE_TOLERANCE = 1.0  # percentage points that the built modules may be off 70/20/10

_MODELS: dict[str, type[BaseModel]] = {
    "modules": Module, "claims": Claim, "shape": Split, "exchange": Exchange, "hours": Split, "points": Split,
}


def load(root: Path | None = None) -> Syllabus:
    """Read and validate course.yml: fields first, then what fields say about each other.

    Raises: ConfigError with one line for every fault, `course.yml:23: modules[1].hours.lab: expected …`
    """
    folder = (root or project_root()).resolve()
    source = folder / FILE
    if not source.is_file():
        raise ConfigError(expected(f"a {FILE} in {folder}", "none", "running inside the project's folder"))
    return parse(source.read_text(encoding="utf-8"), folder)


def parse(text: str, root: Path) -> Syllabus:
    """Validate the text of a course.yml that lies in `root`.

    Raises: ConfigError with one line for every fault
    """
    node, data = _yaml(text)
    repeated = list(_repeated_keys(node))
    if repeated:
        raise _error(node, repeated)
    if not isinstance(data, dict):
        raise ConfigError(f"{FILE}:1: " + expected("a mapping with title, modules, claims", type(data).__name__))
    try:
        syllabus = Syllabus.model_validate({key: value for key, value in data.items() if key != "root"})
    except ValidationError as error:
        raise _error(node, [_explain(fault) for fault in error.errors(include_url=False)]) from None
    faults = list(_cross_checks(syllabus))
    if faults:
        raise _error(node, faults)
    return syllabus.model_copy(update={"root": root})


def located(root: Path, faults: Sequence[Fault]) -> list[str]:
    """Faults that were found elsewhere in what a course.yml says, each with its line and field."""
    node, _ = _yaml((root / FILE).read_text(encoding="utf-8"))
    return _told(node, faults)


def _yaml(text: str) -> tuple[yaml.Node | None, Any]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return node, yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{FILE}:{line}: " + expected("valid YAML", error.problem or error)) from None


def _repeated_keys(node: yaml.Node | None, at: Location = ()) -> Iterator[Fault]:
    # YAML keeps the last of two equal keys in silence: half a module would vanish
    if isinstance(node, yaml.MappingNode):
        for name, count in Counter(key.value for key, _ in node.value).items():
            if count > 1:
                yield (*at, name), expected("one value", f"{count} of them", "keeping one")
        for key, value in node.value:
            yield from _repeated_keys(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated_keys(value, (*at, index))


def _explain(fault: Any) -> Fault:
    at, kind, got = fault["loc"], fault["type"], fault["input"]
    if kind == "missing":
        return at[:-1], expected(f"the field {at[-1]!r}", "none", f"adding '{at[-1]}: …'")
    if kind == "extra_forbidden":
        known = list(_model_at(at[:-1]).model_fields)
        near = difflib.get_close_matches(str(at[-1]), known, n=1)
        return at, expected(f"one of the fields {', '.join(known)}", repr(at[-1]), near[0] if near else "removing it")
    if kind == "string_pattern_mismatch":
        return at, expected(f"a text that matches {fault['ctx']['pattern']}", repr(got))
    return at, expected(fault["msg"].removeprefix("Input should be ").removeprefix("Value error, "), repr(got))


def _model_at(at: Location) -> type[BaseModel]:
    names = [part for part in at if isinstance(part, str)]
    return _MODELS[names[-1]] if names else Syllabus


def _error(node: yaml.Node | None, faults: list[Fault]) -> ConfigError:
    return ConfigError("\n".join(_told(node, faults)))


def _told(node: yaml.Node | None, faults: Sequence[Fault]) -> list[str]:
    return [f"{FILE}:{_line(node, at)}: {_field(at)}{text}" for at, text in faults]


def _field(at: Location) -> str:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")
    return f"{name}: " if name else ""


def _line(node: yaml.Node | None, at: Location) -> int:
    """The line of a field, of the nearest thing around it when the field is not written."""
    line = node.start_mark.line + 1 if node else 1  # of an empty file there is none
    for part in at:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(value, value) for value in node.value[part:part + 1]]
        else:
            found = []
        if not found:
            return line
        key, node = found[-1]
        line = key.start_mark.line + 1
    return line


def _cross_checks(course: Syllabus) -> Iterator[Fault]:
    yield from _unique(course)
    yield from _order(course)
    for index, module in enumerate(course.modules):
        yield from _module(course, index, module)
    yield from _shape(course)


def _unique(course: Syllabus) -> Iterator[Fault]:
    seen: dict[str, Location] = {}
    names: list[tuple[str, Location]] = []
    for i, module in enumerate(course.modules):
        names.append((module.id, ("modules", i, "id")))
        for key in ("exercises", "questions"):
            names += [(name, ("modules", i, key, j)) for j, name in enumerate(getattr(module, key))]
    names += [(claim.id, ("claims", i, "id")) for i, claim in enumerate(course.claims)]
    for name, at in names:
        if name in seen:
            yield at, expected("a name of its own", f"{name!r}, which is already {_field(seen[name]).rstrip(': ')}")
        seen.setdefault(name, at)


def _order(course: Syllabus) -> Iterator[Fault]:
    ids: list[str] = []
    given: list[str] = []
    for i, module in enumerate(course.modules):
        for j, name in enumerate(module.prerequisites):
            if name not in ids:
                hint = ", ".join(dict.fromkeys(ids)) or "removing it"
                yield ("modules", i, "prerequisites", j), expected("a module that comes before", repr(name), hint)
        for j, kind in enumerate(module.takes):
            if kind not in given:
                hint = ", ".join(dict.fromkeys(given)) or "removing it"
                yield ("modules", i, "takes", j), expected("an artifact that a module before gives", repr(kind), hint)
        ids.append(module.id)
        given += module.gives


def _module(course: Syllabus, index: int, module: Module) -> Iterator[Fault]:
    at: Location = ("modules", index)
    known = [claim.id for claim in course.claims]
    for j, name in enumerate(module.claims):
        if name not in known:
            yield (*at, "claims", j), expected("a claim of the list below", repr(name))
    for key in ("exercises", "questions"):
        for j, name in enumerate(getattr(module, key)):
            if name.split(".")[0] != module.room:
                yield (*at, key, j), expected(f"a name that begins with '{module.room}.'", repr(name))
    if not module.built:
        for key in ("hours", "points"):
            if getattr(module, key).total:
                yield (*at, key), expected("none while the module is planned", f"{getattr(module, key).total:g}")
        return
    if not module.hours.total:
        got = "0 in all" if "hours" in module.model_fields_set else "no such field"
        yield (*at, "hours"), expected("hours for a module that is built", got, "hours: {lab: …, exchange: …, lesson: …}")
    if bool(module.exercises) != bool(module.points.lab):
        yield (*at, "points", "lab"), expected("points exactly when there are exercises", f"{module.points.lab:g}")
    if bool(module.questions) != bool(module.points.lesson):
        yield (*at, "points", "lesson"), expected("points exactly when there are questions", f"{module.points.lesson:g}")


def _shape(course: Syllabus) -> Iterator[Fault]:
    if abs(course.shape.total - 100) > 1e-9:
        yield ("shape",), expected("per cents that sum to 100", f"{course.shape.total:g}")
    if abs(course.exchange.reviews + course.exchange.work - 100) > 1e-9:
        yield ("exchange",), expected("per cents that sum to 100", f"{course.exchange.reviews + course.exchange.work:g}")
    for key in ("hours", "points"):
        sums = {kind: sum(getattr(getattr(m, key), kind) for m in course.built) for kind in KINDS}
        whole = sum(sums.values())
        for kind in KINDS if whole else ():
            share, wanted = 100 * sums[kind] / whole, getattr(course.shape, kind)
            if abs(share - wanted) > SHAPE_TOLERANCE:
                got = f"{share:.1f}% ({sums[kind]:g} of {whole:g})"
                yield ("shape", kind), expected(f"{wanted:g}% of the {key} over the modules that are built", got)
