"""The lock files: every package at the version that is installed and tested here, with the hashes of the public files.

Three files, because PyTorch comes in two builds. `common.txt` is everything else. `cuda.txt` adds the
build of the public index and the CUDA libraries it brings; `cpu.txt` adds the CPU build of PyTorch's own
index. Each of the two includes `common.txt`, so that one file is given to pip.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from breakthrough import files
from breakthrough.errors import InputError, expected
from breakthrough.upkeep import index

FOLDER = "locks"
TORCH = "torch"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
MACHINE = ("Linux", "x86_64", (3, 11))
AT_ONCE = 16
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", re.MULTILINE)

Pins = dict[NormalizedName, Version]
Locked = dict[NormalizedName, tuple[Version, frozenset[str]]]


def wanted(project: Path) -> list[Requirement]:
    """Every requirement that pyproject.toml names, of all extras, once each."""
    listed = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    extras = [text for name, texts in listed["optional-dependencies"].items() if name != "all" for text in texts]
    found = [Requirement(text) for text in [*listed["dependencies"], *extras]]
    return [one for one in found if one.marker is None or one.marker.evaluate()]


def closure(roots: Iterable[Requirement]) -> Pins:
    """The packages that some requirements bring, and theirs, at the versions that are installed.

    Raises: InputError when one of them is not installed
    """
    found: Pins = {}
    seen: set[tuple[NormalizedName, str]] = set()
    left = [(one, extra) for one in roots for extra in ("", *one.extras)]
    while left:
        requirement, extra = left.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise InputError(expected(f"{requirement} installed", "none", "pip install -e '.[all]'")) from None
        found[name] = Version(Version(package.version).public)  # 2.13.0+cpu is 2.13.0
        for text in package.requires or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                left += [(one, more) for more in ("", *one.extras)]
    return found


def brought(name: str, version: Version, known: Mapping[NormalizedName, Version]) -> Pins:
    """What the public index's build of a package brings beyond what is known: of each the newest that all who want it allow."""
    found: Pins = {}
    while True:
        wanting = index.requires(name, version)
        extras: dict[NormalizedName, set[str]] = defaultdict(set)
        for one in wanting:
            extras[canonicalize_name(one.name)] |= one.extras
        wanting += [more for key, pin in found.items() for more in index.requires(key, pin, extras[key])]
        allowed: dict[NormalizedName, SpecifierSet] = defaultdict(SpecifierSet)
        for one in wanting:
            allowed[canonicalize_name(one.name)] &= one.specifier
        now = {key: index.newest(key, some) for key, some in allowed.items() if key not in known}
        if now == found:
            return found
        found = now


def _entry(name: str, version: object, hashes: Iterable[str]) -> str:
    return " \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{digest}" for digest in sorted(hashes))])


def _entries(pins: Pins) -> str:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda pin: [one.sha256 for one in index.installable(*pin)], pins.items())
        hashes = dict(zip(pins, found, strict=True))
    missing = [f"{name}=={pins[name]}" for name, some in hashes.items() if not some]
    if missing:
        raise InputError(expected("files of every package on the public index", f"none of {', '.join(missing)}"))
    return "\n".join(_entry(name, pins[name], hashes[name]) for name in sorted(pins))


def _head(first: str, more: str = "") -> str:
    system, machine, (major, minor) = MACHINE
    return f"# {first}\n# For {system} {machine}, Python {major}.{minor}; made by `make lock` from what is installed and tested, hashes from {index.INDEX}\n{more}\n"


def read(path: Path) -> Locked:
    """The packages of a lock file and of those it includes: name → version, hashes.

    Raises: InputError when a line is neither a package with hashes, nor a comment, nor an inclusion
    """
    text = path.read_text()
    included = [read(path.parent / name) for name in re.findall(r"^-r (\S+)$", text, re.MULTILINE)]
    found = {one[1]: (one[2], frozenset(re.findall(r"sha256:([0-9a-f]{64})", one[3]))) for one in _LINE.finditer(text)}
    rest = re.sub(r"^(#.*|-r \S+)$", "", _LINE.sub("", text), flags=re.MULTILINE).split()
    if rest or not all(hashes for _, hashes in found.values()):
        raise InputError(expected(f"a package with hashes on each line of {path.name}", " ".join(rest)[:200] or "one without", "make lock"))
    here: Locked = {canonicalize_name(name): (Version(version), hashes) for name, (version, hashes) in found.items()}
    for one in included:
        here |= one
    return here


def _cpu_hash(version: Version, wheel: Path | None, before: Path) -> str:
    """The CPU build's hash: of a wheel at hand, or as it stands in the file before; PyTorch's index gives no hashes to ask for."""
    if wheel:
        if not wheel.name.startswith(f"{TORCH}-{version}+cpu-"):
            raise InputError(expected(f"a wheel of {TORCH} {version}+cpu", wheel.name, f"one from {CPU_INDEX}"))
        with wheel.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    kept = read(before).get(canonicalize_name(TORCH)) if before.exists() else None
    if not kept or kept[0].public != str(version):
        raise InputError(expected(f"the hash of {TORCH} {version}+cpu", "none kept", f"--wheel FILE, with a wheel from {CPU_INDEX}"))
    [digest] = kept[1]
    return digest


def make(project: Path, wheel: Path | None = None) -> list[Path]:
    """Write the lock files of what is installed; give their paths.

    Raises: InputError on another machine than that which they are for, and when the index cannot be reached
    """
    here = (platform.system(), platform.machine(), sys.version_info[:2])
    if here != MACHINE:
        raise InputError(expected(f"a machine with {MACHINE}", str(here), "one like that: the files are for it"))
    pins = closure(wanted(project))
    folder = project / FOLDER
    torch = pins.pop(canonicalize_name(TORCH))
    cpu = _cpu_hash(torch, wheel, folder / "cpu.txt")
    cuda = brought(TORCH, torch, pins)
    note = f"# for pip install --no-deps --require-hashes -r {FOLDER}/{{}}.txt{{}}\n-r common.txt\n"
    texts = {
        "common.txt": _head("All packages but PyTorch: cpu.txt and cuda.txt include this file") + _entries(pins),
        "cpu.txt": _head("PyTorch for the CPU, and all the rest", note.format("cpu", f" --extra-index-url {CPU_INDEX}")) + _entry(TORCH, f"{torch}+cpu", [cpu]),
        "cuda.txt": _head("PyTorch with CUDA, its libraries, and all the rest", note.format("cuda", "")) + _entries({**cuda, canonicalize_name(TORCH): torch}),
    }
    for name, text in texts.items():
        files.write_text(folder / name, text + "\n")
    return [folder / name for name in texts]


def differences(path: Path) -> list[str]:
    """How what is installed differs from a lock file, a line a package."""
    found = []
    for name, (version, _) in sorted(read(path).items()):
        try:
            here: str = metadata.version(name)
        except metadata.PackageNotFoundError:
            here = "not installed"
        if here != str(version):
            found.append(f"{name}: {version} in {path.name}, {here} here")
    return found
