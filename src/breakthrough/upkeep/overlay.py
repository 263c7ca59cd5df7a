"""An environment laid over the one that runs: what is installed in it comes first, all else is seen through it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

SCRIPT = "#!{python}\nimport sys\nfrom {module} import {first}\nsys.exit({call}())\n"


class Overlay:
    """A virtual environment of its own that costs only what is newer in it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, clear=True, with_pip=True, symlinks=True)
        self.python = folder / "bin" / "python"
        major, minor = sys.version_info[:2]
        self.packages = folder / "lib" / f"python{major}.{minor}" / "site-packages"
        own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        below = "; ".join(f"site.addsitedir({path!r})" for path in sorted(own))
        (self.packages / "below.pth").write_text(f"import site; {below}\n")
        for entry in metadata.entry_points(group="console_scripts"):  # with this environment's Python, not the one below
            self._script(entry)

    def _script(self, entry: metadata.EntryPoint) -> None:
        target = self.python.parent / entry.name
        if target.exists():
            return
        call = entry.attr
        target.write_text(SCRIPT.format(python=self.python, module=entry.module, first=call.partition(".")[0], call=call))
        target.chmod(0o755)

    def install(self, requirement: str) -> str:
        """Install into the overlay; give the reason where it cannot be, in one line."""
        command = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "-q", requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR:") and "dependency resolver does not" not in line]
        return "" if done.returncode == 0 else (said[0] if said else f"pip ended with code {done.returncode}").removeprefix("ERROR: ")

    def installed(self) -> dict[str, str]:
        """What lies in the overlay itself, pip aside: name → version."""
        command = [str(self.python), "-m", "pip", "list", "--disable-pip-version-check", "--path", str(self.packages), "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {one["name"]: one["version"] for one in json.loads(done.stdout) if one["name"] not in ("pip", "setuptools")}

    def conflicts(self, packages: dict[str, str]) -> list[str]:
        """What `pip check` says of the packages that lie in the overlay."""
        done = subprocess.run([str(self.python), "-m", "pip", "check", "--disable-pip-version-check"], capture_output=True, text=True, check=False)
        names = re.compile("|".join(re.escape(name) for name in packages) or r"(?!)", re.IGNORECASE)
        return [line for line in done.stdout.splitlines() if " has requirement " in line and names.search(line)]
