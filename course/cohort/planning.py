"""Which submissions are to be graded, and in which run: read from the grade book each time.

So the same command goes on where one before it was stopped, by Ctrl-C, a crash or the power. The
seed of a run is drawn once and kept: whoever is graded later in it gets probes from that secret.
"""

from __future__ import annotations

import glob
import json
import secrets
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import insert, select, update

from course import paths
from course.cohort.folder import ROSTER
from course.cohort.gradebook import RESULTS, RUNS, Book, Graded, Result, latest, now
from course.cohort.grading_one import exercises_of, fingerprint
from course.errors import UserError
from course.machine.bootstrap import PROJECT
from course.marking.grader import pick


@dataclass(frozen=True)
class Wish:
    """What is asked for. kind: "grade", "again" or "regrade". only: ids of exercises, or all.

    Equal wishes are one run: the second goes on with what the first has left.
    """

    kind: str = "grade"
    student: str | None = None
    only: tuple[str, ...] | None = None
    fresh: bool = False  # regrade with new probes

    def text(self) -> str:
        """As it is kept in the grade book. A plain `grade` goes on whoever it was asked for."""
        told = asdict(self) | ({"student": None} if self.kind == "grade" else {})
        return json.dumps(told, sort_keys=True)


@dataclass
class Done:
    """What one call did. before: how many had been graded already. changes: (student, exercise,
    marks before, marks now). skipped: sentences on whom it did not grade, and why."""

    assignment: str
    graded: list[Graded] = field(default_factory=list)
    before: int = 0
    changes: list[tuple[str, str, float, float]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def ours(self) -> list[Graded]:
        """The submissions on which something of ours failed."""
        return [one for one in self.graded if one.status == "ours"]


@dataclass
class Plan:
    """One submission to grade. last: its result so far; only: the exercises, None for all."""

    student: str
    submission: str
    seed: str
    last: Result | None
    only: list[str] | None = None


@dataclass(frozen=True)
class Run:
    """A run; id 0 as long as it is not in the grade book."""

    id: int
    seed: str


def run_of(book: Book, assignment: str, wish: Wish) -> Run:
    """The run of this wish that was not finished, or a new one."""
    same = (RUNS.c.assignment == assignment) & (RUNS.c.options == wish.text())
    wanted = select(RUNS).where(same, RUNS.c.ended.is_(None)).order_by(RUNS.c.id.desc())
    with book.transaction() as connection:
        found = connection.execute(wanted).first()
    return Run(found.id, found.seed) if found else Run(0, secrets.token_hex(16))


def begin(book: Book, assignment: str, wish: Wish, run: Run) -> Run:
    """The same run, now in the grade book."""
    values = {"assignment": assignment, "seed": run.seed, "started": now()}
    values |= {"version": version(PROJECT), "options": wish.text()}
    with book.transaction() as connection:
        made = connection.execute(insert(RUNS).values(**values))
        return Run(made.inserted_primary_key[0], run.seed)


def plan(cohort, book, assignment, wish, run) -> tuple[Done, dict[str, Plan]]:
    """What is graded already, and what is to be graded now."""
    done, todo = Done(assignment), {}
    with book.transaction() as connection:
        mine = latest(connection, assignment, RESULTS.c.run == run.id)
        earlier = latest(connection, assignment, RESULTS.c.run != run.id)
        last = latest(connection, assignment)
    only = list(wish.only) if wish.only else None
    students = [one.id for one in cohort.students()]
    done.skipped += _strangers(cohort, assignment, students)
    for student in students:
        folder = cohort.submitted(student, assignment)
        if wish.student not in (None, student) or not folder.is_dir():
            continue
        found, seed = fingerprint(folder), f"{run.seed}:{student}"
        known = (last if wish.kind == "grade" else mine).get(student)
        old = earlier.get(student)
        if known and known.submission == found and known.status == "graded":
            done.before += 1
        elif wish.kind == "grade":
            todo[student] = Plan(student, found, seed, known)
        elif wish.kind == "again":
            todo[student] = Plan(student, found, seed, old)
        else:
            _plan_regrade(student, found, old, seed if wish.fresh else "", only, done, todo)
    return done, todo


def _strangers(cohort, assignment: str, students: list[str]) -> list[str]:
    """A sentence for each submission of nobody whom the roster knows."""
    known = {cohort.submitted(one, assignment) for one in students}
    anyone = glob.escape(str(cohort.submitted("*", assignment))).replace("[*]", "*")
    there = sorted(map(Path, glob.glob(anyone)))
    return [
        f"{one} was not graded: nobody in {ROSTER} has that name."
        for one in there
        if one.is_dir() and one not in known
    ]


def _plan_regrade(student, found, old, seed, only, done, todo) -> None:
    """Regrades what was graded, with the probes that it got then, or with those of `seed`."""
    if old is None:
        done.skipped.append(f"{student} was never graded; `course cohort grade` does that.")
    elif old.submission != found:
        done.skipped.append(
            f"{student} has handed in something newer than what was graded; "
            "`course cohort grade` grades it."
        )
    else:
        # After a failure of ours there are no rows that could be kept.
        only = only if old.status == "graded" else None
        todo[student] = Plan(student, found, seed or old.seed, old, only)


def notebooks_of(cohort, assignment: str) -> list[str]:
    """The names of the assignment's notebooks, such as ["10_cuda", "10_kernels"]."""
    folder = cohort.path("release", ".", assignment)
    found = sorted(path.stem for path in folder.glob("*.ipynb"))
    if not found:
        raise UserError(
            f"There is no released notebook in {folder}; `course cohort release "
            f"{assignment[:2]}` makes it."
        )
    return found


def end(book: Book, run: Run, wish: Wish, done: Done) -> None:
    """The run is over, unless something is left for the same command to do."""
    part = wish.kind == "grade" and wish.student is not None
    if run.id and not part and not done.ours:
        with book.transaction() as connection:
            connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(ended=now()))


def ids_of(cohort, which: str, only: str | None) -> tuple[str, ...] | None:
    """The ids of the exercise called `only` in the chapter's notebooks; None for None."""
    if only is None:
        return None
    assignment = paths.chapter(which).name
    names = notebooks_of(cohort, assignment)
    found = pick([one for name in names for one in exercises_of(assignment, name)], only)
    return tuple(sorted(one.id for one in found))
