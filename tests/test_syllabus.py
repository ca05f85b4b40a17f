"""book/syllabus.md: the minutes are those of the pages, and what it names exists."""

from __future__ import annotations

import re

import pytest

from course import paths
from course.checking import exercise

TEXT = (paths.ROOT / "book" / "syllabus.md").read_text("utf-8")
LONG, SHORT = TEXT.split("## Six weeks")
WEEKS = re.split(r"^### ", LONG, flags=re.MULTILINE)[1:]


def known() -> dict[str, exercise.Exercise]:
    """Every exercise of every chapter, by id."""
    numbers = [path.stem[2:4] for path in paths.CHECKS.glob("ch[0-9][0-9]_*.py")]
    return {one.id: one for number in numbers for one in exercise.load(number).EXERCISES}


def test_there_are_twelve_weeks_in_order():
    assert [int(week.split()[1]) for week in WEEKS] == list(range(1, 13))


@pytest.mark.parametrize("week", WEEKS, ids=lambda week: week.partition(" ·")[0])
def test_a_week_holds_its_minutes(week):
    """A session has 120; the exercises those that their checks give them."""
    assert sum(map(int, re.findall(r"^\| (\d+) \|", week, re.MULTILINE))) == 120
    told = re.search(r"\*\*At home\*\*, (\d+) minutes[^:]*: ((?:`[\w-]+` ?)+)", week)
    ids = re.findall(r"`([\w-]+)`", told[2])
    assert int(told[1]) == sum(known()[id].minutes for id in ids)


def test_what_is_said_of_predictions_and_sections_exists():
    """Each chapter of a week's title; no section beyond the last one of its lesson."""
    from course import notebooks

    for week in WEEKS:
        for number in re.findall(r"\.\./chapters/(\d\d)_", week.split("\n")[0]):
            lesson = next(paths.CHAPTERS.glob(f"{number}_*.ipynb"))
            heads = [
                int(found)
                for cell in notebooks.read(lesson)["cells"]
                for found in re.findall(r"^## (\d+)\.", notebooks.source(cell), re.MULTILINE)
            ]
            alone = len(re.findall(r"\.\./chapters/", week.split("\n")[0])) == 1
            told = re.findall(r"[Ss]ections? (\d+)(?: (?:to|and) (\d+))?", week)
            if alone:
                assert all(int(end) in heads for pair in told for end in pair if end)


def test_six_weeks_give_whole_chapters():
    rows = re.findall(r"^\| \d \| \[(\d\d)\].*\| (\d+) \|$", SHORT, re.MULTILINE)
    assert [number for number, _ in rows] == ["01", "02", "03", "04", "05"]
    for number, minutes in rows:
        own = exercise.of_notebook(module := exercise.load(number), _name(module))
        assert int(minutes) == sum(one.minutes for one in own)


def _name(module) -> str:
    return module.__name__.rpartition(".ch")[2]


def test_the_questions_name_exercises_that_exist():
    text = (paths.ROOT / "book" / "questions.md").read_text("utf-8")
    assert set(re.findall(r"`(ch\d\d-\w+)`", text)) <= set(known())
