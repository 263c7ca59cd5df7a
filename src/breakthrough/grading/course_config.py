"""nbgrader's configuration of a cohort: written once, read as nbgrader reads it, and its gradebook."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breakthrough import files, optional
from breakthrough.errors import InputError, MissingDependency, expected
from breakthrough.grading.cohort import CONFIG, Cohort

TEMPLATE = '''\
"""nbgrader's configuration of this cohort: yours to edit, `breakthrough cohort init` never writes it again."""

from pathlib import Path

c = get_config()  # noqa: F821  given by traitlets
root = Path(__file__).resolve().parent

c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = {course_id!r}
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.autograded_directory = "autograded"
c.CourseDirectory.feedback_directory = "feedback"
c.CourseDirectory.db_url = {db_url}

# on a hub: a folder that learners and instructors share, say /srv/nbgrader/exchange
c.Exchange.root = str(root / "exchange")
c.Exchange.cache = str(root / "cache")

# what a submission shows must not run in the browser of who looks at it
c.HTMLExporter.sanitize_html = True

# points off for late work: nbgrader's own plugin, or a class of yours
# c.LateSubmissionPlugin.penalty_method = "zero"
# c.AssignLatePenalties.plugin_class = "late.HourlyPenalty"
'''
SQLITE = "sqlite:///"
DRIVERS = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}


def write_config(cohort: Cohort, db_url: str | None) -> bool:
    """Write nbgrader_config.py unless there is one; whether it was written. A database's password makes it private."""
    path = cohort.folder / CONFIG
    if path.exists():
        return False
    url = repr(db_url) if db_url else 'f"sqlite:///{root / \'gradebook.db\'}"'
    with files.aside(path) as part:
        part.touch(mode=0o600 if db_url else 0o644)
        part.write_text(TEMPLATE.format(course_id=cohort.course_id, db_url=url), encoding="utf-8")
    return True


def load_nbgrader() -> None:
    """Import nbgrader.

    Raises: MissingDependency when it is not installed
    """
    # jsonschema compiles a grammar of international addresses for seconds; no notebook's schema has one
    grammar = "rfc3987_syntax"
    blocked = grammar not in sys.modules
    if blocked:
        sys.modules[grammar] = None  # type: ignore[assignment]  # the import system's own word for "not to be had"
    try:
        optional.require("nbgrader", "keeps a cohort's grades")
    finally:
        if blocked:
            sys.modules.pop(grammar, None)


def read_config(cohort: Cohort) -> Any:
    """nbgrader's configuration as its commands would read it in the cohort's folder.

    Raises: InputError when the folder's nbgrader_config.py does not run
    """
    load_nbgrader()
    from jupyter_core.paths import jupyter_config_path
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    config = Config()
    for folder in (*reversed(jupyter_config_path()), str(cohort.folder)):
        if not (Path(folder) / CONFIG).is_file():
            continue
        try:
            config.merge(PyFileConfigLoader(CONFIG, path=folder).load_config())
        except Exception as error:  # noqa: BLE001 - whatever an instructor's file raises
            raise InputError(expected(f"a {CONFIG} in {folder} that runs", repr(error))) from None
    return config


def course_directory(cohort: Cohort, config: Any, module: str = "") -> Any:
    """nbgrader's own view of the cohort's folders, for one assignment."""
    from nbgrader.coursedir import CourseDirectory

    found = CourseDirectory(config=config, root=str(cohort.folder))
    found.assignment_id = module
    return found


def db_url(cohort: Cohort, config: Any) -> str:
    """The address of the gradebook."""
    return course_directory(cohort, config).db_url


def validate_db_url(url: str) -> None:
    """Check that an address of a database can be read, and that its driver is installed.

    Raises: InputError when it is no address; MissingDependency without the driver
    """
    load_nbgrader()
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        dialect = make_url(url).get_dialect()
        dialect.import_dbapi()
    except ModuleNotFoundError as error:
        name = error.name or "the driver"
        hint = f"pip install {DRIVERS.get(name, name)}"
        raise MissingDependency(expected(f"the package {name!r} (connects to the gradebook)", "none installed", hint)) from None
    except SQLAlchemyError as error:
        form = "the URL of a database, postgresql://user@host/name or sqlite:////folder/gradebook.db"
        raise InputError(expected(form, str(error).splitlines()[0])) from None


@contextlib.contextmanager
def gradebook(cohort: Cohort, config: Any = None) -> Iterator[Any]:
    """nbgrader's gradebook of the cohort, open while the block runs; made when there is none.

    Raises: InputError when the database cannot be reached
    """
    config = read_config(cohort) if config is None else config
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    url = db_url(cohort, config)
    try:
        with _private_files():
            _make_tables(url)
            opened = Gradebook(url, cohort.course_id)
    except SQLAlchemyError as error:
        raise InputError(expected(f"the gradebook of {cohort.folder}", str(error).splitlines()[0])) from None
    with opened:
        yield opened


@contextlib.contextmanager
def nbgrader_log(level: int = logging.WARNING) -> Iterator[tuple[logging.Logger, list[str]]]:
    """A log for nbgrader's own steps, and the list of what they said; nothing of it is printed."""
    said: list[str] = []
    log = logging.Logger("breakthrough.nbgrader", level)  # noqa: LOG001 - nobody else's
    log.addHandler(_Listener(said, level))
    yield log, said


class _Listener(logging.Handler):
    def __init__(self, said: list[str], level: int) -> None:
        super().__init__(level)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.said.append(" ".join(record.getMessage().split()))


def _make_tables(url: str) -> None:
    """Make nbgrader's tables in a database that has none, with their version, in one transaction.

    nbgrader does it too, in several, and asks a command `alembic` for the version: once interrupted, never mended.
    """
    from alembic.script import ScriptDirectory
    from nbgrader.api import Base
    from nbgrader.dbutil import ALEMBIC_DIR
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(url)
    with engine.begin() as connection:
        if not inspect(connection).get_table_names():
            Base.metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            version = {"version": ScriptDirectory(ALEMBIC_DIR).get_current_head()}
            connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:version)"), version)
    engine.dispose()


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    before = os.umask(0o077)  # SQLite makes its file, and the journals beside it
    try:
        yield
    finally:
        os.umask(before)
