"""Compilers that talk on stderr: what they said is kept, and shown only where something failed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A block without warnings, log lines and prints, C++'s own among them; when it raises, C++'s follow as a note.

    The process's stderr is turned aside for as long: nothing else should run beside it that needs it.
    """
    with tempfile.TemporaryFile() as said, warnings.catch_warnings(), _logs_off(), _prints_off():
        warnings.simplefilter("ignore")
        try:
            with _turned_aside(said):
                yield
        except Exception as error:
            if text := _tail(said):
                error.add_note(f"said on stderr before: {text}")
            raise


@contextlib.contextmanager
def _prints_off() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # a notebook's are no files
        yield


@contextlib.contextmanager
def _logs_off() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _turned_aside(said: IO[bytes]) -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(said.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _tail(said: IO[bytes], size: int = 2000) -> str:
    end = said.seek(0, os.SEEK_END)
    said.seek(max(0, end - size))
    return said.read().decode(errors="replace").strip()
