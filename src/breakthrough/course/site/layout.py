"""Where the site's pages come from and where they go."""

from __future__ import annotations

import posixpath
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from breakthrough.course.schema import Syllabus
from breakthrough.errors import ConfigError, expected

LANDING = "README.md"
RESULTS = "benchmarks/results"
CLAIMS = f"{RESULTS}/claims-cpu.json"


@dataclass(frozen=True)
class Site:
    """One site: the course it shows, its language, and the folders of its making.

    `rooms` are those of the API reference, all when None. Another language than English has folders
    of its own beside the English ones, so that one build never disturbs the other.
    """

    course: Syllabus
    build: Path | None = None  # build/ of the project unless given
    rooms: tuple[str, ...] | None = None
    language: str = "en"

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.course.root

    @property
    def work(self) -> Path:
        """The folder of what is made on the way: sources, doctrees, Sphinx's own output."""
        return (self.build or self.root / "build") / "docs-src" / self.language

    @property
    def folder(self) -> Path:
        """The folder that any static host serves."""
        return (self.build or self.root / "build") / ("docs" if self.language == "en" else f"docs-{self.language}")

    @cached_property
    def pages(self) -> dict[str, str]:
        """The files of the project that have a page, and their pages, by paths from the project and from the sources."""
        found = {LANDING: "index.md"}
        for module in self.course.built:
            found[self._inside(self.course.lesson(module))] = f"lessons/{module.id}.ipynb"
            if module.has_lab:
                found[self._inside(self.course.lab(module))] = f"labs/{module.id}.ipynb"
        for path in sorted((self.root / "docs").glob("*.md")):
            if path.name != "index.md":
                found[f"docs/{path.name}"] = f"guides/{path.name}"
        for path in sorted((self.root / RESULTS).glob("*.md")):
            found[f"{RESULTS}/{path.name}"] = f"measured/{path.name}"
        if (self.root / "CONTRIBUTING.md").is_file():
            found["CONTRIBUTING.md"] = "guides/contributing.md"
        return found

    @cached_property
    def repository(self) -> str | None:
        """Where the project's files are on the web: `Repository` of [project.urls] in pyproject.toml, none unless set."""
        source = self.root / "pyproject.toml"
        urls = tomllib.loads(source.read_text(encoding="utf-8")).get("project", {}).get("urls", {}) if source.is_file() else {}
        address = {name.lower(): value for name, value in urls.items()}.get("repository")
        if address is not None and not address.startswith(("http://", "https://")):
            raise ConfigError(expected("an address http(s)://… as Repository in [project.urls]", repr(address)))
        return address.rstrip("/") if address else None

    def page_of(self, path: str) -> str | None:
        """The page of a file of the project, or of a folder that holds a lab."""
        folder = f"{path}/{posixpath.basename(path)}.ipynb"
        return self.pages.get(path) or self.pages.get(folder)

    def _inside(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
