"""`breakthrough lock` and `breakthrough latest`: what maintainers do against rot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breakthrough.language import counted

BROKE = 1


def _root() -> Path:
    from breakthrough.events import project_root

    return project_root()


def lock(
    wheel: Annotated[Path | None, typer.Option(help="A wheel of PyTorch's CPU build, for its hash; needed once for each version.", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say how what is installed differs.")] = False,
) -> None:
    """Write locks/ from what is installed (maintainers).

    \b
    The versions are those that are installed here, so run the tests first; the hashes are those of
    the public index. Then `make setup LOCKED=cpu` or `LOCKED=cuda` installs exactly that elsewhere.
      breakthrough lock
      breakthrough lock --wheel torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
      breakthrough lock --check
    """
    from breakthrough.upkeep import lock as locks

    root = _root()
    if check:
        lines = locks.differences(root / locks.FOLDER / "common.txt")
        print("\n".join(lines) or "what is installed is what is locked")
        raise typer.Exit(BROKE if lines else 0)
    for path in locks.make(root, wheel):
        print(f"{path.relative_to(root)}: {counted(len(locks.read(path)), 'package')}")


def latest(
    tests: Annotated[list[str] | None, typer.Argument(metavar="[-- PYTEST'S OPTIONS]", help="Given to pytest as they are.", show_default=False)] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A dependency of pyproject.toml, or NAME==VERSION; may be repeated.")] = None,
    room: Annotated[list[str] | None, typer.Option(metavar="ROOM", help="A folder of tests/; may be repeated. Those that import what is newer, unless given.")] = None,
    apart: Annotated[bool, typer.Option("--apart", help="Each dependency in an environment of its own: says which one broke what.")] = False,
) -> None:
    """Say what the newest versions break (maintainers).

    \b
    Bounds and pins of pyproject.toml are lifted. What is newer goes into an environment laid over this
    one, so that only the newer packages are fetched; the rooms that import them are tested there, and
    what fails is tried again with the versions here. A package that cannot be installed is named and
    left. The report is build/latest/report.md; exit code 1 when something broke.
      breakthrough latest --only transformers
      breakthrough latest --apart                         one at a time
      breakthrough latest --only apache-tvm-ffi --room deploy -- -k tuning
    """
    from breakthrough.upkeep import latest as newest

    root = _root()
    report, broke = newest.latest(root, only or (), room or (), tests or (), apart, lambda line: print(line, flush=True))
    print(f"{'something broke' if broke else 'nothing broke'}: {report.relative_to(root)}")
    raise typer.Exit(BROKE if broke else 0)
