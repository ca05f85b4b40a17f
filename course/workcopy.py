"""The learner's copies in `work/`: made when missing, never overwritten.

Beside each copy, `work/.course/origin/` keeps the file it was made from, untouched. Comparing the
two shows what the learner changed; `course update` needs that. Standard library only: `lab` runs
this before anything is installed.
"""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import dataclass
from pathlib import Path

from course import paths
from course.errors import UserError
from course.notebooks import shown, write_bytes


@dataclass(frozen=True)
class Copy:
    """One notebook of the course and the learner's copy of it."""

    kind: str  # "lesson" or "exercise"
    upstream: Path  # the course's own file, in chapters/ or exercises/
    mine: Path  # the learner's copy in work/
    origin: Path  # what the copy was made from

    def fresh(self) -> bytes:
        """The course's file as it is now, its links leading on from where the copy lies."""
        data = self.upstream.read_bytes()
        if self.kind == "exercise":  # work/ is as deep as exercises/; only lessons moved
            return data.replace(b"](../chapters/", b"](lessons/").replace(b"](../exercises/", b"](")
        return re.sub(rb"\]\(\.\./(exercises/)?", lambda m: b"](../" if m[1] else b"](../../", data)


def origin_of(mine: Path) -> Path:
    """Where the pristine twin of a copy in `work/` is kept."""
    return paths.WORK / ".course" / "origin" / mine.relative_to(paths.WORK)


def copies(which: str | None = None) -> list[Copy]:
    """The lesson and the exercises of every chapter, or of the one called `which`.

    A chapter without exercises yet has its lesson alone; an extra exercise notebook has no lesson.
    Raises UserError for an unknown chapter.
    """
    found = []
    for one in paths.with_extras(which):
        for kind, upstream, mine in (
            ("lesson", one.lesson, one.work_lesson),
            ("exercise", one.exercise, one.work_exercise),
        ):
            if upstream.exists():
                found.append(Copy(kind, upstream, mine, origin_of(mine)))
    return found


def copy_missing(which: str | None = None) -> list[Path]:
    """Copies each lesson and exercise that `work/` lacks; returns the new files in order.

    What is there already stays as it is, whatever it holds. Raises UserError when `work/` cannot
    be written.
    """
    made = []
    for copy in copies(which):
        if not os.path.lexists(copy.mine):
            create(copy.mine, copy.fresh())
            remember(copy)
            made.append(copy.mine)
        elif not copy.origin.exists() and copy.mine.read_bytes() == copy.fresh():
            remember(copy)  # stopped between the two files last time, or `.course` was deleted
    return made


def remember(copy: Copy) -> None:
    """Keeps the course's file as it is now as the origin of the learner's copy."""
    write_bytes(copy.origin, copy.fresh())


def backup_name(path: Path) -> Path:
    """`NAME.ipynb.bak-2026-11-21`, with -2, -3, ... behind it where that is taken."""
    first = path.with_name(f"{path.name}.bak-{datetime.date.today().isoformat()}")
    name, number = first, 1
    while name.exists():
        number += 1
        name = first.with_name(f"{first.name}-{number}")
    return name


def create(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet: whole or not at all, and never over another file.

    Raises UserError when the file exists or cannot be written.
    """
    if os.path.lexists(path):
        raise UserError(f"{shown(path)} is there already; it was left as it is.")
    write_bytes(path, data)
