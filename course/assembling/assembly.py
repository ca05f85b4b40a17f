"""`course assemble`, from the notebooks to the report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from course.assembling import keeping, layout, running
from course.assembling.parts import Part, every_part, take
from course.assembling.pieces import GLUE, OPERATIONS, Piece


@dataclass
class Report:
    """What was put together and how it ran. `mine` is the run of my_gpt.py, `theirs` microgpt.py's.

    first: the first step, from 0, that leaves the trace. responsible: keys of the learner's parts.
    """

    file: Path
    steps: int
    parts: list[Part]
    lines: dict[str, int]  # key -> lines in the file; "" for all that no exercise builds
    kept: Path | None
    mine: running.Run
    theirs: running.Run
    first: int | None = None
    responsible: list[str] = field(default_factory=list)

    @property
    def samples_equal(self) -> bool:
        return self.mine.samples == self.theirs.samples

    @property
    def code(self) -> int:
        """The exit code: 0 equals the trace, 1 differs, 2 does not run."""
        if self.mine.error:
            return 2
        return 0 if self.first is None and self.samples_equal else 1


def assemble(
    work: Path,
    steps: int,
    waiting: Callable[[int, str], AbstractContextManager],
) -> Report:
    """Puts the parts together in the folder `work`, runs `steps` steps of the trace, judges.

    waiting(many, what): a context that gives a function to call as each of the many is done.
    Raises UserError when nothing can be written, or microgpt.py itself does not run.
    """
    parts = every_part()
    with waiting(len(parts), "grading") as tick:
        take(work, parts, lambda row: tick(1))
    theirs = {part.key: part.piece for part in parts if part.piece}
    labels = {part.key: part.label for part in parts}
    pieces = layout.collect(theirs, work)
    text = layout.write(pieces, lambda piece: _label(piece, labels))
    kept = keeping.write(work, text)
    report = Report(work / keeping.FILE, steps, parts, _lines(pieces, labels), kept, None, None)
    with waiting(2 * steps, "training") as tick:
        report.theirs = running.reference(steps)
        tick(steps)
        trained = report.theirs.trained
        report.mine = running.run(report.file, steps, trained, tick)
    report.first = running.first_difference(report.mine.losses)
    if report.code and not report.mine.late:
        with waiting(len(theirs) + 1, "looking for the part that differs") as tick:
            report.responsible = _responsible(report, theirs, tick)
    if not report.mine.error:
        keeping.remember(work, report.mine, report.theirs, list(theirs))
    return report


def _label(piece: Piece, labels: dict[str, str]) -> str:
    if piece.module == GLUE:
        return "ours: the program around the parts"
    if piece.key == OPERATIONS:
        return "ours: the operations that your Value lacks, from textbook.py"
    return labels.get(piece.key) or f"ours: {piece.module}.py"


def _lines(pieces: list[Piece], labels: dict[str, str]) -> dict[str, int]:
    lines = {"": 0}
    for piece in pieces:
        key = piece.key if piece.key in labels else ""
        lines[key] = lines.get(key, 0) + piece.lines
    return lines


def _responsible(report: Report, theirs: dict[str, Piece], tick: Callable) -> list[str]:
    """Runs the file again and again, with some of the learner's parts; as few steps as it takes."""
    steps = (
        report.first + 1 if report.first is not None else min(report.steps, report.mine.done + 1)
    )
    if not report.mine.error and report.first is None:
        steps = 0  # the losses are right, the samples are not

    def right(keys: set[str]) -> bool:
        some = {key: piece for key, piece in theirs.items() if key in keys}
        text = layout.write(layout.collect(some, report.file.parent), lambda piece: piece.key)
        with tempfile.TemporaryDirectory(prefix="course-") as folder:
            file = Path(folder, keeping.FILE)
            file.write_text(text, "utf-8")
            found = running.run(file, steps, report.theirs.trained)
        tick(1)
        differs = running.first_difference(found.losses) is not None
        return not (found.error or differs or found.samples != report.theirs.samples)

    return running.responsible(list(theirs), right)
