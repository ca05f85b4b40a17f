"""Marks into the grade book: one graded submission in one transaction.

nbgrader's rules hold: a score of the grader's is `auto_score`, a person's `manual_score` counts
before it, and `needs_manual_grade` asks for a person. What people have written (manual scores and
comments, extra credit) is never touched.
"""

from __future__ import annotations

import json

from nbgrader import api
from sqlalchemy import delete, insert, select

from course.cohort import inert
from course.cohort.gradebook import OURS, RESULTS, Book, Graded, latest, now


def record(book: Book, run: int, graded: Graded, timestamp=None, penalties=None) -> None:
    """Writes one graded submission: nbgrader's scores and comments, the penalty, and our row.

    timestamp: when it was submitted, UTC, None where nobody knows. penalties(entry, notebooks)
    settles what lateness costs.
    """
    known = {"timestamp": timestamp} if timestamp else {}
    with book.transaction() as connection:
        with book.nb.db.no_autoflush:  # half a submission is none
            entry = book.nb.update_or_create_submission(graded.assignment, graded.student, **known)
        mine = RESULTS.c.student == graded.student
        last = latest(connection, graded.assignment, mine).get(graded.student)
        fresh = last is None or last.submission != graded.submission
        notebooks = notebooks_of(book, entry)
        for name, notebook in notebooks.items():
            rows = {row["id"]: row for row in graded.rows if row["notebook"] == name}
            for grade in grades_of(book, notebook):
                _write_grade(grade, _row_of(grade.cell.name, rows), fresh)
            for comment in comments_of(book, notebook):
                _write_comment(comment, rows.get(comment.cell.name))
        if penalties:
            penalties(entry, notebooks)
        _write_result(connection, run, graded, last.id if last else 0)


def _row_of(cell: str, rows: dict[str, dict]) -> dict | None:
    """The row for a grade cell: that of `ch01-pairs` for its check cell `ch01-pairs-check`."""
    return rows.get(cell) or rows.get(cell.removesuffix("-check"))


def score_of(row: dict, most: float) -> float | None:
    """The marks of a row, at most `most`; None where no program can say."""
    if row["result"] in OURS or row["result"] == "open":
        return None
    return most if row["result"] == "passed" else 0.0


def _write_grade(grade, row: dict | None, fresh: bool) -> None:
    """The automatic score, and whether a person has to look; the manual score stays."""
    if row is None:  # a cell that the instructor added
        grade.needs_manual_grade = grade.manual_score is None or fresh
        return
    score = score_of(row, grade.cell.max_score)
    if row["result"] in OURS:
        if fresh:
            grade.auto_score = None  # that of an earlier submission says nothing about this one
        grade.needs_manual_grade = True
        return
    changed = fresh or score != grade.auto_score
    grade.auto_score = score
    if grade.manual_score is None:
        grade.needs_manual_grade = score is None
    elif changed:
        grade.needs_manual_grade = True  # a person gave marks to something that is another now


def _write_comment(comment, row: dict | None) -> None:
    if row is not None:
        said = inert.comment(row["sentence"])
        comment.auto_comment = None if row["result"] == "open" else said


def _write_result(connection, run: int, graded: Graded, last: int) -> None:
    """Our row. It replaces one of this run that is "ours", or of files that came back; that the
    last result is written twice is refused by the table."""
    mine = (RESULTS.c.run == run) & (RESULTS.c.student == graded.student)
    back = (RESULTS.c.submission == graded.submission) & (RESULTS.c.id != last)
    connection.execute(delete(RESULTS).where(mine & ((RESULTS.c.status == "ours") | back)))
    report = {"rows": graded.rows, "remarks": graded.remarks}
    names = ("student", "assignment", "submission", "seed", "seconds", "status")
    values = {name: getattr(graded, name) for name in names}
    values |= {"run": run, "graded": now(), "report": json.dumps(report)}
    connection.execute(insert(RESULTS).values(**values))


# ----------------------------------------------------------------------------- nbgrader's rows

# By the columns on which nbgrader's tables have an index; its relationships would search a whole
# table for each submission, and the time for a cohort would grow with its square.


def notebooks_of(book: Book, entry) -> dict[str, api.SubmittedNotebook]:
    """The submitted notebooks of nbgrader's SubmittedAssignment `entry`, by name."""
    wanted = select(api.SubmittedNotebook).where(
        api.SubmittedNotebook.notebook_id.in_([one.id for one in entry.assignment.notebooks]),
        api.SubmittedNotebook.assignment_id == entry.id,
    )
    return {one.notebook.name: one for one in book.nb.db.scalars(wanted)}


def grades_of(book: Book, notebook) -> list[api.Grade]:
    """The grades of nbgrader's SubmittedNotebook `notebook`."""
    cells = [one.id for one in notebook.notebook.grade_cells + notebook.notebook.task_cells]
    wanted = select(api.Grade).where(
        api.Grade.cell_id.in_(cells), api.Grade.notebook_id == notebook.id
    )
    return list(book.nb.db.scalars(wanted))


def comments_of(book: Book, notebook) -> list[api.Comment]:
    """The comments of nbgrader's SubmittedNotebook `notebook`."""
    cells = [one.id for one in notebook.notebook.solution_cells + notebook.notebook.task_cells]
    wanted = select(api.Comment).where(
        api.Comment.cell_id.in_(cells), api.Comment.notebook_id == notebook.id
    )
    return list(book.nb.db.scalars(wanted))
