"""Whose work a file of a download is, by the names that learning platforms give.

| platform | names in a download of all submissions |
|---|---|
| Moodle, with folders | `Ada Lovelace_12345_assignsubmission_file_/01_bigram.ipynb` |
| Moodle, without | `Ada Lovelace_12345_assignsubmission_file_01_bigram.ipynb` |
| Canvas | `lovelaceada_LATE_4567_890123_01_bigram-1.ipynb`, without `LATE_` when in time |
| nbgrader's zip_collect | `ps1_ada_attempt_2016-01-30-15-00-00_01_bigram.ipynb` |
| nbgrader's exchange | `ada+01_bigram+2026-12-01 17:00:00.000000 UTC+c2VjcmV0/01_bigram.ipynb` |
| anything else | one folder or one file for each learner, named after them |

Moodle's number belongs to the learner within the one assignment ("Participant 12345"), so it tells
nothing without Moodle's grading worksheet. Canvas' first number is the learner's own in Canvas.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from course.cohort import times
from course.cohort.folder import Student
from course.cohort.roster import Roster

MOODLE = re.compile(
    r"(?P<label>(?P<name>[^/]+?)_(?P<number>\d+)_assignsubmission_[a-z]+)_?/?(?P<rest>.*)"
)
CANVAS = re.compile(
    r"(?P<name>[^/_]+)(?P<late>_LATE)?_(?P<number>\d+)_(?:\d+_(?P<rest>[^/]+)|(?P<text>[^/_]+\.html))"
)
ATTEMPT = re.compile(
    r"(?P<name>[^/]+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+)|\.zip)?"
)
EXCHANGE = re.compile(
    r"(?P<name>[^/+]+)\+(?P<assignment>[^/+]+)\+(?P<time>[^/+]+)(?:\+[^/+]*)?/(?P<rest>.+)"
)
AGAIN = re.compile(r"-\d+(?=\.[^./]+$)")  # Canvas: the number of a later attempt


@dataclass(frozen=True)
class Label:
    """What a name in a download tells. `text`: all files with the same one are one submission.

    `platform`: "moodle", "canvas", "attempt", "exchange" or "". `time` is None where unknown.
    """

    text: str
    platform: str = ""
    name: str = ""
    number: str = ""
    late: bool = False
    time: datetime.datetime | None = None


def split(path: str) -> tuple[Label, str]:
    """(whose it is, the file's path within the submission) for a file of a download."""
    if found := MOODLE.fullmatch(path):
        # Moodle keeps files and the text that was typed in apart; they are one submission.
        text = f"{found['name']}_{found['number']}"
        return Label(text, "moodle", found["name"], found["number"]), found["rest"]
    if found := EXCHANGE.fullmatch(path):
        when = times.of_nbgrader(found["time"])
        return Label(path.partition("/")[0], "exchange", found["name"], time=when), found["rest"]
    if found := ATTEMPT.fullmatch(path):
        # All files of one attempt have its time; a zip archive is the whole attempt.
        when = datetime.datetime.strptime(found["time"], "%Y-%m-%d-%H-%M-%S")
        text = f"{found['name']}_attempt_{found['time']}"
        rest = found["rest"] or path
        return Label(text, "attempt", found["name"], time=when.replace(tzinfo=times.UTC)), rest
    if found := CANVAS.fullmatch(path):
        text = f"{found['name']}_{found['number']}"
        rest = found["text"] or AGAIN.sub("", found["rest"])
        return Label(text, "canvas", found["name"], found["number"], bool(found["late"])), rest
    first, _, rest = path.partition("/")
    if rest:
        return Label(first, name=first), rest
    return Label(first, name=first.rpartition(".")[0] or first), first


def who(label: Label, roster: Roster, worksheet: dict[str, str]) -> tuple[Student | None, str]:
    """The learner whom a label means, or None; and by what: "id", "number" or "name".

    worksheet: Moodle's numbers, each with the e-mail address or else the name.
    """
    if label.platform == "moodle":
        if label.number in worksheet:
            known = worksheet[label.number]
            return (roster.by_email(known) if "@" in known else roster.by_name(known)), "number"
        return _of_moodle(label.name, roster), "name"
    if label.platform == "canvas":
        found = roster.by_lms(label.number)
        if found:
            return found, "number"
        # Without a number in the roster the name has to do; with another one it is another person.
        found = roster.by_squashed(label.name)
        return (None if found and found.lms_user_id else found), "name"
    if label.platform == "exchange":
        return roster.by_id(label.name), "id"
    if label.platform == "attempt":
        return _of_attempt(label.name, roster), "id"
    found = roster.by_id(label.name)
    return (found, "id") if found else (roster.anyhow(label.name), "name")


def _of_moodle(name: str, roster: Roster) -> Student | None:
    """The name alone, or behind that of a group: "Group A-Ada Lovelace".

    Never an id: what Moodle shows as their name, learners may change themselves.
    """
    parts = name.split("-")
    tries = ("-".join(parts[k:]) for k in range(len(parts)))
    return next((one for part in tries if (one := roster.by_name(part)) is not None), None)


def _of_attempt(name: str, roster: Roster) -> Student | None:
    """The learner whose id stands behind the assignment's name: "ps_1_ada"."""
    parts = name.split("_")
    tries = ("_".join(parts[k:]) for k in range(len(parts)))
    return next((one for part in tries if (one := roster.by_id(part)) is not None), None)


def in_worksheet(rows: list[tuple[int, dict[str, str]]]) -> dict[str, str] | None:
    """Moodle's numbers in its grading worksheet, with e-mail addresses or names; None for another.

    The worksheet's first column holds "Participant 12345", in the language of the platform.
    """
    if not rows:
        return None
    found = {}
    for _, row in rows:
        cells = list(row.values())
        number = re.fullmatch(r"\D*?(\d+)", cells[0])
        if not number:
            return None
        address = next((cell for cell in cells if re.fullmatch(r"[^@\s]+@[^@\s]+", cell)), "")
        found[number[1]] = address or (cells[1] if len(cells) > 1 else "")
    return found
