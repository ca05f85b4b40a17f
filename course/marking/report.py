"""What `course check` found, and how it looks: a table, plain lines, or JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from course.checking.exercise import Exercise
from course.notebooks import shown

RESULTS = (
    "passed",
    "not yet",
    "not started",
    "stopped",
    "missing",
    "twice",
    "open",
    "broken",
    "not graded",  # this machine cannot: it has no compiler
)


@dataclass
class Row:
    """The result of one exercise. `result` is one of RESULTS; only "passed" earns points."""

    id: str
    title: str
    kind: str
    points: int
    result: str
    sentence: str = ""
    seconds: float = 0.0
    code: str = ""  # a short hash of the answer
    rubric: int = 0  # how many lines of a rubric wait for a person
    cause: str = ""  # the same for equal failures: "misconception 2", "cell NameError"
    answers: list[str] | None = None  # on fixed probes, where no misconception says what is wrong

    @classmethod
    def of(cls, one: Exercise, result: str, sentence: str) -> Row:
        """The row of this exercise with this result."""
        lines = len(one.rubric)
        return cls(one.id, one.title, one.kind, one.points, result, sentence, rubric=lines)

    @property
    def earned(self) -> int:
        return self.points if self.result == "passed" else 0

    def as_json(self) -> dict:
        """The row as plain data for `--json`."""
        names = ("id", "title", "kind", "points", "earned", "result", "sentence", "rubric")
        return {name: getattr(self, name) for name in names} | {"seconds": round(self.seconds, 2)}


@dataclass
class Report:
    """All rows in the exercises' order, and remarks about the notebook as a whole."""

    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything that can be graded passed."""
        return all(row.result in ("passed", "open", "not graded") for row in self.rows)

    def summary(self) -> str:
        """ "3 of 10 passed, 12 of 40 points; next: ch01-sample"."""
        graded = [row for row in self.rows if row.result != "open"]
        passed = [row for row in graded if row.result == "passed"]
        points = (
            f"{sum(row.points for row in passed)} of {sum(row.points for row in graded)} points"
        )
        line = f"{len(passed)} of {len(graded)} passed, {points}"
        absent = [row.id for row in graded if row.result == "not graded"]
        line += f"; not graded on this machine: {', '.join(absent)}" if absent else ""
        left = [row.id for row in graded if row.result not in ("passed", "not graded")]
        if left:
            return f"{line}; next: {left[0]}"
        waiting = [row.id for row in self.rows if row.result == "open"]
        return f"{line}; for a person to judge: {', '.join(waiting)}" if waiting else line


def unreadable(notebook: Path, exercises: list[Exercise], why: str) -> Report:
    """The report on a file that is no notebook: one row for all its exercises."""
    points = sum(one.points for one in exercises)
    return Report([Row(notebook.name, "the whole notebook", "", points, "broken", why)])


# --------------------------------------------------------------------------------------- looks

COLOURS = {
    "passed": "green",
    "not started": "dim",
    "open": "blue",
    "not graded": "blue",
}  # all others: yellow


@contextlib.contextmanager
def waiting(many: int, stream) -> Iterator[Callable[[Row], None]]:
    """A line that moves while exercises are graded, if `stream` is a terminal; call it per row."""
    if not stream.isatty():
        yield lambda row: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(file=stream)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("grading", total=many)

        def tick(row: Row) -> None:
            progress.update(task, advance=1, description=f"{row.id}: {row.result}")

        yield tick


def table(report: Report, notebook: Path) -> None:
    """Prints the rows: as a table on a terminal, else one line each, nothing cut off."""
    if sys.stdout.isatty():
        _rich(report)
    else:
        for line in plain(report):
            print(line)
    for remark in report.remarks:
        print(f"{shown(notebook)}: {remark}")
    print(report.summary(), flush=True)


def plain(report: Report) -> list[str]:
    """One line for each exercise."""
    wide = max((len(row.id) for row in report.rows), default=0)
    return [
        f"{row.id:{wide}}  {row.earned:2} of {row.points:2}  {row.result:11}  "
        + " ".join(row.sentence.split())
        for row in report.rows
    ]


def _rich(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shape = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shape.add_column("exercise", no_wrap=True)
    shape.add_column("points", justify="right", no_wrap=True)
    shape.add_column("result", no_wrap=True)
    shape.add_column("what to know", overflow="fold", ratio=1)
    for row in report.rows:
        colour = COLOURS.get(row.result, "yellow")
        points = f"{row.earned}/{row.points}"
        # Text, not str: a sentence with [brackets] is no markup.
        shape.add_row(row.id, points, Text(row.result, colour), Text(row.sentence))
    Console().print(shape)


def as_json(report: Report, notebook: Path) -> None:
    """Prints one JSON object: the notebook, the rows, the remarks, the summary."""
    rows = [row.as_json() for row in report.rows]
    told = {"notebook": str(notebook), "ok": report.ok, "exercises": rows}
    told |= {"remarks": report.remarks, "summary": report.summary()}
    print(json.dumps(told, indent=1, ensure_ascii=False))
