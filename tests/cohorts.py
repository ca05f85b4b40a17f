"""Cohorts for tests: a folder with chapter 01 released, submissions in it, and graders to stand in.

A grader is named by "cohorts:quick" and called in a worker with the arguments of
`course.sandbox.grading.grade`. These start no process, so that a test of the grade book costs
little: an answer passes when it is the solution's own text.
"""

from __future__ import annotations

import atexit
import copy
import functools
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

from course import notebooks, paths
from course.cohort import folder, making, releasing, roster
from course.marking.report import Report, Row

CHAPTER = paths.chapter("01")
NAME = CHAPTER.name
EXERCISES = notebooks.read(CHAPTER.exercise)
SOLUTIONS = {
    notebooks.grade_id(cell): notebooks.source(cell)
    for cell in notebooks.read(CHAPTER.solution)["cells"]
    if notebooks.grade_id(cell)
}


def make(root: Path, *students: str):
    """A cohort in the new folder `root` with these learners; chapter 01 is released."""
    shutil.copytree(_released(), root)
    lines = ["id,first_name,last_name,email"]
    lines += [f"{one},{one.title()},Test,{one}@example.org" for one in students]
    (root / folder.ROSTER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    cohort = folder.open_cohort(root)
    roster.sync(cohort)
    return cohort


@functools.cache
def _released() -> Path:
    """A cohort without learners, made once in this process and gone with it."""
    place = tempfile.TemporaryDirectory(prefix="course-cohort-")
    atexit.register(place.cleanup)
    text = making.CONFIGURATION.format(name=repr("letters"))
    Path(place.name, folder.CONFIG).write_text(text, encoding="utf-8")
    Path(place.name, folder.ROSTER).write_text("id\n", encoding="utf-8")
    releasing.release(folder.open_cohort(place.name), "01")
    return Path(place.name)


def answers(**sources: str) -> dict:
    """The learner's notebook with these cells, such as `pairs="def pairs(tokens): ..."`."""
    nb = copy.deepcopy(EXERCISES)
    for cell in nb["cells"]:
        short = (notebooks.grade_id(cell) or "").removeprefix("ch01-")
        if short in sources:
            cell["source"] = sources[short]
    return nb


def right(*which: str) -> dict:
    """The learner's notebook with the solution's cells for these exercises, such as "pairs"."""
    return answers(**{one: SOLUTIONS[f"ch01-{one}"] for one in which})


def hand_in(cohort, student: str, nb: dict | bytes, when: str = "") -> Path:
    """Puts a submission where nbgrader looks for it; when: such as "2026-12-01 17:00:00 UTC"."""
    place = cohort.submitted(student, NAME)
    place.mkdir(parents=True, exist_ok=True)
    if isinstance(nb, bytes):
        (place / f"{NAME}.ipynb").write_bytes(nb)
    else:
        notebooks.write(place / f"{NAME}.ipynb", nb)
    if when:
        (place / "timestamp.txt").write_text(when + "\n", encoding="utf-8")
    return place


# ------------------------------------------------------------------------------------- graders


def quick(notebook, exercises, checks, *, only=None, jobs=None, seed, box=None, **more):
    """Compares texts; the sentence holds a number drawn from the seed. Writes down each call."""
    nb = notebooks.read(notebook)
    cells = {notebooks.grade_id(cell): notebooks.source(cell) for cell in nb["cells"]}
    with open(Path(notebook).parents[3] / "calls", "a", encoding="utf-8") as log:
        log.write(f"{Path(notebook).parents[1].name} {os.getpid()}\n")
    time.sleep(0.03)
    report = Report()
    for one in exercises:
        if only is not None and one.id not in only:
            continue
        drawn = random.Random(f"{seed}:{one.id}").random()
        passed = cells.get(one.id) == SOLUTIONS[one.id]
        result = "open" if one.kind == "open" else "passed" if passed else "not yet"
        report.rows.append(Row.of(one, result, f"drawn: {drawn}"))
    return report


def generous(*args, **more):
    """As `quick`, by a check that was mended: everything that is no stub passes."""
    report = quick(*args, **more)
    nb = notebooks.read(args[0])
    cells = {notebooks.grade_id(cell): notebooks.source(cell) for cell in nb["cells"]}
    for row in report.rows:
        if row.kind != "open":
            row.result = "not yet" if "NotImplementedError" in cells[row.id] else "passed"
    return report


def strict(*args, **more):
    """As `quick`, by a check that lets nothing pass."""
    report = quick(*args, **more)
    for row in report.rows:
        row.result = "open" if row.kind == "open" else "not yet"
    return report


def dies_on_bob(notebook, *args, **more):
    """As `quick`; on bob's submission the whole worker is killed, as for want of memory."""
    if Path(notebook).parents[1].name == "bob":
        quick(notebook, *args, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    return quick(notebook, *args, **more)


def broken_once(notebook, *args, **more):
    """As `quick`; the first time that bob is graded, one exercise is "broken"."""
    report = quick(notebook, *args, **more)
    calls = (Path(notebook).parents[3] / "calls").read_text(encoding="utf-8").split()
    if Path(notebook).parents[1].name == "bob" and calls.count("bob") == 1:
        report.rows[0].result = "broken"
    return report


def meddles_with_eve(notebook, *args, **more):
    """As `quick`; while it grades, another file appears in the submission, as `collect` may do."""
    with open(Path(notebook).with_name("more.txt"), "a", encoding="utf-8") as file:
        file.write("more")
    return quick(notebook, *args, **more)


def hangs(job):
    """In place of grading one submission: never ends."""
    time.sleep(600)
