"""`course check`: grades a notebook, each exercise in a fresh process that cannot harm the others.

A child (`runner.py`) runs the cells above the exercise that it needs (`needed.py`), then its own,
then asks the check engine. This side watches its time, memory and output, and kills it with
everything it started. A cell that ends its process is left out when later exercises are graded. If
something seems to be missing, the exercise is graded once more with all cells above it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from course import notebooks, paths
from course.checking import exercise, store
from course.checking.exercise import Exercise
from course.errors import UserError
from course.marking import verdicts
from course.marking.answers import Cell, cells_of, for_a_person, misplaced, remarks_on
from course.marking.child import Child, Limits, couldnt_start
from course.marking.needed import cells_above, needed
from course.marking.report import Report, Row
from course.notebooks import shown


def default_jobs() -> int:
    """Two at a time where there are two processors."""
    return min(2, os.cpu_count() or 1)


def pick(exercises: list[Exercise], only: str | None) -> list[Exercise]:
    """The exercise called `only`, with or without the chapter in front; all for None. UserError."""
    if only is None:
        return list(exercises)
    found = [one for one in exercises if only in (one.id, one.id.partition("-")[2], one.entry)]
    if found:
        return found
    known = [one.id for one in exercises]
    near = get_close_matches(only, known, n=2, cutoff=0.5) or known
    raise UserError(f"There is no exercise {only!r}; there is: {', '.join(near)}.")


def grade(
    notebook: str | os.PathLike,
    exercises: list[Exercise],
    checks: str | os.PathLike,
    *,
    only: set[str] | None = None,
    jobs: int | None = None,
    limits: Limits | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Grades the notebook against the exercises of the checks module in the file `checks`.

    only: the ids to grade, all without it. on_row: called with each row when it is known, in any
    order. Raises UserError for a file that is no notebook. When it is interrupted, every process
    and temporary file is gone before the exception goes on.
    """
    notebook = Path(notebook).absolute()
    nb = notebooks.read(notebook)
    session = Session(notebook, Path(checks).absolute(), nb, exercises, limits or Limits())
    tally = Tally(session, nb, exercises, only, on_row)
    waiting = tally.waiting
    running: list[tuple[Exercise, Child]] = []
    try:
        while waiting or running:
            while waiting and len(running) < (jobs or default_jobs()):
                running.append((waiting[0], session.start(waiting.pop(0))))
            time.sleep(0.02)
            for pair in running[:]:
                one, child = pair
                if child.finished():
                    running.remove(pair)
                    row = session.row(one, child)
                    if row:
                        tally.known(row)
                    else:
                        waiting.insert(0, one)  # again, without that cell or with all of them
    finally:
        for _, child in running:
            child.stop()
    return tally.report()


@dataclass(frozen=True)
class Plan:
    """What a process that grades one exercise does: cells, as data, and seconds by cell number.

    without: numbers of cells that were left out; skipped: how many above were not needed.
    """

    cells: list[dict]
    seconds: dict[int, float]
    without: set[int]
    skipped: int


