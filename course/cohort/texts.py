"""What was handed in, as text by exercise; and what anyone may know of it before.

An answer is what stands in the exercise's cells of the notebook. Nothing of it is run.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from course import notebooks, paths
from course.checking import exercise
from course.checking.exercise import Exercise
from course.cohort.alike import Known
from course.cohort.grading_one import read
from course.errors import UserError
from course.marking.answers import cells_of

ANSWER_FILE = re.compile(r"\s*%%answer\s+\S+?\.(\w+)[^\n]*\n")  # the first line of an answer in C
LANGUAGES = {"c": "c", "cu": "cuda"}  # by the file's ending, as pygments calls them
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`]+)`", re.DOTALL)


@cache
def exercises_of(assignment: str) -> dict[str, list[Exercise]]:
    """The exercises of an assignment by notebook; {} for one that is no chapter of the course."""
    try:
        found = paths.chapter(assignment)
        module = exercise.load(found.number)
    except UserError:
        return {}
    if found.name != assignment:
        return {}
    names = [one.name for one in (found, *paths.extras(found))]
    by_notebook = {name: exercise.of_notebook(module, name) for name in names}
    return {name: exercises for name, exercises in by_notebook.items() if exercises}


def answers_of(folder: Path, assignment: str) -> dict[str, str]:
    """{exercise: the text of its cells} of a submission's folder; what cannot be read lacks."""
    found = {}
    for name, exercises in exercises_of(assignment).items():
        try:
            nb = read(folder / f"{name}.ipynb")
        except UserError:
            continue
        found |= texts_of(nb, exercises)
    return found


def texts_of(nb: dict, exercises: list[Exercise]) -> dict[str, str]:
    """{exercise: the text of its cells} of a notebook."""
    texts: dict[str, list[str]] = {}
    for cell in cells_of(nb, exercises):
        if cell.owner and cell.source.strip():
            texts.setdefault(cell.owner, []).append(cell.source)
    return {id: "\n\n".join(parts) for id, parts in texts.items()}


def program(text: str) -> tuple[str, str]:
    """(the program, its language) of an answer: of one in C without the line that makes a file."""
    found = ANSWER_FILE.match(text)
    return (text[found.end() :], LANGUAGES.get(found[1], "c")) if found else (text, "python")


def known(cohort, assignment: str) -> dict[str, Known]:
    """What anyone may know of each exercise of an assignment, by its id."""
    if not exercises_of(assignment):
        return {}
    chapter, found = paths.chapter(assignment), {}
    everywhere = [_text(chapter.checks), _code(_nb(chapter.lesson))]
    for name, exercises in exercises_of(assignment).items():
        places = cohort.path("release", ".", assignment), paths.EXERCISES
        released = texts_of(_nb(*(place / f"{name}.ipynb" for place in places)), exercises)
        places = cohort.path("source", ".", assignment), paths.SOLUTIONS
        solution = _nb(*(place / f"{name}.ipynb" for place in places))
        solved = texts_of(solution, exercises)
        for one in exercises:
            text, language = program(solved.get(one.id, ""))
            ours = {"our solution": text}
            ours = {called: text for called, text in (ours | _modules(one)).items() if text}
            stub, _ = program(released.get(one.id, ""))
            others = [*everywhere, _code(solution), *_told(one)]
            found[one.id] = Known(stub, ours, others, language)
    return found


def _modules(one: Exercise) -> dict[str, str]:
    """The modules of ours that the exercise is about: its reference's, and those it may import."""
    names = (one.reference.partition(":")[0], *one.needs)
    files = [f"{name.replace('.', '/')}.py" for name in names if name.startswith("microgpt_ref")]
    return {file: _text(paths.ROOT / file) for file in files}


def _told(one: Exercise) -> list[str]:
    """Its misconceptions that are kept as text (the others stand in the checks as they are), and
    the code in its hints."""
    wrong = [getattr(each.wrong, "source", "") for each in (*one.misconceptions, *one.bugs)]
    hints = [fence or inline for hint in one.hints for fence, inline in CODE.findall(hint)]
    return [*filter(None, wrong), "\n".join(hints)]


def _nb(*places: Path) -> dict:
    """The first of these notebooks that can be read, or an empty one."""
    for place in places:
        try:
            return notebooks.read(place)
        except UserError:
            continue
    return {"cells": []}


def _code(nb: dict) -> str:
    return "\n".join(notebooks.source(cell) for cell in nb["cells"] if notebooks.is_code(cell))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
