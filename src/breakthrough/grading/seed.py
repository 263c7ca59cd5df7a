"""The cohort's secret seed: outside the course folder, readable by its owner only, named by a hash."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from breakthrough.errors import InputError, expected

if TYPE_CHECKING:
    from breakthrough.grading.cohort import Cohort

VARIABLE = "BREAKTHROUGH_SEEDS"
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def seeds_folder() -> Path:
    """Where seeds lie: $BREAKTHROUGH_SEEDS, else breakthrough/seeds in the user's configuration."""
    given = os.environ.get(VARIABLE)
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(given) if given else base / "breakthrough" / "seeds"


def make_seed(cohort: Cohort) -> Path:
    """Make the seed of a cohort that has none; where it lies.

    Raises: InputError when the seed would lie in the course folder, or others may read the folder of the seeds
    """
    path = _path(cohort)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_private(path.parent, 0o700)
    text = json.dumps({"cohort": cohort.id, "seed": secrets.randbits(63)}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def seed_of(cohort: Cohort) -> int:
    """The secret seed of a cohort.

    Units:  63-bit integers
    Raises: InputError when it is missing or damaged, or others may read it
    """
    path = _path(cohort)
    if not path.is_file():
        hint = f"the seed from a backup, or ${VARIABLE} where it lies: a new seed would draw other cases"
        raise InputError(expected(f"the seed of cohort {cohort.id} at {path}", "no such file", hint))
    _check_private(path, 0o600)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        owner, seed = record["cohort"], record["seed"]
    except (ValueError, KeyError, TypeError):
        owner = seed = None
    if owner != cohort.id or not isinstance(seed, int) or not 0 <= seed < 1 << 63:
        raise InputError(expected(f"the seed of cohort {cohort.id} in {path}", "something else", "the file from a backup"))
    return seed


def seed_id(seed: int) -> str:
    """A short name of a seed, which does not give it away.

    Source: the first 12 digits of SHA-256; a 63-bit random seed cannot be found from it by trying
    """
    return hashlib.sha256(f"breakthrough cohort seed {seed}".encode()).hexdigest()[:12]


def _path(cohort: Cohort) -> Path:
    folder = seeds_folder().resolve()
    if folder.is_relative_to(cohort.folder.resolve()):
        raise InputError(expected("a folder of seeds outside the course folder", folder, f"another ${VARIABLE}"))
    return folder / f"{cohort.id}.json"


def _check_private(path: Path, mode: int) -> None:
    found = stat.S_IMODE(path.stat().st_mode)
    if found & OPEN_TO_OTHERS:
        raise InputError(expected(f"{path} for its owner only", f"mode {found:o}", f"chmod {mode:o} {path}"))
