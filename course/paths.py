"""Where things are. Chapters are found by globbing: everything sees a new one at once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from course.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
SOLUTIONS = ROOT / "solutions"
EXERCISES = ROOT / "exercises"
# At a hub one installation serves many learners, and each works in a folder of their own.
WORK = Path(os.environ.get("COURSE_WORK") or ROOT / "work")
CHECKS = ROOT / "course" / "checks"
BOOK = ROOT / "book"


@dataclass(frozen=True)
class Chapter:
    """One chapter's places. `name` is the stem that all of them share, such as `01_bigram`."""

    name: str

    @property
    def number(self) -> str:
        return self.name[:2]

    @property
    def lesson(self) -> Path:
        return CHAPTERS / f"{self.name}.ipynb"

    @property
    def solution(self) -> Path:
        return SOLUTIONS / f"{self.name}.ipynb"

    @property
    def exercise(self) -> Path:
        return EXERCISES / f"{self.name}.ipynb"

    @property
    def checks(self) -> Path:
        return CHECKS / f"ch{self.name}.py"

    @property
    def numbers(self) -> Path:
        return CHECKS / f"ch{self.name}.json"

    @property
    def work_lesson(self) -> Path:
        return WORK / "lessons" / f"{self.name}.ipynb"

    @property
    def work_exercise(self) -> Path:
        return WORK / f"{self.name}.ipynb"


def chapters() -> list[Chapter]:
    """All chapters that have a lesson, in order."""
    found = (path.stem for path in CHAPTERS.glob("[0-9][0-9]_*.ipynb"))
    return [Chapter(name) for name in sorted(found)]


def extras(one: Chapter) -> list[Chapter]:
    """The chapter's further exercise notebooks, such as 05_capstone: they have no lesson."""
    lessons = {each.name for each in chapters()}
    files = [path for home in (SOLUTIONS, EXERCISES) for path in home.glob(f"{one.number}_*.ipynb")]
    return [Chapter(name) for name in sorted({path.stem for path in files} - lessons)]


def with_extras(which: str | None = None) -> list[Chapter]:
    """One chapter, or all of them for None, each followed by its extra exercise notebooks.

    Raises UserError for an unknown chapter.
    """
    found = chapters() if which is None else [chapter(which)]
    return [each for one in found for each in (one, *extras(one))]


def exercise_notebook(which: str) -> tuple[Chapter, Chapter]:
    """(the chapter, its exercise notebook) for a chapter's name, or for that of an extra notebook.

    The two are the same but for an extra one, such as `10_cuda`. Raises UserError.
    """
    wanted = str(which).strip().removesuffix(".ipynb")
    for one in chapters():
        for extra in extras(one):
            if extra.name == wanted:
                return one, extra
    return chapter(which), chapter(which)


def chapter(which: str) -> Chapter:
    """The chapter called `01`, `1`, `ch01`, `bigram` or `01_bigram`; any other is a UserError."""
    wanted = str(which).strip().lower().removesuffix(".ipynb")
    digits = re.fullmatch(r"(?:ch)?(\d{1,2})", wanted)
    for one in chapters():
        if wanted in (one.name, one.name[3:]) or (digits and int(digits[1]) == int(one.number)):
            return one
    known = ", ".join(one.number for one in chapters()) or "none yet"
    raise UserError(f"There is no chapter {which!r}; the chapters are: {known}.")