class Session:
    """One notebook being graded: what a child needs, and which cells no further child may run."""

    def __init__(self, notebook, checks, nb, exercises, limits):
        self.notebook, self.checks, self.limits = notebook, checks, limits
        self.cells = cells_of(nb, exercises)
        self.seconds = {one.id: one.seconds for one in exercises}
        self.left_out: dict[int, tuple[Cell, str]] = {}
        self.whole: set[str] = set()  # exercises for which all cells above are run

    def start(self, one: Exercise) -> Child:
        """A child that runs the cells above the exercise that it needs, then its own."""
        plan, folder = self.plan(one), str(self.notebook.parent)
        job = {"id": one.id, "checks": str(self.checks), "folder": folder, "cells": plan.cells}
        child = Child(job, plan.seconds, self.limits)
        child.without, child.skipped = plan.without, plan.skipped
        return child

    def plan(self, one: Exercise) -> Plan:
        """The cells above the exercise that it needs, then its own."""
        own = next(cell for cell in self.cells if cell.owner == one.id and cell.answer)
        above = cells_above(one.id, self.cells)
        run = above if one.id in self.whole else needed(one, self.cells)
        cells = [
            {"number": cell.number, "source": cell.source, "own": cell is own}
            for cell in run
            if cell is own or cell.number not in self.left_out
        ]
        seconds = {c.number: self.seconds.get(c.owner, self.limits.setup) for c in self.cells}
        without = {c.number for c in run if c.number in self.left_out and c.number < own.number}
        return Plan(cells, seconds, without, len(above) - len(run))

    def remarks(self, told: set[str]) -> list[str]:
        """What to say of cells that no further process ran. told: exercises that have a row."""
        return [
            f"cell {cell.named()} {why}; it was left out."
            for cell, why in self.left_out.values()
            if cell.owner not in told
        ]

    def row(self, one: Exercise, child: Child) -> Row | None:
        """The exercise's row; None to grade it again.

        That is when a cell that is not the exercise's own stopped the child, and when something
        was missing that a cell may define which was not run.
        """
        if child.at is None and child.end != "result":
            raise couldnt_start(child)
        if child.skipped and verdicts.something_is_missing(child):
            self.whole.add(one.id)
            return None
        row = Row.of(one, *verdicts.told(one, child))
        row.seconds, row.code = child.seconds_taken, child.result.get("code", "")
        row.cause = verdicts.cause(child)
        if child.end != "result":
            at = next(cell for cell in self.cells if cell.number == child.at)
            foreign = at.owner != one.id
            if not child.grading:  # else a function was called, and the cell itself had ended
                self.left_out.setdefault(at.number, (at, verdicts.end(child)))
                if foreign:
                    return None
        if row.result in ("not yet", "stopped"):
            for number, (cell, why) in self.left_out.items():
                if number in child.without:
                    row.sentence += f" It was graded without cell {cell.named()}, which {why}."
        return row


# -------------------------------------------------------------------------------- for commands


@dataclass(frozen=True)
class Room:
    """An exercise notebook, as the commands see it: the learner's copy and what grades it.

    chapter: the places of the notebook, which has no lesson where it is a further one.
    """

    chapter: paths.Chapter
    notebook: Path
    checks: Path
    exercises: list[Exercise]


def room(which: str, file: str | os.PathLike | None = None) -> Room:
    """The chapter called `which`, with its copy in `work/` or the notebook `file`.

    which: may also be a further exercise notebook of a chapter, such as 10_cuda.

    Raises UserError for an unknown chapter, one without exercises, and a file that is not there.
    """
    chapter, one = paths.exercise_notebook(which)
    exercises = exercise.of_notebook(exercise.load(chapter.number), one.name)
    notebook = Path(file) if file is not None else one.work_exercise
    if file is None and not notebook.exists():
        raise UserError(
            f"There is no {shown(notebook)} yet; `course update {chapter.number}` makes it, "
            "and so does `course lab`."
        )
    return Room(one, notebook, chapter.checks, exercises)


def record(report: Report, room: Room) -> None:
    """Writes the results into the learner's progress, if it is the learner's own copy."""
    if not same_file(room.notebook, room.chapter.work_exercise):
        return
    for row in report.rows:
        if row.result in ("passed", "not yet", "stopped"):
            store.attempt(row.id, row.result == "passed", row.code)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file."""
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False


class Tally:
    """The rows of one notebook's exercises, as they become known.

    waiting: the exercises that have to be run; the others' rows are known at once.
    """

    def __init__(self, session: Session, nb, exercises, only, on_row):
        """only: the ids to grade, all for None. on_row: called with each row, or None."""
        self.session, self.on_row = session, on_row
        self.remarks = remarks_on(nb, exercises)
        self.wanted = [one for one in exercises if only is None or one.id in only]
        self.rows: dict[str, Row] = {}
        self.waiting: list[Exercise] = []
        for one in self.wanted:
            row = misplaced(one, nb) or for_a_person(one)
            if row:
                self.known(row)
            else:
                self.waiting.append(one)

    def known(self, row: Row) -> None:
        """Adds a row."""
        self.rows[row.id] = row
        if self.on_row:
            self.on_row(row)

    def report(self) -> Report:
        """The rows in the order of the exercises, and what is to be remarked."""
        remarks = self.remarks + self.session.remarks(set(self.rows))
        return Report(rows=[self.rows[one.id] for one in self.wanted], remarks=remarks)
