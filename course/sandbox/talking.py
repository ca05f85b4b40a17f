"""The talk with one sandbox about one notebook: starts it, gives it exercises, asks, reads.

Whatever happens in there ends here as an `Outcome`, which `course/marking/verdicts.py` puts into
the same sentences as the end of an ordinary process. A failure of ours is an exception.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from course.checking.exercise import Exercise, names_of
from course.marking.cells import Ran
from course.sandbox import bundle, remote
from course.sandbox.allowed import allowed
from course.sandbox.asking import Asking, CellStopped, Outcome, Rules
from course.sandbox.box import Box
from course.sandbox.inmate import Inmate
from course.sandbox.limits import Ended, Limits
from course.sandbox.wire import Malformed

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROOM = "/tmp"  # where a sandbox can write
BASE = 256 * 2**20  # bytes that Python and IPython take; torch takes four times as many more
CLEARING = 30  # seconds to end processes and remove files


class Talk:
    """One sandbox, in which exercises of one notebook run one after another."""

    def __init__(self, box: Box, rules: Rules, folder: Path | None, preload: list[str], luck: str):
        """folder: the submission's; preload: libraries to import beforehand; luck: a seed.

        Raises OSError or Ended when the sandbox cannot be started: that is a failure of ours.
        """
        self.box, self.preload = box, preload
        self.rules, self.luck, self.served, self.over = rules, luck, 0, False
        self.loose = tempfile.mkdtemp(prefix="course-") if box.kind == "none" else None
        room = self.loose or ROOM
        boot = bundle.BOOT.read_text("utf-8")
        argv = [box.python(packages=True), "-s", "-P", "-B", "-X", "utf8", "-c", boot]
        memory = rules.memory + BASE * (1 + 4 * ("torch" in preload))
        limits = Limits(memory=memory, printed=rules.output, data=2 * memory)
        try:
            self.inmate = Inmate(box, argv, packages=True, limits=limits, more=_around(room, luck))
        except BaseException:
            self._forget()
            raise
        try:
            self.inmate.send(bundle.first(room, folder, preload, limits.message))
            self.inmate.receive(rules.start * rules.patience)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the sandbox; nothing of it is left. A second call does nothing."""
        self.inmate.stop()
        self._forget()

    def _forget(self) -> None:
        if self.loose:
            shutil.rmtree(self.loose, ignore_errors=True)

    # ---------------------------------------------------------------------------- one exercise

    def exercise(
        self,
        one: Exercise,
        cells: list[dict],
        seconds: dict[int, float],
        judge: Callable[[Ran, remote.Ask], dict],
        busy: threading.Lock,
    ) -> Outcome:
        """Runs the exercise's cells, then asks `judge`, which may ask the sandbox.

        cells, seconds: as of `course/marking/child.py`. judge: gives the outcome's `result`; it
        holds `busy`, which is free while it waits for an answer.
        """
        outcome = Outcome(self.rules, fresh=not self.served)
        asking = Asking(self.inmate, outcome, one, cells, seconds, busy)
        asking.box, asking.preload = self.box, self.preload
        began = time.monotonic()
        self.served += 1
        try:
            self.inmate.send({"zygote": "begin"})
            asking.send(self._job(one, cells))
            ran = asking.ran(names_of(one))
            outcome.grading = True
            outcome.result = judge(ran, asking)
        except CellStopped as why:
            outcome.result = why.failure
        except Ended as why:
            outcome.end, outcome.code = why.reason, why.code
        except Malformed:
            outcome.end = "message"
        outcome.seconds_taken = time.monotonic() - began
        self._clear()
        return outcome

    def _job(self, one: Exercise, cells: list[dict]) -> dict:
        return {
            "id": one.id,
            "kind": one.kind,
            "promise": one.promise,
            "names": names_of(one),
            "cells": cells,
            "modules": allowed(one),
            "ops": remote.OPS[remote.kind_of(one)],
            "luck": f"{self.luck}:{one.id}",
        }

    def _clear(self) -> None:
        """Ends what the exercise has left; where that is not certain, the whole sandbox."""
        nonce = secrets.token_hex(16)
        with contextlib.suppress(Ended):
            self.inmate.send({"zygote": "end", "nonce": nonce})
            until = time.monotonic() + CLEARING
            while (left := until - time.monotonic()) > 0:
                if self.inmate.receive(left).get("nonce") == nonce:
                    return
        self.stop()
        self.over = True


def _around(room: str, luck: str) -> dict[str, str]:
    """The environment in the sandbox, as of `course/marking/child.py`."""
    number = int.from_bytes(hashlib.sha256(luck.encode()).digest()[:4], "big")
    return {
        **dict.fromkeys(THREADS, "1"),
        "IPYTHONDIR": f"{room}/ipython",
        "MPLBACKEND": "Agg",
        "PAGER": "cat",
        "PYTHONBREAKPOINT": "0",
        "PYTHONHASHSEED": str(number),
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "TERM": "dumb",
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), room),
    }
