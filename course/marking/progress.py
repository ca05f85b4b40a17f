"""How far the learner has come, and where to go on; from the progress that checks write down."""

from __future__ import annotations

from dataclasses import dataclass

from course import paths
from course.checking import exercise, store
from course.checking.exercise import Exercise
from course.errors import UserError


@dataclass(frozen=True)
class Standing:
    """One chapter: its exercises, which of them passed, and how many hints were read."""

    chapter: paths.Chapter
    exercises: list[Exercise]
    passed: set[str]
    hints: int
    started: bool

    @property
    def graded(self) -> list[Exercise]:
        """The exercises that a program grades."""
        return [one for one in self.exercises if one.kind != "open"]

    @property
    def points(self) -> tuple[int, int]:
        """Earned, and to be had."""
        won = sum(one.points for one in self.graded if one.id in self.passed)
        return won, sum(one.points for one in self.graded)

    @property
    def next(self) -> Exercise | None:
        """The first exercise that has not passed."""
        return next((one for one in self.graded if one.id not in self.passed), None)


def standings() -> list[Standing]:
    """Every chapter in order; one whose exercises do not exist yet has an empty list."""
    kept = store.read()
    found = []
    for chapter in paths.chapters():
        try:
            exercises = list(exercise.load(chapter.number).EXERCISES)
        except UserError:
            exercises = []
        mine = {one.id: kept[one.id] for one in exercises if one.id in kept}
        passed = {id for id, one in mine.items() if one.get("passed")}
        hints = sum(one["hints"] for one in mine.values() if isinstance(one.get("hints"), int))
        found.append(Standing(chapter, exercises, passed, hints, bool(mine)))
    return found


def where_to_go_on(all_of_them: list[Standing]) -> Standing | None:
    """The chapter to go on with: the last one begun if it has something left, else the first such.

    Somebody who begins with chapter 04 because they know the rest is not sent back to 01.
    """
    left = [one for one in all_of_them if one.next]
    begun = [one for one in left if one.started]
    return (begun or left or [None])[-1 if begun else 0]
