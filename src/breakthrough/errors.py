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
from collections.abc import Iterable


class BreakthroughError(Exception):
    """Base of all errors raised on purpose."""


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


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that is not in a list, with the nearest names that are."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = " or ".join(near or names[:6]) or None
    return UnknownNameError(expected(f"the name of a known {kind}", repr(name), hint))
