"""How long a page takes its reader, in its own words; and the table of it for instructors.

A lesson says in its first lines `*90 minutes · needs ...*`; an exercise `★☆☆ · 5 minutes`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from course import notebooks, paths

_TAKES = re.compile(r"(\d+(?: to \d+)? (?:minutes|hours))\b[^·]* · needs ")
_EXERCISE = re.compile(r"[★☆]+ · (\d+) minutes")


def said(paragraphs: Iterable[str]) -> str:
    """How long a page of these paragraphs takes, such as `90 minutes`; "" when it does not say.

    What stands at each exercise of a page is added up.
    """
    paragraphs = list(paragraphs)
    if found := next(filter(None, map(_TAKES.search, paragraphs)), None):
        return found[1]
    minutes = [int(found[1]) for found in map(_EXERCISE.match, paragraphs) if found]
    return f"{sum(minutes)} minutes" if minutes else ""


def of_notebook(path: Path) -> str:
    """How long the notebook takes, as `said`; "" for one that is not there."""
    if not path.exists():
        return ""
    cells = notebooks.read(path)["cells"]
    prose = (notebooks.source(cell) for cell in cells if not notebooks.is_code(cell))
    return said(one for text in prose for one in text.split("\n\n"))


def block(home: Path) -> str:
    """The table of all chapters with their times, for a page in the folder `home`."""
    lines = ["| chapter | lesson | exercises |", "|:---|---:|---:|"]
    minutes = [0, 0]
    for one in paths.with_extras():
        link = one.lesson if one.lesson.exists() else one.exercise
        address = Path(os.path.relpath(link, home)).as_posix()
        times = [of_notebook(one.lesson), of_notebook(one.exercise)]
        lines.append(f"| [{one.number} {one.name[3:]}]({address}) | {times[0]} | {times[1]} |")
        for k, time in enumerate(times):
            if re.fullmatch(r"\d+ minutes", time):  # the capstone gives a range of hours
                minutes[k] += int(time.split()[0])
    hours = [f"{round(one / 60)} hours" for one in minutes]
    return "\n".join([*lines, f"| together, about | {hours[0]} | {hours[1]} |"])
