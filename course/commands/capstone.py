"""`course capstone`: grade a GPT that was written from a blank page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def capstone(
    file: Annotated[
        Path | None, typer.Argument(help="The program; without it work/mygpt.py.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw the fresh list of this number again.")
    ] = None,
    limit: Annotated[
        float, typer.Option(min=1, help="Seconds that one run of the program may take.")
    ] = 120.0,
) -> None:
    """Grade a GPT that was written from a blank page, 100 marks.

    What the program has to do stands in exercises/05_capstone.ipynb. It is
    run as `python FILE NAMES STEPS`, four times, and compared with
    microgpt.py. Any path will do, and no notebook is needed.

    Exit codes: 0 full marks; 1 graded, not full; 2 not graded (no such
    file, a wrong option).

    --json prints one document with the keys
    schema: 1, until a key changes its meaning; keys may be added
    file, seed (of the fresh list), python (the version)
    state: "graded", "not started" or "not python"
    problem: for the last two, the sentence; else ""
    marks, of (100), full (true or false)
    rows: each with id, title, marks, of, result ("full", "part", "none"),
    sentence
    first_difference: null, or list, step (from 1), yours, ours, stage,
    mistakes (ids), explained (how many losses the mistakes explain)
    measured: null, or lines, seconds, reference_seconds, draws (of gauss),
    right_losses
    sandbox: "bubblewrap" or "none"
    """
    import shutil
    import sys

    from course import paths
    from course.capstone import grading, report
    from course.machine.processes import stop_on_signals
    from course.notebooks import shown
    from course.workcopy import create

    path = file or paths.WORK / "mygpt.py"
    if file is None and not path.exists():
        create(path, b"")
        note = "It is empty, and yours. What to write is told in exercises/05_capstone.ipynb."
        print(f"Made {shown(path)}. {note}", file=sys.stderr if json else sys.stdout)

    def say(words: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{words:60}", end="\r", file=sys.stderr, flush=True)

    with stop_on_signals():
        found = grading.grade(path, seed=seed, limit=limit, say=say)
    say("")
    width = max(60, min(100, shutil.get_terminal_size().columns))
    print(report.as_json(found) if json else report.plain(found, width))
    if not found.full:
        raise typer.Exit(1)
