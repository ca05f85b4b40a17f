"""`course run`: execute lessons and solutions and store their outputs."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    chapter: Annotated[
        str | None, typer.Argument(metavar="NN", help="One chapter, such as 01; all without it.")
    ] = None,
    lesson: Annotated[bool, typer.Option("--lesson", help="Only the lesson.")] = False,
    solution: Annotated[bool, typer.Option("--solution", help="Only the solutions.")] = False,
    keep_errors: Annotated[
        bool, typer.Option("--keep-errors", help="Go on after a failing cell, and store its error.")
    ] = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 600,
) -> None:
    """For authors: execute a lesson and its solutions, and store the outputs (after `sync`)."""
    import sys

    from course import notebooks, paths
    from course.authoring import run as organ
    from course.authoring import sync
    from course.errors import UserError

    live = sys.stdout.isatty()

    def progress(k: int, n: int) -> None:
        if live:
            print(f"\r  cell {k} of {n}", end="", flush=True)
        elif k in (1, n) or k % 10 == 0:  # a log needs no line for each
            print(f"  cell {k} of {n}", flush=True)

    for path in sync.sync(chapter):
        print(f"wrote {notebooks.shown(path)}")
    failed = False
    for one in paths.with_extras(chapter):
        both = [(one.lesson, not solution or lesson), (one.solution, not lesson or solution)]
        for path in [path for path, wanted in both if wanted and path.exists()]:
            print(f"{notebooks.shown(path)}")
            try:
                done = organ.run(path, keep_errors=keep_errors, timeout=timeout, progress=progress)
            except UserError as why:
                print(f"{chr(10) if live else ''}{why}\nNothing was written.", file=sys.stderr)
                raise typer.Exit(1) from None
            print("\r" if live else "", end="")
            size = f"{done.size / 1000:.0f} kB, {done.outputs / 1000:.0f} kB of it outputs"
            state = "stored" if done.changed else "as it was"
            print(f"  {done.seconds:.1f} s in cells; {size}; {state}")
            if done.failed:
                print(done.failed, file=sys.stderr)
                failed = True
    if failed:
        raise typer.Exit(1)
