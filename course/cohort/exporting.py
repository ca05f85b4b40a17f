"""`course cohort export`: marks as a CSV file, for people or for a learning platform to import.

No cell begins as a formula does: a spreadsheet would compute it, and whoever can choose a name
could choose a formula.
"""

from __future__ import annotations

import csv
import datetime
import io
from dataclasses import dataclass
from pathlib import Path

from nbgrader import api
from sqlalchemy import select

from course import notebooks, paths
from course.cohort.folder import Student
from course.cohort.gradebook import Result, latest, marks_of, open_book
from course.cohort.late import settle_all
from course.errors import UserError

FORMATS = ("csv", "moodle", "canvas")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")


@dataclass
class Mark:
    """One learner's marks for one assignment. final is None while a failure of ours stands."""

    student: Student
    assignment: str
    due: datetime.datetime | None
    handed_in: datetime.datetime | None = None
    marks: float = 0.0
    of: float = 0.0
    late: float = 0.0
    waits: bool = False
    status: str = "nothing handed in"

    @property
    def final(self) -> float | None:
        """The marks that count, at least 0; None where there are none to give out."""
        return None if self.status != "graded" else max(0.0, self.marks - self.late)


def export(cohort, which: str | None, form: str, to: Path | None = None) -> tuple[Path, str]:
    """Writes the marks of one chapter, or of all; returns the file and what to tell of it.

    form: one of FORMATS. to: a file that is not there yet; by default a new one in reports/.
    Raises UserError.
    """
    if form not in FORMATS:
        raise UserError(f"There is no format {form!r}; there is {', '.join(FORMATS)}.")
    wanted = [paths.chapter(which).name] if which else cohort.assignments()
    missing = [name for name in wanted if name not in cohort.assignments()]
    if missing or not wanted:
        raise UserError(f"{', '.join(missing) or 'No chapter'} was released here yet.")
    table = marks(cohort, wanted)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    what = f"_{wanted[0]}" if which else ""
    file = to or cohort.reports / f"marks{what}_{form}_{stamp}.csv"
    if file.exists():
        raise UserError(f"{file} is there already; name a new file with --to.")
    rows = {"csv": _plain, "moodle": _moodle, "canvas": _canvas}[form](table, wanted)
    notebooks.write_bytes(file, text(rows).encode("utf-8"))
    return file, told(table)


def marks(cohort, assignments: list[str]) -> list[Mark]:
    """The marks of every learner for every assignment, by assignment, then by learner."""
    found = []
    with open_book(cohort) as book:
        for name in assignments:
            settle_all(cohort, book, name)
        with book.transaction() as connection:
            last, given = latest(connection), marks_of(connection)
            released = {one.name: one for one in book.nb.assignments}
            wanted = select(api.SubmittedAssignment.student_id, api.Assignment.name)
            wanted = wanted.add_columns(api.SubmittedAssignment.timestamp).join(
                api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id
            )
            times = {(who, name): when for who, name, when in connection.execute(wanted)}
            of = {name: (one.duedate, one.max_score) for name, one in released.items()}
    for name in assignments:
        for student in cohort.students():
            key = student.id, name
            mark = Mark(student, name, of[name][0], times.get(key), of=of[name][1])
            if key in last:
                mark.status = _status(last[key], given[key][3])
                mark.marks, _, mark.late, mark.waits = given[key]
            found.append(mark)
    return found


def _status(result: Result, waits: bool) -> str:
    """ "graded" also where a person has dealt with all that we could not grade."""
    return "ours" if result.status == "ours" and waits else "graded"


def told(table: list[Mark]) -> str:
    """What whoever gives out these marks should know."""
    lines = []
    ours = sorted({one.student.id for one in table if one.status == "ours"})
    waits = sum(one.waits and one.status == "graded" for one in table)
    if ours:
        lines.append(
            "Left empty, because something of ours failed on them and no person has given marks: "
            f"{', '.join(ours)}."
        )
    if waits:
        lines.append(
            f"{waits} of {len(table)} wait for a person to judge a part; it counts 0 until then."
        )
    return "\n".join(lines)


# -------------------------------------------------------------------------------------- tables


def text(rows: list[list]) -> str:
    """The rows as CSV, each cell one that no spreadsheet computes."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([list(map(cell, row)) for row in rows])
    return out.getvalue()


def cell(value) -> str:
    """A cell's text: numbers short, times to the second, a formula behind an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:.10g}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "seconds")
    found = " ".join(str(value).split())
    return f"'{found}" if found.startswith(FORMULA) else found


def _plain(table: list[Mark], assignments: list[str]) -> list[list]:
    """nbgrader's own columns, and two more at the end. Times are UTC."""
    head = "assignment duedate timestamp student_id last_name first_name email raw_score"
    head += " late_submission_penalty score max_score waits_for_a_person status"
    rows: list[list] = [head.split()]
    for one in table:
        who, waits = one.student, "yes" if one.waits else "no"
        person = [who.id, who.last_name, who.first_name, who.email]
        given = [one.marks, one.late, one.final, one.of, waits, one.status]
        rows.append([one.assignment, one.due, one.handed_in, *person, *given])
    return rows


def _wide(table: list[Mark], assignments: list[str]) -> list[tuple[Student, list]]:
    """One line for each learner: the learner, and the marks in the assignments' order."""
    found: dict[str, tuple[Student, dict]] = {}
    for one in table:
        found.setdefault(one.student.id, (one.student, {}))[1][one.assignment] = one.final
    return [(who, [given[name] for name in assignments]) for who, given in found.values()]


def _moodle(table: list[Mark], assignments: list[str]) -> list[list]:
    """For Moodle's grade import, which maps a person's column and each assignment's."""
    head = ["Username", "First name", "Last name", "ID number", "Email address"]
    rows: list[list] = [head + [f"Assignment: {name} (Real)" for name in assignments]]
    for who, given in _wide(table, assignments):
        person = [who.id, who.first_name, who.last_name, who.lms_user_id, who.email]
        rows.append(person + given)
    return rows


def _canvas(table: list[Mark], assignments: list[str]) -> list[list]:
    """For the import of Canvas' grade book: its five columns, its line of possible points."""
    most = {one.assignment: one.of for one in table}
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    points = ["Points Possible", "", "", "", ""]
    rows: list[list] = [head + assignments, points + [most.get(name, 0) for name in assignments]]
    for who, given in _wide(table, assignments):
        name = ", ".join(part for part in (who.last_name, who.first_name) if part) or who.id
        rows.append([name, who.lms_user_id, "", who.id, "", *given])
    return rows
