"""`course watch`: sees each save of a notebook, and which exercises it changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from course import notebooks
from course.answer_file import decide, file_of, in_file, text_of
from course.checking.exercise import Exercise
from course.errors import UserError
from course.marking.answers import cells_of
from course.marking.needed import needed


def fingerprints(nb: dict, exercises: list[Exercise], folder: Path | None = None) -> dict[str, str]:
    """For each exercise that a program grades, a hash of all cells that this runs.

    folder: the notebook's. Then a file that is graded counts too, as it will be when its cell has
    run: that the grading itself writes it is no change.
    """
    cells = cells_of(nb, exercises)
    found = {}
    for one in exercises:
        if one.kind != "open":
            run = needed(one, cells)
            code = [(cell.owner == one.id, cell.source) for cell in run]
            if one.kind == "file" and folder:
                code.append((True, _file_after(folder / one.entry, run)))
            found[one.id] = hashlib.sha256(json.dumps(code).encode()).hexdigest()
    return found


def files_of(exercises: list[Exercise], folder: Path) -> list[Path]:
    """The files beside the notebook that are graded."""
    return [folder / one.entry for one in exercises if one.kind == "file"]


def _file_after(path: Path, cells) -> str | None:
    """What the file holds when these cells have run."""
    there = in_file(path)
    for cell in cells:
        if file_of(cell.source) == path.name:
            there = decide(path.name, text_of(cell.source), there).text
    return there


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The ids of the exercises to grade anew: a cell that they need is another one now."""
    return {id for id in after if before.get(id) != after[id]}


def saves(
    path: Path, *, beside: Sequence[Path] = (), pause: float = 0.3, patience: float = 2.0
) -> Iterator[dict | UserError]:
    """The notebook now, then again after each save of it, or of a file `beside` it; for ever.

    A file that is not there, or half written, gets `patience` seconds to become whole; after that
    the sentence that says what is wrong with it comes as a UserError, once.
    """
    seen = doubted = None
    since = 0.0
    while True:
        now = [_signature(one) for one in (path, *beside)]
        if now != seen:
            try:
                nb = notebooks.read(path)
            except UserError as why:
                if now != doubted:
                    doubted, since = now, time.monotonic()
                elif time.monotonic() - since > patience:
                    seen = now
                    yield why
            else:
                seen, doubted = now, None
                yield nb
                continue
        time.sleep(pause)


def _signature(path: Path) -> tuple:
    """Changes with every save: Jupyter writes a new file and renames it, others write in place."""
    try:
        stat = os.stat(path)
    except OSError:
        return ("not there",)
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
