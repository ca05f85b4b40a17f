"""What longer runs measured: the numbers that a chapter shows without making its reader wait.

`course numbers NN` measures them and stores them in the chapter's JSON; the lesson shows them
beside what it ran itself, under an assert. Standard library only.
"""

from __future__ import annotations

import json

from course import paths
from course.errors import UserError


def recorded(chapter: str) -> dict:
    """The stored measurements of a chapter ("03"): rows, numbers, bands, and how they were made.

    Raises UserError where there is no such chapter, or nothing was measured for it.
    """
    file = paths.chapter(chapter).numbers
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{file.name} is missing or damaged; `python3 -m course numbers {chapter} --write` "
            "measures it again."
        ) from None
