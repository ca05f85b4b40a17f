"""The exercises that build a part of the model, and which of them the learner's notebooks solve.

"Solved" is not what was written down once: each is graded now, in a fresh process, as
`course check` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course import notebooks, paths
from course.assembling.pieces import Piece, theirs
from course.assembling.slices import CannotTake, Statement, givers, slice_of, statements
from course.checking import exercise
from course.checking.exercise import Exercise
from course.errors import UserError
from course.marking import grader
from course.marking.answers import cells_of
from course.marking.needed import cells_above
from course.marking.report import Row

UNSOLVED = {
    "not started": "is not solved yet",
    "not yet": "does not pass yet",
    "missing": "is not in the notebook",
}


@dataclass
class Part:
    """One part of the model. `piece` is the learner's; without one, `why` says why it is ours."""

    key: str  # `Exercise.part`, such as "attention.attend"
    chapter: paths.Chapter
    exercise: Exercise
    result: str = "not started"  # a word of `course.marking.report.RESULTS`
    why: str = ""
    piece: Piece | None = None

    @property
    def label(self) -> str:
        """The line above it in the file."""
        if self.piece:
            return f"yours: chapter {self.chapter.number}, {self.exercise.id}"
        return f"ours: {self.why}"


def every_part() -> list[Part]:
    """All parts that an exercise builds, in the order of the exercises."""
    found = []
    for file in sorted(paths.CHECKS.glob("ch[0-9][0-9]_*.py")):
        chapter = paths.Chapter(file.stem[2:])
        module = exercise.load(chapter.number)
        for one in module.EXERCISES if module.__name__.endswith(file.stem) else ():
            if one.part:
                found.append(Part(one.part, chapter, one, why=f"{one.id} is not solved yet"))
    return found


def take(work: Path, parts: list[Part], on_row: Callable[[Row], None]) -> None:
    """Grades the parts in the notebooks of the folder `work`, and takes out what passes.

    on_row: called with the row of each part that was graded. Nothing is raised for a notebook
    that is missing or broken: its parts stay ours.
    """
    for chapter in dict.fromkeys(part.chapter for part in parts):
        mine = [part for part in parts if part.chapter == chapter]
        notebook = work / f"{chapter.name}.ipynb"
        if notebook.exists():
            try:
                _take_from(notebook, chapter, mine, on_row)
            except UserError as why:
                for part in mine:
                    part.result, part.why = "broken", str(why)
    _settle(parts)


def _take_from(notebook: Path, chapter: paths.Chapter, mine: list[Part], on_row) -> None:
    exercises = list(exercise.load(chapter.number).EXERCISES)
    ids = {part.exercise.id for part in mine}
    report = grader.grade(notebook, exercises, chapter.checks, only=ids, on_row=on_row)
    results = {row.id: row.result for row in report.rows}
    cells = cells_of(notebooks.read(notebook), exercises)
    found = [one for cell in cells for one in statements(cell.source, cell.number)]
    ends, shared = {}, {}
    for part in mine:
        part.result = results[part.exercise.id]
        told = UNSOLVED.get(part.result, f"was not graded: {part.result}")
        part.why = f"{part.exercise.id} {told}"
        if part.result == "passed":
            end = max(cell.number for cell in cells_above(part.exercise.id, cells))
            ends[part.key] = sum(one.cell <= end for one in found)
            places = givers(part.exercise.entry, found, ends[part.key])
            shared[part.exercise.entry, tuple(places)] = part.key
    for part in mine:
        if part.key in ends:
            _take_out(part, found, ends[part.key], shared)


def _take_out(part: Part, found: list[Statement], end: int, shared: dict[tuple, str]) -> None:
    """The learner's piece of a part that passes, or the reason why it cannot stand in a file."""
    entry = part.exercise.entry
    try:
        places, borrowed = slice_of(entry, found, end, shared)
        part.piece = theirs(part.key, entry, [found[at] for at in places], borrowed)
        compile(part.piece.text(), part.exercise.id, "exec")
    except (CannotTake, SyntaxError) as why:
        part.piece, part.why = None, f"{part.exercise.id} passes, but {why}"


def _settle(parts: list[Part]) -> None:
    """Of two answers that want different things under one module's name, the second stays ours."""
    spaces: dict[tuple[str, str], str] = {}
    for part in parts:
        if part.piece:
            mine = {
                (name, at): key
                for name, keys in part.piece.spaces.items()
                for at, key in keys.items()
            }
            if all(spaces.get(place, key) == key for place, key in mine.items()):
                spaces |= mine
            else:
                other = f"calls another module {' or '.join(part.piece.spaces)} than others do"
                part.piece, part.why = None, f"{part.exercise.id} passes, but {other}"
