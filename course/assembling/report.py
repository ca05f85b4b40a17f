"""What `course assemble` says: a table of parts, how the file ran, what to do next; or JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator

from course.assembling.assembly import Report
from course.assembling.parts import Part
from course.assembling.running import largest_difference, trace
from course.notebooks import shown


@contextlib.contextmanager
def waiting(many: int, what: str) -> Iterator[Callable[[int], None]]:
    """A line that moves, if standard error is a terminal; call it with how many are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(file=sys.stderr)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(what, total=many)
        yield lambda done: progress.update(task, advance=done)


def show(report: Report) -> None:
    """Prints the table and the sentences."""
    rows = [
        (part.key, _whose(part), str(report.lines.get(part.key, 0)), _why(part))
        for part in report.parts
    ]
    rows.append(("all the rest", "ours", str(report.lines[""]), "no exercise builds it"))
    head = ("part", "whose", "lines", "what to know")
    if sys.stdout.isatty():
        _rich(head, rows)
    else:
        wide = [max(len(row[at]) for row in (head, *rows)) for at in range(3)]
        for row in (head, *rows):
            print("  ".join([f"{word:{n}}" for word, n in zip(row, wide)] + [row[3]]))
    for sentence in sentences(report):
        print(sentence)
    sys.stdout.flush()


def _rich(head: tuple, rows: list[tuple]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shape = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        shape.add_column(name, no_wrap=name != head[-1], overflow="fold")
    for part, whose, lines, why in rows:
        shape.add_row(part, Text(whose, "green" if whose == "yours" else "dim"), lines, Text(why))
    Console().print(shape)


def _whose(part: Part) -> str:
    return "yours" if part.piece else "ours"


def _why(part: Part) -> str:
    return part.exercise.id if part.piece else part.why


# ---------------------------------------------------------------------------------- sentences


def sentences(report: Report) -> list[str]:
    """How the file ran and what to do next, a sentence or two each."""
    file, found = shown(report.file), []
    if report.kept:
        found.append(
            f"{file} had been changed by hand; what was there is {shown(report.kept)} now."
        )
    mine = report.mine
    if mine.late:
        found.append(f"{file} is too slow: {mine.error}. Compare fewer, with `--steps`.")
    elif mine.error:
        found.append(f"{file} does not run: {mine.error}. {_blame(report)}")
    elif report.first is not None:
        loss, expected = mine.losses[report.first], trace()[report.first]
        found.append(
            f"Step {report.first + 1} of {report.steps} leaves the trace: its loss is {loss:.10f} "
            f"and should be {expected:.10f}. {_blame(report)}"
        )
    else:
        many = "The first loss is" if report.steps == 1 else f"The first {report.steps} losses are"
        gap = largest_difference(mine.losses)
        found.append(f"{many} equal to the trace (largest difference {gap:.0e}).")
        if not report.samples_equal:
            found.append(f"Its samples are not those of microgpt.py. {_blame(report)}")
    if not mine.error:
        found.append(
            f"A step takes {1000 * mine.seconds:.0f} ms, {ratio(report):.1f} times that of "
            f"microgpt.py ({1000 * report.theirs.seconds:.1f} ms; Python "
            f"{platform.python_version()}, its garbage collector on): your rung on the ladder."
        )
    return found + _next(report)


def ratio(report: Report) -> float:
    """Time of a step over that of microgpt.py in the same run."""
    return report.mine.seconds / report.theirs.seconds


def _blame(report: Report) -> str:
    named = {part.key: part.exercise.id for part in report.parts}
    found = [f"your `{key}` ({named[key]})" for key in report.responsible]
    place = "its place" if len(found) == 1 else "their place"
    if found and report.mine.error:
        return f"It comes from {' and '.join(found)}: with ours in {place} it runs."
    if found:
        return (
            f"It comes from {' and '.join(found)}: with ours in {place} all is right. "
            "A check sees less than a whole model does."
        )
    if any(part.piece for part in report.parts):
        return "No single part of yours explains it."
    return "Nothing in it is yours, so the course is wrong, or this machine; see `course doctor`."


def _next(report: Report) -> list[str]:
    left = following(report)
    if left is None:
        return []
    python = "py" if os.name == "nt" else "python3"
    one, some = left.exercise, any(part.piece for part in report.parts)
    begin = "Next to solve" if some else "All of it is ours so far. To solve first"
    return [
        f"{begin}: {one.id}, “{one.title}”, about {one.minutes} minutes.",
        f"  to grade:  {python} -m course check {left.chapter.number} --only {one.id}",
        f"  to run:    {python} {shown(report.file)} --steps 200",
    ]


def following(report: Report) -> Part | None:
    """The first part that does not pass."""
    return next((part for part in report.parts if part.result != "passed"), None)


def show_json(report: Report) -> None:
    """Prints one JSON object; its keys stand in the help of the command's module."""
    mine, first, left = report.mine, report.first, following(report)
    parts = [
        {
            "part": part.key,
            "whose": _whose(part),
            "exercise": part.exercise.id,
            "result": part.result,
            "lines": report.lines.get(part.key, 0),
            "why": "" if part.piece else part.why,
        }
        for part in report.parts
    ]
    told = {
        "file": str(report.file),
        "kept": str(report.kept) if report.kept else None,
        "parts": parts,
        "rest": report.lines[""],
        "steps": report.steps,
        "error": mine.error or None,
        "equal": not mine.error and first is None,
        "first": None if first is None else first + 1,
        "losses": [loss if loss == loss else None for loss in mine.losses],
        "samples_equal": report.samples_equal,
        "responsible": report.responsible,
        "seconds": mine.seconds,
        "microgpt": report.theirs.seconds,
        "ratio": None if mine.error else ratio(report),
        "next": left.exercise.id if left else None,
    }
    print(json.dumps(told, indent=1, ensure_ascii=False))
