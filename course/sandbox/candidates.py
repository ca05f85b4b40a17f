"""The grader's side of a learner's test: which candidates are tried, in which order, and relaying.

The test runs in the learner's sandbox, the candidates in another (`candidate.py`). The order is
secret, and the right answer comes several times: who only guesses which calls to accept has to
guess all of them. A candidate that does not answer any more ends, and the test hears of an error.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

from course.checking.exercise import Exercise
from course.marking.child import PACKAGE
from course.sandbox.box import Box
from course.sandbox.inmate import Inmate
from course.sandbox.limits import Ended, Limits

RIGHT = 5  # times that the right answer is among the candidates
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
START = 60  # seconds for Python and what the candidates import
LIMITS = Limits(processes=16, memory=2**30)
PROGRAM = "import sys; sys.path.insert(0, {0!r}); from course.sandbox.candidate import main; main()"
GONE = {"error": [["MemoryError", "Exception"], "the candidate ended: this was too much for it"]}


class Candidates:
    """The sandbox of an exercise's candidates. Use it as a context manager."""

    def __init__(self, box: Box, exercise: Exercise, checks: Path, imports=()):
        """checks: the file of the checks; imports: modules that it loads before the first try."""
        self.box, self.exercise, self.checks = box, exercise, Path(checks).absolute()
        self.imports = list(imports)
        self.inmate: Inmate | None = None
        self.face = self._started()

    def __enter__(self) -> Candidates:
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def _started(self) -> dict:
        see = [Path(PACKAGE, "course"), Path(PACKAGE, "microgpt_ref"), self.checks]
        see += [one for one in [self.checks.with_suffix(".json")] if one.is_file()]
        words = [self.box.python(packages=True), "-P", "-c", PROGRAM.format(PACKAGE)]
        more = dict.fromkeys(THREADS, "1")  # two that wait for a busy core are much slower
        self.inmate = Inmate(self.box, words, mounts=see, limits=LIMITS, more=more)
        job = {"checks": str(self.checks), "id": self.exercise.id, "imports": self.imports}
        return self._told(job)["face"]

    def _told(self, message: dict) -> dict:
        """The answer to a message of ours. Raises OSError: that it fails is no fault of a test."""
        try:
            self.inmate.send(message)
            return self.inmate.receive(START)
        except Ended as why:
            self._stop()
            raise OSError(f"The candidates cannot be tried: {why}.") from why

    def _stop(self) -> None:
        if self.inmate:
            self.inmate.stop()
            self.inmate = None

    def order(self, rng: random.Random) -> list[int]:
        """The numbers of the candidates as they are tried: 0, the right one, several times."""
        numbers = [0] * RIGHT + list(range(1, len(self.exercise.bugs) + 1))
        rng.shuffle(numbers)
        return numbers

    def begin(self, number: int) -> None:
        """Puts a candidate on trial. Raises OSError when that is not possible."""
        if self.inmate is None:
            self._started()
        self._told({"begin": number})

    def answer(self, asked: object, seconds: float) -> dict:
        """What the candidate on trial says. seconds: how many are left of the exercise's time."""
        if self.inmate is None:
            return GONE
        try:
            self.inmate.send({"ask": asked}, seconds)
            return self.inmate.receive(seconds)
        except Ended as why:
            self._stop()
            if why.reason == "time":
                raise
            return GONE

    def end(self) -> None:
        """The trial is over."""
        if self.inmate is not None:
            with contextlib.suppress(OSError):  # then the next one begins in a fresh sandbox
                self._told({"end": True})
