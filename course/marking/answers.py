"""Which cells of a notebook are graded, and what is unusual about them."""

from __future__ import annotations

from dataclasses import dataclass

from course import notebooks
from course.checking.exercise import Exercise
from course.marking.report import Row
from course.notebooks import grade_id, nbgrader, source


@dataclass
class Cell:
    """A code cell: its number among all cells, its text, the exercise it belongs to if any."""

    number: int
    source: str
    owner: str | None = None
    answer: bool = False  # the exercise's own cell, not one the learner put behind it

    def named(self) -> str:
        """Its number and its first line, to find it by."""
        line = next((line.strip() for line in self.source.splitlines() if line.strip()), "")
        return f"{self.number} (`{line[:40]}`)"


def cells_of(nb: dict, exercises: list[Exercise]) -> list[Cell]:
    """The code cells that grading runs, in the notebook's order: all but the check cells.

    Between an exercise's cell and its check, every cell belongs to the exercise: in the notebook
    the check sees what the last of them defined.
    """
    known = {one.id for one in exercises}
    everything = nb["cells"]
    checked = {grade_id(cell): at for at, cell in enumerate(everything) if grade_id(cell)}
    found, owner = [], None
    for at, cell in enumerate(everything):
        name = grade_id(cell)
        if name in known:
            owner = name
        elif name or (owner and checked.get(f"{owner}-check", -1) < at):
            owner = None
        is_check = nbgrader(cell).get("grade") and not nbgrader(cell).get("solution")
        if notebooks.is_code(cell) and not is_check:
            found.append(Cell(at + 1, source(cell), owner, answer=name in known))
    return found


def remarks_on(nb: dict, exercises: list[Exercise]) -> list[str]:
    """What is unusual about the notebook as a whole: strange exercises, another order."""
    known = [one.id for one in exercises]
    names = [grade_id(cell) for cell in nb["cells"] if nbgrader(cell).get("solution")]
    found = [
        f"`{name}` stands in the notebook, but this chapter has no such exercise; "
        "it was not graded."
        for name in dict.fromkeys(names)
        if name and name not in known
    ]
    here = [name for name in names if name in known and names.count(name) == 1]
    for first, second in zip(here, here[1:], strict=False):
        if known.index(first) > known.index(second):
            found.append(
                f"The cells were moved: `{first}` stands before `{second}`. "
                "They were run in the notebook's order."
            )
            break
    return found


def misplaced(one: Exercise, nb: dict) -> Row | None:
    """A row for an exercise whose cell is not there, or there twice."""
    at = [number for number, cell in enumerate(nb["cells"], 1) if grade_id(cell) == one.id]
    if not at:
        return Row.of(
            one,
            "missing",
            f"`{one.id}` is not in the notebook: its cell was deleted, or has lost its id. "
            "`course update` puts it back and keeps your answers.",
        )
    if len(at) == 1 and not notebooks.is_code(nb["cells"][at[0] - 1]) and one.kind != "open":
        sentence = (
            f"`{one.id}`, cell {at[0]}, is a text cell now. "
            "Click beside it and press Y, and it is code again."
        )
        return Row.of(one, "missing", sentence)
    if len(at) > 1:
        places = " and ".join(map(str, at))
        return Row.of(
            one,
            "twice",
            f"`{one.id}` stands {len(at)} times in the notebook, in cells {places}, so nobody "
            "knows which one counts. Delete all but one; or `course update` makes one of them "
            "an ordinary cell.",
        )
    return None


def for_a_person(one: Exercise) -> Row | None:
    """A row for an exercise that no program grades."""
    if one.kind != "open":
        return None
    lines = len(one.rubric)
    return Row.of(one, "open", f"For a person to judge, by a rubric of {lines} lines.")
