"""A cohort's folder: an nbgrader course, and beside nbgrader's folders `inbox/` and `reports/`.

    nbgrader_config.py  gradebook.db  students.csv
    source/ release/ submitted/ autograded/ feedback/    as nbgrader names them
    inbox/      everything that was ever collected, as it came
    reports/    pages for the instructor
    nbgrader.log    what nbgrader said

nbgrader's configuration says where the rest of it lies, and is the only one: what it changes, such
as the grade book's address, holds for `course cohort` too.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.errors import UserError
from course.notebooks import shown

CONFIG = "nbgrader_config.py"
ROSTER = "students.csv"
LOG = "nbgrader.log"


@dataclass(frozen=True)
class Student:
    """One learner as the grade book knows them; `id` names their folders."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""

    @property
    def name(self) -> str:
        """First and last name, or the id where neither is known."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.id


@dataclass(frozen=True)
class Cohort:
    """An open cohort. `config`: nbgrader's configuration, a traitlets Config."""

    root: Path
    config: Any = field(repr=False)
    coursedir: Any = field(repr=False)

    @property
    def course_id(self) -> str:
        """What nbgrader and its exchange call the course."""
        return self.coursedir.course_id

    @property
    def db_url(self) -> str:
        """The grade book's address, for SQLAlchemy."""
        return self.coursedir.db_url

    @property
    def inbox(self) -> Path:
        """Where everything that was ever collected is kept."""
        return self.root / "inbox"

    @property
    def reports(self) -> Path:
        """Where pages for the instructor are written."""
        return self.root / "reports"

    @property
    def log(self) -> Path:
        """What nbgrader said."""
        return self.root / LOG

    def path(self, step: str, student: str, assignment: str) -> Path:
        """nbgrader's folder for a step: "source", "release", "submitted", "autograded", "feedback".

        student: "." for source and release.
        """
        name = getattr(self.coursedir, f"{step}_directory")
        return Path(os.path.normpath(self.coursedir.format_path(name, student, assignment)))

    def submitted(self, student: str, assignment: str) -> Path:
        """The folder of the submission that counts; it may not be there."""
        return self.path("submitted", student, assignment)

    def open_gradebook(self):
        """nbgrader's Gradebook, to be closed by who asks; UserError where it cannot be opened."""
        from nbgrader.api import Gradebook
        from sqlalchemy.exc import DatabaseError

        # For a new grade book nbgrader calls `alembic`, which lies beside our Python. (nbgrader's
        # own `setenv` would leave us without a PATH.)
        before = os.environ.get("PATH", "")
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), before])
        try:
            return Gradebook(self.db_url, self.course_id)
        except DatabaseError as why:
            raise UserError(
                f"The grade book cannot be opened ({why.orig}). Where it comes from an older "
                "nbgrader, keep a copy of it and run `nbgrader db upgrade`."
            ) from None
        finally:
            os.environ["PATH"] = before

    @contextmanager
    def gradebook(self):
        """nbgrader's Gradebook, closed at the end. Raises UserError where it cannot be opened."""
        book = self.open_gradebook()
        try:
            yield book
        finally:
            book.close()

    def students(self) -> list[Student]:
        """All learners of the grade book, by id."""
        with self.gradebook() as book:
            found = [
                Student(
                    one.id,
                    one.first_name or "",
                    one.last_name or "",
                    one.email or "",
                    one.lms_user_id or "",
                )
                for one in book.students
            ]
        return sorted(found, key=lambda one: one.id)

    def assignments(self) -> list[str]:
        """The names of the released assignments, in order, such as "01_bigram"."""
        with self.gradebook() as book:
            return sorted(one.name for one in book.assignments)


def open_cohort(path: str | os.PathLike | None = None) -> Cohort:
    """The cohort in the folder `path`, or in the current one or the nearest above it that is one.

    Raises UserError where there is none, and for a configuration that cannot be read.
    """
    if path is not None:
        root = Path(path).resolve()
        found = [root] if (root / CONFIG).is_file() else []
    else:
        here = Path.cwd().resolve()
        found = [one for one in (here, *here.parents) if (one / CONFIG).is_file()]
    if not found:
        where = "The current folder" if path is None else shown(path)
        raise UserError(
            f"{where} is no cohort's folder: it has no {CONFIG}. `course cohort init DIR` makes "
            "one; `--dir DIR` says where it is."
        )
    return _opened(found[0])


def _opened(root: Path) -> Cohort:
    from nbgrader.coursedir import CourseDirectory

    config = _config(root)
    return Cohort(root, config, CourseDirectory(config=config))


def _config(root: Path):
    """nbgrader's configuration: of this machine, of this account, and last the cohort's own."""
    from jupyter_core.paths import jupyter_config_path
    from traitlets.config import Config
    from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

    config = Config()
    for place in (*reversed(jupyter_config_path()), str(root)):
        try:
            config.merge(PyFileConfigLoader(CONFIG, path=place).load_config())
        except ConfigFileNotFound:
            continue
        except Exception as why:  # the file is a program, which can fail in any way
            file = Path(place) / CONFIG
            raise UserError(
                f"{shown(file)} cannot be read ({type(why).__name__}: {why}); it is a Python file "
                "with lines such as `c.CourseDirectory.course_id = ...`."
            ) from None
    if "root" not in config.CourseDirectory:
        config.CourseDirectory.root = str(root)
    return config
