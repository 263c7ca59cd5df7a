"""Types: mypy finds nothing in the library, and what it is told to overlook only shrinks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="a maintainers' tool: pip install 'breakthrough[dev]'")

ROOT = Path(__file__).parents[1]
MOST_IGNORED = 40  # `type: ignore` in all of the library


def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]


def test_mypy_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_nothing_more_is_overlooked():
    told = settings()
    assert not {"exclude", "disable_error_code", "ignore_errors", "ignore_missing_imports", "follow_imports"} & set(told)
    assert all(set(one) == {"module", "ignore_missing_imports"} for one in told["overrides"])


def test_every_ignore_names_its_error_and_says_why():
    found = [line for path in sorted((ROOT / "src").rglob("*.py")) for line in path.read_text(encoding="utf-8").splitlines()
             if re.search(r"#\s*type:\s*ignore", line)]
    assert [line for line in found if not re.search(r"# type: ignore\[[a-z, -]+\]  # \w", line)] == []
    assert len(found) <= MOST_IGNORED
