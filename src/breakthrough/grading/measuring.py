"""Experiments are measured again: the submitted files, loaded into the course's own net, in a sandbox of their own.

No cell of a student's runs there, only the library on files that are not trusted. Some of them are machine code, which
the library runs in a child process: so the process that judges has namespaces and limits as a student's has, cannot be
looked into by its children, and writes its verdict where they cannot.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

from breakthrough import artifacts
from breakthrough.errors import ArtifactError
from breakthrough.grading.records import Mark
from breakthrough.grading.sandbox import NONE
from breakthrough.grading.spaces import Caps

if TYPE_CHECKING:
    from breakthrough.exercises import Exercise

WALL_S = 900
CAPS = Caps(memory_bytes=8 << 30, all_memory_bytes=12 << 30, processes=256, files=1024, cpu_s=WALL_S, disk_bytes=512 << 20, file_bytes=1 << 30)
LOOK_S = 0.1
MOST_FILES, MOST_BYTES = 64, 2 << 30  # of one submitted artifact
MOST_IN_ALL = 10  # times that, of all that it was made from
MOST_TOLD = 1 << 20
SUBMITTED, STAFF = "/submitted", "/staff"  # where the stores are in the sandbox


def handed_in(submission: Path, kind: str) -> Path | None:
    """The newest artifact of a kind in a submission; None when there is none that is plain files of a bearable size."""
    home = submission / artifacts.FOLDER
    if home.is_symlink() or not home.is_dir() or (home / kind).is_symlink() or not (home / kind).is_dir():
        return None
    found = [folder for folder in _folders(home / kind) if (folder / artifacts.MANIFEST).is_file() and _plain(folder)]
    return max(found, key=lambda folder: folder.name, default=None)


def _folders(home: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(home) if entry.is_dir(follow_symlinks=False))[:MOST_FILES]


def _plain(folder: Path, times: int = 1) -> bool:
    count = size = 0
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            found = os.lstat(os.path.join(base, name))
            count, size = count + 1, size + found.st_size
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)) or count > times * MOST_FILES or size > times * MOST_BYTES:
                return False
    return True


def measured(exercise: Exercise, artifact: Path, seed: int, sandboxed: bool = True) -> Mark:
    """The mark of an experiment, measured in a sandbox.

    What the artifact was made from is looked for beside it in the submission, then among the course's staff artifacts.
    """
    from breakthrough.grading import examiner

    try:
        with tempfile.TemporaryFile() as told, _command(exercise.name, artifact.resolve(), seed, told.fileno(), sandboxed) as command:
            subprocess.run(command, timeout=WALL_S, pass_fds=[told.fileno()], preexec_fn=_without_core,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return _read(told)
    except subprocess.TimeoutExpired:
        return examiner.failed(exercise, f"the artifact could not be measured within {WALL_S} s")
    except (ValueError, TypeError):
        return examiner.failed(exercise, "the artifact could not be measured: its net or its files are larger than the grader allows, or not what they say")


@contextmanager
def _command(name: str, artifact: Path, seed: int, number: int, sandboxed: bool) -> Iterator[list[str]]:
    from breakthrough.grading import sandbox

    # -P: nothing is imported from the current folder, in which the child may write
    program = [sys.executable, "-P", "-m", "breakthrough.grading.measuring", name, str(seed), str(number)]
    if not sandboxed:
        yield [*program, str(artifact), str(artifacts.store()), NONE]
        return
    home, inside = artifact.parents[1], f"{SUBMITTED}/{artifact.parent.name}/{artifact.name}"
    shown = {SUBMITTED: home} if _plain(home, MOST_IN_ALL) else {inside: artifact}
    shown |= {f"{STAFF}/{one.kind}/{one.id}": one.folder.resolve() for one in _staff()}
    with _for_anyone(shown) as readable:
        yield sandbox.command([*program, inside, STAFF, sandbox.BUBBLEWRAP], shown=readable, exercises=True)


@contextmanager
def _for_anyone(shown: Mapping[str, Path]) -> Iterator[Mapping[str, Path]]:
    """The folders, as copies that the sandbox's user can read where that is not the grader's own."""
    if os.geteuid():
        yield shown
        return
    with tempfile.TemporaryDirectory(prefix="breakthrough-") as place:
        copies = {where: Path(place, str(number)) for number, where in enumerate(shown)}
        for where, copy in copies.items():
            shutil.copytree(shown[where], copy, copy_function=shutil.copyfile)
            for folder, _, names in os.walk(copy):
                os.chmod(folder, 0o755)
                for name in names:
                    os.chmod(os.path.join(folder, name), 0o644)
        yield copies


def _staff() -> list[artifacts.Artifact]:
    """The staff's artifacts in the course's own store."""
    found = []
    for folder in sorted(artifacts.store().glob("*/[0-9]*")):
        try:
            found += [one for one in [artifacts.read_manifest(folder)] if one.staff and folder.name == one.id]
        except ArtifactError:  # a folder that was never finished
            continue
    return found


def _read(told: IO[bytes]) -> Mark:
    told.seek(0)
    return Mark(**json.loads(told.read(MOST_TOLD)))


def _without_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _apart(job: Callable[[], None], number: int) -> None:
    """Do a job in namespaces of its own, under limits, and end it when all its processes have more memory than they may."""
    from breakthrough.grading import spaces

    def main() -> None:
        spaces.control(spaces.DUMPABLE, 0)  # its children may neither read its memory nor open its files
        job()

    spaces.control(spaces.DUMPABLE, 0)
    spaces.control(spaces.SUBREAPER)
    judge = spaces.fork_apart(main, CAPS, {number}, hidden=False)  # torch looks up there what the processor can do
    while os.waitpid(judge, os.WNOHANG) == (0, 0):
        if _memory() > CAPS.all_memory_bytes:
            os.kill(judge, signal.SIGKILL)
        time.sleep(LOOK_S)


def _memory() -> int:
    """Memory of all processes that are seen here, which are those of this sandbox, in bytes."""
    used = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile
            used += int(Path("/proc", name, "statm").read_text().split()[1])
    return used * resource.getpagesize()


def main() -> None:
    """Measure the artifact that the arguments name, and write the mark as JSON to a file that is open."""
    name, seed, number, folder, store, tier = sys.argv[1:7]

    def job() -> None:
        from breakthrough import exercises
        from breakthrough.exercises.judge import judge
        from breakthrough.grading import examiner

        with artifacts.storing_in(store):
            mark = examiner.marked(judge(exercises.load(name), Path(folder), int(seed)))
        with os.fdopen(int(number), "w") as told:
            told.write(json.dumps(asdict(mark)))

    job() if tier == NONE else _apart(job, int(number))


if __name__ == "__main__":
    main()
