"""Who answers: the id by which a learner's questions are drawn.

In a cohort it is the id that the instructor knows a student by, so that a grader draws the same questions.
Alone, a random one is made on first use. An empty $BREAKTHROUGH_LEARNER asks for the standard questions,
which are the ones printed on the web.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from contextlib import suppress
from pathlib import Path

from breakthrough import events, files
from breakthrough.errors import ConfigError, InputError, expected

VARIABLE, HUB = "BREAKTHROUGH_LEARNER", "JUPYTERHUB_USER"
FILE = "learner"
STANDARD = ""
LONGEST = 128  # characters
HOW = "breakthrough learner YOUR_ID"


def current() -> str:
    """The id in force: $BREAKTHROUGH_LEARNER, else the file, else $JUPYTERHUB_USER, else a new random one, kept.

    Raises: ConfigError when what is set is no id
    """
    if VARIABLE in os.environ:
        return _set(os.environ[VARIABLE], f"${VARIABLE}") if os.environ[VARIABLE].strip() else STANDARD
    if file().is_file():
        return _set(file().read_text(encoding="utf-8", errors="replace"), str(file()))
    if os.environ.get(HUB, "").strip():
        return _set(os.environ[HUB], f"${HUB}")
    return _first(f"learner-{secrets.token_hex(4)}")


def choose(name: str) -> None:
    """Keep an id for all that follows.

    Raises: InputError when it is none
    """
    files.write_text(file(), cleaned(name) + "\n")


def kept() -> str | None:
    """The id in the file, as it stands there; none when there is no file."""
    return file().read_text(encoding="utf-8", errors="replace").strip() if file().is_file() else None


def describe() -> str:
    """One line: the id in force, and where it comes from.

    Raises: ConfigError when what is set is no id
    """
    made = not (VARIABLE in os.environ or file().is_file() or os.environ.get(HUB, "").strip())
    name = current()
    if VARIABLE in os.environ:
        return f"{name or 'the standard questions'}, from ${VARIABLE}"
    if file().is_file():
        return f"{name}, {'made just now and kept in' if made else 'from'} {file()}"
    return f"{name}, from ${HUB}"


def cleaned(name: str) -> str:
    """An id without spaces around it, in one of the ways in which Unicode may write it.

    Raises: InputError for nothing, more than a line, what cannot be printed, or more than 128 characters
    """
    text = unicodedata.normalize("NFC", name.strip())
    if not text or len(text) > LONGEST or not text.isprintable():
        got = repr(text) if len(text) <= 40 else f"{len(text)} characters, {text[:20]!r}…"
        raise InputError(expected(f"an id of 1 to {LONGEST} printable characters on one line", got, HOW))
    return text


def file() -> Path:
    """Where the id is kept: beside the log."""
    return events.folder() / FILE


def _set(name: str, where: str) -> str:
    try:
        return cleaned(name)
    except InputError as error:
        raise ConfigError(f"{where}: {error}") from None


def _first(name: str) -> str:
    """Keep a new id, unless another notebook has just kept one; the one that is kept."""
    target = file()
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = target.with_name(f".{FILE}.{name}")
    mine.write_text(name + "\n", encoding="utf-8")
    try:
        os.link(mine, target)  # fails when there is one
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        with suppress(FileExistsError), target.open("x", encoding="utf-8") as new:
            new.write(name + "\n")
    finally:
        mine.unlink()
    return cleaned(target.read_text(encoding="utf-8"))
