"""Experiments measured again from what was handed in: their own files, what they were made from, and nothing that is told."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from honest import as_bytes
from solved_labs import released

from breakthrough import artifacts, exercises
from breakthrough.course import syllabus
from breakthrough.exercises import deploy_experiment_wrong as wrong
from breakthrough.grading import handin, measuring

pytestmark = pytest.mark.sandbox
EXPERIMENTS = {"01_moe": "moe", "02_scenes": "scenes", "03_federated": "federated", "04_quant": "quant", "05_deploy": "deploy"}
PARENTS = {"01_moe": set(), "02_scenes": set(), "03_federated": {"scenes"}, "04_quant": {"scenes", "inspector"}, "05_deploy": {"scenes", "inspector", "inspector_int8"}}
FORGED = """
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
static const char mark[] = "{\\"exercise\\": \\"deploy.experiment\\", \\"status\\": \\"passed\\", \\"points\\": 99, \\"of\\": 99}";
__attribute__((constructor)) static void forge(void) {  /* goes on in the background until its judge is done */
    if (fork()) return;
    setsid();
    alarm(60);
    for (int found = 0; !found;)
        for (int number = 1; number < 64; number++) {
            if (number != getpid() && number != 1) kill(number, SIGKILL);
            for (int file = 0; file < 32; file++) {
                char name[64];
                struct stat about;
                snprintf(name, sizeof name, "/proc/%d/fd/%d", number, file);
                if (stat(name, &about) || !S_ISREG(about.st_mode) || about.st_nlink) continue;
                int opened = open(name, O_RDWR);
                if (opened < 0) continue;
                for (found = 1;;) { ftruncate(opened, 0); pwrite(opened, mark, sizeof mark - 1, 0); usleep(20); }
            }
        }
}
"""


def exercise_of(module):
    return exercises.load(f"{EXPERIMENTS[module]}.experiment")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The folder of a module's hand-in, made once: the reference's artifact, packed as a learner packs it."""
    made = {}

    def pack(module):
        if module not in made:
            root = tmp_path_factory.mktemp(module)
            course = syllabus.load(root) if (root / "course.yml").is_file() else _project(root, module)
            with artifacts.storing_in(root / "store"):
                wrong.saved() if module == "05_deploy" else exercise_of(module).reference()  # compiled without tuning
                made[module] = handin.pack(course, course.find(module)).folder
            shutil.rmtree(root / "store")  # from here on only what was handed in is there
        return made[module]

    return pack


def _project(root, module):
    shutil.copyfile(syllabus.load().root / "course.yml", root / "course.yml")
    course = syllabus.load(root)
    lab = course.lab(course.find(module))
    lab.parent.mkdir(parents=True)
    lab.write_bytes(as_bytes(released(syllabus.load().find(module))))
    return course


@pytest.fixture
def submission(packed, tmp_path, monkeypatch):
    """A copy of a module's hand-in, to be changed."""
    monkeypatch.setenv(artifacts.VARIABLE, str(tmp_path / "course"))
    return lambda module: Path(shutil.copytree(packed(module), tmp_path / module))


def mark_of(folder, module, seed=7):
    found = measuring.handed_in(folder, exercise_of(module).artifact)
    return measuring.measured(exercise_of(module), found, seed)


def resigned(artifact, name, data):
    """Another content under a name, with the hash that it has."""
    (artifact / name).write_bytes(data)
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["files"][name] = artifacts.sha256(artifact / name)
    (artifact / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("module", EXPERIMENTS)
def test_what_is_packed_earns_its_points_and_what_was_changed_none(submission, module):
    folder = submission(module)
    mark = mark_of(folder, module)
    assert (mark.status, mark.points) == ("passed", exercise_of(module).points), mark.plain
    kinds = {path.name for path in (folder / "artifacts").iterdir()}
    assert kinds == PARENTS[module] | {exercise_of(module).artifact}
    artifact = measuring.handed_in(folder, exercise_of(module).artifact)
    name = max(artifact.rglob("*"), key=lambda path: path.stat().st_size)
    name.write_bytes(name.read_bytes()[:-1] + b"\0\1")
    assert mark_of(folder, module).points == 0


HEADERS = {
    "a header longer than the file": struct.pack("<Q", 1 << 60) + b"{}",
    "a tensor larger than memory": (lambda text: struct.pack("<Q", len(text)) + text)(
        json.dumps({"w": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 8]}}).encode()) + bytes(8),
    "offsets outside of the file": (lambda text: struct.pack("<Q", len(text)) + text)(
        json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [1 << 50, (1 << 50) + 8]}}).encode()) + bytes(8),
}


@pytest.mark.parametrize("module, lie", list(zip(("01_moe", "03_federated", "04_quant", "05_deploy"), (*HEADERS, "a tensor larger than memory"))))
def test_weights_whose_header_lies_earn_nothing(submission, module, lie):
    folder = submission(module)
    artifact = measuring.handed_in(folder, exercise_of(module).artifact)
    name = next(str(path.relative_to(artifact)) for path in sorted(artifact.rglob("*.safetensors")))
    resigned(artifact, name, HEADERS[lie])
    mark = mark_of(folder, module)
    assert mark.points == 0 and mark.says


def test_without_its_parents_an_artifact_earns_nothing_unless_they_are_the_courses(submission, tmp_path):
    folder = submission("03_federated")
    [scenes] = (folder / "artifacts" / "scenes").iterdir()
    home = tmp_path / "course" / "scenes" / scenes.name
    home.parent.mkdir(parents=True)
    scenes.rename(home)
    assert mark_of(folder, "03_federated").diagnosis == "no dataset named"
    manifest = json.loads((home / "manifest.json").read_text())
    (home / "manifest.json").write_text(json.dumps(manifest | {"staff": True}))
    assert mark_of(folder, "03_federated").points == exercise_of("03_federated").points


def test_a_link_or_a_pipe_in_an_artifact_is_not_measured(submission):
    folder = submission("03_federated")
    artifact = measuring.handed_in(folder, "inspector")
    (artifact / "more").symlink_to("/etc/passwd")
    assert measuring.handed_in(folder, "inspector") is None
    (folder / "artifacts" / "inspector").rename(folder / "elsewhere")
    (folder / "artifacts" / "inspector").symlink_to(folder / "elsewhere")
    assert measuring.handed_in(folder, "inspector") is None


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_machine_code_that_writes_a_verdict_and_ends_its_judge_earns_nothing(submission, tmp_path):
    folder = submission("05_deploy")
    artifact = measuring.handed_in(folder, "compiled")
    (tmp_path / "forge.c").write_text(FORGED)
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", tmp_path / "forge.so", tmp_path / "forge.c"], check=True)
    library = (tmp_path / "forge.so").read_bytes()
    for version in ("fp32", "int8"):
        inner = artifact / version / "manifest.json"
        facts = json.loads(inner.read_text())
        (artifact / version / "model.so").write_bytes(library)
        facts["sha256"]["model.so"] = artifacts.sha256(artifact / version / "model.so")
        resigned(artifact, f"{version}/model.so", library)
        resigned(artifact, f"{version}/manifest.json", json.dumps(facts).encode())
    mark = mark_of(folder, "05_deploy")
    assert mark.points == 0 and "does not run" in mark.plain + mark.diagnosis, mark.plain
