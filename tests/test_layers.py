"""The layer rules of the library, read from its syntax trees: who may import whom, and what importing may do."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
HOME = SRC / "breakthrough"
BASE = {"errors", "elsewhere", "seeds", "devices", "optional", "artifacts", "events", "files", "lineage", "workers", "cluster", "learner", "palette", "pictures", "language", "digests"}
SUBJECTS = {"moe", "scenes", "train", "federated", "quant", "deploy"}
MAY_IMPORT = {
    **{key: set() for key in SUBJECTS},
    "train": {"moe"},
    "federated": {"train", "scenes"},
    "quant": {"moe", "train", "scenes"},
    "deploy": {"train", "quant", "scenes"},
    "exercises": SUBJECTS,
    "course": set(),
    "grading": {"course"},
    "capstone": SUBJECTS,
    "upkeep": set(),
    "cli": {"course", "grading", "capstone", "upkeep"},
}
BY_NAME_WHERE_RUN = {"course": {"exercises"}, "grading": {"exercises"}, "cli": {"exercises", "scenes", "federated", "quant", "deploy", "capstone"}}  # inside functions only
LIGHT = {"course", "grading", "cli", "upkeep"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "lib", "stuff"}
LABELS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ACTS = {"print", "open", "exec", "eval", "input", "manual_seed", "seed", "mkdir", "makedirs", "write_text", "write_bytes",
        "set_num_threads", "set_default_dtype", "set_default_device", "filterwarnings", "simplefilter", "basicConfig",
        "setLevel", "run", "Popen", "system", "import_module", "__import__", "unlink", "rmtree", "setdefault", "update"}


@dataclass(frozen=True)
class Import:
    """One imported name and where the statement stands: at module level, in a function, for types only."""

    name: str
    level: str


def name_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, level: str) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, level) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.extend(Import(f"{node.module or ''}.{alias.name}" if not node.level else "." * node.level, level) for alias in node.names)
        inner = level
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inner = "function"
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inner = "types"
        for child in ast.iter_child_nodes(node):
            visit(child, inner if level != "types" else "types")

    visit(tree, "module")
    return found


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def edge_faults(name: str, imports: list[Import]) -> list[str]:
    """What one file imports from the library against the rules."""
    room, faults = room_of(name), []
    for one in imports:
        if one.name.startswith("."):
            faults.append(f"{name}: relative import")
        other = room_of(one.name) if one.name.startswith("breakthrough.") else ""
        if not other or other in (room, *BASE) or other.startswith("__"):
            continue
        lazily = one.level != "module" and other in BY_NAME_WHERE_RUN.get(room, set())
        if other not in MAY_IMPORT.get(room, set()) and not lazily:
            faults.append(f"{name} ({room or 'package'}) imports {one.name} ({one.level})")
    return faults


def star_faults(name: str, tree: ast.Module) -> list[str]:
    return [f"{name}:{node.lineno}: star import" for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)]


def effect_faults(name: str, tree: ast.Module) -> list[str]:
    """Statements at module level that do more than define."""
    return [f"{name}:{node.lineno}: {ast.unparse(node)[:70]}" for node in tree.body if not _defines(node)]


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.If):
        test = ast.unparse(node.test)
        return test == "__name__ == '__main__'" or (test == "TYPE_CHECKING" and all(map(_defines, node.body)))
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
        names = {func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in calls}
        return all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets) and not names & ACTS
    return isinstance(node, LABELS)


def random_faults(name: str, tree: ast.Module) -> list[str]:
    """Draws from a global generator: no generator is given, or the global one is seeded outside a fork of it."""
    faults, forked = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any("fork_rng" in ast.unparse(item) for item in node.items):
            forked |= {id(inner) for inner in ast.walk(node)}  # what happens here is undone at its end
        if not isinstance(node, ast.Call) or id(node) in forked:
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg for keyword in node.keywords}
        draws = called in {f"torch.{draw}" for draw in ("rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "normal")}
        numpy = called.startswith(("np.random.", "numpy.random.")) and called.rsplit(".", 1)[1] not in ("default_rng", "Generator", "SeedSequence")
        if (draws and "generator" not in given) or numpy or called in ("torch.manual_seed", "torch.seed") or (
                called.startswith("random.") and called != "random.Random"):
            faults.append(f"{name}:{node.lineno}: {called}")
    return faults


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Every cycle that a depth-first walk meets."""
    found, state, path = [], {}, []

    def walk(name: str) -> None:
        state[name] = "open"
        path.append(name)
        for other in sorted(graph.get(name, ())):
            if state.get(other) == "open":
                found.append([*path[path.index(other):], other])
            elif other not in state:
                walk(other)
        state[name] = path.pop() and "done"

    for name in sorted(graph):
        if name not in state:
            walk(name)
    return found


@cache
def trees() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(HOME.rglob("*.py"))}


def resolve(name: str) -> str | None:
    """The file of the library that an imported name means."""
    if name in trees():
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in trees() else None


