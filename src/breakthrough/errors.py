"""Every error the library raises on purpose.

    BreakthroughError
    ├── InputError (ValueError)       an argument, option or file is not what was expected
    │   ├── ShapeError                a tensor's shape
    │   ├── DtypeError                a tensor's dtype
    │   ├── ConfigError               a configuration: course.yml, a profile, a dataclass
    │   └── UnknownNameError          a name that is not in a list (exercise, module, claim…)
    ├── MissingDependency (ImportError)   an optional package; names the exact pip install
    ├── ArtifactError                 an artifact is missing, incomplete or altered
    ├── NotebookError                 a notebook does not run or has not the shape it should
    └── CheckFailed (AssertionError)  an answer is wrong, or not there yet

Messages follow one form, `expected …, got …; try …`, which `expected` builds.
"""

from __future__ import annotations

import difflib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path


class BreakthroughError(Exception):
    """Base of all errors raised on purpose."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, and below it the reader's own functions on the way there."""
        frames = [frame for frame in own_frames(self) if frame.name != "<module>"]
        lines = [f"  in {frame.name}, line {frame.lineno}: {frame.line}" for frame in frames]
        return [f"{type(self).__name__}: {self}", *lines]


class InputError(BreakthroughError, ValueError):
    """An argument, option or file is not what was expected."""


class ShapeError(InputError):
    """A tensor has another shape than expected."""


class DtypeError(InputError):
    """A tensor has another dtype than expected."""


class ConfigError(InputError):
    """A configuration is not valid."""


class UnknownNameError(InputError):
    """A name is not in the list it was looked up in."""


class MissingDependency(BreakthroughError, ImportError):
    """An optional package is not installed."""


class ArtifactError(BreakthroughError):
    """An artifact is missing, incomplete or altered."""


class NotebookError(BreakthroughError):
    """A notebook does not run, or has not the shape it should."""


class CheckFailed(BreakthroughError, AssertionError):
    """An answer to an exercise is wrong, or has not been attempted."""


def expected(what: str, got: object, hint: str | None = None) -> str:
    """Build the one form of message: `expected …, got …; try …`."""
    text = f"expected {what}, got {got}"
    return f"{text}; try {hint}" if hint else text


def type_of(value: object) -> str:
    """The type of a value with its article: `an int`, `a Tensor`."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that is not in a list, with the nearest names that are."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = " or ".join(near or names[:6]) or None
    return UnknownNameError(expected(f"the name of a known {kind}", repr(name), hint))


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The steps of a traceback in the reader's own code: not in this package, not in another library."""
    paths = sysconfig.get_paths()
    folders = (str(Path(__file__).parent), *(paths[name] for name in ("stdlib", "purelib", "platlib")))
    elsewhere = ("<frozen", *(f"{folder}/" for folder in folders))
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not f.filename.startswith(elsewhere) and "-packages/" not in f.filename]
