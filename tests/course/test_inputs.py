"""Which results an edit makes stale: in a copy of the project, one file at a time is changed."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

from breakthrough.course import changes, inputs, sources, syllabus
from breakthrough.course.plan import Plan
from breakthrough.errors import InputError

HERE = Path(__file__).parents[2]


def git(folder, *arguments):
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The project as one commit of a repository of its own."""
    folder = tmp_path_factory.mktemp("copy")
    for name in changes.PARTS:
        source = HERE / name
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ipynb_checkpoints")
        shutil.copytree(source, folder / name, ignore=ignore) if source.is_dir() else shutil.copyfile(source, folder / name)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as it is")
    return folder


@pytest.fixture
def edit(copy):
    """Change a file of the copy; it is as it was when the test ends."""
    def change(name, before="", after="\n# edited\n"):
        path = copy / name
        text = path.read_bytes()
        path.write_bytes(text.replace(before.encode(), after.encode(), 1) if before else text + after.encode())
        assert path.read_bytes() != text

    yield change
    git(copy, "checkout", "-q", "--", ".")
    git(copy, "clean", "-fdq")


def stale(copy, revision="HEAD"):
    """The notebooks whose own inputs changed, and those that take from a lab whose did: `1L` a lesson, `1lab` a lab."""
    plan = Plan(syllabus.load(copy), "tiny")
    decisions = changes.decide(plan, plan.tasks(), revision)

    def names(chosen):
        return {f"{one.task.module.id[1]}{'L' if one.task.kind == 'lesson' else 'lab'}" for one in chosen}

    return names(one for one in decisions if one.changed), names(one for one in decisions if one.takes and not one.changed)


def both(*numbers):
    return {f"{number}{kind}" for number in numbers for kind in (("L", "lab") if number else ("L",))}


@pytest.mark.parametrize(("name", "own", "by_givers"), [
    ("src/breakthrough/deploy/nests.py", both(5, 6), set()),
    ("src/breakthrough/deploy/page/page.css", both(5, 6), set()),  # a data file of a room
    ("src/breakthrough/deploy/records/cpu.jsonl.gz", both(5, 6), set()),
    ("src/breakthrough/quant/nf4.py", both(4, 5, 6), set()),
    ("src/breakthrough/federated/masking.py", both(3, 6), {"4lab", "5lab"}),  # a lesson takes nothing
    ("src/breakthrough/errors.py", both(*range(7)), set()),  # a base file
    ("src/breakthrough/exercises/judge.py", both(*range(7)), set()),
    ("src/breakthrough/exercises/federated_mask.py", both(3), {"4lab", "5lab"}),  # loaded by name, with its room's exercises
    ("src/breakthrough/course/execution.py", both(*range(7)), set()),  # what executes
    ("src/breakthrough/course/report.py", set(), set()),  # what tells of it
    ("src/breakthrough/grading/cohort.py", set(), set()),
    ("notebooks/03_federated.ipynb", {"3L"}, set()),  # a lesson gives nothing
    ("README.md", set(), set()),
])
def test_an_edit_makes_stale_what_hangs_on_it_and_nothing_else(copy, edit, name, own, by_givers):
    if not (copy / name).exists():
        (copy / name).write_text("new\n")
    edit(name, *(("\n", " \n") if name.endswith(".ipynb") else ()))
    assert stale(copy) == (own, by_givers)


def test_with_nothing_changed_nothing_is_stale(copy):
    assert stale(copy) == (set(), set())


def test_a_package_counts_for_what_imports_it(copy, edit):
    edit("pyproject.toml", "tenseal==", "tenseal>=")
    assert stale(copy) == (both(3, 6), {"4lab", "5lab"})


def test_the_syllabus_counts_by_module_and_whole_for_what_reads_it(copy, edit):
    edit("course.yml", "      - deploy.flops\n      - deploy.roofline", "      - deploy.roofline\n      - deploy.flops")
    own, by_givers = stale(copy)
    assert (own, by_givers) == (both(0, 5), set())  # the first lesson shows the whole course's progress


def test_a_claim_counts_for_the_labs_that_record_claims(copy, edit):
    edit("course.yml", "the core logic", "the whole core logic")
    own, _ = stale(copy)
    assert own == {"0L", *(f"{number}lab" for number in range(1, 7))}


