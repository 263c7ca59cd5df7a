"""Where the project is published, and the links that follow: Binder, Colab, dev containers.

One setting says it, `[project.urls] Repository` in pyproject.toml. The block of README.md between two marks is made
from it, and says so while there is none: nothing points to a place that does not exist.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import quote, urlsplit

from breakthrough import files
from breakthrough.course.schema import Syllabus
from breakthrough.errors import ConfigError, InputError, expected

BEGIN, END = "<!-- links: made by `breakthrough links` -->", "<!-- links end -->"
BRANCH = "main"
UNPUBLISHED = "*This copy has no public address yet, so there are no buttons here. Whoever publishes it runs `breakthrough links --set https://…` once.*"


def repository(root: Path) -> str:
    """The public address of the project, empty while there is none."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def publish(course: Syllabus, address: str) -> None:
    """Set the public address in pyproject.toml and write the links anew; an empty one takes them away.

    Raises: InputError for what is no address of a repository over https
    """
    address = cleaned(address)
    target = course.root / "pyproject.toml"
    text = re.sub(r"\n\[project\.urls\]\nRepository = \"[^\"\n]*\"\n", "", target.read_text(encoding="utf-8"))
    if address:
        section = f'\n[project.urls]\nRepository = "{address}"\n'
        text = re.sub(r"(?=\n\[project\.optional-dependencies\]\n)", lambda _: section, text, count=1)
    files.write_text(target, text)
    write(course)


def cleaned(address: str) -> str:
    """An address without a slash or `.git` at its end.

    Raises: InputError for what is no address of a repository over https
    """
    address = address.strip().rstrip("/").removesuffix(".git")
    parts = urlsplit(address)
    if address and (parts.scheme != "https" or len(parts.path.split("/")) < 3 or not re.fullmatch(r"[\w.~/:-]+", address)):
        raise InputError(expected("the address of a repository, https://HOST/OWNER/NAME", repr(address)))
    return address


def write(course: Syllabus) -> bool:
    """Write the block of README.md; whether it had to change.

    Raises: ConfigError when README.md has no place for it
    """
    target = course.root / "README.md"
    before = target.read_text(encoding="utf-8")
    after = _placed(before, block(course, repository(course.root)))
    if after != before:
        files.write_text(target, after)
    return after != before


def in_step(course: Syllabus) -> bool:
    """Whether README.md shows the links of today's setting."""
    text = (course.root / "README.md").read_text(encoding="utf-8")
    return _placed(text, block(course, repository(course.root))) == text


def block(course: Syllabus, address: str) -> str:
    """The links as Markdown."""
    if not address:
        return UNPUBLISHED
    rows = [f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder(address, 'notebooks/00_start.ipynb')})"]
    if _on_github(address):
        notebooks = [course.lesson(module) for module in course.built[:2]] + [course.lab(module) for module in course.labs[:1]]
        paths = [path.relative_to(course.root).as_posix() for path in notebooks]
        rows += [f"[![Colab: {path}](https://colab.research.google.com/assets/colab-badge.svg)]({colab(address, path)}) `{path}`" for path in paths]
    start = f"!git clone --depth 1 {address} /content/course\n%pip install -q -e /content/course"
    return "\n\n".join([*rows, f"In Colab, run this first, then restart the session:\n\n```text\n{start}\n```"])


def binder(address: str, path: str) -> str:
    """The link that opens a file at Binder, in JupyterLab."""
    where = urlsplit(address).path.strip("/")
    places = {"github.com": f"gh/{where}", "gitlab.com": f"gl/{quote(where, safe='')}"}
    return f"https://mybinder.org/v2/{places.get(urlsplit(address).netloc, 'git/' + quote(address, safe=''))}/{BRANCH}?urlpath=lab/tree/{path}"


def colab(address: str, path: str) -> str:
    """The link that opens a notebook of a GitHub repository in Colab."""
    return f"https://colab.research.google.com/github{urlsplit(address).path}/blob/{BRANCH}/{path}"


def _on_github(address: str) -> bool:
    return urlsplit(address).netloc == "github.com"


def _placed(text: str, links: str) -> str:
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ConfigError(expected(f"README.md with one place for links, {BEGIN} … {END}", "another number of them", "putting the two lines back"))
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{links}\n{END}{rest.partition(END)[2]}"
