"""What stopped a learner's cell, written down in the process in which it happened."""

from __future__ import annotations

import traceback
from dataclasses import replace

from course.checking.exercise import Exercise
from course.checking.probing import of_tensors


class NoInput(Exception):
    """A cell asked a person for something."""


def failure_of(error: BaseException, text: str, one: Exercise | None = None) -> dict:
    """What stopped the cell of the exercise `one`, and at which of its lines, as plain data.

    text: the cell's source. `told` is the whole sentence, or "" where `verdicts.py` makes it.
    """
    number, file, last = None, None, ""
    if isinstance(error, SyntaxError):
        number = error.lineno
    for frame, line in traceback.walk_tb(error.__traceback__):
        # The first frame of the learner's is this cell; what it calls may stand in another cell.
        last = frame.f_code.co_filename
        if file is None and frame.f_globals.get("__name__") == "__main__":
            file = last
        if last == file:
            number = line
    lines = text.split("\n")
    # IPython drops empty lines in front of the code before it counts.
    dropped = next((i for i, line in enumerate(lines) if line.strip()), 0)
    number = number + dropped if number is not None else None
    known = number is not None and 0 < number <= len(lines)
    return {
        "outcome": "cell",
        "kind": type(error).__name__,
        "what": _named(error),
        "stub": isinstance(error, NotImplementedError) and last == file,
        "syntax": isinstance(error, SyntaxError) and file is None,
        "line": number if known else None,
        "text": lines[number - 1].strip() if known else "",
        "told": _with_tensors(one, error, dropped) if one else "",
    }


def _with_tensors(one: Exercise, error: BaseException, dropped: int) -> str:
    """The whole sentence where the error comes from shapes, dtypes, devices or indices, else "".

    It is made here: what the names of the failing line hold is known in this process alone.
    """
    found = of_tensors(error)
    if found is None:
        return ""
    if found.where == "this cell":
        found = replace(found, number=found.number + dropped, where="its cell")
    start = f"`{one.id}`: line {found.number} of {found.where} raised {found.kind}"
    return found.sentence((start,), one.promise)


def _named(error: BaseException) -> str:
    """`NameError: name 'x' is not defined`, on one line, whatever the learner's class does."""
    try:
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        words = " ".join(str(words).split())
    except Exception:
        words = ""
    if isinstance(error, NoInput):
        return words
    words = words[:300].rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
