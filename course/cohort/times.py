"""Points in time as people write them, as nbgrader keeps them, and as a download's names hold them.

Inside, every point in time is a datetime with a time zone; nbgrader keeps UTC.
"""

from __future__ import annotations

import datetime
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from course.errors import UserError

UTC = datetime.UTC
WRITTEN = "%Y-%m-%d %H:%M:%S.%f %Z"  # nbgrader's own, in timestamp.txt
_WORDS = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?) *([A-Za-z][\w+/-]*|[+-]\d\d:?\d\d)?"
)


def now() -> datetime.datetime:
    """This moment, in UTC."""
    return datetime.datetime.now(UTC)


def read(text: str, option: str) -> datetime.datetime:
    """The time in "2026-12-01 18:00 Europe/Berlin". Raises UserError, also without a time zone."""
    found = _WORDS.fullmatch(text.strip())
    if not found or not found[3]:
        raise UserError(
            f"{option} {text!r} is no time with a time zone; write it as "
            '"2026-12-01 18:00 Europe/Berlin", "2026-12-01 18:00 +0100" or "2026-12-01 17:00 UTC".'
        )
    try:
        plain = datetime.datetime.fromisoformat(f"{found[1]} {found[2]}")
    except ValueError:
        raise UserError(f"{option} {text!r}: there is no such day or hour.") from None
    if found[3][0] in "+-":
        return datetime.datetime.fromisoformat(f"{plain.isoformat()}{found[3]}")
    try:
        return plain.replace(tzinfo=ZoneInfo(found[3]))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(
            f"{option}: there is no time zone {found[3]!r}; use one such as Europe/Berlin, "
            "America/New_York or UTC."
        ) from None


def of_nbgrader(text: str) -> datetime.datetime | None:
    """The time that nbgrader wrote, in a file or a folder's name; None where it is none."""
    from nbgrader.utils import parse_utc

    try:
        return parse_utc(text.strip()).replace(tzinfo=UTC)
    except (ValueError, OverflowError, AttributeError):
        return None


def for_nbgrader(moment: datetime.datetime) -> str:
    """The time as nbgrader writes it into timestamp.txt."""
    return moment.astimezone(UTC).strftime(WRITTEN)


def shown(moment: datetime.datetime) -> str:
    """The time for people, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or 'UTC'}"


def due(assignment) -> datetime.datetime | None:
    """When an assignment of the grade book is due, or None."""
    return assignment.duedate.replace(tzinfo=UTC) if assignment.duedate else None
