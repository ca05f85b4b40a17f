"""Questions to the sandbox about one exercise: what it may use, what came of it, how long it takes.

Only the time that we wait counts: what the engine and the references need is no learner's fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from course.checking.exercise import Exercise
from course.marking.cells import Ran
from course.sandbox import remote
from course.sandbox.limits import Ended
from course.sandbox.wire import ODD, Malformed, text


@dataclass(frozen=True)
class Rules:
    """What one exercise may use. Bytes and seconds; its own seconds stand in the exercise.

    patience: how many times the seconds count, for a machine that is slow or has much to do.
    """

    memory: int = 2 * 2**30
    output: int = 10 * 2**20
    setup: float = 30  # for each cell that is no exercise
    start: float = 60  # for Python and IPython themselves
    patience: float = 1.0


class CellStopped(Exception):
    """Something that the learner wrote stopped the sandbox's side of a question."""

    def __init__(self, failure: dict):
        super().__init__(failure["what"])
        self.failure = failure


@dataclass
class Outcome:
    """How an exercise ended: what `verdicts.told` and `grader.py` ask of a `Child`.

    end: "result" or the reason of `Ended`; at: the number of the cell that ran last.
    """

    limits: Rules
    end: str = "result"
    result: dict = field(default_factory=dict)
    code: int | None = None
    at: int | None = None
    grading: bool = False
    allowed: float = 0
    seconds_taken: float = 0
    source: str = ""  # a short hash of the answer's text
    without: set = field(default_factory=set)
    skipped: int = 0
    fresh: bool = True  # was it the first exercise of its sandbox?


class Asking:
    """Asks about one exercise, and counts the time that the answers take."""

    def __init__(self, inmate, outcome: Outcome, one: Exercise, cells, seconds, busy):
        self.inmate, self.outcome, self.seconds, self.one = inmate, outcome, seconds, one
        self.busy = busy
        self.box, self.preload = None, []
        self.desk: Callable[[object, float], dict] | None = None  # answers what a test asks back
        self.own = next(cell["number"] for cell in cells if cell["own"])
        self.cells = {cell["number"] for cell in cells}
        self.reached_own = False
        self._allow(outcome.limits.setup)

    def __call__(self, op: str, **more) -> dict:
        """The answer to a question. Raises Ended, Malformed, or CellStopped."""
        if self.outcome.grading:
            self.busy.release()
        try:
            self.send({"op": op, **more})
            return self._answer()
        finally:
            if self.outcome.grading:
                self.busy.acquire()

    def send(self, message: dict) -> None:
        """Sends a message, in the time that is left."""
        began = time.monotonic()
        self.inmate.send(message, max(0.1, self.left))
        self.left -= time.monotonic() - began

    def ran(self, names: list[str]) -> Ran:
        """What there is when the cells have run: stand-ins for what was found."""
        told = self._answer()
        try:
            failure = None if told["failure"] is None else failure_from(told["failure"])
            missing = [name for name in names if name in told["missing"]]
            near = [text(name, 200) for name in told["near"][:2]]
            there = [name for name in names if name not in missing]
            found = remote.answers(self, self.one, there, told["found"])
            self.outcome.source = text(told["code"], 12)
        except ODD as why:
            raise Malformed("an answer without all its parts") from why
        return Ran(failure, missing, near, found)

    def _answer(self) -> dict:
        """The next answer; on the way to it, which cell runs is written down."""
        while True:
            began = time.monotonic()
            message = self.inmate.receive(max(0.001, self.left))
            self.left -= time.monotonic() - began
            what = message.get("child")
            if "child" not in message:  # the sandbox's first process speaks
                reason = "died" if message.get("zygote") == "died" else "message"
                code = message.get("code")
                raise Ended(reason, code if type(code) is int else None)
            if what == "answer":
                return message
            if what == "asks" and self.desk:
                began = time.monotonic()
                told = self.desk(message.get("ask"), max(0.001, self.left))
                self.left -= time.monotonic() - began
                self.send(told)
                continue
            if what == "raised":
                raise CellStopped(failure_from(message.get("failure")))
            number = message.get("number")
            if what != "at" or type(number) is not int or number not in self.cells:
                raise Malformed("no answer")
            self._at(number)

    def _at(self, number: int) -> None:
        """A new cell gets its own time, but not after the exercise's own."""
        self.outcome.at = number
        if not self.reached_own:
            self._allow(self.seconds[number])
        self.reached_own = self.reached_own or number == self.own

    def _allow(self, seconds: float) -> None:
        self.left = self.outcome.allowed = seconds * self.outcome.limits.patience


def failure_from(told: object) -> dict:
    """What stopped a cell, as `failure_of` writes it down. Raises Malformed."""
    if type(told) is not dict:
        raise Malformed("no failure")
    words = {name: text(told.get(name), 2000) for name in ("kind", "what", "text", "told")}
    flags = {name: told.get(name) is True for name in ("stub", "syntax")}
    line = told.get("line")
    return {"outcome": "cell", **words, **flags, "line": line if type(line) is int else None}
