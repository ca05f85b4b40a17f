"""The grade book: nbgrader's own database, with two tables of ours beside its own.

`cohort_run` keeps one call of `grade` or `regrade` with its secret seed, `cohort_result` one graded
submission: what was said of each exercise, and the seed from which its probes were drawn. A
submission is written in one transaction, marks and result together, so that a grader that is killed
leaves either all of it or nothing.

The journal stays SQLite's rollback journal, not a write-ahead log. A log needs memory that all
processes share, which a network folder does not give, and a copy of `gradebook.db` made without its
log lacks the last marks; instructors keep such copies. One writer loses nothing by it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbgrader import api
from sqlalchemy import (
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    event,
    func,
    select,
)
from sqlalchemy.exc import OperationalError

from course.errors import UserError

BUSY = 60_000  # milliseconds to wait while the formgrader writes
OURS = ("broken", "not graded")  # results of a row that are a failure of ours: they cost nothing

TABLES = MetaData()
RUNS = Table(
    "cohort_run",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("assignment", String(128), nullable=False),
    Column("seed", String(64), nullable=False),
    Column("started", DateTime, nullable=False),
    Column("ended", DateTime),
    Column("version", String(64), nullable=False),
    Column("options", Text, nullable=False),
)
RESULTS = Table(
    "cohort_result",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("cohort_run.id"), nullable=False),
    Column("student", String(128), nullable=False),
    Column("assignment", String(128), nullable=False),
    Column("submission", String(64), nullable=False),  # SHA-256 of its files
    Column("seed", String(256), nullable=False),  # of the probes, the learner's name included
    Column("graded", DateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status", String(8), nullable=False),
    Column("report", Text, nullable=False),
    UniqueConstraint("run", "student", "submission"),
)


@dataclass
class Graded:
    """What grading one submission gave, before it is written.

    rows: one dict for each exercise, the fields of `course.marking.report.Row` and "notebook".
    status: "graded", or "ours" when something of ours failed. submission: SHA-256 of its files.
    """

    student: str
    assignment: str
    submission: str
    seed: str
    seconds: float
    status: str
    rows: list[dict]
    remarks: list[str] = field(default_factory=list)


@dataclass
class Result:
    """The latest result of one learner's assignment, and the marks as they stand in the book.

    graded: when, UTC. marks: what people and the grader gave, without the penalty; of: the most;
    late: the marks taken for being late. waits: whether a person has to look at it still.
    """

    id: int
    student: str
    assignment: str
    submission: str
    seed: str
    graded: datetime.datetime
    seconds: float
    status: str
    rows: list[dict]
    remarks: list[str]
    marks: float = 0.0
    of: float = 0.0
    late: float = 0.0
    waits: bool = False


class Book:
    """nbgrader's grade book, open. `nb` is nbgrader's own `Gradebook`."""

    def __init__(self, cohort):
        self.nb = cohort.open_gradebook()
        if self.nb.engine.dialect.name == "sqlite":
            event.listen(self.nb.engine, "connect", _whole_transactions)
            event.listen(self.nb.engine, "begin", _begin)
            self.nb.engine.dispose()  # connections from before do not know of it
        with self.transaction() as connection:
            TABLES.create_all(connection)

    @contextlib.contextmanager
    def transaction(self) -> Iterator:
        """A connection; what is written inside, by nbgrader's methods too, is kept all or not.

        Raises UserError where the database cannot be used: locked for long, full, of another age.
        """
        session = self.nb.db
        session.remove()
        try:
            with self.nb.engine.connect() as connection, connection.begin():
                # nbgrader's methods commit; that now ends a savepoint and not our transaction.
                session.configure(bind=connection, join_transaction_mode="create_savepoint")
                yield connection
                session.commit()
                session.remove()
        except OperationalError as why:
            raise UserError(
                f"The grade book {self.nb.engine.url} cannot be used: {why.orig}. What was written "
                "before is kept."
            ) from None
        finally:
            session.remove()
            session.configure(bind=self.nb.engine, join_transaction_mode="conditional_savepoint")


@contextlib.contextmanager
def open_book(cohort) -> Iterator[Book]:
    """The cohort's grade book, closed afterwards."""
    book = Book(cohort)
    try:
        yield book
    finally:
        book.nb.close()


def now() -> datetime.datetime:
    """The time in UTC, without a zone, as nbgrader keeps it."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def _whole_transactions(connection, record) -> None:
    """Python's sqlite3 begins a transaction too late for us; so SQLAlchemy begins it."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY}")


def _begin(connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # nobody writes between our reading and writing


# ----------------------------------------------------------------------------------- reading


def latest(connection, assignment: str | None = None, *conditions) -> dict:
    """{student: Result} of one assignment, or {(student, assignment): Result} of all for None.

    The latest of each that meets the conditions on RESULTS; its marks are not filled in.
    """
    last = select(func.max(RESULTS.c.id)).group_by(RESULTS.c.student, RESULTS.c.assignment)
    last = last.where(*conditions)
    if assignment is not None:
        last = last.where(RESULTS.c.assignment == assignment)
    found = {}
    for row in connection.execute(select(RESULTS).where(RESULTS.c.id.in_(last))):
        one = _result(row)
        found[one.student if assignment is not None else (one.student, one.assignment)] = one
    return found


def _result(row) -> Result:
    report = json.loads(row.report)
    names = ("id", "student", "assignment", "submission", "seed", "graded", "seconds", "status")
    values = {name: getattr(row, name) for name in names}
    return Result(**values, rows=report["rows"], remarks=report["remarks"])


def results(cohort) -> list[Result]:
    """The latest result of each learner and assignment, by assignment, then by learner."""
    with open_book(cohort) as book, book.transaction() as connection:
        found = latest(connection)
        for key, marks in marks_of(connection).items():
            if key in found:
                one = found[key]
                one.marks, one.of, one.late, one.waits = marks
    return sorted(found.values(), key=lambda one: (one.assignment, one.student))


def marks_of(connection) -> dict[tuple[str, str], tuple[float, float, float, bool]]:
    """{(student, assignment): (marks, of, penalty, waits for a person)} of nbgrader's tables."""
    submitted, notebook, grade = api.SubmittedAssignment, api.SubmittedNotebook, api.Grade
    cell = api.GradeCell.__table__
    sums = (
        select(
            submitted.student_id,
            api.Assignment.name,
            func.coalesce(func.sum(grade.score), 0.0),
            func.coalesce(func.sum(cell.c.max_score), 0.0),
            func.max(case((grade.needs_manual_grade, 1), else_=0)),
        )
        .select_from(submitted)
        .join(api.Assignment, api.Assignment.id == submitted.assignment_id)
        .join(notebook, notebook.assignment_id == submitted.id)
        .join(grade, grade.notebook_id == notebook.id)
        .join(cell, cell.c.id == grade.cell_id)
        .group_by(submitted.id, submitted.student_id, api.Assignment.name)
    )
    taken = (
        select(
            submitted.student_id,
            api.Assignment.name,
            func.coalesce(func.sum(notebook.late_submission_penalty), 0.0),
        )
        .select_from(submitted)
        .join(api.Assignment, api.Assignment.id == submitted.assignment_id)
        .join(notebook, notebook.assignment_id == submitted.id)
        .group_by(submitted.id, submitted.student_id, api.Assignment.name)
    )
    late = {(student, name): penalty for student, name, penalty in connection.execute(taken)}
    return {
        (student, name): (marks, of, late.get((student, name), 0.0), bool(waits))
        for student, name, marks, of, waits in connection.execute(sums)
    }
