"""What a commit is asked of its files: none is too large, and YAML and TOML can be read. Run by pre-commit, with the files' names."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import yaml

MOST_BYTES = 2_000_000  # a lesson with its pictures stays below


def complaint(path: Path) -> str | None:
    """What is wrong with a file, or nothing."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        return f"{path}: expected at most {MOST_BYTES:,} bytes, got {size:,}; try an artifact in place of it"
    try:
        if path.suffix in (".yml", ".yaml"):
            list(yaml.safe_load_all(path.read_text()))
        elif path.suffix == ".toml":
            tomllib.loads(path.read_text())
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        return f"{path}: expected {path.suffix[1:].upper()} that can be read, got {' '.join(str(error).split())}"
    return None


def main(names: Sequence[str]) -> int:
    """Print what is wrong with some files; exit code 1 when something is."""
    found = [said for name in names if (said := complaint(Path(name)))]
    print("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
