"""`course watch`: grade what you changed, each time you save."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def watch(
    chapter: Annotated[str, typer.Argument(help="The chapter, such as 01.")],
    file: Annotated[
        Path | None, typer.Argument(help="Another notebook than the one in work/.")
    ] = None,
) -> None:
    """Grade what you changed, and what uses it, each time you save. Ctrl-C ends it."""
    import contextlib

    from course.machine.processes import stop_on_signals
    from course.marking import grader
    from course.notebooks import shown

    room = grader.room(chapter, file)
    print(f"Watching {shown(room.notebook)}. Save it, and what you changed is graded. Ctrl-C ends.")
    with contextlib.suppress(KeyboardInterrupt), stop_on_signals():
        _follow(room)
    print()


def _follow(room) -> None:
    import time

    from course.errors import UserError
    from course.marking import grader, report, watching

    before, folder = None, room.notebook.parent
    files = watching.files_of(room.exercises, folder)
    for nb in watching.saves(room.notebook, beside=files):
        if isinstance(nb, UserError):
            print(nb, flush=True)
            continue
        after = watching.fingerprints(nb, room.exercises, folder)
        if before is not None:
            ids = watching.changed(before, after)
            if ids:
                print(f"\n{time.strftime('%H:%M:%S')}")
                try:
                    found = grader.grade(room.notebook, room.exercises, room.checks, only=ids)
                except UserError as why:  # saved again, and half written just now
                    print(why, flush=True)
                    continue
                grader.record(found, room)
                report.table(found, room.notebook)
        before = after
