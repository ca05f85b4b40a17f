"""When a submission was handed in, and what lateness costs: nbgrader's rules, and its plugin.

nbgrader settles the penalty when it grades. Here it is settled again before marks are given out:
a due date, an extension or a person's marks may have changed since.
"""

from __future__ import annotations

import contextlib
import datetime
import sys

from nbgrader import api
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy import select
from traitlets import TraitError

from course.cohort import times
from course.cohort.gradebook import Book
from course.cohort.grading_one import TIMESTAMP
from course.cohort.marks import grades_of, notebooks_of
from course.errors import UserError


class Late:
    """The cohort's late rule: `AssignLatePenalties.plugin_class` of nbgrader's configuration."""

    def __init__(self, cohort):
        """Raises UserError when the configuration names a plugin that cannot be loaded."""
        with _importable(cohort.root):  # a rule of one's own lies beside the configuration
            try:
                rule = AssignLatePenalties(config=cohort.config)
                rule.init_plugin()
            except (TraitError, ImportError) as why:
                raise UserError(
                    f"The rule for late submissions cannot be loaded: {why}. It is named by "
                    "c.AssignLatePenalties.plugin_class in nbgrader_config.py."
                ) from None
        self.plugin = rule.plugin_inst

    def settle(self, book: Book, entry, notebooks: dict) -> None:
        """Sets the penalty of each notebook of nbgrader's SubmittedAssignment `entry`."""
        seconds = entry.total_seconds_late if entry.assignment.duedate else 0
        for notebook in notebooks.values():
            penalty = None
            if seconds > 0:
                score = sum(map(_score, grades_of(book, notebook)))
                penalty = self.plugin.late_submission_penalty(entry.student_id, score, seconds)
                if penalty is not None:
                    penalty = min(max(penalty, 0), score)  # as nbgrader bounds it
            notebook.late_submission_penalty = penalty


def _score(grade) -> float:
    """The marks of a grade, as `nbgrader.api.Grade.score` computes them in the database."""
    given = grade.manual_score if grade.manual_score is not None else grade.auto_score
    return 0.0 if given is None else given + (grade.extra_credit or 0.0)


@contextlib.contextmanager
def _importable(folder):
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def handed_in(folder) -> datetime.datetime | None:
    """When the submission in this folder was handed in, UTC; None where nothing says so."""
    try:
        with open(folder / TIMESTAMP, encoding="utf-8") as file:
            when = times.of_nbgrader(file.read(200))
    except (OSError, UnicodeDecodeError):
        return None
    return when and when.replace(tzinfo=None)


def settle_all(cohort, book: Book, assignment: str) -> None:
    """Settles the penalties of all submissions of an assignment, and when they were handed in."""
    rule = Late(cohort)
    wanted = (
        select(api.SubmittedAssignment)
        .join(api.Assignment, api.Assignment.id == api.SubmittedAssignment.assignment_id)
        .where(api.Assignment.name == assignment)
    )
    with book.transaction():
        for entry in list(book.nb.db.scalars(wanted)):
            when = handed_in(cohort.submitted(entry.student_id, assignment))
            if when is not None:
                entry.timestamp = when
            notebooks = notebooks_of(book, entry)
            taken = any(one.late_submission_penalty for one in notebooks.values())
            if taken or (entry.assignment.duedate and entry.total_seconds_late > 0):
                rule.settle(book, entry, notebooks)
