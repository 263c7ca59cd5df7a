"""Which compiled model is meant: by a folder, an artifact, or the latest of a kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from breakthrough import artifacts
from breakthrough.artifacts import Artifact
from breakthrough.deploy.handover import KIND
from breakthrough.deploy.runtime import LIBRARY
from breakthrough.errors import ArtifactError, expected, unknown

PREFERRED = "fp32"
KINDS = (KIND, "line")  # of artifacts that have compiled nets in them: module 5's, and the capstone's


def find(name: str | Path, variant: str | None = None) -> Path:
    """The folder of a compiled model: `name` is one, or an artifact with some, or one of KINDS for its latest.

    Raises: ArtifactError when there is none; UnknownNameError for a variant that is not there
    """
    folder = latest(str(name)).folder if str(name) in KINDS and not Path(name).is_dir() else Path(name)
    if not folder.is_dir():
        raise ArtifactError(expected(f"{', '.join(KINDS)}, or a folder of a compiled model", f"{name}, which is no folder", "breakthrough compile"))
    variants = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{LIBRARY}"))}
    if variant is not None and (variants or variant != folder.name):
        return variants[variant] if variant in variants else _unknown(variant, variants)
    if (folder / LIBRARY).is_file():
        return folder
    if not variants:
        raise ArtifactError(expected(f"a compiled model in {folder}", f"no {LIBRARY}", "breakthrough compile"))
    return variants.get(PREFERRED) or next(iter(variants.values()))


def latest(kind: str = KIND) -> Artifact:
    """The newest artifact of a kind with compiled nets; without one the staff's, built in another process: this one shall stay without torch."""
    if not any((artifacts.store() / kind).glob(f"[0-9]*/{artifacts.MANIFEST}")) and kind in artifacts.staff_builders():
        code = f"from breakthrough import artifacts; print(artifacts.latest({kind!r}).folder)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            raise ArtifactError(expected("the staff's compiled model to build", (done.stderr.strip().splitlines() or ["no message"])[-1]))
        return artifacts.load(done.stdout.splitlines()[-1])
    return artifacts.latest(kind)


def _unknown(variant: str, variants: dict[str, Path]) -> Path:
    raise unknown("variant of this artifact", variant, variants)
