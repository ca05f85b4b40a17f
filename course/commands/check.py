"""`course check`: grade your exercises, each in a fresh process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course.errors import UserError


def check(
    chapter: Annotated[str, typer.Argument(help="The chapter, such as 01.")],
    file: Annotated[
        Path | None, typer.Argument(help="Another notebook than the one in work/.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only this exercise, such as ch01-pairs or pairs.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many at a time; without it 2.")
    ] = None,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="As for marks: in a sandbox, where nobody is trusted."),
    ] = False,
) -> None:
    """Grade your exercises of a chapter. Exit code 0 when all that can be graded passed."""
    import sys

    from course.machine.processes import stop_on_signals
    from course.marking import grader
    from course.marking import report as reports

    room = grader.room(chapter, file)
    ids = {one.id for one in grader.pick(room.exercises, only)}
    show = reports.as_json if json else reports.table
    grade = _in_a_sandbox() if sandbox else grader.grade
    try:
        with stop_on_signals(), reports.waiting(len(ids), sys.stderr) as tick:
            report = grade(
                room.notebook, room.exercises, room.checks, only=ids, jobs=jobs, on_row=tick
            )
    except UserError as why:
        if not room.notebook.exists():
            raise
        show(reports.unreadable(room.notebook, room.exercises, str(why)), room.notebook)
        raise typer.Exit(2) from None
    grader.record(report, room)
    show(report, room.notebook)
    if not report.ok:
        raise typer.Exit(1)


def _in_a_sandbox():
    """How `course cohort grade` would grade, on inputs that nobody has seen. Raises UserError."""
    import functools
    import secrets

    from course.sandbox import grading
    from course.sandbox.box import Box

    box = Box()
    if box.why:
        raise UserError(box.why)
    return functools.partial(grading.grade, seed=secrets.token_hex(16), box=box)
