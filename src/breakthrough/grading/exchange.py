"""nbgrader's exchange, seen by its own collector; nothing is copied here, and no link is followed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from breakthrough.errors import InputError, expected
from breakthrough.grading import course_config
from breakthrough.grading.cohort import STUDENT_ID, Cohort

_SECRET = re.compile(r"[0-9a-zA-Z_-]{8,256}")


@dataclass(frozen=True)
class Inbound:
    """One submission in the exchange, the newest of its student.

    Units: `time_s` is seconds since 1970
    """

    student: str
    time_s: float
    folder: Path
    secret: str


def inbound(cohort: Cohort, config: Any, module: str) -> list[Inbound]:
    """The submissions that `nbgrader collect` would take, chosen by its own collector.

    Its own copy follows links: one to the instructor's files would bring them into the submission.

    Raises: InputError when there is no exchange, or it is not one of folders
    """
    from nbgrader.auth import Authenticator
    from nbgrader.exchange import ExchangeError, ExchangeFactory
    from nbgrader.exchange.default import ExchangeCollect

    kind = ExchangeFactory(config=config).collect
    if not config.Exchange.get("root") or not issubclass(kind, ExchangeCollect):
        hint = "--from FOLDER, or nbgrader collect for an exchange of another kind"
        raise InputError(expected("an exchange of folders in nbgrader_config.py", "none" if issubclass(kind, ExchangeCollect) else kind.__name__, hint))

    class Tolerant(kind):  # type: ignore[valid-type, misc]  # the class that the configuration names; anyone may put a folder of any name there: it must not stop the others
        def _path_to_record(self, path: str) -> dict[str, Any]:
            try:
                return super()._path_to_record(path)
            except (ExchangeError, ValueError, OverflowError):
                return {"username": "", "filename": os.path.basename(path), "timestamp": datetime.min}

    with course_config.nbgrader_log() as (log, said):
        step = Tolerant(coursedir=course_config.course_directory(cohort, config, module), authenticator=Authenticator(config=config), config=config)
        step.log = log
        try:
            step.init_src()
        except ExchangeError as error:
            hint = f"breakthrough cohort release {module}"
            raise InputError(expected("an exchange with submissions", said[-1] if said else error, hint)) from None
    records = (record for record in step.src_records if STUDENT_ID.fullmatch(record["username"]))
    found = (_inbound(Path(step.inbound_path) / record["filename"], record) for record in records)
    return [one for one in found if one.folder.is_dir() and not one.folder.is_symlink()]


def owner_note(found: Inbound) -> str:
    """What to say when the submission's folder belongs to another account than its name; empty when they agree."""
    import pwd

    try:
        owner = pwd.getpwuid(found.folder.stat().st_uid).pw_name
    except KeyError:
        owner = "an unknown account"
    return "" if owner == found.student else f"its folder belongs to {owner}"


def _inbound(folder: Path, record: dict[str, Any]) -> Inbound:
    return Inbound(record["username"], record["timestamp"].replace(tzinfo=UTC).timestamp(), folder, _secret(folder))


def _secret(folder: Path) -> str:
    try:
        descriptor = os.open(folder / "submission_secret.txt", os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            text = file.read(300).strip()
    except (OSError, ValueError):
        return ""
    return text if _SECRET.fullmatch(text) else ""
