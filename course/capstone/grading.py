"""Marks for a program: it is run four times and compared with microgpt.py, which runs beside it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from course import paths
from course.capstone import rows
from course.capstone.diagnosis import PATIENCE
from course.capstone.lists import fresh_list
from course.capstone.reference import PROGRAM, Reference, program
from course.capstone.rows import Row, Tried
from course.capstone.rows_losses import Losses
from course.capstone.running import Outcome, run
from course.capstone.source import Source, read
from course.capstone.trace import read as read_trace
from course.errors import UserError
from course.sandbox.box import Box

STEPS = 50
OURS = "reference microgpt.py"  # as a file name, one that no program has
LIMIT = 120.0  # seconds that one run may take
NAMES = paths.ROOT / "microgpt_ref" / "names.txt"
Runner = Callable[[tuple[str, bytes], str, int, bool], Outcome]


@dataclass
class Report:
    """What the grading found. `state`: "graded", "not started" or "not python".

    `problem` is the sentence for a program that could not be run at all, else "".
    """

    file: Path
    state: str
    rows: list[Row]
    seed: int
    sandbox: str
    measured: dict = field(default_factory=dict)
    first_difference: dict | None = None
    problem: str = ""

    @property
    def marks(self) -> int:
        """The sum of all rows."""
        return sum(row.marks for row in self.rows)

    @property
    def full(self) -> bool:
        """Whether every row has all its marks."""
        return all(row.marks == row.of for row in self.rows)


def grade(
    file: Path,
    *,
    seed: int | None = None,
    limit: float = LIMIT,
    patience: float = PATIENCE,
    box: Box | None = None,
    say: Callable[[str], None] = lambda words: None,
    runner: Runner | None = None,
) -> Report:
    """Grades the program in `file`.

    seed: of the fresh list; None draws one. limit: seconds for each run. patience: seconds to look
    for several mistakes at once. say: is told what is being done. runner: runs a program, in tests.
    Raises UserError when there is no such file.
    """
    source = read(file)
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    box = box or Box()
    if source.empty or source.wrong:
        state = "not started" if source.empty else "not python"
        told = source.wrong or "Not started yet: the file holds nothing to run."
        nothing = [rows.row(id, 0, "") for id in rows.PARTS]
        return Report(file, state, nothing, seed, box.kind, problem=told)

    def by_box(given, names, steps, count):
        own = given[0] == OURS  # what we compare with is not held to a short limit
        seconds = max(limit, LIMIT) if own else limit
        return run(given, names, steps, box, limit=seconds, count=count)

    with tempfile.TemporaryDirectory(prefix="course-") as home:
        work = _Work(source, Path(home).resolve(), seed, limit, runner or by_box, say)
        work.run_all()
        found = work.rows(patience)
        return Report(file, "graded", found, seed, box.kind, work.measured(), work.first)


class _Work:
    """One grading: the lists, the four runs, the rows."""

    def __init__(self, source: Source, home: Path, seed: int, limit: float, runner, say):
        self.source, self.limit, self.runner, self.say = source, limit, runner, say
        self.reference, self.first = Reference(), None
        rng = random.Random(seed)
        self.texts = {NAMES: _text(NAMES), home / "fresh.txt": fresh_list(rng)}
        fresh = home / "fresh.txt"
        fresh.write_text(self.texts[fresh], encoding="utf-8", newline="")
        few = rng.randint(3, 6)
        self.runs = {
            "few": self._tried("few", "the fresh list", fresh, few),
            "zero": self._tried("zero", "the fresh list", fresh, 0),
            "fresh": self._tried("fresh", "the fresh list", fresh, STEPS),
            "names": self._tried("names", "our names", NAMES, STEPS),
        }
        self.seconds = 0.0  # of microgpt.py on our names

    def _tried(self, id: str, where: str, file: Path, steps: int) -> Tried:
        documents = [line.strip() for line in self.texts[file].split("\n") if line.strip()]
        random.Random(42).shuffle(documents)
        return Tried(id, where, file, steps, documents, self.reference.run(file, steps))

    def run_all(self) -> None:
        """Runs microgpt.py and the program; after one that had to be stopped, no more."""
        names = self.runs["names"]
        self.say("microgpt.py on our names")
        text = program().encode("utf-8")
        outcome = self.runner((OURS, text), self.texts[NAMES], STEPS, False)
        told = read_trace(outcome, STEPS, OURS, self.limit)
        if told.wrong:
            raise UserError(f"microgpt.py itself did not run as it should. {told.wrong}")
        names.ours.know([*told.losses, *told.samples])
        self.seconds = outcome.seconds
        given = (self.source.path.name, self.source.data)
        for one in self.runs.values():
            self.say(f"your program on {one.where}, {one.steps} steps")
            count = one.id in ("few", "zero")
            one.outcome = self.runner(given, self.texts[one.file], one.steps, count)
            one.trace = read_trace(one.outcome, one.steps, given[0], self.limit)
            if one.trace.stopped:
                break

    def rows(self, patience: float) -> list[Row]:
        """All rows, in the order of the table in the specification."""
        self.say("looking for the first difference, and for what makes it")
        losses = Losses(self.reference, self.runs, patience)
        names, fresh = losses.row("names"), losses.row("fresh")
        self.first = losses.first
        some = any(one.right for one in self.runs.values())
        found = [
            rows.alone(self.source, self.runs, some),
            rows.parameters(self.runs),
            names,
            fresh,
            losses.steps_row(),
            losses.samples_row(),
            rows.lines(self.source, read(PROGRAM), some),
            rows.time(self.runs["names"], self.seconds, some),
        ]
        told = [row.sentence for row in found]
        again = {
            k for k, row in enumerate(found) if row.sentence in told[:k] and row.marks < row.of
        }
        shorter = [replace(row, sentence="As above.") for row in found]
        return [shorter[k] if k in again else row for k, row in enumerate(found)]

    def measured(self) -> dict:
        """Numbers for who compares programs: lines, seconds, parameters."""
        outcome = self.runs["names"].outcome
        return {
            "lines": self.source.lines,
            "seconds": round(outcome.seconds, 3) if outcome else None,
            "reference_seconds": round(self.seconds, 3),
            "draws": rows.drawn(self.runs).get("gauss"),
            "right_losses": {id: one.right for id, one in self.runs.items()},
        }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as why:
        raise UserError(f"{path} cannot be read: {why.strerror}.") from None
