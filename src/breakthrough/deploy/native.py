"""A folder for a machine without Python: a C++ program, TVM's runtime libraries, a compiled net.

For another processor the program is cross-compiled, the runtime is taken out of that processor's wheels, and
qemu can run the whole here: it tells whether the answers are right, and nothing about speed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from breakthrough import files
from breakthrough.deploy.runtime import LIBRARY, MANIFEST, WEIGHTS, read_manifest, runtime_folder
from breakthrough.errors import ArtifactError, BreakthroughError, MissingDependency, expected, unknown
from breakthrough.optional import require

PROGRAM, SOURCE = "run", Path(__file__).parent / "native" / "run.cc"
PACKAGES = {"apache-tvm": ("tvm", "libtvm_runtime.so", "libtvm_runtime_extra.so"), "apache-tvm-ffi": ("tvm_ffi", "libtvm_ffi.so")}
CACHE = "BREAKTHROUGH_CACHE"


@dataclass(frozen=True)
class Machine:
    """A kind of machine: its compiler, what emulates it here, its wheels on PyPI. `apt` is what Debian calls the tools."""

    name: str
    compiler: str
    emulator: str
    root: str
    wheels: str
    apt: str


AARCH64 = Machine("aarch64", "aarch64-linux-gnu-g++", "qemu-aarch64", "/usr/aarch64-linux-gnu", "manylinux_2_28_aarch64", "g++-aarch64-linux-gnu qemu-user")
HOST = Machine("cpu", "g++", "", "", "", "g++")
MACHINES = {machine.name: machine for machine in (HOST, AARCH64)}


@dataclass(frozen=True)
class Bundle:
    """A folder that runs where it is copied to: program, runtime libraries, one compiled net."""

    folder: Path
    machine: Machine

    @property
    def bytes(self) -> int:
        """All that has to be copied."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def run(self, x: np.ndarray, repeats: int = 1, timeout_s: float = 300) -> Answer:
        """Start the program on an input: on this machine's processor, or in an emulator of the other.

        Raises: BreakthroughError with the program's own sentence when it fails
        """
        command = [str(self.folder / PROGRAM)]
        if self.machine.emulator:
            command = [tool(self.machine.emulator, self.machine), "-cpu", "max", "-L", self.machine.root, *command]
        with tempfile.TemporaryDirectory() as place:
            given, answer = Path(place) / "x", Path(place) / "y"
            given.write_bytes(np.ascontiguousarray(x).tobytes())
            done = subprocess.run([*command, str(self.folder), str(given), str(answer), str(repeats)], capture_output=True, text=True, timeout=timeout_s)
            if done.returncode:
                raise BreakthroughError(expected(f"an answer of {self.folder / PROGRAM}", done.stderr.strip() or f"exit status {done.returncode}"))
            told = json.loads(done.stdout)
            dtype = read_manifest(self.folder)["outputs"][0]["dtype"]
            y = np.frombuffer(answer.read_bytes(), dtype).reshape(told["shape"])
        return Answer(y, told["median_ms"] / 1e3, told["peak_bytes"])


@dataclass(frozen=True, eq=False)
class Answer:
    """What the program said. The time of an emulated machine says nothing about the real one."""

    y: np.ndarray
    median_s: float
    peak_bytes: int


def bundle(compiled: str | Path, folder: str | Path) -> Bundle:
    """Put a compiled net's folder, the runtime of its target and the C++ program into one folder.

    Raises: MissingDependency when the target's compiler is not there; UnknownNameError for a target without a program;
            InputError for a folder with other files in it
    """
    source, target = Path(compiled), Path(folder)
    name = read_manifest(source)["target"]["name"]
    if name not in MACHINES:
        raise unknown("target with a C++ program", name, MACHINES)
    machine = MACHINES[name]
    files.check_ours(target, (PROGRAM, MANIFEST), "a program's folder")
    with files.folder_aside(target) as aside:
        for library in runtime_libraries(machine):
            shutil.copy2(library, aside)
        for file in (LIBRARY, WEIGHTS, MANIFEST):
            shutil.copy2(source / file, aside)
        build_program(aside / PROGRAM, machine, aside)
    return Bundle(target, machine)


def build_program(program: Path, machine: Machine = HOST, libraries: Path | None = None) -> Path:
    """Compile the C++ program; it looks for TVM's runtime beside itself.

    Raises: MissingDependency without the compiler; BreakthroughError with its first complaint
    """
    tvm, ffi = _package("tvm"), _package("tvm_ffi")
    where = libraries or program.parent
    command = [tool(machine.compiler, machine), "-O2", "-std=c++17", f"-I{ffi / 'include'}", f"-I{tvm / 'include'}", str(SOURCE)]
    # nothing in the program names libtvm_runtime: loading it is what registers the VM
    command += ["-o", str(program), f"-L{where}", "-Wl,--no-as-needed", "-ltvm_runtime", "-ltvm_runtime_extra", "-ltvm_ffi"]
    command += ["-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-300:])
        raise BreakthroughError(expected(f"{machine.compiler} to build {SOURCE.name}", said))
    return program


def tool(name: str, machine: Machine) -> str:
    """The path of a compiler or emulator.

    Raises: MissingDependency with the packages that bring it
    """
    found = shutil.which(name)
    if found is None:
        raise MissingDependency(expected(f"{name} on this machine", "none", f"apt-get install {machine.apt}"))
    return found


def missing_tools(machine: Machine) -> list[str]:
    """Which of a machine's compiler and emulator are not installed here."""
    return [name for name in (machine.compiler, machine.emulator) if name and shutil.which(name) is None]


def runtime_libraries(machine: Machine = HOST) -> list[Path]:
    """TVM's runtime libraries for a machine: installed here, or of its wheels, fetched once and kept."""
    names = [(package, name) for package, (_, *libraries) in PACKAGES.items() for name in libraries]
    if not machine.wheels:
        homes = {"apache-tvm": runtime_folder(), "apache-tvm-ffi": _package("tvm_ffi") / "lib"}
        return [homes[package] / name for package, name in names]
    home = cache() / f"{machine.name}-{version('apache-tvm')}-{version('apache-tvm-ffi')}"
    if not all((home / name).is_file() for _, name in names):
        _fetch(machine, home)
    return [home / name for _, name in names]


def cache() -> Path:
    """Where fetched libraries are kept: $BREAKTHROUGH_CACHE, else the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(CACHE) or base / "breakthrough")


def _fetch(machine: Machine, home: Path) -> None:
    """Take the libraries out of the wheels for a machine; about 100 MB are fetched, 7 MB kept."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as place:
        wanted = [f"{package}=={version(package)}" for package in PACKAGES]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", machine.wheels, "--dest", place, *wanted]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise MissingDependency(expected(f"the wheels {', '.join(wanted)} for {machine.name} from the package index", said, "again with a network"))
        aside = Path(place) / "libraries"
        aside.mkdir()
        for wheel in Path(place).glob("*.whl"):
            _take(wheel, aside)
        if not home.exists():
            aside.rename(home)


def _take(wheel: Path, folder: Path) -> None:
    wanted = {f"{inside}/lib/{name}": name for inside, *names in PACKAGES.values() for name in names}
    with zipfile.ZipFile(wheel) as archive:
        for path in wanted.keys() & set(archive.namelist()):
            (folder / wanted[path]).write_bytes(archive.read(path))


def _package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    import importlib.util

    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        require(name, "building a C++ program")
        raise ArtifactError(expected(f"the package {name}", "none"))
    return Path(spec.origin).parent
