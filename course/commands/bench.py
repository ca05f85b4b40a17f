"""`course bench`: every rung of the ladder, timed side by side in one run.

Exit code 0: every row was timed, or something that it needs is not installed; 1: a rung failed,
took too long, or has wrong losses. The document that `--json` prints is also in work/bench.json;
its keys are explained in course/benching/result.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="In 30 seconds: shorter blocks, and no torch in batches."),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this rung, such as NumPy, and the textbook; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Another folder for bench.json and bench.svg than work/.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="For authors: make this the front page's ladder.")
    ] = False,
) -> None:
    """Time every rung of the ladder side by side, and draw the ladder.

    Each rung trains the same model from the same start in a process of its
    own, on one thread, and its losses are compared with the trace. With
    work/my_gpt.py (`course assemble`) your own rung is among them. Leave
    the machine alone meanwhile; it takes about two minutes.
    """
    from course.benching import bench as organ

    code = organ.bench(quick, only or [], json, folder, publish)
    if code:
        raise typer.Exit(code)
