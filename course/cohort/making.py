"""`course cohort init`: an nbgrader course from the course's solutions, with its grade book."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from course import notebooks, paths
from course.cohort import roster
from course.cohort.folder import CONFIG, ROSTER, open_cohort
from course.errors import UserError
from course.notebooks import shown

MADE = "made.json"  # in source/: what the notebooks there were made from, as hashes
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
CONFIGURATION = '''\
"""nbgrader's configuration of this course. `course cohort` reads it, and so does nbgrader itself.

https://nbgrader.readthedocs.io tells what can stand here: rules for late work, an exchange, ...
"""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = {name}

# Exercises are made from solutions as the course makes its own: worked answers are left out, and
# cells that hold a file of C get a stub of C.
c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.IncludeHeaderFooter",
    "nbgrader.preprocessors.LockCells",
    "course.cohort.clearing.LeaveOut",
    "course.cohort.clearing.Clear",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbgrader.preprocessors.ClearMarkScheme",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# Some exercises train a model. Else `nbgrader validate` stops a cell after 30 seconds.
c.Execute.timeout = 600

# `course cohort grade` grades, in a sandbox. nbgrader's own autograder is none, so it refuses.
c.Autograde.pre_convert_hook = "course.cohort.refusing.autograde"
'''


def init(folder: Path, *, name: str | None = None, students: Path | None = None) -> str:
    """Makes a cohort's folder, whole or not at all; returns what to tell.

    name: nbgrader's course id, by default the folder's name. students: a CSV file, checked first.
    Raises UserError where a cohort or anything else is in the folder already.
    """
    folder = Path(os.path.abspath(folder))
    _must_be_free(folder)
    name = folder.name if name is None else name
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be the name of a course; it has up to 64 letters a–z, digits, and "
            ". _ - between them. `--name NAME` gives another one than the folder's."
        )
    people = roster.read(students) if students else []
    parent = folder.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # Only its owner may look into it: it will hold marks. (mkdtemp makes it so.)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=parent))
    except OSError as why:
        raise UserError(f"{shown(parent)} cannot be written: {why.strerror or why}.") from None
    try:
        _fill(made, name, students)
        if folder.exists():
            folder.rmdir()  # it is empty
        made.rename(folder)
    except OSError as why:
        raise UserError(f"{shown(folder)} cannot be made: {why.strerror or why}.") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return (
        f"{shown(folder)} is the course {name}: {len(sources())} chapters in source/, "
        f"{len(people)} learners. {'' if people else f'Learners stand in {ROSTER}. '}"
        "Next: `course cohort release 01`, in that folder."
    )


def _must_be_free(folder: Path) -> None:
    if (folder / CONFIG).exists():
        raise UserError(
            f"{shown(folder)} is a cohort's folder already; nothing was changed. New learners are "
            f"added to {ROSTER} in it, which every `course cohort release` and `collect` reads."
        )
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{shown(folder)} is there and not empty; a cohort is made in a new or empty folder."
        )


def _fill(root: Path, name: str, students: Path | None) -> None:
    text = CONFIGURATION.format(name=json.dumps(name))
    notebooks.write_bytes(root / CONFIG, text.encode())
    header = (",".join(roster.COLUMNS) + "\n").encode()
    notebooks.write_bytes(root / ROSTER, students.read_bytes() if students else header)
    for step in ("source", "release", "submitted", "autograded", "feedback", "inbox", "reports"):
        (root / step).mkdir()
    for chapter, files in sources().items():
        refresh(root / "source", chapter, files)
    roster.sync(open_cohort(root))


# ----------------------------------------------------------------------------- source notebooks


def sources() -> dict[str, list[paths.Chapter]]:
    """The chapters that can be assigned, each with its notebooks that hold a graded cell."""
    found = {
        one.name: [
            each
            for each in (one, *paths.extras(one))
            if each.solution.exists() and _is_graded(each.solution)
        ]
        for one in paths.chapters()
    }
    return {name: each for name, each in found.items() if each}


def _is_graded(path: Path) -> bool:
    cells = notebooks.read(path)["cells"]
    return any(notebooks.nbgrader(cell).get("grade") for cell in cells)


def refresh(source: Path, chapter: str, files: list[paths.Chapter]) -> list[str]:
    """Brings source/CHAPTER in step with the solutions; returns a sentence for each one kept.

    A notebook that somebody changed in source/ is theirs and stays. Raises UserError.
    """
    record = source / MADE
    made = json.loads(record.read_text("utf-8")) if record.exists() else {}
    kept = []
    for one in files:
        data, key = one.solution.read_bytes(), f"{chapter}/{one.name}.ipynb"
        file = source / chapter / f"{one.name}.ipynb"
        there = _hash(file.read_bytes()) if file.exists() else None
        if there not in (None, made.get(key), _hash(data)):
            kept.append(f"source/{key} was changed here and is released as it stands.")
            continue
        if there != _hash(data):
            notebooks.write_bytes(file, data)
        made[key] = _hash(data)
    notebooks.write_bytes(record, json.dumps(made, indent=1, sort_keys=True).encode())
    return kept


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