def graph(levels: tuple[str, ...]) -> dict[str, set[str]]:
    made = {}
    for name, tree in trees().items():
        targets = {resolve(one.name) for one in imports_of(tree) if one.level in levels and one.name.startswith("breakthrough")}
        made[name] = {target for target in targets if target and target != name}
    return made


FILES = sorted(path for path in HOME.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))


@each_file
def test_a_file_imports_only_what_its_room_may(path):
    assert edge_faults(name_of(path), imports_of(trees()[name_of(path)])) == []


@each_file
def test_importing_a_file_does_nothing(path):
    tree = trees()[name_of(path)]
    assert star_faults(name_of(path), tree) + effect_faults(name_of(path), tree) == []


# tests as a learner writes them: they assert, and draw in the fork that exercises.moe_trial makes for them
each_library_file = pytest.mark.parametrize(
    "path", [path for path in FILES if not path.stem.startswith("moe_prove")], ids=lambda path: str(path.relative_to(HOME)))


@each_library_file
def test_nothing_draws_from_a_global_generator(path):
    assert random_faults(name_of(path), trees()[name_of(path)]) == []


@each_file
def test_a_file_is_short_and_named_by_its_subject(path):
    assert path.stem not in VAGUE
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


@each_library_file
def test_library_code_raises_and_never_asserts(path):
    assert [node.lineno for node in ast.walk(trees()[name_of(path)]) if isinstance(node, ast.Assert)] == []


def test_there_are_no_cycles():
    assert cycles(graph(("module", "function"))) == []


def test_course_and_command_line_reach_no_torch_and_no_subject():
    edges = graph(("module",))
    todo = [name for name in trees() if room_of(name) in LIGHT]
    seen = set()
    while todo:
        name = todo.pop()
        seen.add(name)
        todo += edges[name] - seen
    reached = {one.name.split(".")[0] for name in seen for one in imports_of(trees()[name]) if one.level == "module"}
    assert "breakthrough.course.syllabus" in seen and "typer" in reached
    assert not {"torch", "transformers", "flwr", "tvm"} & reached
    assert not {room_of(name) for name in seen} & (SUBJECTS | {"exercises", "capstone"})


def test_every_room_is_known():
    rooms = {room_of(name) for name in trees()} - {""}
    assert rooms <= BASE | set(MAY_IMPORT)


def parsed(source: str) -> ast.Module:
    return ast.parse(source)


@pytest.mark.parametrize(("name", "source"), [
    ("breakthrough.errors", "from breakthrough import moe"),
    ("breakthrough.artifacts", "def f():\n    from breakthrough.moe.routing import route"),
    ("breakthrough.moe.layer", "import breakthrough.train"),
    ("breakthrough.moe.layer", "if TYPE_CHECKING:\n    from breakthrough.train import loop"),
    ("breakthrough.course.runs", "from breakthrough import exercises"),
    ("breakthrough.course.runs", "def f():\n    from breakthrough.moe import route"),
    ("breakthrough.train.loop", "from breakthrough import capstone"),
    ("breakthrough.moe.layer", "from . import routing"),
])
def test_the_rule_of_rooms_sees(name, source):
    assert edge_faults(name, imports_of(parsed(source)))


@pytest.mark.parametrize(("name", "source"), [
    ("breakthrough.train.loop", "from breakthrough.moe import SparseMoE"),
    ("breakthrough.moe.layer", "from breakthrough.errors import expected\nfrom breakthrough.moe import routing\nimport torch"),
    ("breakthrough.course.agreement", "def f():\n    from breakthrough import exercises"),
])
def test_the_rule_of_rooms_allows(name, source):
    assert edge_faults(name, imports_of(parsed(source))) == []


@pytest.mark.parametrize("source", [
    "print('loaded')", "import os\nos.environ['X'] = '1'", "x = open('f')", "torch.manual_seed(0)", "for i in range(3): pass",
    "with a: pass", "y = torch.set_num_threads(1)", "if DEBUG:\n    x = 1", "x += open('f')", "if TYPE_CHECKING:\n    print(1)",
])
def test_the_rule_of_effects_sees(source):
    assert effect_faults("m", parsed(source))


def test_the_rule_of_effects_allows_definitions():
    source = '"""Doc."""\nimport a\nX = {"a": 1}\nX += (2,)\nY: int = len(X)\ndef f(): print(1)\nclass C: pass\nif __name__ == "__main__":\n    f()'
    assert effect_faults("m", parsed(source)) == []


@pytest.mark.parametrize("source", [
    "torch.randn(3)", "np.random.rand(3)", "random.random()", "torch.manual_seed(1)", "torch.randperm(n, device=d)",
])
def test_the_rule_of_generators_sees(source):
    assert random_faults("m", parsed(source))


@pytest.mark.parametrize("source", ["with torch.random.fork_rng():\n    torch.manual_seed(0)", "torch.randn(3, generator=g)", "np.random.default_rng(0)", "random.Random(1)"])
def test_the_rule_of_generators_allows(source):
    assert random_faults("m", parsed(source)) == []


def test_the_rule_of_cycles_and_stars_see():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c", "a"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert star_faults("m", parsed("from os import *"))