def test_a_reason_names_the_file(copy, edit):
    edit("src/breakthrough/quant/nf4.py")
    edit("src/breakthrough/quant/affine.py")
    edit("src/breakthrough/federated/masking.py")
    plan = Plan(syllabus.load(copy))
    lines = [one.line() for one in changes.decide(plan, plan.tasks(), "HEAD")]
    assert lines[0].startswith("00_start lesson") and lines[0].endswith("stays    nothing it depends on changed")
    assert any(line.startswith("03_federated lab") and line.endswith("runs     changed: src/breakthrough/federated/masking.py") for line in lines)
    assert any(line.startswith("06_capstone lab") and line.endswith("federated/masking.py, src/breakthrough/quant/affine.py and 1 more") for line in lines)


def test_a_new_module_and_an_unreadable_past_run(copy, edit):
    plan = Plan(syllabus.load(copy))
    edit("course.yml", "title: Breakthrough", "titel: Breakthrough")  # codespell:ignore titel
    git(copy, "commit", "-qam", "cannot be read")
    try:
        edit("course.yml", "titel:", "title:")  # codespell:ignore titel
        decisions = changes.decide(plan, plan.tasks(), "HEAD")
        assert all(one.changed == ("course.yml, unreadable at HEAD",) for one in decisions)
    finally:
        git(copy, "reset", "-q", "--hard", "HEAD~1")


@pytest.mark.parametrize("revision", ["no-such", "", "--all", "HEAD~99"])
def test_a_revision_that_is_none_is_one_clear_error(copy, revision):
    with pytest.raises(InputError, match="expected a git revision, got .*; try origin/main, HEAD~1 or a commit's hash"):
        stale(copy, revision)


def test_a_shallow_clone_says_how_to_get_the_revision(copy, tmp_path):
    git(copy, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth", "1", copy.as_uri(), "shallow")
    with pytest.raises(InputError, match="the clone is shallow; try git fetch --depth=1 origin HEAD~1, or a clone with its history .GitHub: fetch-depth: 0; GitLab"):
        changes.commit(tmp_path / "shallow", "HEAD~1")
    first = git(copy, "rev-parse", "HEAD~1")
    git(tmp_path / "shallow", "fetch", "-q", "--depth", "1", "origin", first)
    assert changes.commit(tmp_path / "shallow", first) == first  # what the message advises helps


def test_outside_a_checkout_and_without_git(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="expected a git checkout at .*, got fatal: not a git repository"):
        changes.commit(tmp_path, "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="expected git, to see what changed, got .*; try installing git"):
        changes.commit(tmp_path, "HEAD")


def test_a_result_hangs_on_settings_and_on_what_is_taken(course, tmp_path):
    task = Plan(course, "tiny").tasks()[1]
    checkout = inputs.Checkout(course)
    keys = [inputs.key(plan, task, checkout) for plan in (
        Plan(course, "tiny"), Plan(course, "quick"), Plan(course, "tiny", seed=1), Plan(course, "tiny", device="cpu"), Plan(course, "tiny", build=tmp_path))]
    assert keys[0] == keys[-1] and len(set(keys)) == 4


@pytest.mark.parametrize(("code", "names"), [
    ("import torch\nfrom breakthrough.moe import routing", {"torch", "breakthrough.moe.routing"}),
    ("def f():\n    from breakthrough import deploy", {"breakthrough.deploy"}),
    ("run_all('breakthrough.federated.study:run_one', 'breakthrough is a course')", {"breakthrough.federated.study"}),
    ("'breakthrough.moe is told of here'", set()),
    ("def f():\n    return optional.require('tenseal', 'sums')", {"tenseal"}),
    ("def f():\n    'breakthrough.moe'", set()),  # a docstring
    ("if TYPE_CHECKING:\n    from breakthrough import train", set()),
])
def test_what_code_imports(code, names):
    assert sources.named(ast.parse(code))[0] == names


def test_what_stands_in_a_function_may_be_left_out():
    assert sources.named(ast.parse("import a\ndef f():\n    import b\nclass C:\n    import c"), inside=False)[0] == {"a", "c"}
