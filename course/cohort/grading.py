"""`course cohort grade` and `regrade`: every submission in the sandbox, every mark in the book.

`planning.py` says which, `workers.py` and `grading_one.py` grade, `marks.py` keeps the marks. Only
this process writes: one submission is one transaction, and then its notebook in `autograded/`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict

from course import paths
from course.cohort import autograded, planning, telling, workers
from course.cohort.gradebook import OURS, Graded, Result, latest, open_book
from course.cohort.grading_one import exercises_of, fingerprint
from course.cohort.late import Late, handed_in, settle_all
from course.cohort.marks import record
from course.cohort.planning import Done, Plan, Wish
from course.errors import UserError
from course.machine.processes import alone
from course.marking.report import Row

GRADER = "course.sandbox.grading:grade"
TASK = "course.cohort.grading_one:grade_one"
LOCK = ".grading.lock"
SLACK = 60  # seconds that each exercise may take beyond its own limit, on a busy machine


def grade(
    cohort,
    which: str,
    wish: Wish | None = None,
    *,
    jobs: int | None = None,
    unsafe: bool = False,
    grader: str = GRADER,
    show: Callable = telling.quiet,
) -> Done:
    """Grades the submissions of a chapter that are not graded yet, or what the wish says.

    jobs: how many submissions at a time, as many as there are processors without it. unsafe: also
    where there is no sandbox. grader: "module:name" of a function with the arguments of
    `course.sandbox.grading.grade`. show(many): a context that gives what to call with a row for
    each. Raises UserError: no such chapter, assignment or learner; no sandbox; another `grade` at
    work.
    """
    assignment, wish = paths.chapter(which).name, wish or Wish()
    _check(cohort, assignment, wish, unsafe, grader)
    busy = f"{cohort.root} is being graded by another `course cohort grade`; wait until it ends."
    with alone(cohort.root / LOCK, busy, inherit=False), open_book(cohort) as book:
        rule = Late(cohort)
        run = planning.run_of(book, assignment, wish)
        done, todo = planning.plan(cohort, book, assignment, wish, run)
        if todo and not run.id:
            run = planning.begin(book, assignment, wish, run)
        _mend(cohort, book, assignment, todo)
        names = planning.notebooks_of(cohort, assignment)
        tasks = [job_for(cohort, assignment, names, one, grader, unsafe) for one in todo.values()]
        answers = workers.each(tasks, jobs or os.cpu_count() or 1, TASK)
        with show(len(tasks)) as tick, contextlib.closing(answers):
            for job, answer in answers:
                plan = todo[job["student"]]
                graded = _graded(plan, assignment, names, answer)
                _keep(cohort, book, run.id, graded, rule)
                done.graded.append(graded)
                done.changes += _changes(plan.last, graded)
                tick(telling.line(graded))
        planning.end(book, run, wish, done)
        settle_all(cohort, book, assignment)
    return done


def _keep(cohort, book, run: int, graded: Graded, rule: Late) -> None:
    """Marks in one transaction; then the notebook, made before, so that it cannot fail after."""
    pages = autograded.made(cohort, graded)
    stamp = handed_in(cohort.submitted(graded.student, graded.assignment))
    record(book, run, graded, stamp, lambda *two: rule.settle(book, *two))
    autograded.write(cohort, graded, pages)


def _check(cohort, assignment, wish, unsafe, grader) -> None:
    if assignment not in cohort.assignments():
        number = assignment[:2]
        raise UserError(
            f"{assignment} was not released in {cohort.root}; `course cohort release {number}` "
            "does that."
        )
    if wish.student is not None and wish.student not in {one.id for one in cohort.students()}:
        raise UserError(f"There is no learner {wish.student!r} in {cohort.root}.")
    if grader == GRADER and not unsafe:
        from course.sandbox.box import works

        why = works()
        if why:
            raise UserError(
                f"{why} Without one, what learners handed in runs as an ordinary program of "
                "yours: it can read solutions and other submissions and change marks. "
                "`--unsafe` grades nevertheless."
            )


def job_for(cohort, assignment, names, plan: Plan, grader: str, unsafe: bool) -> dict:
    """What a worker gets: plain data. "allowed" seconds bound even a grader that hangs."""
    exercises = [one for name in names for one in exercises_of(assignment, name)]
    return {
        "student": plan.student,
        "assignment": assignment,
        "folder": str(cohort.submitted(plan.student, assignment)),
        "release": str(cohort.path("release", ".", assignment)),
        "notebooks": names,
        "only": plan.only,
        "seed": plan.seed,
        "grader": grader,
        "unsafe": unsafe,
        "allowed": SLACK + 2 * sum(one.seconds + SLACK for one in exercises),
    }


# ----------------------------------------------------------------------------------- results


def _graded(plan: Plan, assignment: str, names: list[str], answer: dict) -> Graded:
    """What the worker answered, whole: with the rows that were not graded anew."""
    if "failed" in answer:
        rows = _broken(assignment, names, answer["failed"])
        seconds, remarks, submission = 0.0, [], plan.submission
    else:
        rows, seconds, remarks = answer["rows"], answer["seconds"], answer["remarks"]
        submission = answer["submission"]
        if plan.only:
            new = {row["id"]: row for row in rows}
            rows = [new.get(row["id"], row) for row in plan.last.rows]
            remarks = plan.last.remarks
    status = "ours" if any(row["result"] in OURS for row in rows) else "graded"
    return Graded(plan.student, assignment, submission, plan.seed, seconds, status, rows, remarks)


def _broken(assignment: str, names: list[str], why: str) -> list[dict]:
    sentence = f"This could not be graded, for a reason that is not yours: {why}."
    return [
        {**asdict(Row.of(one, "broken", sentence)), "notebook": name}
        for name in names
        for one in exercises_of(assignment, name)
    ]


def _changes(last: Result | None, graded: Graded) -> list[tuple[str, str, float, float]]:
    """The exercises of an unchanged submission whose marks are others now."""
    if last is None or last.submission != graded.submission:
        return []
    old, new = telling.marks_in(last.rows), telling.marks_in(graded.rows)
    return [
        (graded.student, id, old[id], new[id]) for id in new if id in old and old[id] != new[id]
    ]


def _mend(cohort, book, assignment, todo) -> None:
    """Autograded notebooks that a killed grader had no time to write after their marks."""
    with book.transaction() as connection:
        last = latest(connection, assignment)
    for student, result in last.items():
        if student not in todo and not autograded.current(cohort, result):
            folder = cohort.submitted(student, assignment)
            if folder.is_dir() and fingerprint(folder) == result.submission:
                autograded.write(cohort, result, autograded.made(cohort, result))
