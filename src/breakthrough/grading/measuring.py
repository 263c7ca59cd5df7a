"""Experiments are measured again: the submitted files, loaded into the course's own net, in a sandbox of their own.

No student's code runs there, only the library on files that are not trusted; so the sandbox has its memory and time
limited, and its verdict counts.
"""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from breakthrough.grading.records import Mark

if TYPE_CHECKING:
    from breakthrough.exercises import Exercise

MEMORY, WALL_S = 8 << 30, 900
MOST_FILES, MOST_BYTES = 64, 2 << 30  # of one submitted artifact
FOLDER = "artifacts"
MANIFEST = "manifest.json"


def handed_in(submission: Path) -> Path | None:
    """The newest artifact of a submission; None when there is none that is plain files of a bearable size."""
    home = submission / FOLDER
    if home.is_symlink() or not home.is_dir():
        return None
    found = [folder for kind in _folders(home) for folder in _folders(kind) if (folder / MANIFEST).is_file() and _plain(folder)]
    return max(found, key=lambda folder: folder.name, default=None)


def _folders(home: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(home) if entry.is_dir(follow_symlinks=False))[:MOST_FILES]


def _plain(folder: Path) -> bool:
    count = size = 0
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            found = os.lstat(os.path.join(base, name))
            count, size = count + 1, size + found.st_size
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)) or count > MOST_FILES or size > MOST_BYTES:
                return False
    return True


def measured(exercise: Exercise, artifact: Path, seed: int, sandboxed: bool = True) -> Mark:
    """The mark of an experiment, measured in a sandbox."""
    from breakthrough.grading import examiner, sandbox

    program = [sys.executable, "-m", "breakthrough.grading.measuring", exercise.name, str(artifact.resolve()), str(seed)]
    command = sandbox.command(program, shown=[artifact.resolve()], exercises=True) if sandboxed else program
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WALL_S, preexec_fn=_limited, stdin=subprocess.DEVNULL)
        return Mark(**json.loads(done.stdout.strip().splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return examiner.failed(exercise, f"the artifact could not be measured within {WALL_S} s")
    except (ValueError, IndexError, TypeError):
        return examiner.failed(exercise, "the artifact could not be measured: its net or its files are larger than the grader allows, or not what they say")


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Measure the artifact that the arguments name and print the mark as JSON."""
    from breakthrough import exercises
    from breakthrough.exercises.judge import judge
    from breakthrough.grading import examiner

    name, folder, seed = sys.argv[1:4]
    print(json.dumps(asdict(examiner.marked(judge(exercises.load(name), Path(folder), int(seed))))))


if __name__ == "__main__":
    main()
