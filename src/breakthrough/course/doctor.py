"""What this machine has and lacks for the course, and the command that mends each lack.

torch is not imported: versions come from package metadata, CUDA from the driver. `deep` asks torch.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from breakthrough import devices

OK, MISSING, NOTE = "OK", "missing", "note"
MEMORY_BYTES, DISK_BYTES = 4 << 30, 4 << 30  # what the largest quick lab and the environment need
PROBE = ("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true")


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `needed` when every module needs it."""

    name: str
    status: str
    detail: str
    mend: str = ""
    needed: bool = False


def examine(*, deep: bool = False) -> list[Finding]:
    """Examine Python, packages, CUDA, cores, memory, disk and sandbox."""
    found = [_python(), *packages(), gpu_finding(deep), _cores(), _memory(), _disk(), sandbox()]
    return found


def packages() -> Iterator[Finding]:
    """One finding for every package the project declares, by extra."""
    from packaging.requirements import Requirement

    for text in requires("breakthrough") or ():
        requirement = Requirement(text)
        if requirement.name == "breakthrough":
            continue  # the extra `all`, which names the others
        extra = re.search(r"extra == [\"'](\w+)[\"']", str(requirement.marker or ""))
        yield _package(requirement, extra.group(1) if extra else None)


def gpu() -> str | None:
    """The name of the first NVIDIA GPU according to its driver, without importing torch."""
    return _said("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")


def gpu_finding(deep: bool = False) -> Finding:
    """Whether there is a GPU, and whether the installed torch can use it."""
    card, torch_version = gpu(), installed("torch") or "none"
    mend = "pip install torch --index-url https://download.pytorch.org/whl/cu130"
    if card is None:
        return Finding("CUDA", NOTE, "no NVIDIA GPU: everything runs on the CPU")
    if torch_version.endswith("+cpu"):
        return Finding("CUDA", MISSING, f"{card}, but torch {torch_version} is built for the CPU", mend)
    if not deep:
        return Finding("CUDA", OK, f"{card} (--deep asks torch)")
    import torch

    if torch.cuda.is_available():
        return Finding("CUDA", OK, f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
    return Finding("CUDA", MISSING, f"{card}, but torch {torch_version} cannot use it", mend)


def sandbox() -> Finding:
    """Whether bubblewrap can confine a process here; only a note when not: learning does not need it."""
    if shutil.which(PROBE[0]) is None:
        return Finding("sandbox", NOTE, "no bubblewrap: only grading a cohort needs it", "apt-get install bubblewrap")
    try:
        done = subprocess.run(PROBE, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("sandbox", NOTE, f"bubblewrap does not run: {error}", "running on a machine of your own")
    if done.returncode == 0:
        return Finding("sandbox", OK, "bubblewrap confines processes")
    why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    mend = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return Finding("sandbox", NOTE, f"bubblewrap may not make namespaces, which only grading a cohort needs: {why}", mend)


def facts(device: str = "auto") -> dict[str, str]:
    """What a report says about the machine a run was made on."""
    import psutil

    card = gpu() if device != "cpu" and not (installed("torch") or "").endswith("+cpu") else None
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "device": f"cuda ({card})" if card else "cpu",
        "python": platform.python_version(),
        "torch": installed("torch") or "none",
        "breakthrough": installed("breakthrough") or "not installed",
        "platform": platform.platform(),
        "cores": str(devices.cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
    }


def installed(name: str) -> str | None:
    """The version of an installed package, without importing it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _python() -> Finding:
    from packaging.specifiers import SpecifierSet

    wanted = metadata("breakthrough")["Requires-Python"] or ">=3.11"
    fits = platform.python_version() in SpecifierSet(wanted)
    detail = f"{platform.python_version()} at {sys.executable}"
    mend = f"installing Python {wanted}, then make run PYTHON=python3.11"
    return Finding("Python", OK if fits else MISSING, detail, "" if fits else mend, needed=True)


def _package(requirement, extra: str | None) -> Finding:
    here = installed(requirement.name)
    name = f"{requirement.name} [{extra}]" if extra else requirement.name
    mend = f"pip install -e '.[{extra}]'" if extra else "pip install -e ."
    if here is None:
        return Finding(name, MISSING, f"wanted {requirement.specifier or 'any'}", mend, needed=extra is None)
    if not requirement.specifier.contains(here, prereleases=True):
        return Finding(name, MISSING, f"{here}, wanted {requirement.specifier}", mend, needed=extra is None)
    return Finding(name, OK, here, needed=extra is None)


def _cores() -> Finding:
    return Finding("cores", OK, str(devices.cores()))


def _memory() -> Finding:
    import psutil

    total = psutil.virtual_memory().total
    enough = total >= MEMORY_BYTES
    mend = "" if enough else "closing other programs, or --profile tiny"
    return Finding("memory", OK if enough else NOTE, f"{total / 2**30:.1f} GiB", mend)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    enough = free >= DISK_BYTES
    mend = "" if enough else f"freeing {(DISK_BYTES - free) / 2**30:.1f} GiB"
    return Finding("disk", OK if enough else NOTE, f"{free / 2**30:.1f} GiB free", mend)


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else None
