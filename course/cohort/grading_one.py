"""One submission, graded: what a worker does. Nothing here writes anything."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import stat
import time
from pathlib import Path

from course import notebooks, paths
from course.checking import exercise
from course.checking.exercise import Exercise
from course.errors import UserError
from course.marking.report import Report, Row

TIMESTAMP = "timestamp.txt"  # when it was handed in, as nbgrader keeps it beside the notebooks
SECRET = "submission_secret.txt"  # with it a learner finds the feedback in nbgrader's exchange
KEPT = (TIMESTAMP, SECRET)  # not work of the learner's; nbgrader takes them along
LARGEST = 32 * 2**20  # bytes of a notebook that is read at all


def grade_one(job: dict) -> dict:
    """The rows of one submission, as plain data; a job is made by `grading.job_for`.

    The answer: "rows", "remarks", "seconds", "submission" (SHA-256 of the files graded), and
    "again" when something of ours failed that a second try may mend.
    """
    began = time.monotonic()
    folder, before = Path(job["folder"]), fingerprint(job["folder"])
    rows, remarks = [], []
    for name in job["notebooks"]:
        report = _of_notebook(job, folder, name)
        rows += [{**dataclasses.asdict(row), "notebook": name} for row in report.rows]
        remarks += [f"{name}.ipynb: {one}" for one in report.remarks]
    if fingerprint(folder) != before:
        raise RuntimeError("the submission changed while it was graded")
    again = any(row["result"] == "broken" for row in rows)
    seconds = time.monotonic() - began
    return {
        "rows": rows,
        "remarks": remarks,
        "seconds": seconds,
        "submission": before,
        "again": again,
    }


def exercises_of(assignment: str, notebook: str) -> list[Exercise]:
    """The exercises of a notebook of the assignment, such as "10_cuda" of "10_kernels"."""
    return exercise.of_notebook(exercise.load(assignment[:2]), notebook)


def _of_notebook(job: dict, folder: Path, name: str) -> Report:
    exercises = exercises_of(job["assignment"], name)
    if job["only"] is not None:
        exercises = [one for one in exercises if one.id in job["only"]]
    if not exercises:
        return Report()
    path = folder / f"{name}.ipynb"
    try:
        submitted = read(path)
        released = notebooks.read(Path(job["release"]) / f"{name}.ipynb")
    except UserError as why:
        sentence = str(why)
        return Report([Row.of(one, "missing", sentence) for one in exercises], [sentence])
    grade = exercise.resolve(job["grader"])
    checks = paths.chapter(job["assignment"]).checks
    everything = exercises_of(job["assignment"], name)
    only, box = {one.id for one in exercises}, box_of(job["unsafe"])
    report = grade(path, everything, checks, only=only, jobs=1, seed=job["seed"], box=box)
    for row in report.rows:
        row.sentence = _clean(row.sentence)
        if row.result == "open" and not answered(submitted, released, row.id):
            row.result, row.sentence = "not started", "No response."
        if row.result == "twice" and row.kind == "open":
            row.result = "open"  # a person can say which one counts
    return report


@functools.cache
def box_of(unsafe: bool):
    """The worker's sandbox; one that is none for who wants marks where there is no sandbox."""
    from course.sandbox.box import Box

    return Box(wanted=not unsafe)


def read(path: Path) -> dict:
    """The submitted notebook. Raises UserError for what is no notebook, or too large to read."""
    try:
        found = os.lstat(path)
    except OSError:
        raise UserError(f"{path.name} was not handed in.") from None
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path.name} is no file.")
    if found.st_size > LARGEST:
        raise UserError(f"{path.name} is larger than {LARGEST // 2**20} MB; it was not read.")
    return notebooks.parse(path.read_bytes(), path.name)


def answered(submitted: dict, released: dict, id: str) -> bool:
    """Whether the open exercise `id` has an answer: its cell was changed, or cells were added."""
    known = {notebooks.source(cell) for cell in released["cells"]}
    own = False
    for cell in submitted["cells"]:
        name = notebooks.grade_id(cell)
        own = name == id or (own and not name)
        if own and notebooks.source(cell).strip() and notebooks.source(cell) not in known:
            return True
    return False


def _clean(text: str) -> str:
    """Text that every database takes: no halves of characters, no zeros."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def fingerprint(folder: str | os.PathLike) -> str:
    """SHA-256 over the names and contents of a submission's files, without nbgrader's own two.

    Links are not followed, and what is neither file nor folder counts by its name alone.
    """
    digest = hashlib.sha256()
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(where, name)
            inside = os.path.relpath(path, folder)
            if inside in KEPT:
                continue
            digest.update(os.fsencode(inside) + b"\0")
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
