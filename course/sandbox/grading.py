"""Marks: grades a notebook whose author nobody has to trust.

The cells run in a sandbox, which answers probes as data; the exercises, references and sentences
stay here, where the same engine as in a notebook compares. The rows are those of `course check`.

Probes are drawn from `seed` and the exercise's id, so a mark can be found again. What goes wrong
in the learner's code is the learner's; what goes wrong in ours is a row with the result "broken".
"""

from __future__ import annotations

import os
import random
import re
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from course import notebooks
from course.checking import c_process
from course.checking.cases import see
from course.checking.exercise import Exercise
from course.checking.plain import plain
from course.checking.words import cut, full, short
from course.errors import UserError
from course.marking import grader, runner
from course.marking.cells import Ran
from course.marking.report import Report, Row
from course.sandbox import kernels, remote
from course.sandbox.asking import CellStopped, Outcome, Rules
from course.sandbox.box import Box
from course.sandbox.limits import Ended
from course.sandbox.talking import Talk
from course.sandbox.wire import Malformed

PRELOAD = ("numpy", "torch", "triton")
FIXED = 12  # probes that are the same for everybody, for answers that are wrong in a new way
TOLD = ("exception", "mutated", "type", "shape", "nan", "symptom", "value")


def grade(
    notebook: str | os.PathLike,
    exercises: list[Exercise],
    checks: str | os.PathLike,
    *,
    only: set[str] | None = None,
    jobs: int | None = None,
    seed: str,
    box: Box | None = None,
    rules: Rules | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Grades the notebook against the exercises of the checks module in the file `checks`.

    only: the ids to grade, all without it. jobs: how many sandboxes at a time. seed: what probes
    are drawn from; who knows it knows them. box: one of kind "none" only for who wants marks
    without a sandbox. on_row: called with each row when it is known, in any order. Raises UserError
    for a file that is no notebook, and where there is no sandbox.
    """
    box = box or Box()
    if box.kind == "none" and box.why:
        raise UserError(box.why)
    notebook = Path(notebook).absolute()
    nb = notebooks.read(notebook)
    runner.load_checks(str(Path(checks).absolute()))
    session = grader.Session(notebook, Path(checks), nb, exercises, rules or Rules())

    def known(row: Row) -> None:
        row.sentence = printable(row.sentence)
        if on_row:
            on_row(row)

    tally = grader.Tally(session, nb, exercises, only, known)
    _Desk(session, box, seed, tally.waiting, tally.known).work(jobs or 1)
    report = tally.report()
    report.remarks = [printable(remark) for remark in report.remarks]
    return report


class _Desk:
    """The exercises of one notebook that wait to be graded, and who grades them.

    The engine is at work in one thread at a time: it changes the state of `random`, for one.
    """

    def __init__(self, session, box: Box, seed: str, waiting: list[Exercise], known: Callable):
        self.session, self.box, self.seed = session, box, seed
        self.waiting, self.known, self.engine = waiting, known, threading.Lock()
        self.talks: list[Talk] = []
        source = "\n".join(cell.source for cell in session.cells)
        self.preload = [name for name in PRELOAD if re.search(rf"\b{name}\b", source)]

    def work(self, jobs: int) -> None:
        """Grades all of them. When it is interrupted, every sandbox has ended."""
        try:
            if jobs == 1 or len(self.waiting) < 2:
                self._go_on()
                return
            with ThreadPoolExecutor(min(jobs, len(self.waiting))) as pool:
                try:
                    for done in [pool.submit(self._go_on) for _ in range(jobs)]:
                        done.result()
                except BaseException:
                    self.waiting.clear()  # else they would go on to the last one
                    raise
        finally:
            self.waiting.clear()
            for talk in self.talks:
                talk.stop()

    def _go_on(self) -> None:
        talk = None
        while self.waiting:
            one = self.waiting.pop(0)
            try:
                outcome, talk = self._outcome(one, talk)
                row = self.session.row(one, outcome)
                if row:
                    row.answers = outcome.result.get("answers")
            except Exception as why:  # ours, whatever it was: it costs nobody a mark
                row, talk = broken(one, why), self._ended(talk)
            if row:
                self.known(row)
            else:
                self.waiting.insert(0, one)
        self._ended(talk)

    def _outcome(self, one: Exercise, talk: Talk | None) -> tuple[Outcome, Talk | None]:
        """What became of it, and the sandbox for the next one.

        What ended a sandbox that had served before, or one that did not come to the first cell,
        is tried once more in a fresh one.
        """
        for last in (False, True):
            try:
                talk = talk or self._talk()
                outcome = self._try(one, talk)
            except (OSError, Ended):
                if last:
                    raise
                talk = self._ended(talk)
                continue
            if talk.over:
                talk = self._ended(talk)
            odd = outcome.end not in ("result", "time")
            if not odd or (outcome.fresh and outcome.at is not None):
                break
            talk = self._ended(talk)
        if outcome.end != "result" and outcome.at is None:
            raise Ended(outcome.end, outcome.code)
        return outcome, talk

    def _talk(self) -> Talk:
        folder = self.session.notebook.parent
        talk = Talk(self.box, self.session.limits, folder, self.preload, self.seed)
        self.talks.append(talk)
        return talk

    def _ended(self, talk: Talk | None) -> None:
        if talk in self.talks:
            self.talks.remove(talk)
            talk.stop()

    def _try(self, one: Exercise, talk: Talk) -> Outcome:
        plan = self.session.plan(one)
        if kernels.is_kernel(one):
            try:
                plan.cells[:] = kernels.alone(one, plan.cells)
            except kernels.NoKernel as why:
                told = {"outcome": "type", "cause": "no Triton", "sentence": str(why)}
                return Outcome(self.session.limits, result=told)

        def judge(ran: Ran, ask: remote.Ask) -> dict:
            with self.engine, c_process.boxed(self.box):
                result = runner.judged(one, ran, random.Random(f"{self.seed}:{one.id}"))
                if result.get("outcome") in TOLD and "misconception" not in result["cause"]:
                    result["answers"] = fixed_answers(one, ran)
            return result

        outcome = talk.exercise(one, plan.cells, plan.seconds, judge, self.engine)
        outcome.without, outcome.skipped = plan.without, plan.skipped
        if "code" in outcome.result:
            outcome.result["code"] = outcome.source
        return outcome


def fixed_answers(one: Exercise, ran: Ran) -> list[str] | None:
    """What the answer gives on probes that are the same for everybody, in text.

    For answers that are wrong in a way that nobody has described yet: equal texts, equal mistakes.
    None where there is nothing to ask.
    """
    answer = next(iter(ran.found.values()), None)
    if one.kind == "value":
        return [cut(full(plain(answer)), 300)]
    if one.kind not in ("function", "class") or one.loader:
        return None
    found = []
    try:
        for probe in list(one.probes(random.Random(one.id)))[:FIXED]:
            seen = see(one, answer, probe)
            raised = f"raised {type(seen.error).__name__}" if seen.error else ""
            said = "" if seen.error and not seen.value else cut(short(seen.value), 200)
            found.append("; ".join(filter(None, [said, raised])))
    except (Ended, CellStopped, Malformed):
        pass  # the verdict stands all the same
    return found


def printable(words: str) -> str:
    """The same without signs that steer a terminal or turn the direction of reading."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in words)


def broken(one: Exercise, why: Exception) -> Row:
    """The row of an exercise in whose grading something of ours failed."""
    told = f"{type(why).__name__}: {why}" if str(why) else type(why).__name__
    sentence = f"`{one.id}` could not be graded, which is no fault of the answer: {cut(told, 300)}"
    row = Row.of(one, "broken", sentence)
    row.cause = cut("".join(traceback.format_exception(why)), 3000)
    return row
