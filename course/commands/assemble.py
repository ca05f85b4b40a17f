"""`course assemble`: the learner's own GPT, from the exercises that pass.

Exit code 0: it equals the trace, and its samples are microgpt.py's; 1: it runs and differs; 2: it
does not run, or nothing could be written.

`--json` prints one object:

    file           the path of my_gpt.py
    kept           where a my_gpt.py that was changed by hand lies now, or null
    parts          for each: part, whose ("yours" or "ours"), exercise, result (as `course check`
                   says it), lines, why (of a part that is ours)
    rest           lines that no exercise builds
    steps          how many steps of the trace were run
    error          why the file does not run, or null
    equal          whether all losses are those of the trace, to 1e-9
    first          the first step, from 1, whose loss differs, or null
    losses         of each step, in nats; null where it is no number
    samples_equal  whether it writes the names that microgpt.py writes
    responsible    the parts of the learner that make it differ
    seconds        processor time of one step; microgpt: the same of microgpt.py; ratio: of the two
    next           the exercise to solve next, or null
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def assemble(
    work: Annotated[
        Path | None, typer.Option(help="Another folder of notebooks than work/.")
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, max=1000, help="How many steps of the trace to compare.")
    ] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Put your passed parts together in my_gpt.py and run it. Exit code 0: equal to the trace."""
    from course import paths
    from course.assembling import report as reports
    from course.assembling.assembly import assemble as put_together
    from course.errors import UserError
    from course.machine.processes import stop_on_signals

    if work is not None and not work.is_dir():
        raise UserError(f"{work} is no folder; give the one with your notebooks, such as work.")
    with stop_on_signals():
        report = put_together(work or paths.WORK, steps, reports.waiting)
    if json:
        reports.show_json(report)
    else:
        reports.show(report)
    if report.code:
        raise typer.Exit(report.code)
