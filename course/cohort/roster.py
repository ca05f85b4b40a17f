"""The learners of a cohort: students.csv, and who is meant by a name in a download.

The columns are nbgrader's own: id, first_name, last_name, email, lms_user_id. Only `id` is needed.
A name is matched when exactly one learner has it, and never guessed.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import asdict, fields
from pathlib import Path

from course.cohort.folder import ROSTER, Cohort, Student
from course.errors import UserError
from course.notebooks import shown

COLUMNS = tuple(one.name for one in fields(Student))
LARGEST = 10 * 2**20  # bytes of a roster; 500 learners are 40,000
# An id names folders on any system, and nbgrader's exchange puts `+` between its parts.
ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?")
UNIQUE = {"id": "id", "email": "e-mail address", "lms_user_id": "lms_user_id"}


def table(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines of a CSV file as (line number, {column: text}); column names in small letters.

    Separated by comma, semicolon or tab, whichever the first line has. Raises UserError.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(
                f"{shown(path)} has more than {LARGEST // 2**20} MB: no list of people."
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"There is no file {shown(path)}.") from None
    except UnicodeDecodeError:
        raise UserError(
            f"{shown(path)} is not UTF-8 text; save it as “CSV UTF-8” in the spreadsheet."
        ) from None
    except OSError as why:
        raise UserError(f"{shown(path)} cannot be read: {why.strerror or why}.") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as why:
        raise UserError(f"{shown(path)}, line {reader.line_num}: {why}.") from None
    if not rows:
        raise UserError(f"{shown(path)} is empty; its first line names the columns.")
    names = [name.casefold() for name in rows[0][1]]
    for line, cells in rows[1:]:
        if len(cells) > len(names):
            raise UserError(
                f"{shown(path)}, line {line} has {len(cells)} cells for {len(names)} columns; put "
                "quotation marks around a cell that holds the separator."
            )
    return [(line, dict(zip(names, cells))) for line, cells in rows[1:]]


def read(path: Path) -> list[Student]:
    """The learners of a students.csv. Raises UserError, naming the line, and changes nothing."""
    rows = table(path)
    if rows and "id" not in rows[0][1]:
        raise UserError(
            f"{shown(path)} has no column `id`; the first line names the columns: "
            f"{','.join(COLUMNS)}."
        )
    found: list[Student] = []
    seen: dict[tuple[str, str], int] = {}
    for line, row in rows:
        one = Student(**{name: row.get(name, "") for name in COLUMNS})
        if not ID.fullmatch(one.id):
            raise UserError(
                f"{shown(path)}, line {line}: {one.id!r} cannot be an id; an id names folders, so "
                "it has up to 64 letters a–z, digits, and . _ @ - between them."
            )
        for column, called in UNIQUE.items():
            key = (column, getattr(one, column).casefold())
            if key[1] and key in seen:
                raise UserError(
                    f"{shown(path)}, line {line}: the {called} {getattr(one, column)} stands in "
                    f"line {seen[key]} already; each learner has their own."
                )
            seen[key] = line
        found.append(one)
    return found


def sync(cohort: Cohort) -> list[Student]:
    """Puts what students.csv says into the grade book, and returns all learners of the grade book.

    A learner who left the file stays in the grade book with all marks. Raises UserError.
    """
    file = cohort.root / ROSTER
    wanted = read(file) if file.exists() else []
    known = {one.id: one for one in cohort.students()}
    with cohort.gradebook() as book:
        for one in wanted:
            if known.get(one.id) != one:
                # nbgrader wants None, not "", where nothing is known.
                given = {key: value or None for key, value in asdict(one).items() if key != "id"}
                book.update_or_create_student(one.id, **given)
                known[one.id] = one
    return sorted(known.values(), key=lambda one: one.id)


def plain(name: str) -> str:
    """A name for comparing: one alphabet form, small letters, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def squashed(name: str) -> str:
    """A name as learning platforms write it into file names: its letters and digits only."""
    return "".join(sign for sign in plain(name) if sign.isalnum())


class Roster:
    """Finds the learner who is meant."""

    def __init__(self, students: list[Student]):
        self.students = students

    def _only(self, fits) -> Student | None:
        found = [one for one in self.students if fits(one)]
        return found[0] if len(found) == 1 else None

    def by_id(self, text: str) -> Student | None:
        """The learner with this id, in small or capital letters where one alone fits."""
        return self._only(lambda one: one.id == text) or self._only(
            lambda one: one.id.casefold() == text.casefold()
        )

    def by_lms(self, number: str) -> Student | None:
        """The learner with this number of the learning platform."""
        return self._only(lambda one: one.lms_user_id == number)

    def by_email(self, address: str) -> Student | None:
        """The learner with this e-mail address."""
        return self._only(lambda one: one.email and plain(one.email) == plain(address))

    def by_name(self, name: str) -> Student | None:
        """The one learner with this full name, either part first; None where two have it."""
        wanted = plain(name.replace(",", " ").replace("_", " "))

        def fits(one: Student) -> bool:
            orders = (f"{one.first_name} {one.last_name}", f"{one.last_name} {one.first_name}")
            return bool(wanted) and wanted in map(plain, orders)

        return self._only(fits)

    def by_squashed(self, name: str) -> Student | None:
        """The one learner whose last and first name are these letters: "lovelaceada"."""
        wanted = squashed(name)
        return self._only(lambda one: wanted and squashed(one.last_name + one.first_name) == wanted)

    def anyhow(self, text: str) -> Student | None:
        """By id, by number of the learning platform, by e-mail address, by full name."""
        ways = (self.by_id, self.by_lms, self.by_email, self.by_name)
        return next((one for way in ways if (one := way(text)) is not None), None)
