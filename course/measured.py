"""What longer runs measured: the numbers that a chapter shows without making its reader wait.

`course numbers NN` measures them and stores them in the chapter's JSON; the lesson shows them
beside what it ran itself, under an assert. Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path

from course import paths
from course.errors import UserError


def band(checks: str, id: str) -> dict | None:
    """The band measured for a training exercise, or None before it was measured.

    checks: the path of the checks module, its `__file__`; the JSON lies beside it.
    """
    file = Path(checks).with_suffix(".json")
    if not file.exists():
        return None
    return json.loads(file.read_text(encoding="utf-8")).get("bands", {}).get(id)


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
