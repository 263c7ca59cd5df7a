"""Building the site: sources, Sphinx with warnings as errors, the checks, and only then the folder to serve."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakthrough import files, optional
from breakthrough.course.site import checks, sources
from breakthrough.course.site.layout import Site
from breakthrough.errors import NotebookError, expected

MARKS = ("index.html", "searchindex.js")  # by which a folder of ours is known
_INPUTS = ("README.md", "CONTRIBUTING.md", "course.yml", "pyproject.toml", "docs/**/*", "notebooks/*.ipynb", "labs/*/*.ipynb",
           "solutions/*/*.ipynb", "benchmarks/results/*", "src/breakthrough/**/*.py")
_TOOLS = ("sphinx", "myst-nb", "myst-parser", "sphinx-book-theme", "pydata-sphinx-theme", "sphinx-design", "sphinx-copybutton", "matplotlib")


@dataclass(frozen=True)
class Built:
    """What a build came to: the folder, whether anything had to be done, and what the checks found."""

    folder: Path
    unchanged: bool
    faults: tuple[str, ...] = ()


def build(site: Site) -> Built:
    """Build the site, unless nothing that it is made from changed since the last time.

    What the checks refuse is left beside the sources, and the site that was there stays.

    Raises: MissingDependency without Sphinx; NotebookError when Sphinx warns; InputError for a dead link in a source
    """
    optional.require("sphinx", "builds the site")
    optional.require("myst_nb", "builds the site")
    files.check_ours(site.folder, MARKS, "a site of ours")
    key, stamp = input_key(site), site.work / "stamp"
    if stamp.is_file() and stamp.read_text() == key and all((site.folder / name).is_file() for name in MARKS):
        return Built(site.folder, unchanged=True)
    stamp.unlink(missing_ok=True)
    made = _sphinx(site, sources.write(site))
    faults = tuple(checks.faults(made, site.course))
    if faults:
        return Built(made, unchanged=False, faults=faults)
    with files.folder_aside(site.folder) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".buildinfo*", ".doctrees"))
    files.write_text(stamp, key)
    return Built(site.folder, unchanged=False)


def input_key(site: Site) -> str:
    """The hash of all that the site is made from: the project's files, and the versions of what builds it."""
    digest = hashlib.sha256("\n".join(_versions(site)).encode())
    for path in sorted({path for pattern in _INPUTS for path in site.root.glob(pattern) if path.is_file()}):
        digest.update(f"{path.relative_to(site.root)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _versions(site: Site) -> Iterator[str]:
    yield f"{site.language} {site.rooms}"
    for name in _TOOLS:
        yield f"{name} {importlib.metadata.version(name)}"


def _sphinx(site: Site, source: Path) -> Path:
    target = site.work / "html"
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet", "--doctree-dir",
               str(site.work / "doctrees"), "--conf-dir", str(site.root / "docs"), "--define", f"language={site.language}", str(source), str(target)]
    done = subprocess.run(command, cwd=site.root, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(site.work / "doctrees", ignore_errors=True)  # a page that was read with a warning would pass next time
        said = (done.stderr or done.stdout).strip()
        raise NotebookError(expected("Sphinx to build the site without a warning", f"exit code {done.returncode}:\n{said}"))
    for macros in (target / "_static").glob("*webpack-macros.html"):  # the theme's own templates, no pages
        macros.unlink()
    return target
